package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// families returns how many families of 720 refreshes to purge, which is a month
// of hourly ones: OSTIARY_FAMILIES, or few. The figures are for 300.
func families() int {
	if n, err := strconv.Atoi(os.Getenv("OSTIARY_FAMILIES")); err == nil {
		return n
	}
	return 10
}

const refreshes = 720

// fillFamilies stores families of rotated tokens as versions without Refresh.Grant
// stored them. The grants end at one instant.
func fillFamilies(t testing.TB, db *sql.DB, p place, n int, grantEnds int64) {
	t.Helper()
	digest := p.randomDigest()
	// Refresh f of family k: the last one is unspent, all others were spent by it.
	query := p.sql(`INSERT INTO auth_tokens (digest, user_id, application_id, parent_id, family, scopes, audience, addresses, epoch, description,
		created_at, modified_at, expires_at, revoked_at, refresh_digest, refresh_scopes, refresh_expires_at, grant_expires_at, refresh_spent_at,
		successor_id, minted, ends_at, revision, purge_at)
		WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9), f (i) AS (SELECT a.i + 10 * b.i + 100 * c.i FROM d a, d b, d c)
		SELECT `, digest, `, '1', 1, 0, ?, 'read', '', '', 0, '', f.i, f.i, f.i + 10, CASE WHEN f.i < 719 THEN f.i END, `, digest, `, 'read', f.i + 1000, ?,
			CASE WHEN f.i < 719 THEN f.i END, 0, FALSE, f.i + 10, 1, CASE WHEN f.i < 719 THEN ? ELSE f.i + 1000 END
		FROM f WHERE f.i < 720`)
	for k := range n {
		if _, err := db.ExecContext(context.Background(), query, 1_000_000+k, grantEnds, grantEnds); err != nil {
			t.Fatal(err)
		}
	}
}

// stepRows is how many records one step of a purge may remove.
const stepRows = 100

// A purge of families that have ended is linear in what it removes, and holds up
// another write for no more than a step. What must stay is not looked at again.
func TestPurgeOfFamilies(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		n := families()
		fillFamilies(t, db, p, n, 100_000)

		// Nothing has ended yet. All through a month somebody asks.
		calm, tap := p.tapped(t)
		asking := openShaky(t, calm, p, 0)
		idle := func(hour int) int {
			tap.arm(0, fails, nil)
			if removed, err := asking.Purge(t.Context(), time.UnixMicro(int64(hour)), 1000); removed != 0 || err != nil {
				t.Fatalf("removed %d, %v, of what lives", removed, err)
			}
			return tap.counted()
		}
		idle(0) // connects
		nothing := idle(0)
		for hour := 0; hour < refreshes; hour += 30 {
			if calls := idle(hour); calls != nothing {
				t.Errorf("hour %d: a purge of what stays makes %d calls, one of nothing %d", hour, calls, nothing)
			}
		}

		// All have ended: the last ones of their families expired unspent, long
		// before their grants.
		got := p.purge(t, st, db, time.UnixMicro(50_000))
		if got.removed != n*refreshes {
			t.Errorf("removed %d of %d", got.removed, n*refreshes)
		}
		t.Logf("%d families of %d: %v", n, refreshes, got)
	})
}

// A family leaves two records, however often it was refreshed. With OSTIARY_FAMILIES
// each is refreshed 720 times, otherwise a few times.
func TestPurgeOfRefreshedFamilies(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		n, each := families(), 3
		if os.Getenv("OSTIARY_FAMILIES") != "" {
			each = refreshes
		}
		now := time.Now()
		names := make([]string, n)
		for k := range names {
			names[k] = fmt.Sprint("family ", k)
			tok := tokenNamed(names[k], now)
			tok.Refresh.Grant = store.DigestOf(names[k])
			if _, err := st.InsertToken(t.Context(), tok, limits); err != nil {
				t.Fatal(err)
			}
		}
		for i := range each { // each family in turn, as when all are refreshed every hour
			for k, old := range names {
				names[k] = fmt.Sprintf("family %d, refresh %d", k, i)
				r := store.Rotation{Refresh: refreshOf(old), ApplicationID: 1, Revision: 1, At: now, Token: tokenNamed(names[k], now)}
				r.Token.Refresh.Grant = store.DigestOf(fmt.Sprint("family ", k))
				if _, err := st.Rotate(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
		}
		rows := p.tokens(t, db)
		if rows != 2*n {
			t.Errorf("%d families have %d records, want %d", n, rows, 2*n)
		}
		got := p.purge(t, st, db, now.Add(2*hour))
		if got.removed != rows {
			t.Errorf("removed %d of %d", got.removed, rows)
		}
		t.Logf("%d families, %d refreshes each: %d records; %v", n, each, rows, got)
	})
}

// purged is what a purge did.
type purged struct {
	removed, calls int   // calls of the driver, rows among them
	steps          []int // how many records each step removed
}

func (got purged) String() string {
	return fmt.Sprintf("all %d removed by %d calls, %d steps, the largest of %d", got.removed, got.calls, len(got.steps), slices.Max(got.steps))
}

// tokens returns how many records of tokens others see.
func (p place) tokens(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow(p.sql("SELECT COUNT(*) FROM auth_tokens")).Scan(&n); err != nil {
		t.Error(err)
	}
	return n
}

// purge removes everything that ended before. After each step of it st writes, which
// fails if the purge holds a lock: it goes on only then. How long a step takes depends
// on the machine; here its records and calls are counted.
func (p place) purge(t *testing.T, st *sqlstore.Store, db *sql.DB, before time.Time) (got purged) {
	t.Helper()
	purging, tap := p.tapped(t)
	left, calls, most := p.tokens(t, db), 0, 0
	opts := p.options()
	opts.Observe = func(_ context.Context, e observe.Event) {
		if e.Name != observe.StoreCalled || e.Kind != observe.KindWrite {
			return
		}
		if _, err := st.InsertUser(context.Background(), store.User{Name: fmt.Sprint("writer ", len(got.steps))}); err != nil {
			t.Errorf("a write after step %d: %v", len(got.steps), err)
		}
		now := p.tokens(t, db)
		got.steps = append(got.steps, left-now)
		most = max(most, tap.counted()-calls)
		left, calls = now, tap.counted()
	}
	s, err := sqlstore.Open(t.Context(), purging, p.Dialect, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	tap.arm(0, fails, nil)
	purges := 0
	for k := 1; k > 0; got.removed += k {
		if k, err = s.Purge(t.Context(), before, 500); err != nil {
			t.Fatal(err)
		}
		purges++
	}
	got.calls = tap.counted()
	if many := got.removed/stepRows + 4*purges; len(got.steps) > many { // there are four kinds of records
		t.Errorf("%d steps, want at most %d", len(got.steps), many)
	}
	if largest := slices.Max(got.steps); largest > stepRows {
		t.Errorf("a step removed %d records, want at most %d", largest, stepRows)
	}
	// Three queries of a step have a row for each record, and each query has an end.
	if bound := 3*stepRows + 20; most > bound {
		t.Errorf("a step made %d calls of the driver, rows among them; want at most %d", most, bound)
	}
	return got
}
