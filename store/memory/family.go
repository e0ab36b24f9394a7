package memory

import (
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// A family is a token and its successors, which go back to one grant. Families
// form the trees of minted tokens. Fields that readers without a lock use never
// change or are atomic.
//
// The family of a token that was never refreshed and neither minted others nor was
// minted is not kept: it has the ID of the token and ends with it.
type family struct {
	id          int64
	parent      *family // that minted it, nil for none
	root        *family // the top of the tree, nil for the top itself
	depth       int
	independent bool

	// Of the first token: successors were issued no later.
	seq   int64
	party *party
	held  ref // of party

	live   atomic.Int32 // tokens that are not marked as revoked
	ended  atomic.Int64 // the instant at which live became 0
	minted cut          // concerns everything that it minted

	// Guarded by Store.mu.
	members []*kin
	spent   []*kin // members that stay for the sake of replays
	*mints         // nil before it mints

	placeOfChild int32
}

// mints is what a family minted.
type mints struct {
	children []*family
	below    []*kin // of the root: all unmarked tokens in the tree but its own,
	lapsed   []*kin // without these, which had expired when somebody minted
}

// A kin is the place of a token in its family. Store.mu guards all but family.
type kin struct {
	family *family
	t      *token

	placeOfMember, placeOfMinted, placeOfSpent int32
	lapsed                                     bool // it is in the list lapsed of its root
}

func placeOfChild(f *family) *int32   { return &f.placeOfChild }
func placeOfMember(k *kin) *int32     { return &k.placeOfMember }
func placeOfMinted(k *kin) *int32     { return &k.placeOfMinted }
func placeOfSpent(k *kin) *int32      { return &k.placeOfSpent }
func (f *family) via() int64          { return f.party.key.via }
func (f *family) markAt() instant     { return instant(f.ended.Load()) }
func (f *family) drop(k *kin)         { f.members = leave(f.members, k, placeOfMember) }
func (f *family) dropChild(c *family) { f.children = leave(f.children, c, placeOfChild) }

func (f *family) addChild(c *family) {
	if f.mints == nil {
		f.mints = new(mints)
	}
	f.children = join(f.children, c, placeOfChild)
}

// hasChildren reports whether there are families below.
func (f *family) hasChildren() bool { return f.mints != nil && len(f.children) > 0 }

// unspent takes a token off the list of those that stay for the sake of replays,
// if it is there.
func (f *family) unspent(k *kin) {
	if k.placeOfSpent >= 0 {
		f.spent = leave(f.spent, k, placeOfSpent)
		k.placeOfSpent = -1
	}
}

// found returns a new family for a token of a party that is about to be stored.
func (s *Store) found(r store.Token, parent *family, held ref, seq int64) *family {
	f := &family{id: r.Family, parent: parent, seq: seq}
	if f.id == 0 {
		f.id = s.lastToken
	}
	if parent != nil {
		f.independent, f.depth, f.root = r.Independent, parent.depth+1, parent.top()
		parent.addChild(f)
	}
	return s.keep(f, held)
}

// keep stores a new family of a party.
func (s *Store) keep(f *family, held ref) *family {
	f.held, f.party = held, s.parties.get(held)
	f.party.refs++
	s.families[f.id] = f
	return f
}

// family returns a family, or nil. One that is not kept is from now on.
func (s *Store) family(id int64) *family {
	if f := s.families[id]; f != nil {
		return f
	}
	t := s.tokenByID(id)
	if t == nil || t.kin.Load() != 0 {
		return nil
	}
	return s.familyOf(t)
}

// familyOf returns the family of a token, which is kept from now on.
func (s *Store) familyOf(t *token) *family {
	if k := s.kinOf(t); k != nil {
		return k.family
	}
	f := s.keep(&family{id: t.id, seq: t.seq.Load()}, ref(t.party.Load()))
	f.ended.Store(t.revoked.Load())
	s.join(t, f)
	return f
}

// join makes a token a member of a family.
func (s *Store) join(t *token, f *family) {
	k := &kin{family: f, t: t, placeOfSpent: -1}
	f.members = join(f.members, k, placeOfMember)
	if t.mark() == 0 {
		f.live.Add(1)
	}
	if s.spendingOf(t) != nil {
		f.spent = join(f.spent, k, placeOfSpent)
	}
	t.kin.Store(uint32(s.kins.put(k)))
}

// forget drops a family without tokens and descendants.
func (s *Store) forget(f *family) {
	for ; f != nil && len(f.members) == 0 && !f.hasChildren(); f = f.parent {
		delete(s.families, f.id)
		s.releaseParty(f.held)
		if f.parent != nil {
			f.parent.dropChild(f)
		}
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
	return f.party.value.ends(cs, f.seq)
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

// top returns the root of the tree.
func (f *family) top() *family {
	if f.root != nil {
		return f.root
	}
	return f
}

// isBelow reports whether a family is above f.
func (f *family) isBelow(id int64) bool {
	for f = f.parent; f != nil; f = f.parent {
		if f.id == id {
			return true
		}
	}
	return false
}

// liveBelow counts the tokens below a root that live at that instant, up to most.
// It looks at each that has expired once: a token that mints such ones all the time
// must not make this slow.
func (f *family) liveBelow(at instant, most int) (n int) {
	if f.mints == nil {
		return 0
	}
	for i := 0; i < len(f.below) && n < most; {
		k := f.below[i]
		if at < k.t.expires {
			n++
			i++
			continue
		}
		f.below = leave(f.below, k, placeOfMinted)
		f.lapsed = join(f.lapsed, k, placeOfMinted)
		k.lapsed = true
	}
	return n
}

// leaveTree takes a token that is marked off the lists of its root.
func (f *family) leaveTree(k *kin) {
	if k.lapsed {
		f.lapsed = leave(f.lapsed, k, placeOfMinted)
		return
	}
	f.below = leave(f.below, k, placeOfMinted)
}

// unlapse puts a token back on the list of those that are looked at, if it had expired.
func (f *family) unlapse(k *kin) {
	if k.lapsed {
		f.root.leaveTree(k)
		k.lapsed = false
		f.root.below = join(f.root.below, k, placeOfMinted)
	}
}
