package sqltest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// F9: a new token is one statement and one version of its row, also one that is minted
// by a token of a person or of a grant, and neither waits for who writes to what
// minted it.
func TestNewTokenIsOneStatement(t *testing.T) {
	p := freshOn(sharedPostgres)(t)
	_, plain := p.openDB(t)
	db, tap := p.tapped(t)
	db.SetMaxOpenConns(1)
	st := openShaky(t, db, p, 0)
	ctx, now := t.Context(), time.Now()
	parent, err := st.InsertToken(ctx, tokenNamed("parent", now), limits)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		for what, want := range map[string]int{"new": 2, "minted": 2} { // a statement and its row
			tok := tokenNamed(fmt.Sprintf("%s%d", what, n), now)
			if what == "minted" {
				tok.ParentID = parent.Family
			}
			if _, err := st.InsertToken(ctx, tok, limits); err != nil { // which prepares
				t.Fatal(err)
			}
			tap.arm(0, fails, nil)
			tok.Digest, tok.Refresh.Digest = accessOf(what+"again"+fmt.Sprint(n)), refreshOf(what+"again"+fmt.Sprint(n))
			if _, err := st.InsertToken(ctx, tok, limits); err != nil {
				t.Fatal(err)
			}
			if got := tap.counted(); got != want {
				t.Errorf("a %s token takes %d calls, want %d", what, got, want)
			}
		}
	}
	var rows, versions int
	err = plain.QueryRow(p.sql("SELECT COUNT(*), MAX((ctid::text::point)[1]) FROM auth_tokens WHERE (ctid::text::point)[0] = 0")).Scan(&rows, &versions)
	if err != nil || rows != versions || rows < 13 {
		t.Errorf("%d rows in %d places: %v", rows, versions, err)
	}

	tx, err := plain.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec(p.sql("UPDATE auth_tokens SET last_used_at = 1 WHERE id = $1"), parent.ID); err != nil {
		t.Fatal(err)
	}
	tok := tokenNamed("meanwhile", now)
	tok.ParentID = parent.Family
	// Nobody ends the other transaction: a call that waits for it has no success.
	if _, err = st.InsertToken(ctx, tok, limits); err != nil {
		t.Errorf("a token that is minted while its parent is written to: %v", err)
	}
}

// What mints a token is found by itself, and not among all personal tokens, also where
// the planner believes that there is none of these: a service that had logins of
// applications alone, until somebody issued the first.
func TestParentIsFoundByItself(t *testing.T) {
	p := freshOn(sharedPostgres)(t)
	_, plain := p.openDB(t)
	db, tap := p.tapped(t)
	st := openShaky(t, db, p, 0)
	fill(t, st, plain, p, 1000) // all through an application
	checked := 0
	for query := range tap.seen {
		if !strings.Contains(query, "INSERT INTO "+p.sql("auth_tokens")) || !strings.Contains(query, "t.family = $") {
			continue
		}
		checked++
		plan := p.postgresPlan(t, plain, query)
		if !strings.Contains(plan, p.sql("using auth_tokens_live on auth_tokens t ")) {
			t.Errorf("a parent that is not looked up by its family:%s\n%s", query, plan)
		}
	}
	if checked != 24 {
		t.Errorf("%d statements look for a parent, want 24", checked)
	}
}

