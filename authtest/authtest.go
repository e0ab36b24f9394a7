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
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// WithPrincipal returns a copy of r that looks as if a gate had let p pass.
func WithPrincipal(r *http.Request, p *auth.Principal) *http.Request {
	return r.WithContext(auth.NewContext(r.Context(), p))
}

// AddUser stores u as an active user and returns it. An empty password means
// none; otherwise it is hashed as the library does it, which takes about 25 ms,
// but of any length. It ends the test if that fails.
func AddUser(t testing.TB, db store.Accounts, u store.User, password string) store.User {
	t.Helper()
	u.Active = true
	if u.Created.IsZero() {
		u.Created = time.Now()
	}
	u, err := db.InsertUser(t.Context(), u)
	if err != nil {
		t.Fatalf("authtest: add user %q: %v", u.Name, err)
	}
	if password == "" {
		return u
	}
	hash, err := auth.Argon2id{}.Hash(password)
	if err == nil {
		err = db.SetPasswordHash(t.Context(), u.ID, hash)
	}
	if err == nil {
		u, err = db.UserByID(t.Context(), u.ID) // with its new epoch
	}
	if err != nil {
		t.Fatalf("authtest: set the password of user %q: %v", u.Name, err)
	}
	return u
}

// AddToken issues a personal access token of u and returns it in clear. It ends
// the test if that fails.
func AddToken(t testing.TB, tokens *auth.Tokens, u store.User, scopes auth.Scopes) string {
	t.Helper()
	by := &auth.Principal{ID: u.ID, Name: u.Name, Scopes: auth.Unrestricted}
	issued, err := tokens.Issue(t.Context(), by, auth.TokenRequest{Scopes: scopes, Description: t.Name()})
	if err != nil {
		t.Fatalf("authtest: add a token of user %q: %v", u.Name, err)
	}
	return issued.AccessToken.Reveal()
}
