package memory

import "sync/atomic"

// A family is a token and its successors, which go back to one grant. Families
// form the trees of minted tokens. Fields that readers without a lock use never
// change or are atomic.
type family struct {
	id          int64
	parent      *family // that minted it, nil for none
	root        *family // the top of the tree, nil for the top itself
	depth       int
	independent bool
	via         int64 // the application through which the right came, 0 for none

	// subject is that of the first token: successors were issued no later.
	subject

	live   atomic.Int32 // tokens that are not marked as revoked
	ended  atomic.Int64 // the instant at which live became 0
	minted cut          // concerns everything that it minted

	// Guarded by Store.mu.
	members  []*token
	spent    []*token // members that stay for the sake of replays
	children []*family
	below    []*token // of the root: all unmarked tokens in the tree but its own,
	lapsed   []*token // without these, which had expired when somebody minted

	placeOfChild int32
}

func placeOfChild(f *family) *int32   { return &f.placeOfChild }
func placeOfMember(t *token) *int32   { return &t.placeOfMember }
func placeOfMinted(t *token) *int32   { return &t.placeOfMinted }
func placeOfSpent(t *token) *int32    { return &t.placeOfSpent }
func (f *family) markAt() instant     { return instant(f.ended.Load()) }
func (f *family) rootID() int64       { return idOf(f.root) }
func (f *family) parentID() int64     { return idOf(f.parent) }
func (f *family) add(t *token)        { f.members = join(f.members, t, placeOfMember) }
func (f *family) drop(t *token)       { f.members = leave(f.members, t, placeOfMember) }
func (f *family) addChild(c *family)  { f.children = join(f.children, c, placeOfChild) }
func (f *family) dropChild(c *family) { f.children = leave(f.children, c, placeOfChild) }

// unspent takes a token off the list of those that stay for the sake of replays,
// if it is there.
func (f *family) unspent(t *token) {
	if t.placeOfSpent >= 0 {
		f.spent = leave(f.spent, t, placeOfSpent)
		t.placeOfSpent = -1
	}
}

func idOf(f *family) int64 {
	if f == nil {
		return 0
	}
	return f.id
}

// ends returns when the family ended by itself, 0 for not.
func (f *family) ends(cs *cuts) instant {
	if f.live.Load() == 0 {
		return max(f.markAt(), 1)
	}
	return f.subject.ends(cs)
}

// endedAbove returns the instant at which a family above ended a token with
// that number, or 0. A family ends the tokens that are not independent of it,
// and all of its descendants if a revocation says so.
func (f *family) endedAbove(cs *cuts, seq int64) instant {
	bound := true
	for ; f.parent != nil; f = f.parent {
		bound = bound && !f.independent
		if bound {
			if at := f.parent.ends(cs); at != 0 {
				return at
			}
		}
		if at := f.parent.minted.ends(seq); at != 0 {
			return at
		}
	}
	return 0
}

// liveBelow counts the tokens below a root that live at that instant, up to most.
// It looks at each that has expired once: a token that mints such ones all the time
// must not make this slow.
func (f *family) liveBelow(at instant, most int) (n int) {
	for i := 0; i < len(f.below) && n < most; {
		t := f.below[i]
		if at < t.state.Load().expires {
			n++
			i++
			continue
		}
		f.below = leave(f.below, t, placeOfMinted)
		f.lapsed = join(f.lapsed, t, placeOfMinted)
		t.lapsed = true
	}
	return n
}

// leaveTree takes a token that is marked off the lists of its root.
func (f *family) leaveTree(t *token) {
	if t.lapsed {
		f.lapsed = leave(f.lapsed, t, placeOfMinted)
		return
	}
	f.below = leave(f.below, t, placeOfMinted)
}
