package cached

import (
	"sync/atomic"
)

// A subject is what a change concerns: a slot of [changes], or everything. Subjects
// that share a slot are forgotten together. The slots are the same in all processes
// of a version.
type subject uint16

const (
	slots              = 4096
	everything subject = slots
)

func ofToken(id int64) subject      { return slotOf('t', uint64(id)) }
func ofFamily(id int64) subject     { return slotOf('f', uint64(id)) }
func ofUser(id string) subject      { return slotOf('u', hash(id)) }
func slotOf(kind, n uint64) subject { return subject(mix(n^kind<<56) % slots) }

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 0x100000001b3
	}
	return h
}

// mix is the finalizer of SplitMix64: numbers that follow each other share no slot.
func mix(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// changes has the number of the latest change in each slot. A change is counted
// after it has happened and before its caller hears of it. An answer holds if it was
// asked for after the latest change that concerns it.
type changes struct {
	counted atomic.Uint64
	latest  [slots + 1]atomic.Uint64
}

// count returns the number of changes so far. It is read before the store is asked.
func (c *changes) count() uint64 { return c.counted.Load() }

// note counts a change.
func (c *changes) note(sub subject) {
	n := c.counted.Add(1)
	for latest := &c.latest[sub]; ; {
		old := latest.Load()
		if old >= n || latest.CompareAndSwap(old, n) {
			return
		}
	}
}

// none reports whether nothing that concerns the subjects has changed since asked.
func (c *changes) none(asked uint64, subjects ...subject) bool {
	if c.latest[everything].Load() > asked {
		return false
	}
	for _, sub := range subjects {
		if c.latest[sub].Load() > asked {
			return false
		}
	}
	return true
}
