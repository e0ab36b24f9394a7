// Package authtest gives a test a principal, a user or a token in one line each.
//
// A handler that asks [auth.FromContext] needs no gate and no store:
//
//	r := authtest.WithPrincipal(httptest.NewRequest("GET", "/jobs/", nil), &auth.Principal{ID: "1", Name: "alice"})
//
// A test of the whole chain takes the in-memory store:
//
//	db := memory.New()
//	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "correct horse")
//	token := authtest.AddToken(t, auth.Must(auth.NewTokens(db, db, nil)), alice, auth.ScopeRead)
//	r.Header.Set("Authorization", "Bearer "+token)
package authtest

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// WithPrincipal returns a copy of r with p in its context, as a handler behind
// a gate gets it.
func WithPrincipal(r *http.Request, p *auth.Principal) *http.Request {
	return r.WithContext(auth.NewContext(r.Context(), p))
}

// Users has the methods of a table of users that [AddUser] calls. Every
// [store.Accounts] has them.
type Users interface {
	UserByID(ctx context.Context, id string) (store.User, error)
	InsertUser(ctx context.Context, u store.User) (store.User, error)
	SetPasswordHash(ctx context.Context, userID, hash string) error
}

// AddUser stores u as an active user and returns it. U.Active is ignored. An
// empty password means none; for any other see [SetPassword]. It ends the test
// if that fails.
func AddUser(t testing.TB, db Users, u store.User, password string) store.User {
	t.Helper()
	u.Active = true
	if u.Created.IsZero() {
		u.Created = time.Now()
	}
	stored, err := db.InsertUser(t.Context(), u)
	if err != nil {
		t.Fatalf("authtest: add user %q: %v", u.Name, err)
	}
	if password == "" {
		return stored
	}
	return SetPassword(t, db, stored.ID, password)
}

// SetPassword gives a user of a host a password and returns the user with its
// new epoch. Every [store.Users] has the two methods. The password may have any
// length. Its hash is that of [auth.Argon2id], which takes about 25 ms.
// SetPassword ends the test if that fails.
func SetPassword(t testing.TB, users interface {
	UserByID(ctx context.Context, id string) (store.User, error)
	SetPasswordHash(ctx context.Context, userID, hash string) error
}, userID, password string) store.User {
	t.Helper()
	var u store.User
	hash, err := auth.Argon2id{}.Hash(password)
	if err == nil {
		err = users.SetPasswordHash(t.Context(), userID, hash)
	}
	if err == nil {
		u, err = users.UserByID(t.Context(), userID)
	}
	if err != nil {
		t.Fatalf("authtest: set the password of user %q: %v", userID, err)
	}
	return u
}

// AddToken issues a personal access token of u and returns it in clear. Empty
// scopes mean write. It ends the test if that fails.
func AddToken(t testing.TB, tokens *auth.Tokens, u store.User, scopes auth.Scopes) string {
	t.Helper()
	by := &auth.Principal{ID: u.ID, Name: u.Name, Scopes: auth.Unrestricted}
	issued, err := tokens.Issue(t.Context(), by, auth.TokenRequest{Scopes: scopes, Description: t.Name()})
	if err != nil {
		t.Fatalf("authtest: add a token of user %q: %v", u.Name, err)
	}
	return issued.AccessToken.Reveal()
}
