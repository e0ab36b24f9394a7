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
// more than once, decoded. They go when another session needs the place. Whoever asks for
// them has just found their revision in the store: they outlive no change of it.
type decodedValues struct {
	asked soundValues // once
	kept  [soundSlots]atomic.Pointer[keptValues]
}

// keptValues are the values of the session with that ID.
type keptValues struct {
	id int64
	heldValues
}

// maxKept is the size of the largest encoded values that are kept decoded, in bytes, so
// that all of them take some megabytes.
const maxKept = 512

// of returns the values of a session, or nil if they are not kept.
func (v *decodedValues) of(id, revision int64) *heldValues {
	if x := v.kept[slotOf(id)].Load(); x != nil && x.id == id && x.revision == revision {
		return &x.heldValues
	}
	return nil
}

// keep keeps the values of a session, which nobody can change in place, from the second
// time on. It does nothing for nil.
func (v *decodedValues) keep(id int64, held *heldValues, values map[string]any) {
	switch {
	case v == nil, len(values) == 0, len(held.data) > maxKept:
	case !v.asked.has(id, held.revision):
		v.asked.add(id, held.revision)
	default:
		v.kept[slotOf(id)].Store(&keptValues{id, heldValues{held.data, held.revision, maps.Clone(values)}})
	}
}
