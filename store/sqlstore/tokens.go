package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// AccessByDigest implements [store.Tokens].
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	var a store.Access
	var seq, parent int64
	var independent bool
	var ancestors string
	var cut time.Time
	var newest sql.Null[int64]
	query, queryWithUser, ends := accessByDigest, accessAndUser, any(when(&cut))
	switch s.dialect {
	case Postgres:
		query, queryWithUser = accessByDigestPostgres, accessAndUserPostgres
	case MySQL:
		query, queryWithUser, ends = accessByDigestMySQL, accessAndUserMySQL, &newest
	}
	dest := append(make([]any, 0, 28),
		&a.TokenID, &a.Family, &a.UserID, &a.ApplicationID, &a.Scopes, &a.Audience, (*prefixesVar)(&a.Addresses), &a.Epoch,
		when(&a.Expires), when(&a.Revoked), when(&a.LastUsed), &seq, &a.ViaApplicationID, &parent, &independent,
		&ancestors, ends)
	own := s.users == nil
	if own {
		query = queryWithUser
		dest = appendUser(dest, &a.User)
	}
	if err := s.get(ctx, "look up an access token", query, []any{d[:]}, dest...); err != nil {
		return store.Access{}, err
	}
	if a.ApplicationID != 0 {
		a.ViaApplicationID = a.ApplicationID
	}
	if newest.V > seq {
		if err := s.get(ctx, "look up cut-offs", cutByID, []any{a.TokenID}, when(&cut)); err != nil {
			return store.Access{}, err
		}
	}
	if a.Revoked.IsZero() {
		a.Revoked = cut
	}
	if parent != 0 && a.Revoked.IsZero() {
		r := tokenRecord{Token: store.Token{ParentID: parent, Independent: independent}, seq: seq, ancestors: ancestors}
		if err := s.settle(ctx, &r); err != nil {
			return store.Access{}, err
		}
		a.Revoked = r.Revoked
	}
	s.noticeSkew("token", a.LastUsed)
	if stores.SeeAccess(ctx, s, a, d); !own {
		var err error
		if a.User, err = s.hostUser(ctx, a.UserID); err != nil {
			return store.Access{}, err
		}
	}
	return a, nil
}

// hostUser returns a user of the host, or the zero User if there is none.
func (s *Store) hostUser(ctx context.Context, id string) (store.User, error) {
	if id == "" {
		return store.User{}, nil
	}
	u, err := s.users.UserByID(ctx, id)
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

// TokenByGrant implements [store.Grants].
func (s *Store) TokenByGrant(ctx context.Context, grant store.Digest) (store.Token, error) {
	return s.token(ctx, tokenByGrant, grant[:])
}

func (s *Store) token(ctx context.Context, query string, key any) (store.Token, error) {
	var r tokenRecord
	err := s.get(ctx, "look up a token", query, []any{key}, r.dest()...)
	if err == nil {
		err = s.settle(ctx, &r)
	}
	if err != nil {
		return store.Token{}, err
	}
	s.noticeSkew("token", r.Created, r.LastUsed)
	return r.Token, nil
}

// A tokenRecord is a token with the columns that only this package reads.
type tokenRecord struct {
	store.Token
	seq       int64 // of the newest cut-off when it was issued
	ancestors string
	cut       time.Time // when a cut-off ended it
}

// dest is where tokenColumns and an instant go.
func (r *tokenRecord) dest() []any {
	return []any{
		&r.ID, (*digestVar)(&r.Digest), &r.UserID, &r.ApplicationID, &r.ParentID, &r.Family, &r.Scopes,
		&r.Audience, (*prefixesVar)(&r.Addresses), &r.Epoch, &r.Description, when(&r.Created), when(&r.Modified),
		when(&r.Expires), when(&r.LastUsed), when(&r.Revoked), (*digestVar)(&r.Refresh.Digest), &r.Refresh.Scopes,
		when(&r.Refresh.Expires), when(&r.Refresh.GrantExpires), when(&r.Refresh.Spent), (*digestVar)(&r.Refresh.Nonce),
		&r.Refresh.Number, when(&r.Refresh.GrantCreated), (*digestVar)(&r.Refresh.Grant), &r.Revision, &r.seq, &r.ViaApplicationID, &r.RootID,
		&r.Independent, &r.ancestors, when(&r.cut),
	}
}

func (r *tokenRecord) lineage() lineage { return lineageOf(r.ancestors, r.ParentID, r.Independent) }

// complete sets the fields that are computed from the columns of a token.
func (r *tokenRecord) complete() {
	above := r.lineage().above
	r.Depth = len(above)
	if r.Depth > 0 {
		r.RootID = above[0]
	}
	if r.ApplicationID != 0 {
		r.ViaApplicationID = r.ApplicationID
	}
	if r.Revoked.IsZero() {
		r.Revoked = r.cut
	}
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	expires := micros(t.Expires)
	var family int64
	err := s.write(ctx, "update a token", func(tx *tx) error {
		n, err := tx.exec(updateToken, bytesOf(t.Digest), t.Scopes, t.Description, expires, micros(t.Modified),
			t.Refresh.Scopes, expires, expires, expires, expires, t.ID, t.Revision)
		if err != nil {
			return err
		}
		var r tokenRecord
		if err := tx.get(tokenByID, []any{t.ID}, r.dest()...); err != nil {
			return err
		}
		if n == 0 {
			return store.ErrConflict
		}
		if err := tx.settle(&r); err != nil {
			return err
		}
		if !r.Revoked.IsZero() { // because of a token above
			return store.ErrConflict
		}
		family = r.Family
		if minted == store.EndMinted {
			return tx.cutOff(cutKey{family: family}, cmp.Or(r.RootID, family), t.Modified)
		}
		return nil
	})
	if err == nil && minted == store.EndMinted {
		s.markNow(ctx, cutKey{family: family})
	}
	return err
}

// Touch implements [store.Tokens].
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	if len(seen) == 0 {
		return ctx.Err()
	}
	if len(seen) == 1 {
		at := micros(seen[0].At)
		_, err := s.change(ctx, "note a use", true, touchToken, at, at, seen[0].TokenID)
		return err
	}
	uses := make(map[int64][]int64) // tokens by the instant
	for _, sighting := range seen {
		at := micros(sighting.At)
		uses[at] = append(uses[at], sighting.TokenID)
	}
	return s.write(ctx, "note uses", func(tx *tx) error {
		for _, at := range slices.Sorted(maps.Keys(uses)) {
			slices.Sort(uses[at]) // in one order, so that two batches do not wait for each other
			if _, err := tx.each(touchTokens, uses[at], at, at); err != nil {
				return err
			}
		}
		return nil
	})
}
