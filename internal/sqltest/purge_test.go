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
	digest := map[sqlstore.Dialect]string{
		sqlstore.SQLite: "randomblob(32)", sqlstore.Postgres: "sha256(CAST(random() AS TEXT)::bytea)", sqlstore.MySQL: "UNHEX(SHA2(CONCAT(RAND(), UUID()), 256))",
	}[p.Dialect]
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

// A purge of families that have ended is linear in what it removes, and holds up
// another write for no more than a step. What must stay is not looked at again.
func TestPurgeOfFamilies(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		n := families()
		fillFamilies(t, db, p, n, 100_000)

		// Nothing has ended yet. Every hour of a month somebody asks.
		begun := time.Now()
		for hour := range int64(refreshes) {
			if removed, err := st.Purge(t.Context(), time.UnixMicro(hour), 1000); removed != 0 || err != nil {
				t.Fatalf("removed %d, %v, of what lives", removed, err)
			}
		}
		idle := time.Since(begun)

		// All have ended: the last ones of their families expired unspent, long
		// before their grants.
		got := p.purge(t, st, time.UnixMicro(50_000))
		if got.removed != n*refreshes {
			t.Errorf("removed %d of %d", got.removed, n*refreshes)
		}
		t.Logf("%d families of %d: 720 purges of what stays %v; %v", n, refreshes, idle.Round(time.Millisecond), got)
		if per := got.took / time.Duration(got.removed); per > 10*time.Millisecond {
			t.Errorf("%v for each token", per)
		}
		if worst := got.others[len(got.others)-1]; worst > 2*time.Second {
			t.Errorf("another write waited for %v", worst)
		}
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
		var took []time.Duration
		for i := range each { // each family in turn, as when all are refreshed every hour
			for k, old := range names {
				names[k] = fmt.Sprintf("family %d, refresh %d", k, i)
				r := store.Rotation{Refresh: refreshOf(old), ApplicationID: 1, Revision: 1, At: now, Token: tokenNamed(names[k], now)}
				r.Token.Refresh.Grant = store.DigestOf(fmt.Sprint("family ", k))
				begun := time.Now()
				if _, err := st.Rotate(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(begun))
			}
		}
		slices.Sort(took)
		var rows int
		if err := db.QueryRow(p.sql("SELECT COUNT(*) FROM auth_tokens")).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows != 2*n {
			t.Errorf("%d families have %d records, want %d", n, rows, 2*n)
		}
		got := p.purge(t, st, now.Add(2*hour))
		if got.removed != rows {
			t.Errorf("removed %d of %d", got.removed, rows)
		}
		t.Logf("%d families, %d refreshes each, the median %v: %d records; %v", n, each, took[len(took)/2], rows, got)
	})
}

// A purgeTime is how long a purge took, each step of it, and other writes meanwhile.
type purgeTime struct {
	removed       int
	took          time.Duration
	steps, others []time.Duration // in order
}

func (pt purgeTime) String() string {
	return fmt.Sprintf("all %d removed in %v, %d steps, the longest %v; %d other writes meanwhile, the slowest %v, the median %v",
		pt.removed, pt.took.Round(time.Microsecond), len(pt.steps), pt.steps[len(pt.steps)-1], len(pt.others), pt.others[len(pt.others)-1], pt.others[len(pt.others)/2])
}

// purge removes everything that ended before, while st writes.
func (p place) purge(t *testing.T, st *sqlstore.Store, before time.Time) (got purgeTime) {
	t.Helper()
	opts := p.options()
	opts.Observe = func(_ context.Context, e observe.Event) {
		if e.Name == observe.StoreCalled && e.Kind == observe.KindWrite {
			got.steps = append(got.steps, e.Duration)
		}
	}
	purging, err := sqlstore.Open(t.Context(), p.pool(t), p.Dialect, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer purging.Close()
	waits := make(chan []time.Duration, 1)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { waits <- writeMeanwhile(ctx, st) }()
	begun := time.Now()
	for {
		k, err := purging.Purge(t.Context(), before, 500)
		if err != nil {
			t.Fatal(err)
		}
		if got.removed += k; k == 0 {
			break
		}
	}
	got.took = time.Since(begun)
	stop()
	got.others = <-waits
	slices.Sort(got.steps)
	slices.Sort(got.others)
	return got
}

// writeMeanwhile writes until ctx ends and returns how long each write took.
func writeMeanwhile(ctx context.Context, st *sqlstore.Store) (took []time.Duration) {
	for i := 0; ; i++ {
		begun := time.Now()
		_, err := st.InsertUser(context.WithoutCancel(ctx), store.User{Name: fmt.Sprint("writer ", i), Created: begun})
		if err != nil {
			return append(took, time.Hour)
		}
		took = append(took, time.Since(begun))
		select {
		case <-ctx.Done():
			return took
		case <-time.After(5 * time.Millisecond):
		}
	}
}
