package auth

import "sync/atomic"

// A soundValues knows sessions whose values can be decoded, by their IDs and revisions,
// some of those that were used last. A store never gives the two to other values.
type soundValues [4096]atomic.Uint64

// slot returns where a session is remembered, and as what: 0 if it is not.
func (v *soundValues) slot(id, revision int64) (slot *atomic.Uint64, as uint64) {
	slot = &v[uint64(id)%uint64(len(v))]
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
