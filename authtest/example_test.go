package authtest_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A handler that asks for the principal of its request needs no gate.
func ExampleWithPrincipal() {
	r := httptest.NewRequest("GET", "/", nil)
	w := httptest.NewRecorder()
	whoami(w, authtest.WithPrincipal(r, &auth.Principal{ID: "1", Name: "alice"}))
	fmt.Println(w.Code, w.Body)
	// Output: 200 alice
}

// A test of a handler behind its gate, with a user, a token and a password. The
// functions need the testing.TB of a test.
func ExampleAddToken() {
	_ = func(t *testing.T) {
		db := memory.New()
		tokens := auth.Must(auth.NewTokens(db, db, nil))
		passwords := auth.Must(auth.NewPasswords(db, db, nil))
		gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), auth.NewBasic(passwords, nil)), nil)
		alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "correct horse")

		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+authtest.AddToken(t, tokens, alice, auth.ScopeRead))
		w := httptest.NewRecorder()
		gate.Require(whoami).ServeHTTP(w, r)
		if name, _ := io.ReadAll(w.Body); string(name) != "alice" {
			t.Errorf("the handler got %q", name)
		}
	}
}
