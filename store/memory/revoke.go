package memory

import (
	"context"
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
	next := *t.state.Load()
	if next.revoked != 0 {
		return false
	}
	next.revoked = at
	s.change(t, next)
	return true
}

// selected returns the tokens that sel names, which is no bulk: a token, a family,
// or something that a family minted.
func (s *Store) selected(sel store.Selection) (list []*token) {
	switch {
	case sel.TokenID != 0:
		if t := s.byID[sel.TokenID]; t != nil {
			list = []*token{t}
		}
	case sel.Family != 0:
		list = slices.Clone(s.membersOf(sel.Family))
	case sel.MintedBy != 0:
		if f := s.families[sel.MintedBy]; f != nil {
			list = slices.Concat(f.top().below, f.top().lapsed)
		}
	}
	return slices.DeleteFunc(list, func(t *token) bool {
		return sel.Family != 0 && t.family.id != sel.Family ||
			sel.UserID != "" && t.owner.id != sel.UserID ||
			sel.ApplicationID != 0 && t.family.via != sel.ApplicationID ||
			sel.MintedBy != 0 && !t.family.isBelow(sel.MintedBy)
	})
}

func (ts *tokens) membersOf(family int64) []*token {
	if f := ts.families[family]; f != nil {
		return f.members
	}
	return nil
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

// A marking is the remaining work of a revocation: dead tokens must be marked,
// so that they can be purged.
type marking struct {
	key cutKey
	at  instant

	// The tokens from the ID next on, up to the ID last, are still to be looked
	// at.
	next, last int64

	// families are those whose children are still to be looked at. bound says
	// that Independent children go on.
	families []*family
	bound    bool
}

func (s *Store) newMarking(key cutKey, at instant) *marking {
	m := &marking{key: key, at: at, next: 1}
	if key.mintedBy != 0 {
		if f := s.families[key.mintedBy]; f != nil {
			m.families = []*family{f}
		}
		return m
	}
	m.last = s.lastToken
	return m
}

// listOf returns the tokens among which are those that a key concerns, or nil.
func (s *Store) listOf(key cutKey) *sorted {
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
		f := m.families[len(m.families)-1]
		m.families = m.families[:len(m.families)-1]
		looked++
		for _, child := range f.children {
			if m.bound && child.independent {
				continue
			}
			looked += len(child.members)
			for _, t := range child.members {
				marked += s.markEnded(t, m)
			}
			m.families = append(m.families, child)
		}
	}
	return looked, marked
}

// markListed is markSome for the list of the tokens that a key concerns.
func (s *Store) markListed(m *marking, most int) (looked, marked int) {
	var some []*token
	if list := s.listOf(m.key); list != nil {
		for t := range list.from(&token{id: m.next}) {
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
	if st := t.state.Load(); st.revoked == 0 && s.ended(t, st) != 0 && s.mark(t, m.at) {
		return 1
	}
	return 0
}

// markBelow adds a marking for the descendants of a marked token.
func (s *Store) markBelow(t *token, at instant) {
	if f := t.family; f.live.Load() == 0 && len(f.children) > 0 {
		s.cuts.todo = append(s.cuts.todo, &marking{key: cutKey{mintedBy: f.id}, at: at, families: []*family{f}, bound: true, next: 1})
	}
}
