package stores

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store"
)

// SeenKey is the type of the key under which the context of a request carries a
// *[Seen].
type SeenKey struct{}

// RecheckKey is the type of the key under which a context says that a credential is
// looked up again, for a decision that follows.
type RecheckKey struct{}

// A Seen keeps the user that the last look-up of a credential has read together with
// it. A handler that shows this user needs no second query. No right may be decided
// by it, unless a look-up under [RecheckKey] has read it: what is read for a decision
// must be read when it is decided.
type Seen struct{ last atomic.Pointer[seen] }

type seen struct {
	by   any // a pointer
	user store.User

	again time.Time    // when it was read under RecheckKey, zero for a first look-up
	token *store.Token // of such a look-up, with the fields of SeeAccess

	hashOf, hash string // where a password was compared and no user is noted
}

// See notes a user that by has just read for the request of ctx. By must be a pointer.
func See(ctx context.Context, by store.Users, u store.User) {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok && u.ID != "" {
		note := &seen{by: by, user: u}
		if ctx.Value(RecheckKey{}) != nil {
			note.again = time.Now()
		}
		s.last.Store(note)
	}
}

// SeeAccess is See for the user in a, and under RecheckKey also for the live token a
// with this digest: its ID, Digest, Family, UserID, Scopes, Audience, Addresses and
// Expires.
func SeeAccess(ctx context.Context, by store.Users, a store.Access, d store.Digest) {
	s, ok := ctx.Value(SeenKey{}).(*Seen)
	if !ok || ctx.Value(RecheckKey{}) == nil || !a.Revoked.IsZero() {
		See(ctx, by, a.User)
		return
	}
	s.last.Store(&seen{by: by, user: a.User, again: time.Now(), token: &store.Token{
		ID: a.TokenID, Digest: d, Family: a.Family, UserID: a.UserID, Scopes: a.Scopes, Audience: a.Audience, Addresses: a.Addresses, Expires: a.Expires,
	}})
}

// recheckedFor is how long a decision may rest on a look-up under [RecheckKey]. A hook
// of the host between the two may take any time.
const recheckedFor = time.Second

// rechecked returns what by itself has just read in ctx under RecheckKey, or nil.
func rechecked(ctx context.Context, by any) *seen {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok {
		if last := s.last.Load(); last != nil && last.by == by && !last.again.IsZero() && time.Since(last.again) < recheckedFor {
			return last
		}
	}
	return nil
}

// RecheckedUser returns the user with that ID, from ctx if users itself has just read
// it there under RecheckKey, or else from users.
func RecheckedUser(ctx context.Context, users store.Users, id string) (store.User, error) {
	if last := rechecked(ctx, users); last != nil && last.user.ID == id && id != "" {
		return last.user, nil
	}
	return users.UserByID(ctx, id)
}

// RecheckedToken returns the token with that ID if tokens has just noted it in ctx, see
// [SeeAccess].
func RecheckedToken(ctx context.Context, tokens store.Tokens, id int64) (t store.Token, ok bool) {
	if last := rechecked(ctx, tokens); last != nil && last.token != nil && last.token.ID == id {
		return *last.token, true
	}
	return store.Token{}, false
}

// SeeHash notes the hash that by has just compared the password of a user with, for
// the request of ctx. By must be a pointer.
func SeeHash(ctx context.Context, by any, userID, hash string) {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok && hash != "" {
		s.last.Store(&seen{by: by, hashOf: userID, hash: hash})
	}
}

// PasswordHash returns the hash of that user's password, from ctx if by has compared
// it there, or else from users. It is for what the hash of an older password makes
// worthless.
func PasswordHash(ctx context.Context, by any, users store.Users, userID string) (string, error) {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok {
		if last := s.last.Load(); last != nil && last.hash != "" && last.hashOf == userID && last.by == by {
			return last.hash, nil
		}
	}
	return users.PasswordHash(ctx, userID)
}

// UserByID returns the user with that ID, from ctx if users itself has read it there,
// or else from users.
func UserByID(ctx context.Context, users store.Users, id string) (store.User, error) {
	if u, ok := seenUser(ctx, users, id); ok {
		return u, nil
	}
	return users.UserByID(ctx, id)
}

func seenUser(ctx context.Context, users store.Users, id string) (u store.User, ok bool) {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok {
		if last := s.last.Load(); last != nil && last.user.ID == id && id != "" && last.by == any(users) {
			return last.user, true
		}
	}
	return u, false
}
