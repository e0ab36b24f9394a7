package authtest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// whoami answers with the name of the principal.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	p, ok := auth.FromContext(r.Context())
	if !ok {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, p.Name)
})

func TestWithPrincipal(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	w := httptest.NewRecorder()
	whoami(w, authtest.WithPrincipal(r, &auth.Principal{ID: "1", Name: "alice"}))
	if got := w.Body.String(); got != "alice" {
		t.Errorf("the handler sees %q, want alice", got)
	}
	if _, ok := auth.FromContext(r.Context()); ok {
		t.Error("WithPrincipal changed the request it was given")
	}
}

// hostUsers are a host's own users: what store.Users has, and no more.
type hostUsers struct{ store.Users }

func TestSetPasswordOfHostUsers(t *testing.T) {
	db := memory.New()
	bob := authtest.AddUser(t, db, store.User{Name: "bob"}, "")
	users := hostUsers{db}
	got := authtest.SetPassword(t, users, bob.ID, "pw")
	if got.Epoch == bob.Epoch || got.Name != "bob" {
		t.Errorf("got %+v, want bob with another epoch than %d", got, bob.Epoch)
	}
	passwords := auth.Must(auth.NewPasswords(users, db, nil))
	if _, err := passwords.Verify(t.Context(), "bob", "pw"); err != nil {
		t.Errorf("the password: %v", err)
	}
}

func TestUserAndTokenPassTheGate(t *testing.T) {
	db := memory.New()
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), auth.NewBasic(passwords, nil)), nil)
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "pw")
	token := authtest.AddToken(t, tokens, alice, auth.ScopeRead)

	for _, tt := range []struct {
		name, method string
		credential   func(*http.Request)
		status       int
	}{
		{"the token reads", "GET", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, 200},
		{"the token has the scope it was given", "POST", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, 403},
		{"the password is right", "POST", func(r *http.Request) { r.SetBasicAuth("alice", "pw") }, 200},
		{"another password is not", "POST", func(r *http.Request) { r.SetBasicAuth("alice", "pw2") }, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "/", nil)
			tt.credential(r)
			w := httptest.NewRecorder()
			gate.Require(whoami).ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if w.Code == 200 && w.Body.String() != "alice" {
				t.Errorf("the handler sees %q, want alice", w.Body)
			}
		})
	}
}
