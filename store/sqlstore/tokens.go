package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// AccessByDigest implements [store.Tokens].
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Access, error) {
	var a store.Access
	query := accessByDigest
	dest := append(make([]any, 0, 20),
		&a.TokenID, &a.UserID, &a.ApplicationID, &a.Scopes, &a.Audience, (*prefixesVar)(&a.Addresses), &a.Epoch,
		when(&a.Expires), when(&a.Revoked), when(&a.LastUsed))
	own := s.owns(users)
	if own {
		query = accessAndUser
		dest = appendUser(dest, &a.User)
	}
	if err := s.get(ctx, "look up an access token", query, []any{d[:]}, dest...); err != nil {
		return store.Access{}, err
	}
	if !own {
		var err error
		if a.User, err = foreignUser(ctx, users, a.UserID); err != nil {
			return store.Access{}, err
		}
	}
	return a, nil
}

// owns reports whether users are the ones in this database.
func (s *Store) owns(users store.Users) bool {
	own, ok := users.(*Store)
	return ok && own == s
}

// foreignUser asks the host for a user. One who is gone is a zero User.
func foreignUser(ctx context.Context, users store.Users, id string) (store.User, error) {
	if id == "" {
		return store.User{}, nil
	}
	u, err := users.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, nil
	}
	return u, err
}

// TokenByDigest implements [store.Tokens].
func (s *Store) TokenByDigest(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, tokenByDigest, d[:])
}

// TokenByID implements [store.Tokens].
func (s *Store) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	return s.token(ctx, tokenByID, id)
}

// TokenByRefresh implements [store.Grants].
func (s *Store) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, tokenByRefresh, d[:])
}

func (s *Store) token(ctx context.Context, query string, key any) (store.Token, error) {
	var t store.Token
	if err := s.get(ctx, "look up a token", query, []any{key}, tokenDest(&t)...); err != nil {
		return store.Token{}, err
	}
	return t, nil
}

// tokenDest is where tokenColumns go.
func tokenDest(t *store.Token) []any {
	return []any{
		&t.ID, (*digestVar)(&t.Digest), &t.UserID, &t.ApplicationID, &t.ParentID, &t.Family, &t.Scopes,
		&t.Audience, (*prefixesVar)(&t.Addresses), &t.Epoch, &t.Description, when(&t.Created), when(&t.Modified),
		when(&t.Expires), when(&t.LastUsed), when(&t.Revoked), (*digestVar)(&t.Refresh.Digest), &t.Refresh.Scopes,
		when(&t.Refresh.Expires), when(&t.Refresh.GrantExpires), when(&t.Refresh.Spent), (*digestVar)(&t.Refresh.Nonce),
		&t.Revision,
	}
}

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, t store.Token) (out store.Token, err error) {
	err = s.write(ctx, "insert a token", func(tx *tx) error {
		if err := tx.shareApplication(t.ApplicationID); err != nil {
			return err
		}
		if t.ParentID != 0 {
			if err := tx.lockParent(t.ParentID, t.Created); err != nil {
				return err
			}
		}
		out, err = tx.insertToken(t)
		return err
	})
	if err != nil {
		return store.Token{}, err
	}
	return out, nil
}

