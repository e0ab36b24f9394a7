package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertCode implements [store.Grants].
func (s *Store) InsertCode(ctx context.Context, c store.Code, most int) error {
	slot := slotOf(codeSlots, strconv.FormatInt(c.ApplicationID, 10)+":"+c.UserID)
	return s.write(ctx, "insert a code", func(tx *tx) error {
		if err := tx.useSlot(slot); err != nil {
			return err
		}
		n, err := tx.exec(insertCode,
			bytesOf(c.Digest), c.ApplicationID, c.UserID, c.Scopes, c.Audience, c.Epoch, c.RedirectURI,
			c.Challenge, micros(c.Created), micros(c.Expires), orNever(c.Spent), c.Family,
			slot, c.ApplicationID, c.UserID, micros(c.Created), c.ApplicationID, most)
		if err != nil || n == 1 {
			return err
		}
		switch err := tx.serves(c.ApplicationID); {
		case errors.Is(err, sql.ErrNoRows):
			return store.ErrConflict
		case err != nil:
			return err
		}
		return store.ErrLimit
	})
}

// serves returns why no token may be issued to an application: sql.ErrNoRows if it
// does not exist, and store.ErrConflict if it is disabled.
func (t *tx) serves(applicationID int64) error {
	var a store.Application
	err := t.get(applicationByID, []any{applicationID}, applicationDest(&a)...)
	if err == nil && a.Disabled {
		err = store.ErrConflict
	}
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
	s.noticeSkew("code", c.Created)
	return c, nil
}

// SpendCode implements [store.Grants].
func (s *Store) SpendCode(ctx context.Context, d store.Digest, at time.Time) error {
	n, err := s.change(ctx, "spend a code", true, spendCode, ending(at), d[:])
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

// redeem spends a code or a device code by the statement spend, and stores the
// family of the token by the statement name. look returns the reason if nothing
// could be spent.
func (s *Store) redeem(ctx context.Context, r store.Redemption, what, spend, name string, look func(*tx) (time.Time, int64, error)) (out store.Token, err error) {
	in, err := insertionOf(r.Token)
	if err != nil {
		return store.Token{}, err
	}
	in.token.Family, in.payer = 0, r.Code
	h := insertShape{paid: true, served: r.Token.ApplicationID != 0}
	used, family := false, int64(0)
	at := ending(r.At)
	err = s.write(ctx, what, func(tx *tx) error {
		used = false
		n, err := tx.exec(spend, at, r.Code[:], r.ApplicationID, at)
		if err != nil {
			return err
		}
		if n == 0 {
			var spent time.Time
			spent, family, err = look(tx)
			if err != nil {
				return err
			}
			if spent.IsZero() {
				return store.ErrNotFound
			}
			used = true
			return tx.revokeFamily(family, r.At)
		}
		id, err := tx.insertToken(&in, h)
		if errors.Is(err, sql.ErrNoRows) {
			if err := tx.serves(r.Token.ApplicationID); err != nil {
				return err
			}
			return store.ErrNotFound // deleted or disabled as the statement saw it
		}
		if err != nil {
			return err
		}
		out = in.stored(id)
		_, err = tx.exec(name, out.Family, r.Code[:])
		return err
	})
	switch {
	case err != nil:
		return store.Token{}, err
	case used:
		s.markBelow(ctx, []int64{family}, at)
		return store.Token{}, store.ErrUsed
	}
	return out, nil
}
