package auth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A whole service: sessions, tokens and Basic in front of one handler, and the
// HTTP API beside it.
func Example() {
	jobs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintf(w, "jobs of %s\n", p.Name)
	})

	db := memory.New() // or sqlstore.Open(ctx, sqlDB, sqlstore.SQLite, nil)
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(
		auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil),
	), nil)

	mux := http.NewServeMux()
	mux.Handle("/jobs/", gate.Require(jobs))
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	serve := func() error { return http.ListenAndServe("localhost:8080", session.Handler(mux)) }

	_ = serve // log.Fatal(serve())
}

// Issue a personal access token, use it, and end it.
func ExampleTokens() {
	db := memory.New()
	ctx := context.Background()
	alice, err := db.InsertUser(ctx, store.User{Name: "alice", Active: true})
	if err != nil {
		log.Fatal(err)
	}
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	by := &auth.Principal{ID: alice.ID, Name: alice.Name, Scopes: auth.Unrestricted}

	issued, err := tokens.Issue(ctx, by, auth.TokenRequest{Scopes: auth.ScopeRead, Description: "nightly report"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("printed:", issued.AccessToken)

	p, err := tokens.Verify(ctx, issued.AccessToken.Reveal())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name, "may write:", p.Scopes.Has(auth.ScopeWrite))

	if err := tokens.End(ctx, by, issued.ID); err != nil {
		log.Fatal(err)
	}
	_, err = tokens.Verify(ctx, issued.AccessToken.Reveal())
	fmt.Println(err)
	// Output:
	// printed: [redacted]
	// alice may write: false
	// auth: The access token is invalid or revoked.
}

// Log a user in and out in a handler of your own.
func ExampleSession() {
	db := memory.New()
	alice, err := db.InsertUser(context.Background(), store.User{Name: "alice", Active: true})
	if err != nil {
		log.Fatal(err)
	}
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{PerUser: 3}))
	gate := auth.NewGate(session, nil)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// … after the password was right, see Passwords.Verify
		if err := session.Login(r, alice); err != nil {
			gate.Deny(w, r, err)
		}
	})
	mux.Handle("/hello", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "hello, ", p.Name)
	})))
	h := session.Handler(mux)

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/login", nil))
	cookie := w.Result().Cookies()[0]
	fmt.Println(cookie.Name, cookie.Secure, cookie.HttpOnly)

	r := httptest.NewRequest("GET", "/hello", nil)
	r.AddCookie(cookie)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Body)
	// Output:
	// __Host-session true true
	// hello, alice
}

// A handler that needs more than read or write.
func ExampleGate_RequireScope() {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Scopes: []string{"deploy"}}))
	gate := auth.NewGate(auth.NewBearer(tokens), nil)
	deploy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "deployed") })

	mux := http.NewServeMux()
	mux.Handle("/deploy", gate.RequireScope("deploy")(deploy))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/deploy", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	fmt.Println(w.Body)
	// Output:
	// 401 Bearer realm="api"
	// {"detail":"Authentication credentials were not provided."}
}

// Read scopes that came from outside.
func ExampleParseScopes() {
	for _, s := range []string{"read write", "rainbow", "read read", ""} {
		_, err := auth.ParseScopes(s)
		fmt.Printf("%q known: %t\n", s, err == nil)
	}
	// Output:
	// "read write" known: true
	// "rainbow" known: false
	// "read read" known: false
	// "" known: false
}
