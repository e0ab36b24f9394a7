package sqltest

import (
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A page of the sessions of all users, or of those of one, is read in order and not
// sorted, however many there are. A tenth of the sessions have ended here.
func TestPagesOfSessions(t *testing.T) {
	const countTo = 2000
	digest := map[sqlstore.Dialect]string{
		sqlstore.SQLite: "randomblob(32)", sqlstore.Postgres: "sha256(CAST(CAST(n.i AS TEXT) AS BYTEA))", sqlstore.MySQL: "UNHEX(SHA2(n.i, 256))",
	}
	analyze := map[sqlstore.Dialect]string{sqlstore.SQLite: "ANALYZE ", sqlstore.Postgres: "VACUUM ANALYZE ", sqlstore.MySQL: "ANALYZE TABLE "}
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		_, plain := p.openDB(t)
		now := time.Now()
		for _, statement := range []string{
			`INSERT INTO auth_sessions (digest, user_id, epoch, created_at, seen_at, expires_at, ended_at, reason, gone_at, revision)
			WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9)
			SELECT ` + digest[p.Dialect] + `, CASE WHEN n.i % 3 = 0 THEN 'everybody' ELSE CONCAT('u', n.i % 1000) END, 0, n.i, n.i, ?, CASE WHEN n.i % 10 = 0 THEN 1 END, '', ?, 1
			FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS i FROM d a, d b, d c, d e) n`,
			analyze[p.Dialect] + "auth_sessions",
		} {
			var args []any
			if statement[0] == 'I' {
				args = []any{now.Add(time.Hour).UnixMicro(), now.Add(time.Hour).UnixMicro()}
			}
			if _, err := plain.Exec(p.sql(statement), args...); err != nil {
				t.Fatal(err)
			}
		}
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		for name, f := range map[string]store.SessionFilter{
			"all": {All: true}, "old": {All: true, Before: now}, "one user": {UserID: "everybody"}, "old of one user": {UserID: "everybody", Before: now},
		} {
			for _, to := range []int{-1, countTo} {
				for _, down := range []bool{false, true} {
					queries := tap.during(func() {
						if list, _, err := st.ListSessions(t.Context(), f, now, store.Page{Limit: 50, Offset: 100, CountTo: to, Descending: down}); err != nil || len(list) != 50 {
							t.Fatalf("%s: %d sessions, %v", name, len(list), err)
						}
					})
					bound := 400
					if to > 0 {
						bound += 5 * to // MySQL writes down what it counts and reads it, PostgreSQL reads those of others, too
					}
					p.readsAtMost(t, plain, name, queries, bound)
				}
			}
		}
	})
}
