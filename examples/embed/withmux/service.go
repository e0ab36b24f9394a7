// Package withmux guards the routes of an http.ServeMux, beside the API for logins
// and tokens.
package withmux

import (
	"fmt"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

// New returns the service. A store of package sqlstore does as well.
func New(db *memory.Store) http.Handler {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Scopes: []string{"deploy"}}))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), nil)

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", gate.Identify(http.HandlerFunc(greet)))                   // everybody
	mux.Handle("/jobs/{id}", gate.Require(http.HandlerFunc(job)))                    // read for GET, write for POST
	mux.Handle("POST /deploy", gate.RequireScope("deploy")(http.HandlerFunc(greet))) // a scope of its own
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{                        // /api/login/, /api/v2/tokens/ and so on
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	return session.Handler(mux)
}

func greet(w http.ResponseWriter, r *http.Request) {
	name := "stranger"
	if p, ok := auth.FromContext(r.Context()); ok {
		name = p.Name
	}
	fmt.Fprint(w, "hello, ", name)
}

func job(w http.ResponseWriter, r *http.Request) {
	p, _ := auth.FromContext(r.Context()) // there is one behind Require
	fmt.Fprintf(w, "job %s of %s", r.PathValue("id"), p.Name)
}
