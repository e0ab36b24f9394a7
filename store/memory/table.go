package memory

import (
	"encoding/binary"
	"iter"
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// A table finds records by hash. Readers take no lock and allocate nothing;
// writers hold Store.mu.
//
// It is an open hash table with linear probing. A slot is written once: a record
// that is removed leaves a tombstone there, and growing, which drops those,
// publishes new slots. So a reader sees the table as it was at some instant
// during the look-up.
type table[T any] struct {
	slots     atomic.Pointer[[]slot[T]] // a power of two of them
	taken     int                       // slots, with tombstones
	held      int                       // records
	tombstone *T
}

type slot[T any] struct {
	hash   uint64 // written before record, never after
	record atomic.Pointer[T]
}

const minSlots = 16

func newTable[T any]() *table[T] {
	t := &table[T]{tombstone: new(T)}
	slots := make([]slot[T], minSlots)
	t.slots.Store(&slots)
	return t
}

// find returns the record with that hash for which is returns true, or nil.
func (t *table[T]) find(hash uint64, is func(*T) bool) *T {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &slots[i]
		record := s.record.Load()
		if record == nil {
			return nil
		}
		if s.hash == hash && record != t.tombstone && is(record) {
			return record
		}
	}
}

// add puts a record in. At most three of four slots are taken, so that a search
// ends soon.
func (t *table[T]) add(hash uint64, record *T) {
	if slots := *t.slots.Load(); t.taken >= len(slots)/4*3 {
		n := minSlots
		for n < 2*(t.held+1) {
			n *= 2
		}
		next := make([]slot[T], n)
		for i := range slots {
			if old := slots[i].record.Load(); old != nil && old != t.tombstone {
				place(next, slots[i].hash, old)
			}
		}
		t.slots.Store(&next)
		t.taken = t.held
	}
	place(*t.slots.Load(), hash, record)
	t.taken++
	t.held++
}

func place[T any](slots []slot[T], hash uint64, record *T) {
	mask := uint64(len(slots) - 1)
	i := hash & mask
	for slots[i].record.Load() != nil {
		i = (i + 1) & mask
	}
	slots[i].hash = hash
	slots[i].record.Store(record)
}

// remove takes out a record that is in the table under that hash.
func (t *table[T]) remove(hash uint64, record *T) {
	slots := *t.slots.Load()
	mask := uint64(len(slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if slots[i].hash == hash && slots[i].record.Load() == record {
			slots[i].record.Store(t.tombstone)
			t.held--
			return
		}
	}
}

// all yields the records.
func (t *table[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		slots := *t.slots.Load()
		for i := range slots {
			if r := slots[i].record.Load(); r != nil && r != t.tombstone && !yield(r) {
				return
			}
		}
	}
}

// hashOf needs no hashing: a digest is uniform, and nobody can choose the
// digests that are stored.
func hashOf(d store.Digest) uint64 { return binary.LittleEndian.Uint64(d[:]) }
