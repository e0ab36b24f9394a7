package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertCode implements [store.Grants].
func (s *Store) InsertCode(ctx context.Context, c store.Code) error {
	_, err := s.change(ctx, "insert a code", false, insertCode,
		bytesOf(c.Digest), c.ApplicationID, c.UserID, c.Scopes, c.Audience, c.Epoch, c.RedirectURI,
		c.Challenge, micros(c.Created), micros(c.Expires), orNever(c.Spent), c.Family)
	return err
}

// CodeByDigest implements [store.Grants].
func (s *Store) CodeByDigest(ctx context.Context, d store.Digest) (store.Code, error) {
	var c store.Code
	err := s.get(ctx, "look up a code", codeByDigest, []any{d[:]},
		(*digestVar)(&c.Digest), &c.ApplicationID, &c.UserID, &c.Scopes, &c.Audience, &c.Epoch, &c.RedirectURI,
		&c.Challenge, when(&c.Created), when(&c.Expires), when(&c.Spent), &c.Family)
	if err != nil {
		return store.Code{}, err
	}
	return c, nil
}

// SpendCode implements [store.Grants].
func (s *Store) SpendCode(ctx context.Context, d store.Digest, at time.Time) error {
	n, err := s.change(ctx, "spend a code", true, spendCode, micros(at), d[:])
	if err != nil || n == 1 {
		return err
	}
	_, err = s.CodeByDigest(ctx, d)
	return err
}

// Redeem implements [store.Grants].
func (s *Store) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	return s.redeem(ctx, r, "redeem a code", redeemCode, codeFamily, func(tx *tx) (spent time.Time, family int64, err error) {
		var application int64
		err = tx.get(lockCode, []any{r.Code[:]}, &application, when(&spent), &family)
		if err == nil && application != r.ApplicationID {
			err = sql.ErrNoRows
		}
		return spent, family, err
	})
}

// redeem spends something that pays for a token, by the statement spend, and
// notes the family of the token by the statement name. look tells what is to be
// known where nothing could be spent.
func (s *Store) redeem(ctx context.Context, r store.Redemption, what, spend, name string, look func(*tx) (time.Time, int64, error)) (out store.Token, err error) {
	used := false
	at := micros(r.At)
	err = s.write(ctx, what, func(tx *tx) error {
		used = false
		n, err := tx.exec(spend, at, r.Code[:], r.ApplicationID, at)
		if err != nil {
			return err
		}
		if n == 0 {
			spent, family, err := look(tx)
			if err != nil {
				return err
			}
			if spent.IsZero() {
				return store.ErrNotFound
			}
			used = true
			return tx.revokeFamily(family, r.At)
		}
		t := r.Token
		t.Family = 0
		if out, err = tx.insertToken(t); err != nil {
			return err
		}
		_, err = tx.exec(name, out.Family, r.Code[:])
		return err
	})
	switch {
	case err != nil:
		return store.Token{}, err
	case used:
		return store.Token{}, store.ErrUsed
	}
	return out, nil
}

// revokeFamily ends a family, 0 being none.
func (t *tx) revokeFamily(family int64, at time.Time) error {
	_, err := t.revoke(store.Selection{Family: family}, at)
	return err
}

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (out store.RotateOutcome, err error) {
	used := false
	err = s.write(ctx, "rotate a refresh token", func(tx *tx) error {
		out, used, err = tx.rotate(r)
		return err
	})
	switch {
	case err != nil:
		return store.RotateOutcome{}, err
	case used:
		return store.RotateOutcome{}, store.ErrUsed
	}
	return out, nil
}

func (t *tx) rotate(r store.Rotation) (out store.RotateOutcome, used bool, err error) {
	parentEnded := false
	if r.Token.ParentID != 0 {
		// The successor is a child like its predecessor: who revokes the parent
		// must find it. The lock comes first, as it does for who revokes; that
		// the parent has ended counts only once the token turns out good, since
		// a second use must end the family in any case.
		err := t.lockParent(r.Token.ParentID, r.Token.Created)
		if parentEnded = errors.Is(err, store.ErrConflict); err != nil && !parentEnded {
			return out, false, err
		}
	}
	var old store.Token
	var successor int64
	var minted bool
	err = t.get(familyByRefresh, []any{r.Refresh[:]}, append(tokenDest(&old), &successor, &minted)...)
	if err != nil {
		return out, false, err
	}
	if old.ApplicationID != r.ApplicationID {
		return out, false, store.ErrNotFound
	}
	at := stored(r.At)
	expired := !at.Before(old.Refresh.Expires) ||
		!old.Refresh.GrantExpires.IsZero() && !at.Before(old.Refresh.GrantExpires)
	switch {
	case !old.Refresh.Spent.IsZero():
		if r.Grace > 0 && !expired && at.Sub(old.Refresh.Spent) < r.Grace {
			out, err = t.replay(old, successor)
			if !errors.Is(err, sql.ErrNoRows) {
				return out, false, err
			}
		}
		return out, true, t.revokeFamily(old.Family, r.At)
	case expired, !old.Revoked.IsZero():
		return out, false, store.ErrNotFound
	case parentEnded, old.Revision != r.Revision:
		return out, false, store.ErrConflict
	}
	next := r.Token
	next.Family = old.Family
	if next, err = t.insertToken(next); err != nil {
		return out, false, err
	}
	now := micros(at)
	n, err := t.exec(spendRefresh, now, orNone(r.Nonce), next.ID, now, now, now, old.ID, now)
	if err != nil {
		return out, false, err
	}
	if n != 1 {
		// Cannot happen while the locks hold. The statement decides all the same.
		return out, false, errors.New("a refresh token changed while it was locked")
	}
	if minted {
		if err := t.adoptChildren(old.ID, next.ID); err != nil {
			return out, false, err
		}
	}
	return store.RotateOutcome{Token: next, Nonce: r.Nonce}, false, nil
}

// adoptChildren makes what one token minted the children of another.
func (t *tx) adoptChildren(from, to int64) error {
	if _, err := t.exec(adoptChildren, to, from); err != nil {
		return err
	}
	_, err := t.exec(markMinted, to)
	return err
}

// replay returns what the rotation that spent old returned, or sql.ErrNoRows if
// its successor is not what it was any more.
func (t *tx) replay(old store.Token, successor int64) (store.RotateOutcome, error) {
	var next store.Token
	if err := t.get(tokenByID, []any{successor}, tokenDest(&next)...); err != nil {
		return store.RotateOutcome{}, err
	}
	if !next.Refresh.Spent.IsZero() || !next.Revoked.IsZero() {
		return store.RotateOutcome{}, sql.ErrNoRows
	}
	return store.RotateOutcome{Replayed: true, Token: next, Nonce: old.Refresh.Nonce}, nil
}
