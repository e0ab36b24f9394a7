package memory

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// stepSize is how many records one step looks at while it holds the lock.
const stepSize = 500

// RevokeTokens implements [store.Tokens].
func (s *Store) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		n = s.revoke(sel, instantOf(at))
		return nil
	})
	return n, err
}

// revoke ends the tokens that sel selects and returns the number of marked
// ones.
func (s *Store) revoke(sel store.Selection, at instant) int {
	if key, bulk := keyOf(sel); bulk {
		s.cutOff(key, at)
		return s.markOnce()
	}
	n := 0
	for _, t := range s.selected(sel) {
		if s.mark(t, at) {
			n++
			s.markBelow(t, at)
		}
	}
	return n + s.markOnce()
}

// mark notes in a token's record that it ended.
func (s *Store) mark(t *token, at instant) bool {
	if t.mark() != 0 {
		return false
	}
	s.change(t, func() { t.revoked.Store(int64(at.end())) })
	return true
}

// selected returns the tokens that sel names, which is no bulk: a token, a family,
// or something that a family minted.
func (s *Store) selected(sel store.Selection) (list []*token) {
	switch {
	case sel.TokenID != 0:
		if t := s.tokenByID(sel.TokenID); t != nil {
			list = []*token{t}
		}
	case sel.Family != 0:
		list = s.membersOf(sel.Family)
	case sel.MintedBy != 0:
		if f := s.keptByID(sel.MintedBy); f != nil {
			if m := s.minted(s.top(f)); m != nil {
				list = s.tokensOf(&m.below, &m.lapsed)
			}
		}
	}
	return slices.DeleteFunc(list, func(t *token) bool {
		p, f := s.partyOf(t), s.kept(t)
		return sel.Family != 0 && s.familyID(t) != sel.Family ||
			sel.UserID != "" && p.key.owner.id != sel.UserID ||
			sel.ApplicationID != 0 && p.key.via != sel.ApplicationID ||
			sel.MintedBy != 0 && (f == nil || !s.isBelow(f, sel.MintedBy))
	})
}

// membersOf returns the tokens of a family, kept or not.
func (ts *tokens) membersOf(family int64) []*token {
	if f := ts.keptByID(family); f != nil {
		return ts.members(f)
	}
	if t := ts.tokenByID(family); t != nil && t.family.Load() == 0 {
		return []*token{t}
	}
	return nil
}

// A marking is the remaining work of a revocation: dead tokens must be marked,
// so that they can be purged.
type marking struct {
	key cutKey
	at  instant

	// The tokens from the ID next on, up to the ID last, are still to be looked
	// at.
	next, last int64

	// families are the IDs of those whose children are still to be looked at. bound
	// says that Independent children go on.
	families []int64
	bound    bool
}

func (s *Store) newMarking(key cutKey, at instant) *marking {
	m := &marking{key: key, at: at, next: 1}
	if key.mintedBy != 0 {
		m.families = []int64{key.mintedBy}
		return m
	}
	m.last = s.lastToken
	return m
}

// listOf returns the tokens among which are those that a key concerns, or nil.
func (s *Store) listOf(key cutKey) *sorted[token] {
	switch {
	case key.userID != "":
		if a := s.account(key.userID); a != nil {
			return &a.tokens.byID
		}
		return nil
	case key.applicationID != 0:
		if x := s.byVia[key.applicationID]; x != nil {
			return &x.byID
		}
		return nil
	}
	return &s.every
}

// markOnce does one step of the remaining work of revocations, and returns the
// number of marked tokens.
func (s *Store) markOnce() (marked int) {
	for looked := 0; looked < stepSize && len(s.cuts.todo) > 0; {
		m := s.cuts.todo[0]
		l, n := s.markSome(m, stepSize-looked)
		looked += l
		marked += n
		if m.next > m.last && len(m.families) == 0 {
			s.cuts.todo = slices.Delete(s.cuts.todo, 0, 1)
		}
	}
	return marked
}

// markSome goes on with a marking. It looks at about most tokens.
func (s *Store) markSome(m *marking, most int) (looked, marked int) {
	if m.next <= m.last {
		looked, marked = s.markListed(m, most)
	}
	for len(m.families) > 0 && looked < most {
		f := s.keptByID(m.families[len(m.families)-1])
		m.families = m.families[:len(m.families)-1]
		if looked++; f == nil { // it went meanwhile, with all that it minted
			continue
		}
		for child := range s.childrenOf(f) {
			if m.bound && child.is(independent) {
				continue
			}
			members := s.members(child)
			looked += len(members)
			for _, t := range members {
				marked += s.markEnded(t, m)
			}
			m.families = append(m.families, child.id.Load())
		}
	}
	return looked, marked
}

// markListed is markSome for the list of the tokens that a key concerns.
func (s *Store) markListed(m *marking, most int) (looked, marked int) {
	var some []*token
	if list := s.listOf(m.key); list != nil {
		for t := range list.from(position(m.next, 0)) {
			if t.id > m.last || len(some) == most {
				break
			}
			some = append(some, t)
		}
	}
	if m.next = m.last + 1; len(some) == most {
		m.next = some[most-1].id + 1
	}
	for _, t := range some { // which leave the list
		n := s.markEnded(t, m)
		if marked += n; n > 0 {
			s.markBelow(t, m.at)
		}
	}
	return len(some), marked
}

// markEnded marks a token if a revocation ended it.
func (s *Store) markEnded(t *token, m *marking) int {
	if t.mark() == 0 && s.ended(t) != 0 && s.mark(t, m.at) {
		return 1
	}
	return 0
}

// markBelow adds a marking for the descendants of a marked token.
func (s *Store) markBelow(t *token, at instant) {
	if f := s.kept(t); f != nil && f.live.Load() == 0 && s.hasChildren(f) {
		s.cuts.todo = append(s.cuts.todo, markingBelow(f, at))
	}
}

// markingBelow returns a marking for what ends with a family.
func markingBelow(f *family, at instant) *marking {
	id := f.id.Load()
	return &marking{key: cutKey{mintedBy: id}, at: at, families: []int64{id}, bound: true, next: 1}
}

// beforeRevival marks all that ended with a family that is to get a live token. Without a
// mark they would live again with the family. They are as many as the tree has, with those
// that expired and are not purged: only a host that chooses a family gets here.
func (s *Store) beforeRevival(f *family) {
	if f.live.Load() == 0 && s.hasChildren(f) {
		s.markSome(markingBelow(f, s.ends(f)), math.MaxInt)
	}
}
