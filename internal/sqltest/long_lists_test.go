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
)

// Of a long list SQLite looks at no token to count it, but skips the entries of an index:
// beside as many cut-offs as are read, and whatever it knows of the tables. To skip one
// takes two instructions, and one more where the list is of several ranges. Where cut-offs
// name whoever has many tokens, it counts them one by one, and reads few of them before.
func TestLongListsAreSkipped(t *testing.T) {
	t.Parallel()
	const to = 2_000
	p := freshSQLite(t)
	calm, plain := p.openDB(t)
	fill(t, calm, plain, p, to+500)
	if _, err := plain.Exec(`UPDATE auth_tokens SET user_id = '2', application_id = 2 WHERE id > ` + strconv.Itoa(to+200)); err != nil {
		t.Fatal(err)
	}
	db, tap := p.tapped(t)
	st := openIn(t, db, p)
	count := func(name string, f store.TokenFilter, steps int) {
		t.Helper()
		page := store.Page{Limit: 1, CountTo: to}
		var asked []asked
		for range 2 {
			asked = tap.during(func() {
				if _, total, err := st.ListTokens(t.Context(), f, page); total != to+1 || err != nil {
					t.Errorf("%s: %d tokens, %v", name, total, err)
				}
			})
		}
		last := asked[len(asked)-1]
		plan := explain(t, plain, "EXPLAIN QUERY PLAN "+last.query, last.args, "detail")
		if !strings.Contains(last.query, "OFFSET "+strconv.Itoa(to)) || strings.Contains(plan, "SCAN t") || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s\n%s", name, last.query, plan)
		}
		if n := stepsToSkip(t, plain, last); n != steps {
			t.Errorf("%s: %d instructions for each token, want %d: %s", name, n, steps, last.query)
		}
	}
	check := func(beside string) {
		t.Helper()
		count("all "+beside, store.TokenFilter{All: true}, 2)
		count("own "+beside, store.TokenFilter{UserID: "1"}, 2)
		count("of a user "+beside, store.TokenFilter{All: true, OwnerID: "1"}, 2)
		count("of an application "+beside, store.TokenFilter{All: true, ApplicationID: 1}, 2)
	}
	organization := store.TokenFilter{UserID: "9", Organizations: []int64{0}}
	cut := func(sel store.Selection) {
		t.Helper()
		if _, err := calm.RevokeTokens(t.Context(), sel, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	check("")
	cut(store.Selection{UserID: "nobody"})
	check("beside a cut-off")
	count("of an organization beside a cut-off", organization, 3)
	for i := range 21 {
		cut(store.Selection{UserID: fmt.Sprint("nobody", i)})
		cut(store.Selection{ApplicationID: int64(100 + i)})
		cut(store.Selection{UserID: fmt.Sprint("nobody", i), ApplicationID: int64(100 + i)})
	}
	check("beside 64 cut-offs")
	count("of an organization beside 64 cut-offs", organization, 3)
	if _, err := plain.Exec("ANALYZE"); err != nil {
		t.Fatal(err)
	}
	st = openIn(t, db, p) // whose statements are planned anew
	check("after ANALYZE")
	count("of an organization after ANALYZE", organization, 3)
}

// skipping finds the instruction that skips a row, and that which goes on to the next.
var skipping = regexp.MustCompile(`(?m)^(\d+) IfPos \d+ (\d+) `)

// stepsToSkip returns how many instructions SQLite has for each row that a query skips
// before its first.
func stepsToSkip(t *testing.T, db *sql.DB, q asked) int {
	t.Helper()
	program := explain(t, db, "EXPLAIN "+q.query, q.args, "addr", "opcode", "p1", "p2", "p3")
	m := skipping.FindStringSubmatch(program)
	if m == nil {
		t.Fatalf("nothing is skipped: %s\n%s", q.query, program)
	}
	skip, _ := strconv.Atoi(m[1])
	var cursor, begin int
	for line := range strings.Lines(program) {
		if strings.HasPrefix(line, m[2]+" ") {
			if n, err := fmt.Sscanf(line, m[2]+" Next %d %d", &cursor, &begin); n != 2 {
				t.Fatalf("%s, %v", line, err)
			}
		}
	}
	return skip - begin + 2
}

// A user with a cut-off may have most tokens of all, and of an application.
func TestLongListsBesideACutOffOfMost(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		st, db := p.openDB(t)
		fill(t, st, db, p, 1_000)
		exec := func(query string) {
			t.Helper()
			if _, err := db.Exec(p.sql(query)); err != nil {
				t.Fatal(err)
			}
		}
		exec("UPDATE auth_tokens SET user_id = '2', application_id = 2, seq = 1 WHERE id > 400")
		exec("UPDATE auth_tokens SET user_id = '3' WHERE id > 980")
		for _, tt := range []struct {
			user string
			dead int // of the 1,000, after the cut-off
		}{{"2", 580}, {"3", 20}} {
			for _, app := range []int64{0, 2} {
				cutAt := func(seq int) {
					exec("DELETE FROM auth_cutoffs")
					exec(fmt.Sprintf("UPDATE auth_counters SET last_id = %d WHERE name = 'cutoffs'", seq))
					exec(fmt.Sprintf(`INSERT INTO auth_cutoffs (user_id, application_id, family, seq, cut_at, root_id, stage, after_id, waits_until)
						VALUES ('%s', %d, 0, %d, 1, 0, 0, 0, 9000000000000000000)`, tt.user, app, seq))
				}
				for name, f := range map[string]store.TokenFilter{"all": {All: true}, "of an organization": {UserID: "1", Organizations: []int64{0}}} {
					for _, to := range []int{300, 500, 970, 980, 990} {
						for _, seq := range []int{1, 2, 2, 1, 1} { // those tokens came after the first, and before the second
							cutAt(seq)
							want := 1_000 - (seq-1)*tt.dead
							if f.UserID != "" {
								want = 400 // those of application 1
							}
							if want > to {
								want = to + 1
							}
							if _, n, err := st.ListTokens(t.Context(), f, store.Page{Limit: 1, CountTo: to}); n != want || err != nil {
								t.Errorf("%s, cut-off %d of user %s and application %d: %d tokens, want %d, counted to %d: %v", name, seq, tt.user, app, n, want, to, err)
							}
						}
					}
				}
			}
		}
	})
}
