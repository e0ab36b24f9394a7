package sqltest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// The users of a page are those that a look-up of each finds: whatever the IDs are that
// the records of another store name, and however many.
func TestUsersOfAPage(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		p.open(t)
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		ctx := t.Context()
		ids := []string{"a", "b", "a", "A", "a ", "", "nobody", "1", "01", "a\x00", "\xff", "a"}
		if err := st.ImportUsers(ctx, []sqlstore.ImportedUser{{User: store.User{ID: "a", Name: "x"}}, {User: store.User{ID: "b", Name: "name of b"}}}); err != nil {
			t.Fatal(err)
		}
		check := func(what string, ids []string) {
			t.Helper()
			found, err := stores.UsersByID(ctx, st, ids)
			if got := slices.Sorted(maps.Keys(found)); err != nil || !slices.Equal(got, []string{"a", "b"}) || found["b"].Name != "name of b" {
				t.Errorf("%s: found %q, %v", what, got, err)
			}
		}
		check("odd IDs", ids)
		slices.Reverse(ids)
		check("odd IDs, the other way round", ids)
		many := []string{"a"}
		for n := range 66_000 {
			many = append(many, "nobody "+strconv.Itoa(n))
		}
		check("many", append(many, "b"))

		st = openShaky(t, db, p, time.Second)
		tap.arm(1, hangs, func() {})
		waiting, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if found, err := stores.UsersByID(waiting, st, []string{"a", "b"}); err == nil || waiting.Err() != nil {
			t.Errorf("a database that hangs: found %v, %v", found, err)
		}
		tap.arm(0, fails, nil)
	})
}
