// Package withchi guards the routes of chi, beside the API for logins and tokens.
package withchi

import (
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store/memory"
)

// New returns the service. A store of package sqlstore does as well.
func New(db *memory.Store) http.Handler {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)

	r := chi.NewRouter() // without RedirectSlashes and StripSlashes: paths of the API end in a slash
	r.Use(session.Handler)
	r.Mount("/api", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	})))
	r.Group(func(r chi.Router) {
		r.Use(gate.Require)
		r.Get("/jobs/{id}", job)
		r.Post("/jobs/{id}", job)
	})
	return r
}

func job(w http.ResponseWriter, r *http.Request) {
	p, _ := auth.FromContext(r.Context())
	fmt.Fprintf(w, "job %s of %s", chi.URLParam(r, "id"), p.Name)
}
