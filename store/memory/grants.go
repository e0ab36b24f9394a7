package memory

import (
	"context"
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
		c.reach = s.cuts.reach(r.UserID, r.ApplicationID)
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
			c.Spent = instantOf(at).end().time()
		}
		return nil
	})
}

// Redeem implements [store.Grants].
func (s *Store) Redeem(ctx context.Context, r store.Redemption) (stored store.Token, err error) {
	at := instantOf(r.At).end().time()
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
		c.Spent, c.Family = at, s.familyID(t)
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
	case !s.hasRoomForToken():
		return nil, errFull
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
	at := instantOf(r.At).end().time()
	err = s.write(ctx, func() error {
		old := s.tokenByRefresh(r.Refresh)
		removed := old == nil
		if removed {
			old = s.newest(r.Token.Refresh.Grant)
		}
		if old == nil || s.applicationOf(old) != r.ApplicationID {
			return store.ErrNotFound
		}
		if removed {
			s.revokeFamily(s.familyID(old), at)
			return store.ErrUsed
		}
		had := s.refreshRecord(old)
		expired := !at.Before(had.Expires) || !had.GrantExpires.IsZero() && !at.Before(had.GrantExpires)
		if how := s.spendingOf(old); how != nil {
			if next := s.tokenByID(how.successor); next != nil && !expired && s.fresh(next) && r.Grace > 0 && at.Sub(had.Spent).Abs() < r.Grace {
				if s.ended(next) == 0 {
					out = store.RotateOutcome{Replayed: true, Token: s.record(next), Nonce: had.Nonce}
					return nil
				}
			}
			s.revokeFamily(s.familyID(old), at)
			return store.ErrUsed
		}
		switch {
		case expired || s.ended(old) != 0:
			return store.ErrNotFound
		case int64(old.revision) != r.Revision:
			return store.ErrConflict
		case !s.free(r.Token):
			return store.ErrExists
		case !s.hasRoomForToken():
			return errFull
		}
		successor := r.Token
		successor.Refresh.Number, successor.Refresh.GrantCreated = had.Number+1, had.GrantCreated
		f := s.familyOf(old)
		s.dropSpentBefore(old, r.Token.Refresh.Grant)       // first: two tokens of a family are few
		next := s.insert(successor, f, nil, old.seq.Load()) // before the old one ends: the family lives on
		s.change(old, func() {
			s.spend(old, spending{at: instantOf(at), nonce: r.Nonce, successor: next.id})
			old.revoked.Store(int64(instantOf(at)))
		})
		s.markBelow(old, instantOf(at)) // if the successor is revoked already
		out = store.RotateOutcome{Token: s.record(next), Nonce: r.Nonce}
		return nil
	})
	return out, err
}

// dropSpentBefore drops the tokens of a grant that were spent before t. There is
// one, for the others went when it was spent.
func (s *Store) dropSpentBefore(t *token, grant store.Digest) {
	number, family := s.refreshOf(t).number, t.family.Load()
	for _, other := range s.ofGrant(grant) {
		if other.family.Load() == family && s.spendingOf(other) != nil && s.refreshOf(other).number < number {
			s.dropToken(other)
		}
	}
}

// fresh reports whether nothing has happened to a successor.
func (s *Store) fresh(t *token) bool { return t.mark() == 0 && s.spendingOf(t) == nil }
