package sqltest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A hedged store asks twice at a time, as one with two networks to its servers does, and
// goes on with one answer. It knows the password better.
type hedged struct{ *sqlstore.Store }

func (h hedged) UserByName(ctx context.Context, name string) (u store.User, err error) {
	type answer struct {
		u   store.User
		err error
	}
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			u, err := h.Store.UserByName(ctx, name)
			answers <- answer{u, err}
		}()
	}
	first := <-answers
	return first.u, first.err
}

func (h hedged) PasswordHash(context.Context, string) (string, error) { return "plain$known here", nil }

// What a store of the host asks the one of this module is its own affair: no two calls
// share anything, and its own PasswordHash counts.
func TestHedgedUsers(t *testing.T) {
	st := freshSQLite(t).open(t)
	u := authtest.AddUser(t, st, store.User{Name: "alice"}, "")
	if err := st.SetPasswordHash(t.Context(), u.ID, "plain$behind it"); err != nil {
		t.Fatal(err)
	}
	passwords := auth.Must(auth.NewPasswords(hedged{st}, st, &auth.PasswordsOptions{Hasher: plainHasher{}, Logger: slog.New(slog.DiscardHandler)}))
	for name, want := range map[string]bool{"alice": true, "nobody": false} {
		for password, right := range map[string]bool{"known here": true, "behind it": false} {
			if _, err := passwords.Verify(t.Context(), name, password); (err == nil) != (want && right) {
				t.Errorf("%s with %q: %v", name, password, err)
			}
		}
	}
}
