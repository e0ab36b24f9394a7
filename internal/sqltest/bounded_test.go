package sqltest

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// many is how many tokens to revoke at once: OSTIARY_MANY, or some.
func many() int {
	if n, err := strconv.Atoi(os.Getenv("OSTIARY_MANY")); err == nil {
		return n
	}
	return 2_000
}

// The end of all tokens of an application, of a user, or of everybody takes as many
// calls of the driver for few tokens as for many, and all are dead at the next
// request. Purge marks and removes the rest.
func TestRevocationOfManyIsBounded(t *testing.T) {
	ends := map[string]func(t *testing.T, st *sqlstore.Store) error{
		"application revoked": func(t *testing.T, st *sqlstore.Store) error {
			_, err := st.RevokeTokens(t.Context(), store.Selection{ApplicationID: 1}, time.Now())
			return err
		},
		"application deleted": func(t *testing.T, st *sqlstore.Store) error { return st.DeleteApplication(t.Context(), 1, time.Now()) },
		"application disabled": func(t *testing.T, st *sqlstore.Store) error {
			app, err := st.ApplicationByID(t.Context(), 1)
			if err != nil {
				return err
			}
			app.Disabled, app.Modified = true, time.Now()
			return st.UpdateApplication(t.Context(), app)
		},
		"user deleted": func(t *testing.T, st *sqlstore.Store) error { return st.DeleteUser(t.Context(), "1", time.Now()) },
		"consent withdrawn": func(t *testing.T, st *sqlstore.Store) error {
			return st.WithdrawConsent(t.Context(), "1", 1, time.Now())
		},
		"all revoked": func(t *testing.T, st *sqlstore.Store) error {
			_, err := st.RevokeTokens(t.Context(), store.Selection{All: true}, time.Now())
			return err
		},
	}
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				calls := map[int]int{}
				few := 500
				for _, n := range []int{few, many()} {
					p := fresh(t)
					calm, plain := p.openDB(t)
					fill(t, calm, plain, p, n)
					db, tap, err := p.tapped()
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { db.Close() })
					st := openShaky(t, db, p, 0)
					tap.arm(0, fails, nil)
					if err := end(t, st); err != nil {
						t.Fatal(err)
					}
					calls[n] = tap.counted()
					for _, i := range []int{0, n / 2, n - 1} {
						if a, err := st.AccessByDigest(t.Context(), accessOf(strconv.Itoa(i))); err != nil || a.Revoked.IsZero() {
							t.Errorf("of %d tokens, %d: revoked %v, %v", n, i, a.Revoked, err)
						}
					}
					if name == "application deleted" && n != few { // once is enough
						removed := 0
						for {
							k, err := calm.Purge(t.Context(), time.Now().Add(time.Second), 1000)
							if err != nil {
								t.Fatal(err)
							}
							if removed += k; k == 0 {
								break
							}
						}
						if removed != n {
							t.Errorf("removed %d of %d", removed, n)
						}
					}
				}
				t.Logf("%d tokens: %d calls; %d tokens: %d calls", few, calls[few], many(), calls[many()])
				// Each row that is marked in the call is a call to the driver.
				if calls[many()] > calls[few]+20 || calls[few] > 600 {
					t.Errorf("%d calls for %d tokens, %d for %d", calls[few], few, calls[many()], many())
				}
			})
		}
	})
}
