package sqltest

import (
	"database/sql"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// What a page of a list reads does not depend on how many records there are, and
// neither does what a count reads beyond what it counts to. A user has 10,000 live
// tokens here, and as many that were revoked.
func TestPagesReadWhatTheyShow(t *testing.T) {
	const rows, most, countTo = 20_000, 800, 2_000
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		calm, plain := p.openDB(t)
		fill(t, calm, plain, p, rows)
		fillOthers(t, plain, p)
		db, tap := p.tapped(t)
		st := openShaky(t, db, p, 0)
		check := func(t *testing.T) {
			for _, l := range listings(rows / 2) {
				if growing[l.name] {
					continue
				}
				for _, to := range []int{-1, countTo} {
					l.page.CountTo = to
					queries := tap.during(func() {
						if list, _, err := st.ListTokens(t.Context(), l.filter, l.page); err != nil || len(list) != 50 {
							t.Fatalf("%s: %d tokens, %v", l.name, len(list), err)
						}
					})
					count := max(to, 0)
					if p.Dialect == sqlstore.MySQL {
						count *= 2 // it writes down what it counts, and reads it
					}
					if l.name == "both/first" {
						count *= 3 // from either range, and what is in both once
					}
					bound := most + count
					if strings.HasSuffix(l.name, "deep") {
						bound += rows / 2 // entries of an index alone
					}
					p.readsAtMost(t, plain, l.name, queries, bound)
				}
			}
			queries := tap.during(func() {
				sum, err := st.SummarizeTokens(t.Context(), []int64{1, 2, 3}, store.TokenFilter{All: true}, 10)
				if err != nil || sum[0].Total != rows/2 || len(sum[0].First) != 10 || sum[1].Total != 0 {
					t.Fatalf("summary: %+v, %v", sum, err)
				}
			})
			p.readsAtMost(t, plain, "summary", queries, most+3*rows)
		}
		check(t)
		for _, sel := range []store.Selection{{UserID: "nobody"}, {ApplicationID: 77}, {UserID: "1", ApplicationID: 78}} {
			if _, err := calm.RevokeTokens(t.Context(), sel, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		t.Run("after revocations", check)
	})
}

// growing are the lists that no index has in order: by the last use, which would
// make each use a change of every index, and in other orders than by ID for those
// who see more than one user.
var growing = map[string]bool{"user/used": true, "all/created": true, "organization/created": true}

// fillOthers revokes every other token of fill and adds live ones of others, so that
// the planner knows both sides.
func fillOthers(t *testing.T, db *sql.DB, p place) {
	t.Helper()
	now := time.Now().UnixMicro()
	for _, statement := range []string{
		fmt.Sprintf("UPDATE auth_tokens SET revoked_at = %d WHERE id %% 2 = 0", now),
		fmt.Sprintf(`INSERT INTO auth_users (id, id_number, name, email, first_name, last_name, is_admin, is_auditor, is_active, epoch, password_hash, created_at, revision)
			VALUES ('2', 2, 'other', '', '', '', FALSE, FALSE, TRUE, 1, '', %d, 1)`, now),
	} {
		if _, err := db.Exec(p.sql(statement)); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"tokens", "applications", "cutoffs", "users"} {
		statement := map[sqlstore.Dialect]string{sqlstore.SQLite: "", sqlstore.Postgres: "VACUUM ANALYZE ", sqlstore.MySQL: "ANALYZE TABLE "}[p.Dialect]
		if statement == "" {
			continue // as most do who use SQLite
		}
		if _, err := db.Exec(p.sql(statement, "auth_", table)); err != nil {
			t.Fatal(err)
		}
	}
}

// readsAtMost reports if queries read more rows, of tables and indexes. SQLite does
// not tell: there every list of tokens must be found by one of its indexes, in order.
func (p place) readsAtMost(t *testing.T, db *sql.DB, what string, queries []asked, most int) {
	t.Helper()
	if len(queries) == 0 || len(queries) > 8 {
		t.Errorf("%s: %d queries", what, len(queries))
	}
	read := 0
	var plans []string
	for _, q := range queries {
		switch p.Dialect {
		case sqlstore.SQLite:
			plan := explain(t, db, "EXPLAIN QUERY PLAN "+q.query, q.args, "detail")
			if !inOrder(plan) || looksUpEach(q, "CORRELATED", plan) {
				t.Errorf("%s: %s\n%s", what, q.query, plan)
			}
		case sqlstore.Postgres:
			plan := explain(t, db, "EXPLAIN (ANALYZE, TIMING OFF) "+q.query, q.args, "QUERY PLAN")
			read += rowsOf(plan)
			plans = append(plans, plan)
			if looksUpEach(q, "SubPlan", plan) {
				t.Errorf("%s: something is looked up for each row:\n%s", what, plan)
			}
		case sqlstore.MySQL:
			read += p.handlerReads(t, db, q)
			plans = append(plans, explain(t, db, "EXPLAIN FORMAT=TRADITIONAL "+q.query, q.args, "table", "type", "key", "rows", "Extra"))
		}
	}
	if read > most {
		t.Errorf("%s: %d rows were read, not %d\n%s", what, read, most, strings.Join(plans, "\n\n"))
	}
}

// looksUpEach reports whether a plan of a page or count, which reads cut-offs before,
// looks something up for each row. A summary does, for the few that it shows.
func looksUpEach(q asked, sign, plan string) bool {
	return strings.Contains(plan, sign) && !strings.Contains(q.query, "v.seq")
}

// inOrder reports whether a plan of SQLite sorts no more than a page, which it has
// from an index: what is in the parentheses of a list comes before the page.
func inOrder(plan string) bool {
	inner, _, _ := strings.Cut(plan, "\nSCAN v")
	return !strings.Contains(inner, "SCAN t") && (inner == plan || !strings.Contains(inner, "TEMP B-TREE") || strings.Contains(inner, "\nSCAN u"))
}

var (
	actualRows  = regexp.MustCompile(`(?:Seq|Index|Only|Heap) Scan.*\(actual rows=(\d+)(?:\.\d+)? loops=(\d+)\)`)
	removedRows = regexp.MustCompile(`Rows Removed by (?:Filter|Index Recheck): (\d+)`)
)

// rowsOf returns how many rows the scans of a plan of PostgreSQL found, and dropped.
func rowsOf(plan string) (n int) {
	for _, m := range actualRows.FindAllStringSubmatch(plan, -1) {
		rows, _ := strconv.Atoi(m[1])
		loops, _ := strconv.Atoi(m[2])
		n += rows * loops
	}
	for _, m := range removedRows.FindAllStringSubmatch(plan, -1) {
		rows, _ := strconv.Atoi(m[1])
		n += rows
	}
	return n
}

// handlerReads returns how many rows MySQL reads for a query.
func (p place) handlerReads(t *testing.T, db *sql.DB, q asked) (n int) {
	t.Helper()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reads := func() (n int) {
		for line := range strings.Lines(explain(t, conn, "SHOW SESSION STATUS LIKE 'Handler_read%'", nil, "Variable_name", "Value")) {
			_, value, _ := strings.Cut(strings.TrimSpace(line), " ")
			k, _ := strconv.Atoi(value)
			n += k
		}
		return n
	}
	before := reads()
	rows, err := conn.QueryContext(t.Context(), q.query, q.args...)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return reads() - before
}
