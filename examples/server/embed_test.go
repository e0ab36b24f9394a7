package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/examples/embed/twoservices"
	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
)

// TestTwoServices is here because here a PostgreSQL is started.
func TestTwoServices(t *testing.T) {
	database := servertest.OnPostgres(t, ping)
	pool, _, err := connect(database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	accounts, st, err := twoservices.NewAccounts(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := connect(database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	jobs, err := twoservices.NewJobs(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	alice := authtest.AddUser(t, st, store.User{Name: "alice"}, "")
	token := authtest.AddToken(t, auth.Must(auth.NewTokens(st, st, nil)), alice, auth.ScopeRead)
	send := func(h http.Handler, method, path string) (int, string) {
		w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, tt := range []struct {
		h            http.Handler
		method, path string
		status       int
		text         string
	}{
		{accounts, "GET", "/api/v2/me/", 200, `"alice"`},
		{jobs, "GET", "/jobs/", 200, "jobs of alice"},
		{jobs, "POST", "/jobs/", 403, ""},
		{accounts, "DELETE", "/api/v2/tokens/self/", 204, ""},
		{jobs, "GET", "/jobs/", 401, ""},
	} {
		if status, text := send(tt.h, tt.method, tt.path); status != tt.status || !strings.Contains(text, tt.text) {
			t.Errorf("%s %s: %d %s, want %d with %q", tt.method, tt.path, status, text, tt.status, tt.text)
		}
	}
}
