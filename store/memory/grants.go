package memory

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

type code struct {
	store.Code
	placeInQueue   int32
	placeInUnspent int32 // -1 for none
}

// A holder is whom a code was given for: a user, to an application.
type holder struct {
	applicationID int64
	userID        string
}

func (c *code) holder() holder { return holder{c.ApplicationID, c.UserID} }

type grants struct {
	codes    map[store.Digest]*code
	unspent  map[holder][]*code // expired ones, too
	codesEnd queue[code]

	devices       map[store.Digest]*device
	devicesByUser map[store.Digest]*device // by user code
	devicesEnd    queue[device]
}

func newGrants() grants {
	return grants{
		codes:         make(map[store.Digest]*code),
		unspent:       make(map[holder][]*code),
		codesEnd:      queue[code]{place: func(c *code) *int32 { return &c.placeInQueue }},
		devices:       make(map[store.Digest]*device),
		devicesByUser: make(map[store.Digest]*device),
		devicesEnd:    queue[device]{place: func(d *device) *int32 { return &d.placeInQueue }},
	}
}

func placeInUnspent(c *code) *int32 { return &c.placeInUnspent }

func (g *grants) joinUnspent(c *code) {
	h := c.holder()
	g.unspent[h] = join(g.unspent[h], c, placeInUnspent)
}

// leaveUnspent takes a code off the list that it may be on.
func (g *grants) leaveUnspent(c *code) {
	if c.placeInUnspent < 0 {
		return
	}
	h := c.holder()
	if g.unspent[h] = leave(g.unspent[h], c, placeInUnspent); len(g.unspent[h]) == 0 {
		delete(g.unspent, h)
	}
	c.placeInUnspent = -1
}

// pending counts the codes of a holder that are good at the given instant.
func (g *grants) pending(h holder, at time.Time) (n int) {
	for _, c := range g.unspent[h] {
		if at.Before(c.Expires) {
			n++
		}
	}
	return n
}

func (g *grants) dropCode(c *code) {
	g.leaveUnspent(c)
	delete(g.codes, c.Digest)
	g.codesEnd.remove(c)
}

func (g *grants) dropCodes(which func(*code) bool) {
	for _, c := range g.codes {
		if which(c) {
			g.dropCode(c)
		}
	}
}

// InsertCode implements [store.Grants].
func (s *Store) InsertCode(ctx context.Context, r store.Code, most int) error {
	r.Created, r.Expires, r.Spent = micro(r.Created), micro(r.Expires), micro(r.Spent)
	return s.write(ctx, func() error {
		if s.codes[r.Digest] != nil {
			return store.ErrExists
		}
		c := &code{Code: r, placeInUnspent: -1}
		if s.pending(c.holder(), r.Created) >= most {
			return store.ErrConflict
		}
		if r.Spent.IsZero() {
			s.joinUnspent(c)
		}
		s.codes[r.Digest] = c
		s.codesEnd.add(c, instantOf(r.Expires))
		return nil
	})
}

// CodeByDigest implements [store.Grants].
func (s *Store) CodeByDigest(ctx context.Context, d store.Digest) (r store.Code, err error) {
	err = s.read(ctx, func() error {
		c := s.codes[d]
		if c == nil {
			return store.ErrNotFound
		}
		r = c.Code
		return nil
	})
	return r, err
}

// SpendCode implements [store.Grants].
func (s *Store) SpendCode(ctx context.Context, d store.Digest, at time.Time) error {
	return s.write(ctx, func() error {
		c := s.codes[d]
		if c == nil {
			return store.ErrNotFound
		}
		if c.Spent.IsZero() {
			s.leaveUnspent(c)
			c.Spent = micro(at)
		}
		return nil
	})
}

// Redeem implements [store.Grants].
func (s *Store) Redeem(ctx context.Context, r store.Redemption) (stored store.Token, err error) {
	at := micro(r.At)
	err = s.write(ctx, func() error {
		c := s.codes[r.Code]
		switch {
		case c == nil || c.ApplicationID != r.ApplicationID:
			return store.ErrNotFound
		case !c.Spent.IsZero():
			s.revokeFamily(c.Family, at)
			return store.ErrUsed
		case !at.Before(c.Expires):
			return store.ErrNotFound
		}
		t, err := s.insertFirst(r.Token)
		if err != nil {
			return err
		}
		s.leaveUnspent(c)
		c.Spent, c.Family = at, t.family
		stored = t.record()
		return nil
	})
	return stored, err
}

// insertFirst stores the first token of a grant, which begins a family.
func (s *Store) insertFirst(r store.Token) (*token, error) {
	r.Family = 0
	return s.insert(r)
}

// revokeFamily revokes what a grant led to; family is 0 if that was nothing.
func (s *Store) revokeFamily(family int64, at time.Time) {
	s.revoke(store.Selection{Family: family}, instantOf(at))
}

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (out store.RotateOutcome, err error) {
	at := micro(r.At)
	err = s.write(ctx, func() error {
		old := s.byRefresh[r.Refresh]
		if old == nil || old.application != r.ApplicationID {
			return store.ErrNotFound
		}
		st := old.state.Load()
		expired := !at.Before(st.refresh.Expires) ||
			!st.refresh.GrantExpires.IsZero() && !at.Before(st.refresh.GrantExpires)
		if st.spent() {
			if next := s.byID[st.refresh.successor]; next != nil && !expired && next.fresh() && r.Grace > 0 && at.Sub(st.refresh.Spent).Abs() < r.Grace {
				out = store.RotateOutcome{Replayed: true, Token: next.record(), Nonce: st.refresh.Nonce}
				return nil
			}
			s.revokeFamily(old.family, at)
			return store.ErrUsed
		}
		switch {
		case expired || st.revoked != 0:
			return store.ErrNotFound
		case st.revision != r.Revision:
			return store.ErrConflict
		}
		successor := r.Token
		successor.Family = old.family
		next, err := s.insert(successor)
		if err != nil {
			return err
		}
		spent := *st
		spent.refresh = &refresh{st.refresh.Refresh, next.id}
		spent.refresh.Spent, spent.refresh.Nonce, spent.revoked = at, r.Nonce, instantOf(at)
		s.change(old, spent)
		s.moveChildren(old.id, next.id)
		out = store.RotateOutcome{Token: next.record(), Nonce: r.Nonce}
		return nil
	})
	return out, err
}

// fresh reports whether nothing has happened to a successor.
func (t *token) fresh() bool {
	st := t.state.Load()
	return st.revoked == 0 && !st.spent()
}

// moveChildren gives what one token minted to another one.
func (ts *tokens) moveChildren(from, to int64) {
	for list := ts.byParent.lists[from]; len(list) > 0; list = ts.byParent.lists[from] {
		child := list[len(list)-1]
		ts.byParent.remove(from, child)
		child.parent = to
		ts.byParent.add(to, child)
	}
}
