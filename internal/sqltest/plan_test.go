package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// Every statement finds its rows through an index. Only lists of everything, for
// administrators, the end of everything, and the look for another administrator
// where one goes may read whole tables.
func TestNoStatementScansATable(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		_, plain := p.openDB(t)
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0) // prepares all statements that are complete
		putTogether(t, st)
		checked := 0
		for _, query := range slices.Sorted(maps.Keys(tap.seen)) {
			if everything(query) {
				continue
			}
			if plan := p.scan(t, plain, query); plan != "" {
				t.Errorf("a scan:%s\n%s", query, plan)
			}
			checked++
		}
		if checked < 70 {
			t.Errorf("only %d statements were seen", checked)
		}
		t.Logf("%d statements, no scan", checked)
	})
}

// putTogether makes st put together every kind of statement that it does.
func putTogether(t *testing.T, st *sqlstore.Store) {
	t.Helper()
	ctx := t.Context()
	now := time.Now()
	one := store.Page{Limit: 1}
	description := "d"
	for i, op := range faultedOperations() {
		x := &faultCase{ctx: ctx, calm: st, shaky: st, name: fmt.Sprintf("op%d", i), now: now}
		if err := op.prepare(x); err != nil {
			t.Fatal(err)
		}
		if err := op.run(x); err != nil {
			t.Fatal(err)
		}
	}
	var errs []error
	did := func(_ any, err error) { errs = append(errs, err) }
	for _, sel := range []store.Selection{
		{TokenID: 1}, {UserID: "1"}, {ApplicationID: 1}, {Family: 1}, {UserID: "1", ApplicationID: 1},
		{TokenID: 1, UserID: "1", ApplicationID: 1, Family: 1}, {MintedBy: 1}, {MintedBy: 1, UserID: "1"}, {All: true},
	} {
		did(st.RevokeTokens(ctx, sel, now))
	}
	for _, sel := range []store.SessionSelection{
		{ID: 1}, {Digest: sessionOf("x")}, {UserID: "1", Except: sessionOf("x")}, {ID: 1, UserID: "1"},
		{All: true}, {All: true, Except: sessionOf("x")},
	} {
		did(st.EndSessions(ctx, sel, store.EndedAdmin, now))
	}
	for order := store.OrderID; order <= store.OrderOrganization; order++ {
		p := store.Page{Limit: 1, Order: order, Descending: order%2 == 0}
		for _, f := range []store.TokenFilter{
			{UserID: "1"}, {Organizations: []int64{1, 2}}, {UserID: "1", Organizations: []int64{1}},
			{UserID: "1", Kind: store.PersonalToken}, {UserID: "1", Kind: store.ApplicationToken}, {All: true, ID: 1},
			{All: true, OwnerID: "1"}, {All: true, ApplicationID: 1},
			{UserID: "1", Scopes: "s", Description: &description, Search: "x"},
		} {
			_, _, err := st.ListTokens(ctx, f, p)
			did(nil, err)
			did(st.SummarizeTokens(ctx, []int64{1, 2}, f, 10))
		}
		for _, f := range []store.ApplicationFilter{
			{Organizations: []int64{1, 2}}, {Organizations: []int64{1}, Name: "n", Search: "x"}, {All: true, ID: 1}, {All: true, IDs: []int64{1, 2}},
		} {
			_, _, err := st.ListApplications(ctx, f, p)
			did(nil, err)
		}
	}
	for _, f := range []store.ActivityFilter{
		{UserID: "1"}, {Organizations: []int64{1, 2}}, {UserID: "1", Organizations: []int64{1}}, {UserID: "1", ApplicationID: 1},
		{All: true, ID: 1}, {All: true, ConcernedID: "1"}, {All: true, TokenID: 1}, {All: true, ApplicationID: 1},
	} {
		for _, descending := range []bool{false, true} {
			_, _, err := st.ListActivities(ctx, f, store.Page{Limit: 1, Descending: descending})
			did(nil, err)
		}
	}
	did(st.InsertActivity(ctx, store.Activity{UserID: "1", At: now}, 1))
	did(st.InsertActivity(ctx, store.Activity{UserID: "1", At: now}, 1))
	did(st.PurgeActivities(ctx, now.Add(time.Hour), 10))
	_, _, err := st.ListUsers(ctx, store.UserFilter{Name: "n"}, one)
	did(nil, err)
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
}

