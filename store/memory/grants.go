package memory

import (
	"context"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertCode implements [store.Grants].
func (s *Store) InsertCode(ctx context.Context, c store.Code) error {
	c.Created, c.Expires, c.Spent = micro(c.Created), micro(c.Expires), micro(c.Spent)
	return s.write(ctx, func() error {
		if s.codes[c.Digest] != nil {
			return store.ErrExists
		}
		s.codes[c.Digest] = &c
		return nil
	})
}

// CodeByDigest implements [store.Grants].
func (s *Store) CodeByDigest(ctx context.Context, d store.Digest) (c store.Code, err error) {
	err = s.read(ctx, func() error {
		record := s.codes[d]
		if record == nil {
			return store.ErrNotFound
		}
		c = *record
		return nil
	})
	return c, err
}

// SpendCode implements [store.Grants].
func (s *Store) SpendCode(ctx context.Context, d store.Digest, at time.Time) error {
	return s.write(ctx, func() error {
		c := s.codes[d]
		if c == nil {
			return store.ErrNotFound
		}
		if c.Spent.IsZero() {
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
		c.Spent, c.Family = at, t.Family
		stored = copied(t.Token)
		return nil
	})
	return stored, err
}

// insertFirst stores the first token of a grant, which begins a family.
func (s *Store) insertFirst(t store.Token) (*token, error) {
	t.Family = 0
	return s.insert(t)
}

func (s *Store) revokeFamily(family int64, at time.Time) {
	if family != 0 {
		s.revoke(store.Selection{Family: family}, at)
	}
}

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (out store.RotateOutcome, err error) {
	at := micro(r.At)
	err = s.write(ctx, func() error {
		old := s.byRefresh[r.Refresh]
		if old == nil || old.ApplicationID != r.ApplicationID {
			return store.ErrNotFound
		}
		expired := !at.Before(old.Refresh.Expires) ||
			!old.Refresh.GrantExpires.IsZero() && !at.Before(old.Refresh.GrantExpires)
		if !old.Refresh.Spent.IsZero() {
			next := s.byID[old.successor]
			if !expired && next != nil && next.Refresh.Spent.IsZero() && next.Revoked.IsZero() &&
				at.Sub(old.Refresh.Spent) < r.Grace {
				out = store.RotateOutcome{Replayed: true, Token: copied(next.Token), Nonce: old.Refresh.Nonce}
				return nil
			}
			s.revokeFamily(old.Family, at)
			return store.ErrUsed
		}
		if expired || !old.Revoked.IsZero() {
			return store.ErrNotFound
		}
		t := r.Token
		t.Family = old.Family
		next, err := s.insert(t)
		if err != nil {
			return err
		}
		spent := *old
		spent.Refresh.Spent, spent.Refresh.Nonce, spent.Revoked, spent.successor = at, r.Nonce, at, next.ID
		s.put(&spent)
		s.moveChildren(old.ID, next.ID)
		out = store.RotateOutcome{Token: copied(next.Token), Nonce: r.Nonce}
		return nil
	})
	return out, err
}

func (ts *tokens) moveChildren(from, to int64) {
	for id := range ts.byParent[from] {
		child := *ts.byID[id]
		child.ParentID = to
		ts.put(&child)
	}
}
