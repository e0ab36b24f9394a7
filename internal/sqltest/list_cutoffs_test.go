package sqltest

import (
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// Beside more cut-offs than are read, which no record is marked by yet, lists and counts
// have the tokens that a look-up of each finds alive: of users and applications that a
// cut-off names, from before and after it, and of those that none names.
func TestListsBesideManyCutoffs(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		st, db := p.openDB(t)
		for id := int64(2); id < 4; id++ { // beside application 1
			name := fmt.Sprint("app", id)
			if app, err := st.InsertApplication(t.Context(), store.Application{ClientID: name, Name: name, OrganizationID: id}); err != nil || app.ID != id {
				t.Fatal(app.ID, err)
			}
		}
		var all []store.Token
		insert := func() {
			t.Helper()
			for _, user := range []string{"1", "2", "3"} {
				for app := range int64(4) {
					tok := tokenNamed(fmt.Sprint(len(all)), time.Now())
					tok.UserID, tok.ApplicationID = user, app
					tok, err := st.InsertToken(t.Context(), tok, limits)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, tok)
				}
				// One that came through application 2.
				parent := all[len(all)-2]
				tok := tokenNamed(fmt.Sprint(len(all)), parent.Created)
				tok.UserID, tok.ApplicationID, tok.ParentID = user, 0, parent.Family
				tok, err := st.InsertToken(t.Context(), tok, limits)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, tok)
			}
		}
		seq := 0
		cut := func(user string, app int64) {
			t.Helper()
			seq++
			p.cut(t, db, seq, user, app)
		}
		check := func(what string, wantSome bool) {
			t.Helper()
			for name, f := range map[string]store.TokenFilter{
				"all": {All: true}, "of an organization": {UserID: "9", Organizations: []int64{2, 3}}, "of one": {UserID: "1"},
				"of one and of an organization": {UserID: "1", Organizations: []int64{2, 3}}, "of an application": {All: true, ApplicationID: 1},
			} {
				want := 0
				list, total, err := st.ListTokens(t.Context(), f, store.Page{Limit: 10, CountTo: 1000})
				if err != nil {
					t.Fatal(err)
				}
				rest, _, err := st.ListTokens(t.Context(), f, store.Page{Limit: 1000, Offset: 10, CountTo: -1})
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, rest...)
				for _, tok := range all {
					a, err := st.AccessByDigest(t.Context(), tok.Digest)
					if err != nil {
						t.Fatal(err)
					}
					seen := f.ApplicationID == tok.ApplicationID
					if f.ApplicationID == 0 {
						seen = f.All || f.UserID == tok.UserID || slices.Contains(f.Organizations, tok.ApplicationID)
					}
					alive := seen && a.Revoked.IsZero()
					if alive {
						want++
					}
					if listed := slices.ContainsFunc(list, func(l store.Token) bool { return l.ID == tok.ID }); listed != alive {
						t.Errorf("%s: tokens %s: user %s, application %d, number %d: listed %t, alive %t", what, name, tok.UserID, tok.ApplicationID, tok.ID, listed, alive)
					}
				}
				if total != want || wantSome && (want == 0 || want == len(all)) {
					t.Errorf("%s: %d tokens %s, want %d", what, total, name, want)
				}
				// A list that was longer than that is counted in another way, also once it is not.
				for _, to := range []int{2, 6, 11, 25} {
					for range 2 {
						_, total, err := st.ListTokens(t.Context(), f, store.Page{Limit: 1, CountTo: to})
						if total != min(want, to+1) || err != nil {
							t.Errorf("%s: %d tokens %s, counted to %d of %d: %v", what, total, name, to, want, err)
						}
					}
				}
			}
		}
		insert()
		check("before any", false)
		cut("1", 0)
		check("beside one of a user", false)
		cut("", 2)
		check("and of an application", false)
		cut("2", 1)
		check("and of both", false)
		insert()
		check("beside few, and after", true)
		for n := range 100 {
			cut(fmt.Sprint("nobody", n), 0)
			cut("", int64(1000+n))
		}
		check("beside some", true)
		insert()
		check("beside some, and after", true)
		cut("", 0)
		check("after all ended", false)
		insert()
		check("after all ended, and after", true)
		cut("3", 3)
		p.cutNobody(t, db, seq, 3_000)
		insert()
		check("beside thousands", true)
	})
}

// cutNobody stores n cut-offs of users without tokens, the first of which has the number
// after seq.
func (p place) cutNobody(t *testing.T, db *sql.DB, seq, n int) {
	t.Helper()
	for _, query := range []string{
		fmt.Sprintf("UPDATE auth_counters SET last_id = %d WHERE name = 'cutoffs'", seq+n),
		fmt.Sprintf(`INSERT INTO auth_cutoffs (user_id, application_id, family, seq, cut_at, root_id, stage, after_id, waits_until)
			WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9)
			SELECT CONCAT('not ', n.i), 0, 0, %d + n.i, 1, 0, 0, 0, 9000000000000000000
			FROM (SELECT a.i + 10 * b.i + 100 * c.i + 1000 * e.i + 10000 * f.i AS i FROM d a, d b, d c, d e, d f) n WHERE n.i < %d`, seq+1, n),
	} {
		if _, err := db.Exec(p.sql(query)); err != nil {
			t.Fatal(err)
		}
	}
}

// A page of few tokens does not read all cut-offs, however many there are: everybody may
// have ended their tokens within the hour for which a cut-off stays. SQLite, which gets
// the same statements, does not tell.
func TestPagesReadFewCutoffs(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		if p.Dialect == sqlstore.SQLite {
			return
		}
		t.Parallel()
		p.open(t)
		db := p.pool(t)
		db.SetMaxOpenConns(1) // whose reads are counted
		st := openIn(t, db, p)
		for n := range 30 {
			if _, err := st.InsertToken(t.Context(), tokenNamed(fmt.Sprint(n), time.Now()), limits); err != nil {
				t.Fatal(err)
			}
		}
		p.cutNobody(t, db, 0, 20_000)
		if p.Dialect == sqlstore.Postgres {
			if _, err := db.Exec(p.sql("VACUUM ANALYZE auth_cutoffs")); err != nil {
				t.Fatal(err)
			}
		}
		before := p.reads(t, db)
		list, total, err := st.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 25, CountTo: 1000})
		if len(list) != 25 || total != 30 || err != nil {
			t.Errorf("%d of %d tokens, %v", len(list), total, err)
		}
		if n := p.reads(t, db) - before; n > 10_000 {
			t.Errorf("a page beside 20,000 cut-offs reads %d rows", n)
		} else {
			t.Log(n, "rows")
		}
	})
}

// cut stores a cut-off with a number, whose records are not marked.
func (p place) cut(t *testing.T, db *sql.DB, seq int, user string, app int64) {
	t.Helper()
	for _, step := range []struct {
		query string
		args  []any
	}{
		{"UPDATE auth_counters SET last_id = ? WHERE name = 'cutoffs'", []any{seq}},
		{`INSERT INTO auth_cutoffs (user_id, application_id, family, seq, cut_at, root_id, stage, after_id, waits_until)
			VALUES (?, ?, 0, ?, 1, 0, 0, 0, 9000000000000000000)`, []any{user, app, seq}},
	} {
		if _, err := db.Exec(p.sql(step.query), step.args...); err != nil {
			t.Fatal(err)
		}
	}
}
