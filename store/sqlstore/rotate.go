package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/ostiary/auth/store"
)

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (out store.RotateOutcome, err error) {
	if s.dialect == Postgres && r.Token.ParentID == 0 {
		out, err = s.rotateAtOnce(ctx, r)
		if !errors.Is(err, store.ErrNotFound) {
			return out, err
		}
	}
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

// rotateAtOnce rotates a token of the usual kind, that is live and has minted
// nothing, by one statement: a round trip instead of five. It returns
// store.ErrNotFound for all others, and has done nothing then.
func (s *Store) rotateAtOnce(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	next, values, err := tokenRow(r.Token)
	if err != nil {
		return store.RotateOutcome{}, err
	}
	now := micros(r.At)
	args := []any{r.Refresh[:], now, orNone(r.Nonce), now, now, now, r.ApplicationID, r.Revision, now, now}
	args = append(args, slices.Delete(values, familyValue, familyValue+1)...)
	if checkText(args) != nil {
		return store.RotateOutcome{}, store.ErrNotFound
	}
	err = s.repeat(ctx, "rotate a refresh token", false, func() error {
		return s.prepared[rotateAtOnce].QueryRowContext(ctx, args...).Scan(&next.ID, &next.Family)
	})
	if err != nil {
		return store.RotateOutcome{}, err
	}
	return store.RotateOutcome{Token: next, Nonce: r.Nonce}, nil
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
		if r.Grace > 0 && !expired && at.Sub(old.Refresh.Spent).Abs() < r.Grace {
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