// shareApplication holds the application, if there is one, until the end of the
// transaction. A deletion that comes later then waits and finds the token; one
// that is under way is waited for, so that the caller finds no application any
// more.
func (t *tx) shareApplication(id int64) error {
	if id == 0 || t.s.dialect == SQLite { // who writes there is alone
		return nil
	}
	err := t.get(shareApplication, []any{id}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// lockParent holds the token until the end of the transaction, so that who
// revokes or rotates it waits and then finds the child. It returns
// store.ErrConflict unless the token is live.
func (t *tx) lockParent(id int64, at time.Time) error {
	var expires, revoked time.Time
	var minted bool
	err := t.get(lockParent, []any{id}, when(&expires), when(&revoked), &minted)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrConflict
	case err != nil:
		return err
	case !revoked.IsZero() || !stored(at).Before(expires):
		return store.ErrConflict
	case !minted:
		_, err = t.exec(markMinted, id)
	}
	return err
}

func (t *tx) insertToken(tok store.Token) (store.Token, error) {
	tok, values, err := tokenRow(tok)
	if err != nil {
		return store.Token{}, err
	}
	if tok.ID, err = t.insert(insertToken, values...); err != nil {
		return store.Token{}, err
	}
	if tok.Family == 0 {
		tok.Family = tok.ID
		if _, err := t.exec(foundFamily, tok.ID); err != nil {
			return store.Token{}, err
		}
	}
	return tok, nil
}

// familyValue is the place of the family among the values of tokenRow.
const familyValue = 4

// tokenRow returns a new token as it will come back, and the values to insert.
func tokenRow(tok store.Token) (store.Token, []any, error) {
	addresses, err := prefixesText(tok.Addresses)
	if err != nil {
		return store.Token{}, nil, err
	}
	tok.Addresses = slices.Clone(tok.Addresses)
	for _, at := range []*time.Time{
		&tok.Created, &tok.Modified, &tok.Expires, &tok.LastUsed, &tok.Revoked,
		&tok.Refresh.Expires, &tok.Refresh.GrantExpires, &tok.Refresh.Spent,
	} {
		*at = stored(*at)
	}
	ends := tok.Expires
	if tok.Refresh.Digest != (store.Digest{}) && tok.Refresh.Expires.After(ends) {
		ends = tok.Refresh.Expires
	}
	if !tok.Revoked.IsZero() {
		ends = tok.Revoked
	}
	tok.Revision = 1
	return tok, []any{
		bytesOf(tok.Digest), tok.UserID, tok.ApplicationID, tok.ParentID, tok.Family, tok.Scopes,
		tok.Audience, addresses, tok.Epoch, tok.Description, micros(tok.Created), micros(tok.Modified),
		micros(tok.Expires), orNever(tok.LastUsed), orNever(tok.Revoked), orNone(tok.Refresh.Digest), tok.Refresh.Scopes,
		orNever(tok.Refresh.Expires), orNever(tok.Refresh.GrantExpires), orNever(tok.Refresh.Spent), orNone(tok.Refresh.Nonce),
		micros(ends),
	}, nil
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, t store.Token) error {
	expires := micros(t.Expires)
	return s.write(ctx, "update a token", func(tx *tx) error {
		n, err := tx.exec(updateToken, bytesOf(t.Digest), t.Scopes, t.Description, expires, micros(t.Modified),
			t.Refresh.Scopes, expires, expires, t.ID, t.Revision)
		if err != nil || n == 1 {
			return err
		}
		var other store.Token
		if err := tx.get(tokenByID, []any{t.ID}, tokenDest(&other)...); err != nil {
			return err
		}
		return store.ErrConflict
	})
}

// Touch implements [store.Tokens].
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	if len(seen) == 0 {
		return ctx.Err()
	}
	if len(seen) == 1 {
		at := micros(seen[0].At)
		_, err := s.change(ctx, "note a use", true, touchToken, at, seen[0].TokenID, at)
		return err
	}
	// In one order, so that two batches do not wait for each other.
	seen = slices.SortedFunc(slices.Values(seen), func(a, b store.Sighting) int { return cmp.Compare(a.TokenID, b.TokenID) })
	return s.write(ctx, "note uses", func(tx *tx) error {
		for _, sighting := range seen {
			at := micros(sighting.At)
			if _, err := tx.exec(touchToken, at, sighting.TokenID, at); err != nil {
				return err
			}
		}
		return nil
	})
}

// Purge implements [store.Tokens].
func (s *Store) Purge(ctx context.Context, endedBefore time.Time, max int) (removed int, err error) {
	before := micros(endedBefore)
	err = s.write(ctx, "purge tokens", func(tx *tx) error {
		removed, err = purge[int64](tx, deleteToken, before, endedTokens, before, before, before, max)
		if err != nil {
			return err
		}
		n, err := purge[[]byte](tx, deleteCode, before, endedCodes, before, max-removed)
		if err != nil {
			return err
		}
		removed += n
		n, err = purge[[]byte](tx, deleteDevice, before, endedDevices, before, max-removed)
		removed += n
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}

// purge removes what find finds, unless it has changed since.
func purge[K any](t *tx, remove string, before int64, find string, args ...any) (removed int, err error) {
	if most := args[len(args)-1].(int); most < 1 {
		return 0, nil
	}
	keys, err := column[K](t, find, args...)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		n, err := t.exec(remove, key, before)
		if err != nil {
			return 0, err
		}
		removed += int(n)
	}
	return removed, nil
}
