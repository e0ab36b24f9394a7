package sqltest

import (
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A farList is a list that goes beyond [store.MaxCount].
type farList struct {
	name   string
	read   func(st *sqlstore.Store, p store.Page) (ids []string, total int, err error)
	orders orders
}

// farLists are the lists of what fillFar stores.
func farLists(t *testing.T) (all []farList) {
	ctx, now := t.Context(), time.Now()
	add := func(name string, by orders, read func(st *sqlstore.Store, p store.Page) ([]string, int, error)) {
		all = append(all, farList{name, read, by})
	}
	tokens := func(name string, f store.TokenFilter, by orders) {
		add(name, by, func(st *sqlstore.Store, p store.Page) ([]string, int, error) {
			list, total, err := st.ListTokens(ctx, f, p)
			return idsOf(list, func(x store.Token) any { return x.ID }), total, err
		})
	}
	tokens("own tokens", store.TokenFilter{UserID: "1"}, ofOneUser)
	tokens("all tokens of a user", store.TokenFilter{All: true, OwnerID: "1"}, ofOneUser)
	tokens("all tokens", store.TokenFilter{All: true}, ofSeveral)
	tokens("tokens of an application", store.TokenFilter{All: true, ApplicationID: 1}, ofSeveral)
	tokens("tokens of an organization", store.TokenFilter{UserID: "3", Organizations: []int64{9}}, ofSeveral)
	tokens("own tokens and of organizations", store.TokenFilter{UserID: "1", Organizations: []int64{9, 10}}, ofSeveral)
	for name, f := range map[string]store.ActivityFilter{
		"activities": {All: true}, "activities of a user": {All: true, ConcernedID: "1"}, "own activities": {UserID: "1"},
		"activities of a token": {All: true, TokenID: 1}, "activities of an application": {All: true, ApplicationID: 1},
		"own activities and of organizations": {UserID: "1", Organizations: []int64{7, 8}},
	} {
		add(name, ofActivities, func(st *sqlstore.Store, p store.Page) ([]string, int, error) {
			list, total, err := st.ListActivities(ctx, f, p)
			return idsOf(list, func(x store.Activity) any { return x.ID }), total, err
		})
	}
	add("users", ofUsers, func(st *sqlstore.Store, p store.Page) ([]string, int, error) {
		list, total, err := st.ListUsers(ctx, store.UserFilter{}, p)
		return idsOf(list, func(x store.User) any { return x.ID }), total, err
	})
	applications := func(name string, f store.ApplicationFilter, by orders) {
		add(name, by, func(st *sqlstore.Store, p store.Page) ([]string, int, error) {
			list, total, err := st.ListApplications(ctx, f, p)
			return idsOf(list, func(x store.Application) any { return x.ID }), total, err
		})
	}
	applications("applications", store.ApplicationFilter{All: true}, ofAllApps)
	applications("applications of an organization", store.ApplicationFilter{Organizations: []int64{7}}, ofOneOwner)
	for name, f := range map[string]store.SessionFilter{"sessions": {All: true}, "sessions of a user": {UserID: "1"}} {
		add(name, ofSessions, func(st *sqlstore.Store, p store.Page) ([]string, int, error) {
			now = now.Add(time.Microsecond)
			list, total, err := st.ListSessions(ctx, f, now, p)
			return idsOf(list, func(x store.Session) any { return x.ID }), total, err
		})
	}
	return all
}

func idsOf[T any](list []T, id func(T) any) (ids []string) {
	for _, x := range list {
		ids = append(ids, fmt.Sprint(id(x)))
	}
	return ids
}

// eachFar calls do for each order of each list.
func eachFar(t *testing.T, do func(name string, l farList, p store.Page)) {
	for _, l := range farLists(t) {
		for _, order := range slices.Sorted(maps.Keys(l.orders)) {
			for _, down := range []bool{false, true} {
				do(fmt.Sprintf("%s, order %d, descending %v", l.name, order, down), l, store.Page{Order: order, Descending: down, CountTo: -1})
			}
		}
	}
}

// fillFar stores n of each kind of record. Hardly any time is that of one alone.
func (p place) fillFar(t *testing.T, st *sqlstore.Store, db *sql.DB, n int) {
	t.Helper()
	fill(t, st, db, p, n)
	digest := map[sqlstore.Dialect]string{sqlstore.SQLite: "CAST(printf('%032d', n.i) AS BLOB)", sqlstore.Postgres: "sha256(CAST(CAST(n.i AS TEXT) AS BYTEA))", sqlstore.MySQL: "UNHEX(SHA2(n.i, 256))"}[p.Dialect]
	concat := func(prefix, number string) string {
		if p.Dialect == sqlstore.SQLite {
			return "'" + prefix + "' || (" + number + ")"
		}
		return "CONCAT('" + prefix + "', " + number + ")"
	}
	later := fmt.Sprint(time.Now().Add(hour).UnixMicro())
	statements := []string{
		"UPDATE auth_applications SET organization_id = 9 WHERE id = 1",
		"UPDATE auth_tokens SET created_at = created_at + id % 4999, modified_at = modified_at + id % 4993, expires_at = expires_at + id % 4987, last_used_at = CASE WHEN id % 3 = 0 THEN NULL ELSE id % 100 END",
	}
	for table, insert := range map[string]string{
		"sessions": "(digest, user_id, epoch, created_at, seen_at, expires_at, reason, gone_at, revision) SELECT " + digest +
			", '1', 0, n.i % 4999, n.i, " + later + ", '', " + later + ", 1",
		"users": `(id, id_number, name, email, first_name, last_name, is_admin, is_auditor, is_active, epoch, password_hash, created_at, revision)
			SELECT ` + concat("", "n.i + 1000000") + `, n.i + 1000000, ` + concat("n", "n.i") + `, '', '', '', FALSE, FALSE, TRUE, 1, '', n.i, 1`,
		"applications": `(client_id, name, description, organization_id, confidential, grant_type, redirect_uris, skip_consent, created_at, modified_at, revision)
			SELECT ` + concat("c", "n.i") + `, ` + concat("n", "n.i") + `, '', 7, TRUE, '', '', FALSE, n.i, n.i, 1`,
		"activities": `(happened_at, operation, object, associated, actor_id, actor, actor_token_id, subject, user_id, user_name, token_id, application_id, application, organization_id, changes)
			SELECT n.i % 4999, 'create', 'token', '', '1', '', 0, 'user 1', '1', '', 1, 1, '', 7, ''`,
	} {
		head, rest, _ := strings.Cut("INSERT INTO auth_"+table+" "+insert, "SELECT")
		statements = append(statements, head+"WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9) SELECT"+rest+`
			FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i + 10000 * f.i AS i FROM d a, d b, d c, d e, d f) n WHERE n.i < `+fmt.Sprint(n))
	}
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), p.sql(statement)); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if p.Dialect != sqlstore.SQLite { // whose plans do not depend on what it knows of tables
		for _, table := range []string{"tokens", "sessions", "users", "applications", "activities"} {
			p.analyze(t, db, table)
		}
	}
}

