package memory

import (
	"hash/maphash"
	"iter"
	"slices"
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// A family is a token and its successors, which go back to one grant. Families form
// the trees of minted tokens. It has no pointers: see [slab]. What readers without a
// lock use is atomic, and Store.mu guards the rest.
//
// The family of a token that was never refreshed and neither minted others nor was
// minted is not kept: it has the ID of the token and ends with it.
type family struct {
	id        atomic.Int64
	seq       atomic.Int64  // of the first token: successors were issued no later
	party     atomic.Uint32 // of tokens.parties, that of the first token
	live      atomic.Int32  // tokens that are not marked as revoked
	parent    atomic.Uint32 // the family that minted it, 0 for none
	offspring atomic.Uint32 // of tokens.offsprings; 0 before it mints
	flags     atomic.Uint32

	self ref
	few  [2]ref // its tokens, unless there is a crowd
}

// The flags of a family.
const (
	independent = 1 << iota // it goes on without those above
	mixed                   // it had tokens of another party or number than the first one
)

// A crowd has the tokens of a family of more than the few that a grant has.
type crowd struct {
	members refs
	spent   refs // those that stay for the sake of replays
}

// An offspring is what a family minted.
type offspring struct {
	cut                   // concerns all of it
	ended    atomic.Int64 // the instant at which none of the family's tokens was live any more
	children refs         // families; Store.mu guards this and the rest
	below    refs         // of the root: all unmarked tokens in the tree but its own,
	lapsed   refs         // without these, which had expired when somebody minted
}

// families are those that are kept: with members, or whose children have some.
type families struct {
	familySlab   slab[family]
	offsprings   handles[offspring]
	crowds       map[ref]*crowd // by family
	familyByID   *index
	idSeed       maphash.Seed
	mixedMinters int // families with the flag mixed that minted
}

func newFamilies() families {
	return families{crowds: make(map[ref]*crowd), familyByID: newIndex(), idSeed: maphash.MakeSeed()}
}

func (fs *families) hashID(id int64) uint32 { return uint32(maphash.Comparable(fs.idSeed, id)) }

// keptByID returns the family with that ID, or nil if there is none or it is not kept.
func (fs *families) keptByID(id int64) *family {
	return fs.familySlab.at(fs.familyByID.find(fs.hashID(id), func(r ref) bool { return fs.familySlab.locked(r).id.Load() == id }))
}

// kept returns the family of a token if it is kept, or nil.
func (fs *families) kept(t *token) *family { return fs.familySlab.at(ref(t.family.Load())) }

// parentOf returns the family that minted a family, or nil.
func (fs *families) parentOf(f *family) *family { return fs.familySlab.at(ref(f.parent.Load())) }

// minted returns what a family minted, or nil.
func (fs *families) minted(f *family) *offspring { return fs.offsprings.get(ref(f.offspring.Load())) }

// hasChildren reports whether there are families below.
func (fs *families) hasChildren(f *family) bool {
	m := fs.minted(f)
	return m != nil && m.children.n > 0
}

// childrenOf yields the families that a family minted.
func (fs *families) childrenOf(f *family) iter.Seq[*family] {
	return func(yield func(*family) bool) {
		if m := fs.minted(f); m != nil {
			m.children.each(func(r ref) bool { return yield(fs.familySlab.locked(r)) })
		}
	}
}

// addChild notes that a family minted another one.
func (fs *families) addChild(f, child *family) {
	m := fs.minted(f)
	if m == nil {
		m = new(offspring)
		f.offspring.Store(uint32(fs.offsprings.put(m)))
		if f.is(mixed) {
			fs.mixedMinters++
		}
	}
	m.children.add(child.self)
	child.parent.Store(uint32(f.self))
}

// is reports whether the family has a flag.
func (f *family) is(flag uint32) bool { return f.flags.Load()&flag != 0 }

// setMixed notes that a family is mixed.
func (fs *families) setMixed(f *family) {
	if f.offspring.Load() != 0 && !f.is(mixed) {
		fs.mixedMinters++
	}
	f.flags.Store(f.flags.Load() | mixed)
}

// depth is the number of families above.
func (fs *families) depth(f *family) (n int) {
	for f = fs.parentOf(f); f != nil; f = fs.parentOf(f) {
		n++
	}
	return n
}

// top returns the root of the tree.
func (fs *families) top(f *family) *family {
	for parent := fs.parentOf(f); parent != nil; parent = fs.parentOf(f) {
		f = parent
	}
	return f
}

// isBelow reports whether a family is above f.
func (fs *families) isBelow(f *family, id int64) bool {
	for f = fs.parentOf(f); f != nil; f = fs.parentOf(f) {
		if f.id.Load() == id {
			return true
		}
	}
	return false
}

// members returns the tokens of a family.
func (ts *tokens) members(f *family) (list []*token) {
	if c := ts.crowds[f.self]; c != nil {
		return ts.tokensOf(&c.members)
	}
	for _, r := range f.few {
		if r != 0 {
			list = append(list, ts.slab.locked(r))
		}
	}
	return list
}

// tokensOf returns the tokens of lists.
func (ts *tokens) tokensOf(lists ...*refs) (list []*token) {
	for _, l := range lists {
		l.each(func(r ref) bool {
			list = append(list, ts.slab.locked(r))
			return true
		})
	}
	return list
}

// waits reports whether a token stays for the sake of replays.
func (ts *tokens) waits(t *token) bool {
	how := ts.spendingOf(t)
	return how != nil && how.ends == never
}

// addMember adds a token to those of a family.
func (ts *tokens) addMember(f *family, t *token) {
	c := ts.crowds[f.self]
	if at := slices.Index(f.few[:], 0); c == nil && at >= 0 {
		f.few[at] = t.self
		return
	}
	joining := []*token{t}
	if c == nil {
		joining = append(joining, ts.members(f)...)
		c, f.few = new(crowd), [2]ref{}
		ts.crowds[f.self] = c
	}
	for _, t := range joining {
		if c.members.add(t.self); ts.waits(t) {
			c.spent.add(t.self)
		}
	}
}

// dropMember removes a token from those of a family.
func (ts *tokens) dropMember(f *family, t *token) {
	c := ts.crowds[f.self]
	if c == nil {
		f.few[slices.Index(f.few[:], t.self)] = 0
		return
	}
	c.spent.remove(t.self)
	if c.members.remove(t.self); c.members.n == 0 {
		delete(ts.crowds, f.self)
	}
}

// takeSpent returns tokens of a family that stay for the sake of replays, at most most
// of them, and reports whether there are more. The caller lets them go.
func (ts *tokens) takeSpent(f *family, most int) (list []*token, more bool) {
	c := ts.crowds[f.self]
	if c != nil {
		c.spent.each(func(r ref) bool {
			list = append(list, ts.slab.locked(r))
			return len(list) <= most
		})
	} else {
		list = slices.DeleteFunc(ts.members(f), func(t *token) bool { return !ts.waits(t) })
	}
	if more = len(list) > most; more {
		list = list[:most]
	}
	if c != nil {
		for _, t := range list {
			c.spent.remove(t.self)
		}
	}
	return list, more
}

// found returns a new family for a token of a party that is about to be stored.
func (s *Store) found(r store.Token, parent *family, held ref, seq int64) *family {
	id := r.Family
	if id == 0 {
		id = s.lastToken
	}
	f := s.keep(id, held, seq)
	if parent != nil {
		s.addChild(parent, f)
		if r.Independent {
			f.flags.Store(independent)
		}
	}
	return f
}

// keep stores a new family of a party.
func (s *Store) keep(id int64, held ref, seq int64) *family {
	self, f := s.familySlab.take()
	f.self, f.few = self, [2]ref{}
	f.id.Store(id)
	f.seq.Store(seq)
	f.party.Store(uint32(held))
	f.live.Store(0)
	for _, none := range []*atomic.Uint32{&f.parent, &f.offspring, &f.flags} {
		none.Store(0)
	}
	s.parties.get(held).refs++
	s.familyByID.add(s.hashID(id), self)
	return f
}

// family returns a family, or nil. One that is not kept is from now on.
func (s *Store) family(id int64) *family {
	if f := s.keptByID(id); f != nil {
		return f
	}
	t := s.tokenByID(id)
	if t == nil || t.family.Load() != 0 {
		return nil
	}
	return s.familyOf(t)
}

// familyOf returns the family of a token, which is kept from now on.
func (s *Store) familyOf(t *token) *family {
	if f := s.kept(t); f != nil {
		return f
	}
	f := s.keep(t.id, ref(t.party.Load()), t.seq.Load())
	s.join(t, f)
	return f
}

// join makes a token a member of a family.
func (s *Store) join(t *token, f *family) {
	s.addMember(f, t)
	if t.mark() == 0 {
		f.live.Add(1)
	}
	t.family.Store(uint32(f.self))
}

// forget drops a family without tokens and descendants.
func (s *Store) forget(f *family) {
	for f != nil && f.few == [2]ref{} && s.crowds[f.self] == nil && !s.hasChildren(f) {
		s.familyByID.remove(s.hashID(f.id.Load()), f.self)
		s.releaseParty(ref(f.party.Load()))
		if r := ref(f.offspring.Load()); r != 0 {
			s.offsprings.drop(r)
			if f.is(mixed) {
				s.mixedMinters--
			}
		}
		parent := s.parentOf(f)
		if parent != nil {
			s.minted(parent).children.remove(f.self)
		}
		s.familySlab.drop(f.self)
		f = parent
	}
}

// ends returns when a family ended by itself, 0 for not.
func (s *Store) ends(f *family) instant {
	if f.live.Load() == 0 {
		if m := s.minted(f); m != nil {
			return instant(m.ended.Load()).end()
		}
		return 1
	}
	if p := s.parties.get(ref(f.party.Load())); p != nil { // else a reader without a lock will look again
		return p.value.ends(&s.cuts, f.seq.Load())
	}
	return 0
}

// endedAbove returns the instant at which a family above ended a token with
// that number, or 0. A family ends the tokens that are not independent of it,
// and all of its descendants if a revocation says so.
func (s *Store) endedAbove(f *family, seq int64) instant {
	bound := true
	for range store.MaxDepth { // no more, whatever changes meanwhile
		parent := s.parentOf(f)
		if parent == nil {
			break
		}
		bound = bound && !f.is(independent)
		if bound {
			if at := s.ends(parent); at != 0 {
				return at
			}
		}
		if m := s.minted(parent); m != nil {
			if at := m.cut.ends(seq); at != 0 {
				return at
			}
		}
		f = parent
	}
	return 0
}

// liveBelow counts the tokens below a root that live at that instant, up to most.
// It looks at each that has expired once: a token that mints such ones all the time
// must not make this slow.
func (s *Store) liveBelow(root *family, at instant, most int) (n int) {
	m := s.minted(root)
	if m == nil {
		return 0
	}
	var expired []ref
	m.below.each(func(r ref) bool {
		if at < s.slab.locked(r).expires {
			n++
		} else {
			expired = append(expired, r)
		}
		return n < most
	})
	for _, r := range expired {
		m.below.remove(r)
		m.lapsed.add(r)
	}
	return n
}

// leaveTree takes a token that is marked off the lists of its root.
func (s *Store) leaveTree(t *token, f *family) {
	if f.parent.Load() == 0 {
		return
	}
	if m := s.minted(s.top(f)); !m.below.remove(t.self) {
		m.lapsed.remove(t.self)
	}
}

// unlapse puts a token back on the list of those that are looked at, if it had expired.
func (s *Store) unlapse(t *token, f *family) {
	if f.parent.Load() == 0 {
		return
	}
	if m := s.minted(s.top(f)); m.lapsed.remove(t.self) {
		m.below.add(t.self)
	}
}
