// Package ownsessions is a service that had sessions of its own before, and gives
// its users access tokens for their scripts.
package ownsessions

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Sessions are those of the service: a cookie, and the user it stands for. It is an
// auth.Authenticator.
type Sessions struct {
	users   store.Users
	origins *auth.Origins
	mu      sync.Mutex
	ids     map[string]string // user IDs by the values of the cookie
}

const cookie = "__Host-mine"

// Authenticate implements auth.Authenticator. A request without the cookie is not
// its own: another authenticator is asked.
func (s *Sessions) Authenticate(r *http.Request) (*auth.Principal, error) {
	c, err := r.Cookie(cookie)
	if err != nil || len(r.Header["Authorization"]) > 0 { // an explicit credential counts alone
		return nil, auth.ErrNoCredentials
	}
	// A browser adds the cookie to requests of other sites, too.
	if err := s.origins.Check(r); err != nil {
		return nil, err
	}
	s.mu.Lock()
	id := s.ids[c.Value]
	s.mu.Unlock()
	u, err := s.users.UserByID(r.Context(), id)
	switch {
	case err == store.ErrNotFound || err == nil && !u.Active:
		return nil, &auth.Error{Status: http.StatusUnauthorized, Detail: "The session has ended."}
	case err != nil:
		return nil, err // an outage: 503
	}
	return &auth.Principal{ID: u.ID, Name: u.Name, Admin: u.Admin, Scopes: auth.Unrestricted, Epoch: u.Epoch, HasEpoch: true}, nil
}

// start begins a session.
func (s *Sessions) start(w http.ResponseWriter, id string) {
	value := rand.Text()
	s.mu.Lock()
	s.ids[value] = id
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// end ends the session of a request.
func (s *Sessions) end(r *http.Request) {
	if c, err := r.Cookie(cookie); err == nil {
		s.mu.Lock()
		delete(s.ids, c.Value)
		s.mu.Unlock()
	}
}

// New returns the service.
func New(db *memory.Store) http.Handler {
	passwords := auth.Must(auth.NewPasswords(db, db, nil)) // or the check of passwords that you have
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	sessions := &Sessions{users: db, origins: auth.Must(auth.NewOrigins()), ids: make(map[string]string)}
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), sessions), nil)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		u, err := passwords.VerifyRequest(r, r.FormValue("name"), r.FormValue("password"))
		if err != nil {
			gate.Deny(w, r, err)
			return
		}
		sessions.start(w, u.ID)
	})
	mux.Handle("POST /logout", gate.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sessions.end(r) })))
	mux.Handle("/jobs/", gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, "jobs of ", p.Name)
	})))
	// Without Session in its Config the API has no login, only tokens.
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: db, Tokens: tokens})))
	return mux
}