// Who walks through a long list, in either direction, sees each record once.
func TestWalksThroughLongLists(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		st, db := p.openDB(t)
		p.fillFar(t, st, db, store.MaxCount+400)
		fromStart := openIn(t, db, p)
		var all []string
		eachFar(t, func(name string, l farList, page store.Page) {
			if l.orders[page.Order] != "" {
				page.Limit = 25
				if ids, n, err := l.read(st, page); !errors.Is(err, store.ErrOrder) || len(ids) > 0 {
					t.Errorf("%s: no index has it, and %d records of %d are read, %v", name, len(ids), n, err)
				}
				return
			}
			if page.Descending { // after the same list ascending
				slices.Reverse(all)
			} else {
				var err error
				page.Limit = 2 * store.MaxCount
				if all, _, err = l.read(fromStart, page); err != nil || len(all) < store.MaxCount+400 {
					t.Fatalf("%s: %d records, %v", name, len(all), err)
				}
			}
			page.Limit = 70
			const from = store.MaxCount - 200
			pages := (len(all)-from)/page.Limit + 1
			for i := range 2 * pages {
				if i >= pages {
					i = 2*pages - 1 - i
				}
				page.Offset = from + i*page.Limit
				got, total, err := l.read(st, page)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				want := all[page.Offset:min(page.Offset+page.Limit, len(all))]
				if !slices.Equal(want, got) {
					t.Fatalf("%s: page at %d (-want +got):\n%s", name, page.Offset, cmp.Diff(want, got))
				}
				if more := page.Offset+page.Limit < len(all); more != (total > page.Offset+page.Limit) {
					t.Fatalf("%s: page at %d, total %d of %d", name, page.Offset, total, len(all))
				}
			}
		})
	})
}

