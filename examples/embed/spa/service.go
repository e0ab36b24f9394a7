// Package spa is an API for a single-page application that another origin serves.
// The page has an access token and no cookie: as a public client of package oauth
// it gets one by the authorization code grant with PKCE.
package spa

import (
	"fmt"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/memory"
)

// New returns the service for the page of an origin, such as https://app.example.
func New(db *memory.Store, origin string) http.Handler {
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	session := auth.Must(auth.NewSession(db, db, nil)) // for the login and the consent, on pages of our own origin
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), nil)
	bearers := auth.NewGate(auth.NewBearer(tokens), nil) // no cookie is looked at where CORS lets another origin in

	mux := http.NewServeMux()
	mux.Handle("/jobs/", cors(origin, bearers.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "jobs of ", p.Name)
	}))))
	// Package httpapi has its own CORS, for the endpoints that read no cookie.
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
		OAuth: auth.Must(oauth.NewServer(tokens, db, db, nil)),
	})))
	return session.Handler(mux)
}

// cors stands outside the gate: a preflight request never has a credential, and the
// page may read refusals, too. Middleware such as rs/cors goes in the same place.
func cors(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		if r.Header.Get("Origin") == origin {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Expose-Headers", "WWW-Authenticate")
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				h.Set("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
				h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
				h.Set("Access-Control-Max-Age", "600")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
