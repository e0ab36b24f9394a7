package sqltest

import (
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

const (
	surplusStep = 500 // sqlstore.endStep
	surplusKeep = 3
)

// A crowd is a user with more sessions than the limit, which was lowered. Two each began
// at the same instant.
type crowd struct {
	place
	calm  *sqlstore.Store
	plain *sql.DB
	n     int
}

func newCrowd(t *testing.T, p place, n int) *crowd {
	t.Helper()
	c := &crowd{place: p, n: n}
	c.calm, c.plain = p.openDB(t)
	later := time.Now().Add(2 * hour).UnixMicro()
	if _, err := c.plain.Exec(p.sql(`INSERT INTO auth_sessions (digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision)
		WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9)
		SELECT `, p.randomDigest(), fmt.Sprintf(`, 'u', 0, 1000000 + n.i - n.i %% 2, n.i, %d, '', %d, 1
		FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS i FROM d a, d b, d c, d e) n WHERE n.i < %d ORDER BY n.i`, later, later, n))); err != nil {
		t.Fatal(err)
	}
	if got := len(c.live(t)); got != n {
		t.Fatalf("%d sessions to begin with, want %d", got, n)
	}
	return c
}

// live returns the IDs of the live sessions, the newest first.
func (c *crowd) live(t *testing.T) (ids []int64) {
	t.Helper()
	rows, err := c.plain.Query(c.sql("SELECT id FROM auth_sessions WHERE ended_at IS NULL ORDER BY created_at DESC, id DESC"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return ids
}

func (c *crowd) login(t *testing.T, st *sqlstore.Store, name string, created time.Time) (store.Session, int, error) {
	s := sessionNamed(name, "u", created)
	s.Expires = time.Now().Add(hour)
	return st.InsertSession(t.Context(), s, store.Digest{}, surplusKeep)
}

// a login ends what a lowered limit makes too many in steps, the newest first, and
// leaves the newest.
func TestSurplusOfSessionsEndsInSteps(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		for _, n := range []int{surplusKeep - 1 + surplusStep, surplusKeep + surplusStep, 2_301} {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				p := fresh(t)
				c := newCrowd(t, p, n)
				before := c.live(t)
				db, tap := p.tapped(t)
				st := openShaky(t, db, p, 0)
				var ended []int // by each step
				look := func(string) {
					now := c.live(t)
					gone := len(before) - len(now)
					if slices.Contains(now, before[0]) && len(now) > len(before) { // the new one
						gone = 0
					}
					if gone != 0 {
						ended = append(ended, gone)
						// What is left of the surplus is older than what has ended.
						if older := before[len(before)-min(len(before), len(now)-surplusKeep):]; len(now) > surplusKeep && !slices.Equal(now[surplusKeep:], older) {
							t.Errorf("after %v: an older session ended first", ended)
						}
					}
					before = now
				}
				tap.tripping(look)
				mine, evicted, err := c.login(t, st, "mine", time.Now())
				tap.tripping(nil)
				look("")
				if err != nil || evicted != n-surplusKeep+1 {
					t.Errorf("%d ended, %v; want %d", evicted, err, n-surplusKeep+1)
				}
				if got := c.live(t); len(got) != surplusKeep || got[0] != mine.ID {
					t.Errorf("%v live, want %d and the new one", got, surplusKeep)
				}
				for i, n := range ended {
					if i == 0 {
						n++ // the new session came with it
					}
					if n > surplusStep {
						t.Errorf("steps of %v, want at most %d", ended, surplusStep)
					}
				}
				if want := (n - surplusKeep + surplusStep) / surplusStep; len(ended) != want {
					t.Errorf("steps of %v, want %d", ended, want)
				}
			})
		}
	})
}

// A step that fails is an error of the login, which leaves no session. The next login
// goes on.
func TestSurplusOfSessionsGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		c := newCrowd(t, p, 2_301)
		newest := c.live(t)[:surplusKeep-1]
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		ended, calls, failures, halves := 0, 0, 0, 0
		for {
			calls += 230 // each call gets a little further before it fails
			tap.arm(calls, fails, nil)
			before := len(c.live(t))
			mine, n, err := c.login(t, st, fmt.Sprint("mine", failures), time.Now())
			tap.arm(0, fails, nil)
			ended += n
			left := c.live(t)
			if err == nil {
				if want := append([]int64{mine.ID}, newest...); !slices.Equal(left, want) {
					t.Errorf("%v live, want %v", left, want)
				}
				break
			}
			if before-len(left) != n || !slices.Equal(left[:len(newest)], newest) {
				t.Fatalf("failure %d: %d live after %d, and %d were told, %v", failures, len(left), before, n, err)
			}
			if failures++; n > 0 {
				halves++
			}
		}
		if ended != c.n-surplusKeep+1 || halves == 0 {
			t.Errorf("%d ended, %d failures, %d of them with a step; want %d and some", ended, failures, halves, c.n-surplusKeep+1)
		}
	})
}

// A login between two steps stays, though by the clock of its server it is older than what
// the steps have yet to end.
func TestLoginAmongStepsStays(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		c := newCrowd(t, p, 1_301)
		newest := c.live(t)[0]
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		begin := 2 // the beginning of the second step
		if p.Dialect == sqlstore.Postgres {
			begin = 1 // the first one is a statement
		}
		var other store.Session
		sum := 0
		tap.tripping(func(what string) {
			if what != "BEGIN" {
				return
			}
			if begin--; begin == 0 {
				s, n, err := c.login(t, c.calm, "other", time.UnixMicro(17))
				if err != nil || n <= surplusStep {
					t.Errorf("the login between: %d ended, %v", n, err)
				}
				other, sum = s, n
			}
		})
		mine, n, err := c.login(t, st, "mine", time.Now())
		tap.tripping(nil)
		if err != nil || sum+n != c.n+2-surplusKeep {
			t.Errorf("%d and %d ended, %v; want %d", n, sum, err, c.n+2-surplusKeep)
		}
		if got, want := c.live(t), []int64{mine.ID, newest, other.ID}; !slices.Equal(got, want) {
			t.Errorf("%v live, want %v", got, want)
		}
	})
}

// Logins at the same time leave as many sessions as the limit says, and count each that
// ended once.
func TestSurplusOfSessionsAndManyLogins(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		c := newCrowd(t, p, 2_301)
		const logins = 8
		var wg sync.WaitGroup
		var all [logins]int
		now := time.Now()
		for i := range all {
			wg.Go(func() {
				_, n, err := c.login(t, c.calm, fmt.Sprint(i), now.Add(time.Duration(i)*time.Millisecond))
				if err != nil {
					t.Error(err)
				}
				all[i] = n
			})
		}
		wg.Wait()
		sum := 0
		for _, n := range all {
			sum += n
		}
		if got := len(c.live(t)); got != surplusKeep || sum != c.n+logins-surplusKeep {
			t.Errorf("%d live, ended %v; want %d and together %d", got, all, surplusKeep, c.n+logins-surplusKeep)
		}
	})
}