// A page that follows one that was read, or comes before it, costs what a page costs,
// however far from the beginning it is. Pages before MaxCount read what they skip.
func TestPagesFarAwayReadNoMoreOfMore(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		if fresh(t).Dialect == sqlstore.SQLite {
			return // see TestPagesFarAwayBeginInAnIndex
		}
		t.Parallel()
		const early = store.MaxCount + 100 // from where on most of the longer list follows
		read := map[string][2]int{}
		for i, n := range [2]int{store.MaxCount + 500, 2 * store.MaxCount} {
			p := fresh(t)
			calm, plain := p.openDB(t)
			p.fillFar(t, calm, plain, n)
			db := p.pool(t)
			db.SetMaxOpenConns(1) // whose reads are counted
			st := openIn(t, db, p)
			eachFar(t, func(name string, l farList, page store.Page) {
				page.Limit = 25
				if l.orders[page.Order] != "" {
					before := p.readsFar(t, db)
					if _, _, err := l.read(st, page); !errors.Is(err, store.ErrOrder) {
						t.Fatalf("%s: %v", name, err)
					}
					pair := read[name+", refused"]
					pair[i] = p.readsFar(t, db) - before
					read[name+", refused"] = pair
					return
				}
				for _, step := range []struct {
					to      string
					back    int
					counted bool
				}{
					{"first", 300, false}, {"next", 275, true}, {"before", 325, true}, {"near", 200, true},
					{"other", n - early, false}, {"next early", n - early - 25, true}, {"before early", n - early + 25, true},
				} {
					page.Offset = n - step.back
					before := p.readsFar(t, db)
					ids, _, err := l.read(st, page)
					if err != nil || len(ids) != 25 {
						t.Fatalf("%s: %d records, %v", name, len(ids), err)
					}
					if step.counted {
						pair := read[name+", "+step.to]
						pair[i] = p.readsFar(t, db) - before
						read[name+", "+step.to] = pair
					}
				}
			})
		}
		for _, name := range slices.Sorted(maps.Keys(read)) {
			t.Logf("%s: %v", name, read[name])
			most := 2_000
			if strings.HasSuffix(name, "refused") {
				most = 4*store.MaxCount + 100 // that is counted from each range, and MySQL writes it down
			}
			if r := read[name]; r[1] > r[0]+40 || r[0] > most {
				t.Errorf("%s: %d rows were read, and %d of twice as many", name, r[0], r[1])
			}
		}
	})
}

