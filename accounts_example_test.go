package auth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A job has an account of its own, so that its token does not end with a person.
// Nobody logs in as the account.
func ExampleTokens_IssueTo() {
	ctx := context.Background()
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	accounts := auth.Must(auth.NewAccounts(db, passwords, &auth.AccountsOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))

	// A superuser who has logged in, or the program itself.
	system := &auth.Principal{ID: "system", Name: "system", Admin: true, Scopes: auth.Unrestricted}
	backup, err := accounts.Create(ctx, system, store.User{Name: "backup", Active: true, Service: true}, "")
	if err != nil {
		log.Fatal(err)
	}
	_, err = tokens.IssueTo(ctx, system, backup.ID, auth.TokenRequest{Scopes: auth.ScopeRead})
	fmt.Println(err)
	issued, err := tokens.IssueTo(ctx, system, backup.ID, auth.TokenRequest{Scopes: auth.ScopeRead, Description: "nightly, on db1"})
	if err != nil {
		log.Fatal(err)
	}
	p, err := tokens.Verify(ctx, issued.AccessToken.Reveal())
	fmt.Println(p.Name, p.Scopes, err)
	_, err = passwords.Verify(ctx, "backup", "whatever it may be")
	fmt.Println(err)
	// Output:
	// auth: A token of a service account needs a name.
	// backup read <nil>
	// auth: Incorrect user name or password.
}

// The life of a user in a program: the first one, sign-up, login, and a change of
// the password by its owner.
func ExampleNewAccounts() {
	ctx := context.Background()
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	accounts := auth.Must(auth.NewAccounts(db, passwords, &auth.AccountsOptions{Logger: quiet}))
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})

	// The program itself makes users. Its ID stands in the audit events.
	system := &auth.Principal{ID: "system", Name: "system", Admin: true, Scopes: auth.Unrestricted}
	root := store.User{Name: "root", Admin: true, Active: true}
	if _, err := accounts.Create(ctx, system, root, "the first password"); err != nil {
		log.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /signup", func(w http.ResponseWriter, r *http.Request) {
		u := store.User{Name: r.FormValue("name"), Active: true}
		if _, err := accounts.Create(r.Context(), system, u, r.FormValue("password")); err != nil {
			gate.Deny(w, r, err)
		}
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		u, err := passwords.VerifyRequest(r, r.FormValue("name"), r.FormValue("password"))
		if err == nil {
			err = session.Login(r, u)
		}
		if err != nil {
			gate.Deny(w, r, err)
		}
	})
	handler := session.Handler(mux)
	send := func(path, name, password string) {
		form := url.Values{"name": {name}, "password": {password}}
		r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(strings.TrimSpace(fmt.Sprint(path, " ", w.Code, " ", w.Body)))
	}
	send("/signup", "alice", "short")
	send("/signup", "alice", "correct horse battery")
	send("/signup", "alice", "another password")
	send("/login", "alice", "correct horse battery")

	// Behind the gate the principal is that of auth.FromContext.
	alice := auth.Must(db.UserByName(ctx, "alice"))
	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted}
	next := "staple battery horse"
	_, err := accounts.Change(ctx, by, alice.ID, auth.AccountChange{Password: &next})
	fmt.Println(err)
	_, err = accounts.Change(ctx, by, alice.ID, auth.AccountChange{Password: &next, CurrentPassword: "correct horse battery"})
	fmt.Println(err)
	// Output:
	// /signup 400 {"detail":"Must have at least 15 characters."}
	// /signup 200
	// /signup 400 {"detail":"A user with that name already exists."}
	// /login 200
	// auth: Send the current password too, or log in again.
	// <nil>
}
