package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// Rotate implements [store.Grants].
func (s *Store) Rotate(ctx context.Context, r store.Rotation) (out store.RotateOutcome, err error) {
	if s.dialect == Postgres {
		out, err = s.rotateAtOnce(ctx, r)
		if !errors.Is(err, store.ErrNotFound) {
			return out, err
		}
	}
	var used int64
	err = s.write(ctx, "rotate a refresh token", func(tx *tx) error {
		out, used, err = tx.rotate(r)
		return err
	})
	switch {
	case err != nil:
		return store.RotateOutcome{}, err
	case used != 0:
		s.markBelow(ctx, []int64{used}, micros(r.At))
		return store.RotateOutcome{}, store.ErrUsed
	}
	return out, nil
}

// rotateAtOnce rotates a token of the usual kind, that is live and was minted by
// nobody, by one statement: a round trip instead of five. It returns
// store.ErrNotFound for all others, and has done nothing then.
func (s *Store) rotateAtOnce(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	in, err := insertionOf(r.Token)
	if err != nil {
		return store.RotateOutcome{}, err
	}
	next := in.token
	now := ending(r.At)
	args := []any{r.Refresh[:], now, orNone(r.Nonce), now, now, now, r.ApplicationID, r.Revision, now, now, orNone(r.Token.Refresh.Grant)}
	args = in.appendTo(args)
	if checkText(args) != nil {
		return store.RotateOutcome{}, store.ErrNotFound
	}
	err = s.alone(ctx, observe.KindWrite, "rotate a refresh token", false, rotateAtOnce, func(on statement) error {
		return on.QueryRowContext(ctx, args...).
			Scan(&next.ID, &next.Family, &next.Refresh.Number, when(&next.Refresh.GrantCreated))
	})
	if err != nil {
		return store.RotateOutcome{}, err
	}
	return store.RotateOutcome{Token: next, Nonce: r.Nonce}, nil
}

// rotate returns the family that a second use has ended, 0 for none.
func (t *tx) rotate(r store.Rotation) (out store.RotateOutcome, used int64, err error) {
	old, successor, err := t.lockFamily(r.Refresh)
	if errors.Is(err, sql.ErrNoRows) {
		used, err = t.endGrant(r)
		return out, used, err
	}
	if err != nil {
		return out, 0, err
	}
	if old.ApplicationID != r.ApplicationID {
		return out, 0, store.ErrNotFound
	}
	at := stored(r.At)
	expired := !at.Before(old.Refresh.Expires) ||
		!old.Refresh.GrantExpires.IsZero() && !at.Before(old.Refresh.GrantExpires)
	switch {
	case !old.Refresh.Spent.IsZero():
		if r.Grace > 0 && !expired && at.Sub(old.Refresh.Spent).Abs() < r.Grace {
			out, err = t.replay(old.Token, successor)
			if !errors.Is(err, sql.ErrNoRows) {
				return out, 0, err
			}
		}
		return out, old.Family, t.revokeFamily(old.Family, r.At)
	case expired, !old.Revoked.IsZero():
		return out, 0, store.ErrNotFound
	case old.Revision != r.Revision:
		return out, 0, store.ErrConflict
	}
	in, err := insertionOf(r.Token)
	if err != nil {
		return out, 0, err
	}
	in.after(&old)
	// The lock is held. Where several nodes of a cluster write, the revocation of
	// the family at another one has to collide with this.
	if err := t.useSlot(familySlot(old.Family)); err != nil {
		return out, 0, err
	}
	next, err := t.insertSuccessor(&in)
	if err != nil {
		return out, 0, err
	}
	now := ending(at)
	n, err := t.exec(spendRefresh, now, orNone(r.Nonce), next.ID, now, now, now, old.ID, now)
	if err != nil {
		return out, 0, err
	}
	if n != 1 {
		// Cannot happen while the locks hold. The statement decides all the same.
		return out, 0, errors.New("a refresh token changed while it was locked")
	}
	if grant := next.Refresh.Grant; grant != (store.Digest{}) && old.Refresh.Number > 0 {
		if _, err := t.exec(deleteSpentBefore, grant[:], old.Family, old.Refresh.Number); err != nil {
			return out, 0, err
		}
	}
	return store.RotateOutcome{Token: next, Nonce: r.Nonce}, 0, nil
}

// endGrant ends the family of a refresh token whose record was removed, and
// returns it.
func (t *tx) endGrant(r store.Rotation) (used int64, err error) {
	var newest, late tokenRecord
	if err := t.get(tokenByGrant, []any{r.Token.Refresh.Grant[:]}, newest.dest()...); err != nil {
		return 0, err
	}
	if newest.ApplicationID != r.ApplicationID {
		return 0, store.ErrNotFound
	}
	if err := t.useSlot(familySlot(newest.Family)); err != nil {
		return 0, err
	}
	// Another node of a cluster may have issued it without this one knowing yet.
	// It does now, or else its change collides with this one.
	err = t.get(tokenByRefresh, []any{r.Refresh[:]}, late.dest()...)
	switch {
	case err == nil:
		return 0, store.ErrConflict
	case !errors.Is(err, sql.ErrNoRows):
		return 0, err
	}
	return newest.Family, t.revokeFamily(newest.Family, r.At)
}

// lockFamily holds the family of a refresh token, and returns the token and the ID
// of its successor, 0 for none.
func (t *tx) lockFamily(refresh store.Digest) (old tokenRecord, successor int64, err error) {
	query, dest := familyByRefresh, old.dest()
	var newest sql.Null[int64]
	if t.s.dialect == MySQL {
		query, dest[len(dest)-1] = familyByRefreshMySQL, &newest
	}
	if err := t.get(query, []any{refresh[:]}, append(dest, &successor)...); err != nil {
		return old, 0, err
	}
	if newest.V > old.seq {
		if err := t.get(cutByID, []any{old.ID}, when(&old.cut)); err != nil {
			return old, 0, err
		}
	}
	return old, successor, t.settle(&old)
}

// replay returns the outcome of the rotation that spent old, or sql.ErrNoRows
// if its successor has changed.
func (t *tx) replay(old store.Token, successor int64) (store.RotateOutcome, error) {
	var next tokenRecord
	if err := t.get(tokenByID, []any{successor}, next.dest()...); err != nil {
		return store.RotateOutcome{}, err
	}
	if err := t.settle(&next); err != nil {
		return store.RotateOutcome{}, err
	}
	if !next.Refresh.Spent.IsZero() || !next.Revoked.IsZero() {
		return store.RotateOutcome{}, sql.ErrNoRows
	}
	return store.RotateOutcome{Replayed: true, Token: next.Token, Nonce: old.Refresh.Nonce}, nil
}
