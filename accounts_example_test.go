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
	// auth: Description: A token of a service account needs a name.
	// backup read <nil>
	// auth: Incorrect user name or password.
}

// The life of a user in a program: the first one, sign-up, login, a change of the
// password and logout.
func ExampleNewAccounts() {
	ctx := context.Background()
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})

	accounts := auth.Must(auth.NewAccounts(db, passwords, nil))
	system := &auth.Principal{ID: "system", Name: "system", Admin: true, Scopes: auth.Unrestricted} // the program itself
	root := store.User{Name: "root", Admin: true, Active: true}                                     // Active, or no login
	_, err := accounts.Create(ctx, system, root, "at least 15 characters")
	fmt.Println(err)

	mux := http.NewServeMux()
	do := func(f func(*http.Request) error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := f(r); err != nil {
				gate.Deny(w, r, err) // 400, 401, 429 or 503, with the reason
			}
		})
	}
	mux.Handle("POST /signup", do(func(r *http.Request) error {
		u := store.User{Name: r.FormValue("name"), Active: true}
		_, err := accounts.Create(r.Context(), system, u, r.FormValue("password"))
		return err
	}))
	mux.Handle("POST /login", do(func(r *http.Request) error {
		u, err := passwords.VerifyRequest(r, r.FormValue("name"), r.FormValue("password"))
		if err != nil {
			return err
		}
		return session.Login(r, u) // a new cookie
	}))
	mux.Handle("POST /password", gate.Require(do(func(r *http.Request) error {
		p, _ := auth.FromContext(r.Context())
		next := r.FormValue("next")
		u, err := accounts.Change(r.Context(), p, p.ID, auth.AccountChange{Password: &next, CurrentPassword: r.FormValue("password")})
		if err != nil || p.Credential != auth.CredentialSession { // HTTP Basic needs no cookie
			return err
		}
		return session.Login(r, u) // all other sessions of the user have ended
	})))
	mux.Handle("POST /logout", gate.Require(do(session.Logout)))

	handler := session.Handler(mux)
	var cookie *http.Cookie
	send := func(path string, pairs ...string) {
		form := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			form.Set(pairs[i], pairs[i+1])
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if cookie != nil {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			cookie = c
		}
		fmt.Println(strings.TrimSpace(fmt.Sprint(path, " ", w.Code, " ", w.Body)))
	}
	send("/signup", "name", "alice", "password", "short")
	send("/signup", "name", "alice", "password", "correct horse battery")
	send("/signup", "name", "alice", "password", "another password")
	send("/login", "name", "alice", "password", "correct horse battery")
	send("/password", "next", "staple battery horse", "password", "correct horse battery")
	send("/logout")
	send("/logout")
	send("/login", "name", "alice", "password", "correct horse battery")
	// Output:
	// <nil>
	// /signup 400 {"detail":"Must have at least 15 characters."}
	// /signup 200
	// /signup 400 {"detail":"A user with that name already exists."}
	// /login 200
	// /password 200
	// /logout 200
	// /logout 401 {"detail":"Authentication credentials were not provided."}
	// /login 401 {"detail":"Authentication credentials were not provided."}
}
