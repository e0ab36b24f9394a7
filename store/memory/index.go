package memory

import (
	"iter"
	"sync/atomic"
)

// minSlots is how many slots an index has at least.
const minSlots = 16

// An index finds records of slabs by hash. It is an open hash table with linear
// probing. Readers may take no lock; writers hold Store.mu.
//
// A reader without a lock may miss a record while others move, and may find one whose
// place has another use by now: what it has found counts only as a [slab] says.
type index struct {
	// slots have the hash and the ref of a record each, or 0. A record stands in the
	// slot that its hash names, or behind it without a gap.
	slots atomic.Pointer[[]atomic.Uint64]
	held  int
}

func newIndex() *index {
	x := new(index)
	x.resize(minSlots)
	return x
}

// home returns the slot of n that a hash names.
func home(hash uint32, n int) int { return int(uint64(hash) * uint64(n) >> 32) }

// after returns the slot behind slot i of n.
func after(i, n int) int {
	if i++; i == n {
		return 0
	}
	return i
}

// with returns the records with that hash.
func (x *index) with(hash uint32) iter.Seq[ref] {
	return func(yield func(ref) bool) {
		slots := *x.slots.Load()
		i := home(hash, len(slots))
		for range slots { // no more, whatever moves meanwhile
			slot := slots[i].Load()
			if slot == 0 || uint32(slot>>32) == hash && !yield(ref(slot)) {
				return
			}
			i = after(i, len(slots))
		}
	}
}

// find returns the record with that hash for which is returns true, or 0.
func (x *index) find(hash uint32, is func(ref) bool) ref {
	for r := range x.with(hash) {
		if is(r) {
			return r
		}
	}
	return 0
}

// add puts a record in. At most three of four slots are taken, so that a search ends
// soon, and at least half of them after growing, so that few are kept for nobody.
func (x *index) add(hash uint32, r ref) {
	if n := len(*x.slots.Load()); x.held >= n/4*3 {
		x.resize(n + n/2)
	}
	putSlot(*x.slots.Load(), uint64(hash)<<32|uint64(r))
	x.held++
}

// remove takes out a record that is in the index under that hash.
func (x *index) remove(hash uint32, r ref) {
	slots := *x.slots.Load()
	n := len(slots)
	gap := home(hash, n)
	for slots[gap].Load() != uint64(hash)<<32|uint64(r) {
		gap = after(gap, n)
	}
	for i := after(gap, n); ; i = after(i, n) {
		slot := slots[i].Load()
		if slot == 0 {
			break
		}
		if behind(home(uint32(slot>>32), n), i, n) >= behind(gap, i, n) { // it may stand in the gap
			slots[gap].Store(slot)
			gap = i
		}
	}
	slots[gap].Store(0)
	if x.held--; n > minSlots && x.held < n/4 {
		x.resize(max(n/2, minSlots))
	}
}

// behind returns how many slots of n slot i is behind another one.
func behind(other, i, n int) int {
	if i < other {
		return i - other + n
	}
	return i - other
}

func (x *index) resize(n int) {
	next := make([]atomic.Uint64, n)
	if old := x.slots.Load(); old != nil {
		for i := range *old {
			if slot := (*old)[i].Load(); slot != 0 {
				putSlot(next, slot)
			}
		}
	}
	x.slots.Store(&next)
}

func putSlot(slots []atomic.Uint64, slot uint64) {
	i := home(uint32(slot>>32), len(slots))
	for slots[i].Load() != 0 {
		i = after(i, len(slots))
	}
	slots[i].Store(slot)
}
