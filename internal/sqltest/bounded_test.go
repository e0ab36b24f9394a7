package sqltest

import (
	"os"
	"slices"
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
					db, tap := p.tapped(t)
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

// Tokens that a cut-off ended and that are not marked yet are in no list, count or
// summary, and do not hide the ones that live behind them.
func TestUnmarkedTokensAreInNoList(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		st, plain := p.openDB(t)
		fill(t, st, plain, p, 2_000)
		if _, err := st.RevokeTokens(t.Context(), store.Selection{UserID: "1"}, time.Now()); err != nil {
			t.Fatal(err)
		}
		serve(t, st)
		check := func(want ...int64) {
			t.Helper()
			own := store.TokenFilter{UserID: "1", OwnerID: "1"}
			list, total, err := st.ListTokens(t.Context(), own, store.Page{Limit: 10})
			if err != nil || len(list) != len(want) || total != len(want) {
				t.Errorf("%d tokens of %d in the list, want %d: %v", len(list), total, len(want), err)
			}
			if _, total, err = st.ListTokens(t.Context(), own, store.Page{}); err != nil || total != len(want) {
				t.Errorf("%d tokens are counted, want %d: %v", total, len(want), err)
			}
			for _, f := range []store.TokenFilter{{All: true}, {UserID: "1"}} {
				sum, err := st.SummarizeTokens(t.Context(), []int64{1}, f, 2)
				if err != nil {
					t.Fatal(err)
				}
				var got []int64
				for _, ref := range sum[0].First {
					got = append(got, ref.ID)
				}
				if !slices.Equal(got, want[:min(2, len(want))]) || sum[0].Total != len(want) {
					t.Errorf("summary: %v of %d, want %v", got, sum[0].Total, want)
				}
			}
		}
		check()
		var live []int64
		for i := range 3 {
			tok := tokenNamed("live"+strconv.Itoa(i), time.Now())
			tok.UserID = "1"
			tok, err := st.InsertToken(t.Context(), tok, limits)
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, tok.ID)
			check(live...)
		}
		var unmarked int
		if err := plain.QueryRow(p.sql("SELECT COUNT(*) FROM auth_tokens WHERE revoked_at IS NULL")).Scan(&unmarked); err != nil || unmarked < 100 {
			t.Fatalf("only %d tokens are not marked: %v", unmarked, err)
		}
	})
}