// readsFar is reads. PostgreSQL does not count as read what it passes over in an index,
// but there are the pages of it.
func (p place) readsFar(t *testing.T, db *sql.DB) int {
	n := p.reads(t, db)
	if p.Dialect == sqlstore.Postgres {
		var pages int
		err := db.QueryRowContext(t.Context(), "SELECT SUM(idx_blks_read + idx_blks_hit) FROM pg_statio_user_indexes WHERE relname LIKE $1",
			strings.ReplaceAll(p.Prefix, "_", `\_`)+"%").Scan(&pages)
		if err != nil {
			t.Fatal(err)
		}
		n += pages
	}
	return n
}

// SQLite, which tells nobody what it reads, begins in the middle of an index.
func TestPagesFarAwayBeginInAnIndex(t *testing.T) {
	t.Parallel()
	p := freshSQLite(t)
	calm, plain := p.openDB(t)
	n := store.MaxCount + 500
	p.fillFar(t, calm, plain, n)
	db, tap := p.tapped(t)
	st := openIn(t, db, p)
	// By all columns of the order, not by a time alone.
	within := regexp.MustCompile(`SEARCH \w USING .*(?:\(id|rowid|name|\w+,\w+\)|AND id|AND name)[<>]\(?\?`)
	looked := 0
	eachFar(t, func(name string, l farList, page store.Page) {
		if l.orders[page.Order] != "" {
			return
		}
		page.Limit = 25
		for _, back := range []int{300, 275, 325} {
			page.Offset = n - back
			queries := tap.during(func() {
				if ids, _, err := l.read(st, page); err != nil || len(ids) != 25 {
					t.Fatalf("%s: %d records, %v", name, len(ids), err)
				}
			})
			for _, q := range queries {
				if back == 300 || !strings.Contains(q.query, "OFFSET") {
					continue
				}
				looked++
				plan := explain(t, plain, "EXPLAIN QUERY PLAN "+q.query, q.args, "detail")
				if !within.MatchString(plan) {
					t.Errorf("%s: %s\n%s", name, q.query, plan)
				}
			}
		}
	})
	if looked < 2 {
		t.Errorf("%d pages were looked at", looked)
	}
}

// A long list is counted by its last record, at whatever time it is asked for. Once it is
// no more long it is read once again.
func TestLongListsAreCountedByTheirLastRecord(t *testing.T) {
	t.Parallel()
	p := freshSQLite(t)
	db, tap := p.tapped(t)
	st := openIn(t, db, p)
	now := time.Now()
	for i := range 5 {
		if _, _, err := st.InsertSession(t.Context(), sessionNamed(fmt.Sprint(i), "1", now), store.Digest{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	counts := func(want int) (first, whole int) {
		t.Helper()
		now = now.Add(time.Microsecond)
		for _, q := range tap.during(func() {
			_, total, err := st.ListSessions(t.Context(), store.SessionFilter{UserID: "1"}, now, store.Page{Limit: 1, CountTo: 3})
			if err != nil || total != want {
				t.Fatalf("%d sessions, want %d: %v", total, want, err)
			}
		}) {
			switch {
			case !strings.Contains(q.query, "COUNT(*)"):
			case strings.Contains(q.query, "OFFSET 3"):
				first++
			default:
				whole++
			}
		}
		return first, whole
	}
	if first, whole := counts(4); first != 0 || whole != 1 {
		t.Errorf("a list that is not known was counted by %d looks and %d counts", first, whole)
	}
	if first, whole := counts(4); first != 1 || whole != 0 {
		t.Errorf("a long list was counted by %d looks and %d counts", first, whole)
	}
	for i := range 3 {
		if _, err := st.EndSessions(t.Context(), store.SessionSelection{Digest: sessionOf(fmt.Sprint(i))}, store.EndedRenewed, now); err != nil {
			t.Fatal(err)
		}
	}
	if first, whole := counts(2); first != 1 || whole != 1 {
		t.Errorf("a list that became short was counted by %d looks and %d counts", first, whole)
	}
	if first, whole := counts(2); first != 0 || whole != 1 {
		t.Errorf("a short list was counted by %d looks and %d counts", first, whole)
	}
}
