package sqltest

import (
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A3: the end of a token that has minted hundreds reads what it marks, and not all
// tokens that there are. SQLite does not tell.
func TestEndOfManyChildrenReadsNoMoreOfMore(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		if fresh(t).Dialect == sqlstore.SQLite {
			return
		}
		t.Parallel()
		const few, many, children, slack = 4_000, 16_000, 450, 1_000
		var reads [2]int
		for i, n := range [2]int{few, many} {
			p := fresh(t)
			calm, plain := p.openDB(t)
			fill(t, calm, plain, p, n)
			for _, statement := range []string{
				"UPDATE auth_tokens SET parent_id = 1, root_id = 1, ancestors = '1' WHERE id BETWEEN 2 AND ?",
				"UPDATE auth_tokens SET parent_id = 1000, root_id = 1000, ancestors = '1000' WHERE id BETWEEN 1001 AND ? + 1000",
			} {
				if _, err := plain.Exec(p.sql(statement), 1+children); err != nil {
					t.Fatal(err)
				}
			}
			analyze := map[sqlstore.Dialect]string{sqlstore.Postgres: "VACUUM ANALYZE ", sqlstore.MySQL: "ANALYZE TABLE "}[p.Dialect]
			if _, err := plain.Exec(p.sql(analyze, "auth_tokens")); err != nil {
				t.Fatal(err)
			}
			db := p.pool(t)
			db.SetMaxOpenConns(1) // whose reads are counted
			st := openIn(t, db, p)
			before := p.reads(t, db)
			ended, err := st.RevokeTokens(t.Context(), store.Selection{TokenID: 1}, time.Now())
			if err != nil || ended != 1+children {
				t.Fatalf("%d ended, %v; want %d", ended, err, 1+children)
			}
			reads[i] = p.reads(t, db) - before
		}
		t.Logf("%d rows read of %d tokens, %d of %d", reads[0], few, reads[1], many)
		if reads[1] > reads[0]+slack {
			t.Errorf("%d rows read of %d tokens, and %d of %d", reads[0], few, reads[1], many)
		}
	})
}