// everything reports whether a statement is about all records on purpose, or
// about the catalog.
func everything(query string) bool {
	return strings.Contains(query, "_schema.") || strings.Contains(query, "_master") || strings.Contains(query, "pg_catalog") ||
		strings.Contains(query, "1 = 1") || strings.Contains(query, "WHERE is_admin AND is_active") || !strings.Contains(query, "WHERE")
}

// scan returns the plan of a statement if it reads a whole table.
func (p place) scan(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	switch p.Dialect {
	case sqlstore.SQLite:
		plan := explain(t, db, "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?")), "detail")
		if strings.Contains(noTable.ReplaceAllString(plan, ""), "SCAN") {
			return plan
		}
	case sqlstore.Postgres:
		return p.postgresScan(t, db, query)
	case sqlstore.MySQL:
		var args []any
		parts := strings.Split(query, "?")
		for _, before := range parts[:len(parts)-1] {
			if strings.HasSuffix(before, "LIMIT ") || strings.HasSuffix(before, "OFFSET ") {
				args = append(args, 1)
			} else {
				args = append(args, "1") // a number would not be looked for in an index of text
			}
		}
		// With few rows no index is worth it: what counts is that there is one.
		for row := range strings.SplitSeq(explain(t, db, "EXPLAIN FORMAT=TRADITIONAL "+query, args, "type", "possible_keys", "key", "table", "Extra", "select_type"), "\n") {
			derived := strings.Contains(row, " <")       // what other searches found
			written := strings.HasSuffix(row, " INSERT") // where the rows go to
			if !derived && !written && (strings.HasPrefix(row, "ALL NULL") || strings.HasPrefix(row, "index NULL NULL")) {
				return row
			}
		}
	}
	return ""
}

// noTable is a scan in SQLite of what other searches found, which has the names v, n,
// u and r with a number, of a row of constants, or of the few rows of SQLite's own about
// numbers, and what is made from them.
var noTable = regexp.MustCompile(`SCAN (?:[vnui]\b|r\d+\b|\(subquery|CONSTANT ROW|(?:main\.)?sqlite_sequence\b)`)

func (p place) postgresScan(t *testing.T, db *sql.DB, query string) string {
	t.Helper()
	// A scan that is left over is one that no index could replace.
	if plan := p.postgresPlan(t, db, query, "SET enable_seqscan = off"); strings.Contains(plan, "Seq Scan") {
		return plan
	}
	return ""
}

// postgresPlan returns the plan of a statement after settings, which it resets.
func (p place) postgresPlan(t *testing.T, db *sql.DB, query string, settings ...string) string {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer conn.ExecContext(context.Background(), "RESET ALL")
	for _, statement := range append(settings, "SET plan_cache_mode = force_generic_plan", "PREPARE explained AS "+query) {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	defer conn.ExecContext(context.Background(), "DEALLOCATE explained")
	params := 0
	for strings.Contains(query, fmt.Sprintf("$%d", params+1)) {
		params++
	}
	execute := "EXPLAIN EXECUTE explained"
	if params > 0 {
		execute += "(NULL" + strings.Repeat(", NULL", params-1) + ")"
	}
	return explain(t, conn, execute, nil, "QUERY PLAN")
}

// explain returns the named columns of a plan, a line for each row.
func explain(t *testing.T, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, query string, args []any, names ...string) string {
	t.Helper()
	rows, err := q.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		dest := make([]any, len(columns))
		for i := range values {
			dest[i] = &values[i]
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		var line []string
		for _, name := range names {
			value := values[slices.Index(columns, name)]
			if !value.Valid {
				value.String = "NULL"
			}
			line = append(line, value.String)
		}
		lines = append(lines, strings.Join(line, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
