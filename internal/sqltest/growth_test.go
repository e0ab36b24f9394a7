package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// What the operations of the store read does not grow with what is stored: each reads
// as many rows, of tables and indexes, with four times as many tokens of one user and
// one application, sessions, users, applications and entries. SQLite, which gets the
// same statements, does not tell.
func TestRequestsReadNoMoreOfMore(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		if fresh(t).Dialect == sqlstore.SQLite {
			return
		}
		t.Parallel()
		readsNoMoreOfMore(t, fresh)
	})
}

// PostgreSQL has one plan for all values of a statement that it knows, and expects of
// everybody what is true of the user who has nearly all tokens.
func TestRequestsReadNoMoreWithOnePlan(t *testing.T) {
	t.Parallel()
	readsNoMoreOfMore(t, func(t testing.TB) place {
		p := freshOn(sharedPostgres)(t)
		p.DSN += " plan_cache_mode=force_generic_plan"
		return p
	})
}

func readsNoMoreOfMore(t *testing.T, fresh func(testing.TB) place) {
	const few, many, slack = 2_000, 8_000, 300
	reads, names := map[string][2]int{}, []string(nil)
	for i, n := range [2]int{few, many} {
		p := fresh(t)
		calm, plain := p.openDB(t)
		fill(t, calm, plain, p, n)
		p.fillAround(t, plain, n)
		db := p.pool(t)
		db.SetMaxOpenConns(1) // whose reads are counted
		st := openIn(t, db, p)
		counted := func(name string, do func() error) {
			before := p.reads(t, db)
			if err := do(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			pair := reads[name]
			if pair[i] = p.reads(t, db) - before; i == 0 {
				names = append(names, name)
			}
			reads[name] = pair
		}
		for k, op := range faultedOperations() {
			x := &faultCase{ctx: t.Context(), calm: st, shaky: st, name: fmt.Sprintf("g%d", k), now: time.Now()}
			if err := op.prepare(x); err != nil {
				t.Fatalf("%s: %v", op.name, err)
			}
			counted(op.name, func() error { return op.run(x) })
		}
		// In one order: the second count of a long list reads less than the first one.
		each := func(lists map[string]func() error, more string) {
			for _, name := range slices.Sorted(maps.Keys(lists)) {
				counted(name+more, lists[name])
			}
		}
		each(pagesOf(t.Context(), st), "")
		each(tokenPagesOf(t.Context(), st), "")
		// From here on there are cut-offs, more than are read at once after the second.
		for i := range 80 {
			if _, err := st.RevokeTokens(t.Context(), store.Selection{UserID: fmt.Sprint("nobody", i)}, time.Now()); err != nil {
				t.Fatal(err)
			}
			if i != 3 && i != 79 {
				continue
			}
			each(tokenPagesOf(t.Context(), st), fmt.Sprint(" beside ", i+1, " cut-offs"))
		}
	}
	for _, name := range names {
		r := reads[name]
		t.Logf("%s: %d rows read, and %d of four times as many", name, r[0], r[1])
		if r[1] > r[0]+slack {
			t.Errorf("%s: %d rows were read, and %d of four times as many", name, r[0], r[1])
		}
	}
}

// tokenPagesOf returns lists of 25 tokens, and summaries. The user 1 has nearly all
// tokens, the user 2 has 30, the user 3 has none and administers the organization of
// the application to which nearly all belong.
func tokenPagesOf(ctx context.Context, st *sqlstore.Store) map[string]func() error {
	pages := map[string]func() error{}
	inOrder := []store.OrderBy{store.OrderID, store.OrderCreated, store.OrderModified, store.OrderExpires}
	byID := inOrder[:1]
	for name, l := range map[string]struct {
		filter store.TokenFilter
		n      int
		orders []store.OrderBy
	}{
		"tokens of one with all":           {store.TokenFilter{UserID: "1"}, 25, inOrder},
		"tokens of one with few":           {store.TokenFilter{UserID: "2"}, 25, inOrder},
		"tokens of one with none":          {store.TokenFilter{UserID: "3"}, 0, inOrder},
		"all tokens":                       {store.TokenFilter{All: true}, 25, byID},
		"all of one with few":              {store.TokenFilter{All: true, OwnerID: "2"}, 25, inOrder},
		"all of one with none":             {store.TokenFilter{All: true, OwnerID: "3"}, 0, inOrder},
		"all of an application":            {store.TokenFilter{All: true, ApplicationID: 1}, 25, byID},
		"all of an application with few":   {store.TokenFilter{All: true, ApplicationID: 2}, 25, byID},
		"all of an application with none":  {store.TokenFilter{All: true, ApplicationID: 3}, 0, byID},
		"own of an application":            {store.TokenFilter{UserID: "2", ApplicationID: 2}, 25, inOrder},
		"tokens of an organization":        {store.TokenFilter{UserID: "3", Organizations: []int64{9}}, 25, byID},
		"tokens of an organization, too":   {store.TokenFilter{UserID: "1", Organizations: []int64{9}}, 25, byID},
		"tokens of organizations with few": {store.TokenFilter{UserID: "3", Organizations: []int64{10, 11}}, 25, byID},
	} {
		for _, order := range l.orders {
			for _, down := range []bool{false, true} {
				for _, to := range []int{-1, 500} {
					pages[fmt.Sprintf("%s, order %d, descending %v, counted to %d", name, order, down, to)] = func() error {
						list, _, err := st.ListTokens(ctx, l.filter, store.Page{Limit: 25, Order: order, Descending: down, CountTo: to})
						if err == nil && len(list) != l.n {
							err = fmt.Errorf("%d tokens", len(list))
						}
						return err
					}
				}
			}
		}
	}
	pages["how many somebody has"] = func() error {
		_, n, err := st.ListTokens(ctx, store.TokenFilter{UserID: "1", OwnerID: "1"}, store.Page{CountTo: 500})
		return only(err, n > 500)
	}
	for _, order := range []store.OrderBy{store.OrderID, store.OrderOrganization} {
		pages[fmt.Sprint("applications of an organization with one, order ", order)] = func() error {
			list, _, err := st.ListApplications(ctx, store.ApplicationFilter{Organizations: []int64{9}}, store.Page{Limit: 25, Order: order})
			return only(err, len(list) == 1)
		}
	}
	for name, f := range map[string]store.TokenFilter{"few": {UserID: "2"}, "none": {UserID: "3"}} {
		pages["summary for one with "+name] = func() error {
			sums, err := st.SummarizeTokens(ctx, []int64{1, 2, 3}, f, 10)
			return only(err, len(sums) == 3)
		}
	}
	return pages
}

// pagesOf returns lists of 25 records that the other tests of plans do not have.
func pagesOf(ctx context.Context, st *sqlstore.Store) map[string]func() error {
	pages := map[string]func() error{}
	add := func(name string, list func(store.Page) (int, error), orders ...store.OrderBy) {
		for _, order := range orders {
			for _, down := range []bool{false, true} {
				pages[fmt.Sprintf("%s, order %d, descending %v", name, order, down)] = func() error {
					n, err := list(store.Page{Limit: 25, Order: order, Descending: down, CountTo: -1})
					if err == nil && n != 25 {
						err = fmt.Errorf("%d records", n)
					}
					return err
				}
			}
		}
	}
	add("users", func(p store.Page) (int, error) {
		list, _, err := st.ListUsers(ctx, store.UserFilter{}, p)
		return len(list), err
	}, store.OrderID, store.OrderName, store.OrderCreated)
	add("applications", func(p store.Page) (int, error) {
		list, _, err := st.ListApplications(ctx, store.ApplicationFilter{All: true}, p)
		return len(list), err
	}, store.OrderID, store.OrderOrganization, store.OrderName, store.OrderCreated, store.OrderModified)
	add("applications of an organization", func(p store.Page) (int, error) {
		list, _, err := st.ListApplications(ctx, store.ApplicationFilter{Organizations: []int64{7}}, p)
		return len(list), err
	}, store.OrderOrganization, store.OrderName)
	for name, f := range map[string]store.ActivityFilter{
		"activities": {All: true}, "activities of a user": {All: true, ConcernedID: "1"}, "own activities": {UserID: "1"},
		"activities of a token": {All: true, TokenID: 1}, "activities of an application": {All: true, ApplicationID: 1},
		"activities of an organization": {Organizations: []int64{7}}, "activities of organizations": {Organizations: []int64{7, 12}},
		"activities of few of some organizations": {Organizations: []int64{11, 12}},
		"own activities and of organizations":     {UserID: "3", Organizations: []int64{7, 12}},
		"few activities and of organizations":     {UserID: "3", Organizations: []int64{11, 12}},
		"activities of a user with few":           {All: true, ConcernedID: "3"}, "own activities of few": {UserID: "3"},
	} {
		add(name, func(p store.Page) (int, error) {
			list, _, err := st.ListActivities(ctx, f, p)
			return len(list), err
		}, store.OrderCreated)
	}
	return pages
}

// fillAround stores n of each kind of record that is no token.
func (p place) fillAround(t *testing.T, db *sql.DB, n int) {
	t.Helper()
	digest := map[sqlstore.Dialect]string{sqlstore.Postgres: "sha256(CAST(CAST(n.i AS TEXT) AS BYTEA))", sqlstore.MySQL: "UNHEX(SHA2(n.i, 256))"}[p.Dialect]
	later := time.Now().Add(hour).UnixMicro()
	p.analyze(t, db, "tokens")
	for _, statement := range []string{
		"UPDATE auth_applications SET organization_id = 9 WHERE id = 1",
		// Of those that are stored last, so that they are not the first in any order, and
		// behind the planner's back.
		fmt.Sprintf("UPDATE auth_tokens SET user_id = '2', application_id = 2 WHERE id > %d", n-30),
	} {
		if _, err := db.ExecContext(t.Context(), p.sql(statement)); err != nil {
			t.Fatal(err)
		}
	}
	for table, insert := range map[string]string{
		"sessions": "(digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision) SELECT " + digest +
			fmt.Sprintf(", CONCAT('s', n.i %% 1000), 0, n.i, n.i, %d, '', %d, 1", later, later),
		"users": `(id, id_number, name, email, first_name, last_name, is_admin, is_auditor, is_active, epoch, password_hash, created_at, revision)
			SELECT CONCAT('', n.i + 1000000), n.i + 1000000, CONCAT('n', n.i), '', '', '', FALSE, FALSE, TRUE, 1, '', n.i, 1`,
		"applications": `(client_id, name, description, organization_id, confidential, grant_type, redirect_uris, skip_consent, created_at, modified_at, revision)
			SELECT CONCAT('c', n.i), CONCAT('n', n.i), '', n.i % 2 * 7, TRUE, '', '', FALSE, n.i, n.i, 1`,
		"activities": `(happened_at, operation, object, associated, actor_id, actor, actor_token_id, subject, user_id, user_name, token_id, application_id, application, organization_id, changes)
			SELECT n.i, 'create', 'token', '', '1', '', 0, CASE WHEN n.i >= 900 AND n.i < 930 THEN 'user 3' WHEN n.i % 2 = 0 THEN 'user 1' ELSE 'user 2' END,
			CASE WHEN n.i >= 900 AND n.i < 930 THEN '3' WHEN n.i % 2 = 0 THEN '1' ELSE '2' END,
			'', 1 + n.i % 2, 1 + n.i % 2, '', CASE WHEN n.i >= 900 AND n.i < 930 THEN 12 ELSE 7 * (n.i % 2) END, ''`,
	} {
		insert = "INSERT INTO auth_" + table + " " + strings.Replace(insert, ") SELECT", ")\nSELECT", 1) + `
			FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i AS i FROM d a, d b, d c, d e) n WHERE n.i < ` + fmt.Sprint(n)
		head, rest, _ := strings.Cut(insert, "SELECT")
		insert = head + "WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9) SELECT" + rest
		if _, err := db.ExecContext(t.Context(), p.sql(insert)); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		p.analyze(t, db, table)
	}
	if _, err := db.ExecContext(t.Context(), p.sql("UPDATE auth_applications SET organization_id = 10 WHERE id = 2")); err != nil {
		t.Fatal(err)
	}
}

// analyze has the planner know a table as it is now, and not as autovacuum finds it at
// some other time. In PostgreSQL an entry of an index counts twice if its page is not known
// to be visible to all, and VACUUM leaves pages out while another test has a transaction
// from before them. So it is repeated. And PostgreSQL tells what a connection has read and
// written only when that has been idle for seconds, or is asked: db has one from now on.
func (p place) analyze(t *testing.T, db *sql.DB, table string) {
	t.Helper()
	if p.Dialect == sqlstore.MySQL {
		if _, err := db.ExecContext(t.Context(), p.sql("ANALYZE TABLE auth_", table)); err != nil {
			t.Fatal(err)
		}
		return
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(t.Context(), p.sql("ALTER TABLE auth_", table, " SET (autovacuum_enabled = false)")); err != nil {
		t.Fatal(err)
	}
	left := 1
	for deadline := time.Now().Add(servertest.Patience); left > 0; time.Sleep(20 * time.Millisecond) {
		// Otherwise a few dead rows are left, and their pages with them.
		if _, err := db.ExecContext(t.Context(), p.sql("VACUUM (ANALYZE, INDEX_CLEANUP ON) auth_", table)); err != nil {
			t.Fatal(err)
		}
		err := db.QueryRowContext(t.Context(), "SELECT relpages - relallvisible FROM pg_class WHERE oid = CAST($1 AS regclass)", p.sql("auth_", table)).Scan(&left)
		if err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %d pages do not become visible to all", table, left)
		}
	}
	if _, err := db.ExecContext(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
		t.Fatal(err)
	}
}

// reads returns how many rows of tables and entries of indexes the one connection of
// db has read.
func (p place) reads(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if p.Dialect == sqlstore.MySQL {
		for line := range strings.Lines(explain(t, db, "SHOW SESSION STATUS LIKE 'Handler_read%'", nil, "Value")) {
			var k int
			if _, err := fmt.Sscan(line, &k); err != nil {
				t.Fatal(err)
			}
			n += k
		}
		return n
	}
	if _, err := db.ExecContext(t.Context(), "SELECT pg_stat_force_next_flush()"); err != nil {
		t.Fatal(err)
	}
	err := db.QueryRowContext(t.Context(), `SELECT (SELECT COALESCE(SUM(seq_tup_read + COALESCE(idx_tup_fetch, 0)), 0) FROM pg_stat_user_tables WHERE relname LIKE $1)
		+ (SELECT COALESCE(SUM(idx_tup_read), 0) FROM pg_stat_user_indexes WHERE relname LIKE $1)`, strings.ReplaceAll(p.Prefix, "_", `\_`)+"%").Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
