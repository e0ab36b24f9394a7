package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertCode implements [store.Grants].
func (s *Store) InsertCode(ctx context.Context, c store.Code, most int) error {
	slot := slotOf("codes", strconv.FormatInt(c.ApplicationID, 10)+":"+c.UserID)
	return s.write(ctx, "insert a code", func(tx *tx) error {
		if err := tx.lockSlot(slot); err != nil {
			return err
		}
		n, err := tx.exec(insertCode,
			bytesOf(c.Digest), c.ApplicationID, c.UserID, c.Scopes, c.Audience, c.Epoch, c.RedirectURI,
			c.Challenge, micros(c.Created), micros(c.Expires), orNever(c.Spent), c.Family,
			slot, c.UserID, micros(c.Created), c.ApplicationID, most)
		if err == nil && n == 0 {
			err = store.ErrConflict
		}
		return err
	})
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
