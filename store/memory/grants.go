package memory

import (
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

type code struct {
	store.Code
	subject
	placeInQueue   int32
	placeInUnspent int32 // -1 for none
}

// A holder is the user and the application of a code.
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

func (s *Store) dropCode(c *code) {
	s.leaveUnspent(c)
	delete(s.codes, c.Digest)
	s.codesEnd.remove(c)
	c.subject.release(&s.cuts)
}

// code returns the code with digest d, or nil. One that a cut-off concerns is
// gone.
func (s *Store) code(d store.Digest) *code {
	if c := s.codes[d]; c != nil && c.subject.ends(&s.cuts) == 0 {
		return c
	}
	return nil
}

// InsertCode implements [store.Grants].
func (s *Store) InsertCode(ctx context.Context, r store.Code, most int) error {
	r.Created, r.Expires, r.Spent = micro(r.Created), micro(r.Expires), micro(r.Spent)
	return s.write(ctx, func() error {
		switch {
		case s.codes[r.Digest] != nil:
			return store.ErrExists
		case !s.serves(r.ApplicationID):
			return store.ErrConflict
		}
		c := &code{Code: r, subject: subject{seq: s.cuts.seq}, placeInUnspent: -1}
		if s.pending(c.holder(), r.Created) >= most {
			return store.ErrLimit
		}
		c.subject.hold(&s.cuts, r.UserID, r.ApplicationID)
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
		c := s.code(d)
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
		c := s.code(d)
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
		c := s.code(r.Code)
		switch {
		case c == nil || c.ApplicationID != r.ApplicationID:
			return store.ErrNotFound
		case !c.Spent.IsZero():
			s.revokeFamily(c.Family, at)
			return store.ErrUsed
		case !at.Before(c.Expires):
			return store.ErrNotFound
		}
		t, err := s.insertFirst(r.Token, c.seq)
		if err != nil {
			return err
		}
		s.leaveUnspent(c)
		c.Spent, c.Family = at, t.family.id
		stored = s.record(t)
		return nil
	})
	return stored, err
}

// insertFirst stores the first token of a grant, which begins a family. seq is
// that of its code or device.
func (s *Store) insertFirst(r store.Token, seq int64) (*token, error) {
	switch {
	case !s.free(r):
		return nil, store.ErrExists
	case !s.serves(r.ApplicationID):
		return nil, store.ErrConflict
	}
	r.Family, r.Refresh.Number, r.Refresh.GrantCreated = 0, 0, grantCreated(r)
	return s.insert(r, nil, nil, seq), nil
}

// revokeFamily revokes the family of a grant, which is 0 if there is none.
func (s *Store) revokeFamily(family int64, at time.Time) {
	s.revoke(store.Selection{Family: family}, instantOf(at))
}

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (out store.RotateOutcome, err error) {
	at := micro(r.At)
	err = s.write(ctx, func() error {
		old := s.byRefresh[r.Refresh]
		removed := old == nil
		if removed {
			old = s.newest(r.Token.Refresh.Grant)
		}
		if old == nil || old.application != r.ApplicationID {
			return store.ErrNotFound
		}
		if removed {
			s.revokeFamily(old.family.id, at)
			return store.ErrUsed
		}
		st := old.state.Load()
		expired := !at.Before(st.refresh.Expires) ||
			!st.refresh.GrantExpires.IsZero() && !at.Before(st.refresh.GrantExpires)
		if st.spent() {
			if next := s.byID[st.refresh.successor]; next != nil && !expired && next.fresh() && r.Grace > 0 && at.Sub(st.refresh.Spent).Abs() < r.Grace {
				if s.ended(next, next.state.Load()) == 0 {
					out = store.RotateOutcome{Replayed: true, Token: s.record(next), Nonce: st.refresh.Nonce}
					return nil
				}
			}
			s.revokeFamily(old.family.id, at)
			return store.ErrUsed
		}
		switch {
		case expired || s.ended(old, st) != 0:
			return store.ErrNotFound
		case st.revision != r.Revision:
			return store.ErrConflict
		case !s.free(r.Token):
			return store.ErrExists
		}
		successor := r.Token
		successor.Refresh.Number, successor.Refresh.GrantCreated = st.refresh.Number+1, st.refresh.GrantCreated
		next := s.insert(successor, old.family, nil, old.seq) // first: the family lives on
		spent := *st
		spent.refresh = &refresh{st.refresh.Refresh, next.id}
		spent.refresh.Spent, spent.refresh.Nonce, spent.revoked = at, r.Nonce, instantOf(at)
		s.change(old, spent)
		s.dropSpentBefore(old, r.Token.Refresh.Grant)
		out = store.RotateOutcome{Token: s.record(next), Nonce: r.Nonce}
		return nil
	})
	return out, err
}

// dropSpentBefore drops the tokens of a grant that were spent before t. There is
// one, for the others went when it was spent.
func (s *Store) dropSpentBefore(t *token, grant store.Digest) {
	number := t.state.Load().refresh.Number
	for _, other := range slices.Clone(s.byGrant[grant]) {
		if st := other.state.Load(); other.family == t.family && st.spent() && st.refresh.Number < number {
			s.dropToken(other)
		}
	}
}

// fresh reports whether nothing has happened to a successor.
func (t *token) fresh() bool {
	st := t.state.Load()
	return st.revoked == 0 && !st.spent()
}
