// Package recent keeps values by a digest, of a token or a list, for a short time, in
// a bounded number of places.
package recent

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

const (
	ways  = 8  // places of a digest
	locks = 64 // of a table
)

// A Table is allocated at once. Digests are uniform, so they need no other hash. It is
// safe for concurrent use.
type Table[V any] struct {
	mu   [locks]lock
	sets [][ways]place[V]
}

type place[V any] struct {
	digest store.Digest
	until  time.Duration // on the clock of the caller; the value counts strictly before
	value  V
}

// A lock fills a cache line, so that two of them do not slow each other down.
type lock struct {
	sync.Mutex
	_ [56]byte
}

// New returns a table with that many places, rounded up to a multiple of eight.
func New[V any](places int) *Table[V] {
	return &Table[V]{sets: make([][ways]place[V], max(1, (places+ways-1)/ways))}
}

// Places returns the number of places.
func (t *Table[V]) Places() int { return len(t.sets) * ways }

// set returns the places of a digest, and their lock.
func (t *Table[V]) set(digest *store.Digest) (*[ways]place[V], *lock) {
	i := binary.LittleEndian.Uint64(digest[:]) % uint64(len(t.sets))
	return &t.sets[i], &t.mu[i%locks]
}

// Get returns the value of a digest that counts at a time.
func (t *Table[V]) Get(digest *store.Digest, now time.Duration) (v V, ok bool) {
	set, mu := t.set(digest)
	mu.Lock()
	defer mu.Unlock()
	for i := range set {
		if p := &set[i]; p.digest == *digest && now < p.until {
			return p.value, true
		}
	}
	return v, false
}

// Put keeps v until a time, in the place of an older value of the digest, or else in
// the place whose value ends first.
func (t *Table[V]) Put(digest *store.Digest, v V, until, now time.Duration) {
	if now >= until {
		return
	}
	set, mu := t.set(digest)
	mu.Lock()
	defer mu.Unlock()
	chosen := &set[0]
	for i := range set {
		if set[i].digest == *digest {
			chosen = &set[i]
			break
		}
		if set[i].until < chosen.until {
			chosen = &set[i]
		}
	}
	*chosen = place[V]{*digest, until, v}
}
