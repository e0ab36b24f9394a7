package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
)

// TestRoutesHaveRules fails on a route that somebody adds without a rule, and on
// one that does not do what its rule says.
func TestRoutesHaveRules(t *testing.T) {
	c, err := parseFlags([]string{"-db", filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	db, err := open(t.Context(), c.db, limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	inner, outer := &authtest.Mux{}, &authtest.Mux{}
	s, err := newServiceOn(c, db, inner, outer)
	if err != nil {
		t.Fatal(err)
	}
	root := authtest.AddUser(t, db.store, store.User{Name: "auditor", Admin: true}, testPassword)
	bearer := func(scope auth.Scopes) func(*http.Request) {
		token := authtest.AddToken(t, s.tokens, root, scope)
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	audit := authtest.RouteAudit{
		Read: bearer(auth.ScopeRead), Write: bearer(auth.ScopeWrite),
		Session: sessionOf(t, s, root),
		Basic:   func(r *http.Request) { r.SetBasicAuth(root.Name, testPassword) },
		Rules: map[string]authtest.Rule{
			"/api/": authtest.RuleMounted, "/.well-known/": authtest.RuleMounted, // httpapi.TestRoutes has theirs
			jobsPath: authtest.RuleGuarded, organizationsPath + "{$}": authtest.RuleGuarded, organizationsPath + "{id}/{$}": authtest.RuleGuarded,
			"GET /{$}": authtest.RuleOpen,
		},
	}
	authtest.AuditRoutes(t, inner, s.handler, audit)
	audit.Rules = map[string]authtest.Rule{"/": authtest.RuleMounted, "GET /healthz": authtest.RuleOpen, "GET /readyz": authtest.RuleMounted}
	authtest.AuditRoutes(t, outer, s.handler, audit)
}

// sessionOf logs u in and returns what puts the cookie of the session into a
// request.
func sessionOf(t *testing.T, s *service, u store.User) func(*http.Request) {
	t.Helper()
	w := httptest.NewRecorder()
	s.session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := s.session.Login(r, u); err != nil {
			t.Error(err)
		}
	})).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	return func(r *http.Request) {
		for _, c := range w.Result().Cookies() {
			r.AddCookie(c)
		}
	}
}
