package sqltest

import (
	"database/sql"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/store/sqlstore"
)

// filled is how many tokens the plans are made for.
const filled = 100_000

// On tables as they are in use every statement finds its rows through an index,
// with the planner as it is: what ends a family must not read all that there are.
// Lists may, where they are of much of a table.
func TestPlansOfFilledTables(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		_, plain := p.openDB(t)
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		putTogether(t, st)
		fillTables(t, plain, p)
		checked := 0
		for _, query := range slices.Sorted(maps.Keys(tap.seen)) {
			if everything(query) || isList(query) {
				continue
			}
			if plan := p.scanFilled(t, plain, query); plan != "" {
				t.Errorf("a scan:%s\n%s", query, plan)
			}
			checked++
		}
		if checked < 70 {
			t.Errorf("only %d statements were seen", checked)
		}
		t.Logf("%d statements on %d tokens, no scan", checked, filled)
	})
}

// isList reports whether a statement is a page of a list, or its total.
func isList(query string) bool {
	query = strings.TrimSpace(query)
	return strings.HasPrefix(query, "SELECT") && strings.Contains(query, " OFFSET ") || strings.HasPrefix(query, "SELECT COUNT(*)")
}

// fillTables puts in what a service has after a while: most tokens were minted by
// nobody, belong to many users and applications, and are one of a family of ten.
func fillTables(t *testing.T, db *sql.DB, p place) {
	t.Helper()
	digest := map[sqlstore.Dialect]string{
		sqlstore.SQLite: "randomblob(32)", sqlstore.Postgres: "sha256(CAST(n.i + ? AS TEXT)::bytea)", sqlstore.MySQL: "UNHEX(SHA2(n.i + ?, 256))",
	}[p.Dialect]
	text := map[sqlstore.Dialect]string{
		sqlstore.SQLite: "CAST(n.i % 1000 AS TEXT)", sqlstore.Postgres: "CAST(n.i % 1000 AS TEXT)", sqlstore.MySQL: "CAST(n.i % 1000 AS CHAR)",
	}[p.Dialect]
	// The numbers from 0 to 99,999, without deep recursion.
	const numbers = `
		WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9)
		SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i + 10000 * f.i AS i FROM d a, d b, d c, d e, d f`
	offset := 0
	fill := func(table, columns, values string, most int) {
		t.Helper()
		var args []any
		values = strings.ReplaceAll(values, "TEXT", text)
		for strings.Contains(values, "DIGEST") {
			values = strings.Replace(values, "DIGEST", digest, 1)
			if p.Dialect != sqlstore.SQLite {
				offset += filled
				args = append(args, offset)
			}
		}
		args = append(args, most)
		if _, err := db.ExecContext(t.Context(), p.sql("INSERT INTO auth_", table, " (", columns, ") SELECT ", values, " FROM (", numbers, ") n WHERE n.i < ?"), args...); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	fill("tokens", `digest, user_id, application_id, parent_id, family, scopes, audience, addresses, epoch, description,
		created_at, modified_at, expires_at, revoked_at, refresh_digest, refresh_scopes, refresh_expires_at, refresh_spent_at, grant_expires_at,
		refresh_grant, successor_id, minted, ends_at, revision, purge_at`,
		`DIGEST, TEXT, n.i % 500, 0, 1000000 + n.i / 10, 'read', '', '', 0, '', n.i, n.i, n.i + 1000000,
		CASE WHEN n.i % 10 < 9 THEN n.i END, DIGEST, 'read', n.i + 2000000, CASE WHEN n.i % 10 < 9 THEN n.i END, 3000000,
		CASE WHEN n.i % 10 > 7 THEN DIGEST END, 0, FALSE, n.i, 1, 3000000 + n.i`, filled)
	fill("codes", "digest, application_id, user_id, scopes, audience, epoch, redirect_uri, challenge, created_at, expires_at, family",
		"DIGEST, n.i % 500, TEXT, '', '', 0, '', '', n.i, n.i, n.i", 20_000)
	fill("devices", `digest, user_code, application_id, scopes, audience, created_at, expires_at, poll_interval, decision, user_id, epoch, family`,
		"DIGEST, DIGEST, n.i % 500, '', '', n.i, n.i, 5, 0, TEXT, 0, 0", 20_000)
	fill("sessions", "digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision",
		"DIGEST, TEXT, 0, n.i, n.i, n.i, '', n.i, 1", 50_000)
	fill("consents", "user_id, application_id, uri_digest, application_epoch, redirect_uri, scopes, audience, created_at",
		"TEXT, n.i % 500, DIGEST, 1, '', '', '', n.i", 20_000)
	unique := map[sqlstore.Dialect]string{sqlstore.SQLite: "CAST(n.i + 5000 AS TEXT)", sqlstore.Postgres: "CAST(n.i + 5000 AS TEXT)", sqlstore.MySQL: "CAST(n.i + 5000 AS CHAR)"}[p.Dialect]
	for table, columns := range map[string]string{
		"users":        "id, id_number, name, email, first_name, last_name, is_admin, is_auditor, is_active, epoch, password_hash, created_at, revision",
		"applications": "client_id, name, description, organization_id, confidential, grant_type, redirect_uris, skip_consent, created_at, modified_at, revision",
	} {
		values := map[string]string{
			"users":        "UNIQUE, n.i + 5000, UNIQUE, '', '', '', FALSE, FALSE, TRUE, 1, '', 0, 1",
			"applications": "UNIQUE, UNIQUE, '', n.i % 100, TRUE, '', '', FALSE, 0, 0, 1",
		}[table]
		values = strings.ReplaceAll(values, "UNIQUE", unique)
		if _, err := db.ExecContext(t.Context(), p.sql("INSERT INTO auth_", table, " (", columns, ") SELECT ", values, " FROM (", numbers, ") n WHERE n.i < 20000")); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	tables := []string{"tokens", "codes", "devices", "sessions", "consents", "users", "applications", "cutoffs", "counters", "locks"}
	for _, table := range tables {
		statement := map[sqlstore.Dialect]string{sqlstore.SQLite: "ANALYZE ", sqlstore.Postgres: "VACUUM ANALYZE ", sqlstore.MySQL: "ANALYZE TABLE "}[p.Dialect]
		if _, err := db.ExecContext(t.Context(), p.sql(statement, "auth_", table)); err != nil {
			t.Fatal(err)
		}
	}
}

// big are the tables of which no statement may read all.
var big = []string{"tokens", "codes", "devices", "sessions", "consents", "users", "applications"}

// scanFilled returns the plan of a statement if it reads the whole of a big table.
func (p place) scanFilled(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	if p.Dialect != sqlstore.Postgres {
		return p.scan(t, db, query)
	}
	plan := p.postgresPlan(t, db, query)
	for _, table := range big {
		if strings.Contains(plan, "Seq Scan on "+p.sql("auth_"+table)) {
			return plan
		}
	}
	return ""
}
