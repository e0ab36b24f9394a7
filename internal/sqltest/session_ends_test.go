package sqltest

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A4: the end of all sessions is many steps, however many there are. What a failure
// interrupts goes on with the next call: otherwise a table with more sessions than one
// statement ends in time would keep all of them alive for ever.
func TestEndOfAllSessionsGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		calm, plain := p.openDB(t)
		const all = 2_300
		digest := map[sqlstore.Dialect]string{
			sqlstore.SQLite: "randomblob(32)", sqlstore.Postgres: "sha256(CAST(random() AS TEXT)::bytea)", sqlstore.MySQL: "UNHEX(SHA2(CONCAT(RAND(), UUID()), 256))",
		}[p.Dialect]
		later := time.Now().Add(hour).UnixMicro()
		if _, err := plain.Exec(p.sql(`INSERT INTO auth_sessions (digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision)
			WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9)
			SELECT `, digest, fmt.Sprintf(`, CONCAT('u', n.i %% 70), 0, n.i, n.i, %d, '', %d, 1
			FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS i FROM d a, d b, d c, d e) n WHERE n.i < %d`, later, later, all-1))); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		mine, _, err := calm.InsertSession(t.Context(), store.Session{Digest: sessionOf("mine"), UserID: "me", Created: now, Expires: now.Add(hour)}, store.Digest{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		live := func() (n int) {
			t.Helper()
			if err := plain.QueryRow(p.sql("SELECT COUNT(*) FROM auth_sessions WHERE ended_at IS NULL")).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		if n := live(); n != all {
			t.Fatalf("%d sessions to begin with, want %d", n, all)
		}

		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		end := func() (int, error) {
			return st.EndSessions(t.Context(), store.SessionSelection{All: true, Except: mine.Digest}, store.EndedAdmin, now)
		}
		ended, calls, failures := 0, 0, 0
		for {
			// Each call gets a little further before it fails.
			calls += 700
			tap.arm(calls, fails, nil)
			before := live()
			n, err := end()
			tap.arm(0, fails, nil)
			ended += n
			if got := before - live(); got != n {
				t.Fatalf("%d ended, and %d were told, %v", got, n, err)
			}
			if err == nil {
				break
			}
			failures++
			if before-live() == 0 && failures > 3 {
				t.Fatalf("failure %d: nothing more ends, %d live", failures, before)
			}
		}
		if ended != all-1 || live() != 1 || failures < 2 {
			t.Errorf("%d ended, %d live, %d failures; want %d, 1 and some", ended, live(), failures, all-1)
		}
		if v, _, err := calm.SessionByDigest(t.Context(), mine.Digest); err != nil || !v.Ended.IsZero() {
			t.Errorf("the session that is left out: %v, %v", v.Ended, err)
		}
		if n, err := end(); n != 0 || err != nil {
			t.Errorf("once more: %d, %v", n, err)
		}
	})
}