// The live descendants of a root are counted in their index alone, also where the planner
// believes that they are half of all tokens: it would look for the first thousand in all of them.
// Here they are the last ones.
func TestDescendantsAreCountedInTheirIndex(t *testing.T) {
	p := freshOn(sharedPostgres)(t)
	_, plain := p.openDB(t)
	db, tap := p.tapped(t)
	openShaky(t, db, p, 0)
	p.analyze(t, plain, "tokens") // which from now on happens here alone
	for _, statement := range []string{`
		INSERT INTO auth_tokens (digest, user_id, parent_id, root_id, ancestors, family, created_at, modified_at, expires_at, ends_at, purge_at,
			application_id, scopes, audience, addresses, epoch, description, refresh_scopes, successor_id, minted, revision, seq)
		SELECT sha256(CAST(CAST(g AS TEXT) AS BYTEA)), '1', r, r, CAST(r AS TEXT), -g, 1, 1, at, at, at, 0, 'read', '', '', 0, '', '', 0, FALSE, 1, 0
		FROM (SELECT g, CASE WHEN g BETWEEN 9000 AND 18000 THEN 0 ELSE 5 END AS r, CASE WHEN g < 9000 THEN 1 ELSE 1000 END AS at FROM generate_series(1, 20000) g) n`,
		"ANALYZE auth_tokens",
	} {
		if _, err := plain.Exec(p.sql(statement)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := plain.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	checked := 0
	for query := range tap.seen {
		if !strings.Contains(query, p.sql("FROM auth_tokens d")) || strings.Contains(query, "INSERT") {
			continue
		}
		for n, mode := range []string{"generic", "custom"} {
			checked++
			for _, statement := range []string{"SET plan_cache_mode = force_" + mode + "_plan", fmt.Sprintf("PREPARE crowd%d AS %s", n, query)} {
				if _, err := conn.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			plan := explain(t, conn, fmt.Sprintf("EXPLAIN EXECUTE crowd%d (5, 10, 999)", n), nil, "QUERY PLAN")
			if !strings.Contains(plan, p.sql("Index Only Scan using auth_tokens_root on auth_tokens d ")) {
				t.Errorf("descendants that are not counted in their index alone, %s plan:%s\n%s", mode, query, plan)
			}
		}
	}
	if checked != 2 {
		t.Errorf("%d plans count descendants, want 2", checked)
	}
}

// A statement leaves out what its token has not. Whatever a token has of a refresh token,
// if only one field, is stored, wherever the token stands.
func TestInsertLeavesNothingOut(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		st := fresh(t).open(t)
		ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
		personal := func(name string, refresh store.Refresh) store.Token {
			tok := tokenNamed(name, now)
			tok.ApplicationID, tok.Refresh = 0, refresh
			return tok
		}
		root, err := st.InsertToken(ctx, personal("root", store.Refresh{}), limits)
		if err != nil {
			t.Fatal(err)
		}
		below := personal("below", store.Refresh{})
		below.ParentID = root.Family
		if below, err = st.InsertToken(ctx, below, limits); err != nil {
			t.Fatal(err)
		}
		grant := store.DigestOf("grant")
		for n, refresh := range []store.Refresh{
			{}, {Scopes: "read"}, {Expires: now}, {GrantExpires: now}, {Spent: now}, {Nonce: grant}, {Grant: grant},
			{Digest: refreshOf("refresh"), Scopes: "read", Expires: now.Add(hour)},
		} {
			for where, parent := range map[string]int64{"alone": 0, "below a root": root.Family, "deeper": below.Family} {
				tok := personal(fmt.Sprint(where, n), refresh)
				if refresh.Digest != (store.Digest{}) {
					tok.Refresh.Digest = refreshOf(where)
				}
				tok.ParentID = parent
				want, err := st.InsertToken(ctx, tok, limits)
				if err != nil {
					t.Fatalf("%s, %+v: %v", where, refresh, err)
				}
				got, err := st.TokenByID(ctx, want.ID)
				if err != nil || got.Refresh != want.Refresh || got.ParentID != parent || got.Family != got.ID || got.Depth != want.Depth {
					t.Errorf("%s: %+v, %v, want %+v", where, got, err, want)
				}
				if created := want.Refresh.GrantCreated; created.IsZero() != (refresh.Digest == store.Digest{}) {
					t.Errorf("%s: the grant was created at %v", where, created)
				}
				if want.Refresh.GrantCreated = (time.Time{}); want.Refresh != tok.Refresh {
					t.Errorf("%s: %+v, want %+v", where, want.Refresh, tok.Refresh)
				}
			}
		}
	})
}

// The insert of SQLite gives the IDs that AUTOINCREMENT would give: none a second time,
// and all above those that are there, also where its own table has lost the row, and
// where the host has a temporary table that counts, too.
func TestTokenIDsOfSQLite(t *testing.T) {
	p := freshSQLite(t)
	st, db := p.openDB(t)
	insert := func(name string) store.Token {
		t.Helper()
		tok, err := st.InsertToken(t.Context(), tokenNamed(name, time.Now()), limits)
		if err != nil || tok.Family != tok.ID {
			t.Fatalf("%+v, %v", tok, err)
		}
		return tok
	}
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := db.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	first, second := insert("first"), insert("second")
	run("DELETE FROM auth_tokens WHERE id = ?", second.ID)
	third := insert("third")
	run("DELETE FROM sqlite_sequence WHERE name = 'auth_tokens'")
	fourth := insert("fourth")
	if got, want := []int64{second.ID, third.ID, fourth.ID}, []int64{first.ID + 1, first.ID + 2, first.ID + 3}; !slices.Equal(got, want) {
		t.Errorf("IDs %d after %d, want %d", got, first.ID, want)
	}
	run("DELETE FROM auth_tokens")
	fifth := insert("fifth")
	if fifth.ID != fourth.ID+1 {
		t.Errorf("ID %d after %d", fifth.ID, fourth.ID)
	}
	db.SetMaxOpenConns(1)
	run("CREATE TEMPORARY TABLE host (id INTEGER PRIMARY KEY AUTOINCREMENT)")
	run("DELETE FROM auth_tokens")
	if sixth := insert("sixth"); sixth.ID != fifth.ID+1 {
		t.Errorf("ID %d after %d, on a connection with a temporary table", sixth.ID, fifth.ID)
	}
}

// The sequence of PostgreSQL may have any name, also that of one in a schema that is looked
// through first.
func TestSequenceOfAnyName(t *testing.T) {
	p := freshOn(sharedPostgres)(t)
	_, db := p.openDB(t)
	run := func(query string) {
		t.Helper()
		if _, err := db.Exec(query); err != nil {
			t.Fatal(err)
		}
	}
	name, schema := `"An 'Odd' Name of `+p.Prefix+`"`, `"first of `+p.Prefix+`"`
	run(p.sql("ALTER SEQUENCE auth_tokens_id_seq RENAME TO " + name))
	insert := func(st store.Tokens, id int64) {
		t.Helper()
		tok, err := st.InsertToken(t.Context(), tokenNamed(fmt.Sprint(id), time.Now()), limits)
		if err != nil || tok.ID != id || tok.Family != tok.ID {
			t.Errorf("%+v, %v, want ID %d", tok, err, id)
		}
	}
	st := openShaky(t, db, p, 0)
	insert(st, 1)
	insert(st, 2)
	db.SetMaxOpenConns(1)
	run("CREATE SCHEMA " + schema)
	run("CREATE SEQUENCE " + schema + "." + name + " START 40")
	run("SET search_path = " + schema + ", public")
	insert(openShaky(t, db, p, 0), 3)
}
