package auth

import (
	"maps"
	"sync/atomic"
)

// A soundValues knows sessions whose values can be decoded, by their IDs and revisions,
// some of those that were used last. A store never gives the two to other values.
type soundValues [soundSlots]atomic.Uint64

const soundSlots = 4096

func slotOf(id int64) uint64 { return uint64(id) % soundSlots }

// slot returns where a session is remembered, and as what: 0 if it is not.
func (v *soundValues) slot(id, revision int64) (slot *atomic.Uint64, as uint64) {
	slot = &v[slotOf(id)]
	if id>>40 != 0 || revision>>24 != 0 || revision == 0 {
		return slot, 0
	}
	return slot, uint64(id)<<24 | uint64(revision)
}

// has is false for nil.
func (v *soundValues) has(id, revision int64) bool {
	if v == nil {
		return false
	}
	slot, as := v.slot(id, revision)
	return as != 0 && slot.Load() == as
}

// add does nothing for nil.
func (v *soundValues) add(id, revision int64) {
	if v == nil {
		return
	}
	if slot, as := v.slot(id, revision); as != 0 {
		slot.Store(as)
	}
}

// allKnown is for requests whose values nobody will ask for.
func allKnown(int64, int64) bool { return true }

// decodedValues are the values of sessions in a memory.Store that requests have asked for
// more than once, decoded. They go when another session needs the place, when a request
// ends its session or finds it ended, and at a purge. Whoever asks for them has just
// found their revision in the store: they outlive no change of it.
type decodedValues struct {
	asked soundValues // once
	kept  [soundSlots]atomic.Pointer[heldValues]
}

// What is kept has at most this many bytes when it is encoded, and this many values, so
// that all of them take some megabytes.
const (
	maxKept     = 512
	maxKeptKeys = 16
)

// of returns the values of a session, or nil if they are not kept.
func (v *decodedValues) of(id, revision int64) *heldValues {
	if held := v.kept[slotOf(id)].Load(); held != nil && held.id == id && held.revision == revision {
		return held
	}
	return nil
}

// keep keeps the values of a session, which nobody can change in place, from the second
// time on. It does nothing for nil.
func (v *decodedValues) keep(held *heldValues, values map[string]any) {
	switch {
	case v == nil, len(values) == 0, len(values) > maxKeptKeys, len(held.data) > maxKept:
	case !v.asked.has(held.id, held.revision):
		v.asked.add(held.id, held.revision)
	default:
		v.kept[slotOf(held.id)].Store(&heldValues{held.id, held.data, held.revision, maps.Clone(values)})
	}
}

// drop forgets the values of a session that has ended. It does nothing for nil.
func (v *decodedValues) drop(id int64) {
	if v == nil {
		return
	}
	if held := v.kept[slotOf(id)].Load(); held != nil && held.id == id {
		v.kept[slotOf(id)].CompareAndSwap(held, nil)
	}
}

// dropAll forgets all values. It does nothing for nil.
func (v *decodedValues) dropAll() {
	if v == nil {
		return
	}
	for i := range v.kept {
		v.kept[i].Store(nil)
	}
}
