package importer_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// occupied is a target that has users, an application and a token in the way.
func occupied(t *testing.T) (db *database.DB, root, alice store.User, app store.Application) {
	t.Helper()
	db = target(t, places[0].fresh(t))
	ctx, now := t.Context(), time.Now()
	var err error
	insert := func(u store.User) store.User {
		u.Active, u.Created = true, now
		u, e := db.Store.InsertUser(ctx, u)
		err = errors.Join(err, e)
		return u
	}
	root = insert(store.User{Name: "root", Admin: true}) // with the ID of admin
	alice = insert(store.User{ID: "77", Name: "alice", Email: "here@example.org"})
	app, e := db.Store.InsertApplication(ctx, store.Application{ClientID: cliID, Name: "here", OrganizationID: 1, GrantType: "password", Created: now})
	_, e2 := db.Store.InsertToken(ctx, store.Token{Digest: store.DigestOf("webaccess1ABCDEFGHIJ0123456789"), UserID: alice.ID, Scopes: "read", Created: now, Expires: now.Add(time.Hour)}, store.InsertLimits{})
	if err = errors.Join(err, e, e2); err != nil {
		t.Fatal(err)
	}
	return db, root, alice, app
}

// What the target has is never overwritten. What clashes with it is reported and left
// out, with all that hangs on it.
func TestConflicts(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	to, root, alice, app := occupied(t)
	before := dump(t, to)
	report := mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start})
	after := dump(t, to)
	for _, line := range before {
		if !strings.Contains(strings.Join(after, "\n"), line) {
			t.Errorf("the target lost %s", line)
		}
	}
	for begin, want := range map[string]int64{"another user of the target has the name": 1, "another user of the target has the ID": 1, "another application": 1} {
		if got := remarked(report, importer.Conflict, begin); got != want {
			t.Errorf("%q is remarked %d times, want %d", begin, got, want)
		}
	}
	if remarked(report, importer.LeftOut, "its user was not imported") != 4 || remarked(report, importer.LeftOut, "its application was not imported") != 1 {
		t.Errorf("tokens: %+v", report.Counts["tokens"])
	}
	if u, err := to.Store.UserByID(t.Context(), "1"); err != nil || u.Name != root.Name {
		t.Errorf("user 1 is %+v, %v", u, err)
	}

	// Linked, with new IDs.
	to, root, alice, app = occupied(t)
	o := importer.Options{Kind: importer.AWX, Now: start, Link: true, NewIDs: true}
	report = mustImport(t, from, to, o)
	s := serve(t, to)
	if got := s.me("abcdefghijABCDEFGHIJ0123456789"); got != "alice" {
		t.Errorf("a token of a user with a stand-in is %q", got)
	}
	tok, err := to.Store.TokenByDigest(t.Context(), store.DigestOf("cliaccess1ABCDEFGHIJ0123456789"))
	if err != nil || tok.ApplicationID != app.ID {
		t.Errorf("a token of an application with a stand-in is %+v, %v", tok, err)
	}
	if u, err := to.Store.UserByID(t.Context(), alice.ID); err != nil || u != alice {
		t.Errorf("alice became %+v, %v", u, err)
	}
	if u, err := to.Store.UserByName(t.Context(), "admin"); err != nil || u.ID == "1" || !s.logsIn("admin", "correct horse") {
		t.Errorf("admin is %+v, %v", u, err)
	}
	if remarked(report, importer.Conflict, "the target has the token") != 1 {
		t.Errorf("tokens: %+v", report.Counts["tokens"])
	}
	rows := dump(t, to)
	again := mustImport(t, from, to, o)
	if now := dump(t, to); strings.Join(now, "\n") != strings.Join(rows, "\n") || outcome(again) != outcome(report) {
		t.Error("a second run did something else")
	}
}

// foreseen is a report without what a dry run cannot know: it is one, and the numbers
// that applications will get.
func foreseen(r *importer.Report) string {
	for _, m := range r.Remarks {
		if m.What == "the application has a new number" {
			for i := range m.Detail {
				m.Detail[i].More = ""
			}
		}
	}
	r.DryRun = false
	return outcome(r)
}

// A dry run says of each clash what the run then does with it.
func TestDryRunForesees(t *testing.T) {
	for name, o := range map[string]importer.Options{
		"skip": {}, "link": {Link: true}, "new IDs": {NewIDs: true}, "link and new IDs": {Link: true, NewIDs: true}, "one organization": {Organization: 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, from := sourceOf(t, places[0], "awx.sql")
			run(t, from, "UPDATE main_oauth2application SET name = 'the same', organization_id = NULL")
			// The tables of a custom model need not forbid a name that two have.
			for _, table := range []string{"auth_user", "main_oauth2application"} {
				run(t, from, "ALTER TABLE "+table+" RENAME TO was_"+table)
				run(t, from, "CREATE TABLE "+table+" AS SELECT * FROM was_"+table)
			}
			run(t, from, "INSERT INTO auth_user SELECT id + 100, password, last_login, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined FROM was_auth_user")
			run(t, from, "UPDATE was_main_oauth2application SET id = id + 100, name = 'another'")
			run(t, from, "INSERT INTO main_oauth2application SELECT * FROM was_main_oauth2application")
			to, _, _, _ := occupied(t)
			if _, err := to.Store.InsertApplication(t.Context(), store.Application{ClientID: "in-the-way", Name: "the same", OrganizationID: 1, GrantType: "password", Created: start}); err != nil {
				t.Fatal(err)
			}
			o.Kind, o.Now, o.DryRun = importer.AWX, start, true
			dry := mustImport(t, from, to, o)
			o.DryRun = false
			report := mustImport(t, from, to, o)
			want := foreseen(report)
			if diff := cmp.Diff(want, foreseen(dry)); diff != "" {
				t.Errorf("the dry run (-run +dry run):\n%s", diff)
			}
			for begin, act := range map[string]importer.Act{
				"another user of the source": importer.Conflict, "another application of the source": importer.Conflict, "another application of the organization": importer.Changed,
			} {
				if remarked(report, act, begin) == 0 {
					t.Errorf("%q is not remarked", begin)
				}
			}
			if diff := cmp.Diff(want, foreseen(mustImport(t, from, to, o))); diff != "" {
				t.Errorf("a second run (-first +second):\n%s", diff)
			}
		})
	}
}

// What ended in the target after an import does not come back by another one, unless
// the operator says so. What is new in the source comes.
func TestSecondRun(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	to := target(t, places[0].fresh(t))
	o := importer.Options{Kind: importer.AWX, Now: start}
	mustImport(t, from, to, o)
	ctx, now := t.Context(), time.Now()
	if _, err := to.Store.RevokeTokens(ctx, store.Selection{UserID: "3"}, now); err != nil {
		t.Fatal(err)
	}
	if n, err := to.Store.Purge(ctx, now.Add(time.Hour), 1000); err != nil || n != 3 {
		t.Fatal(n, err)
	}
	if err := to.Store.DeleteUser(ctx, "9", now); err != nil {
		t.Fatal(err)
	}
	name := "ada"
	if _, err := to.Store.ChangeUser(ctx, "1", store.UserChange{Name: &name}); err != nil {
		t.Fatal(err)
	}
	run(t, from, `INSERT INTO main_oauth2accesstoken SELECT 99, 'newaccess1ABCDEFGHIJ0123456789', expires, scope, created, updated, description, last_used, application_id, user_id, NULL, modified, NULL
		FROM main_oauth2accesstoken WHERE id = 10`)
	report := mustImport(t, from, to, o)
	s := serve(t, to)
	if s.me("abcdefghijABCDEFGHIJ0123456789") != "" || s.me("newaccess1ABCDEFGHIJ0123456789") != "alice" || s.me("cliaccess1ABCDEFGHIJ0123456789") != "Alice" {
		t.Error("the second run brought something back, or left something out")
	}
	if c := *report.Counts["tokens"]; c != (importer.Counts{Read: 6, Stored: 1, Before: 1, Gone: 3, LeftOut: 1}) {
		t.Errorf("tokens %+v", c)
	}
	if c := *report.Counts["users"]; c != (importer.Counts{Read: 6, Before: 5, Gone: 1}) {
		t.Errorf("users %+v", c)
	}
	if u, err := to.Store.UserByID(ctx, "1"); err != nil || u.Name != "ada" {
		t.Errorf("user 1 is %+v, %v", u, err)
	}
	o.Again = true
	mustImport(t, from, to, o)
	if s.me("abcdefghijABCDEFGHIJ0123456789") != "alice" {
		t.Error("nothing came back although it was asked for")
	}
}

// Odd rows are left out or changed with a reason, and stop nothing.
func TestOddRows(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	run(t, from, `INSERT INTO auth_user SELECT 50, 'md5$a$b', NULL, false, 'md5', CAST(x'ff' AS TEXT), '', '', false, true, date_joined FROM auth_user WHERE id = 3`)
	run(t, from, `INSERT INTO auth_user SELECT 51, '', NULL, false, CAST(x'61006262' AS TEXT), '', '', '', false, true, date_joined FROM auth_user WHERE id = 3`)
	run(t, from, `INSERT INTO auth_user SELECT 52, '', NULL, false, '', '', '', '', false, true, date_joined FROM auth_user WHERE id = 3`)
	run(t, from, `INSERT INTO auth_user SELECT 53, '', NULL, false, ?, '', '', '', false, true, date_joined FROM auth_user WHERE id = 3`, strings.Repeat("x", 5000))
	run(t, from, `INSERT INTO auth_user SELECT 54, '', NULL, false, 'two  blanks', '', '', ?, false, false, date_joined FROM auth_user WHERE id = 3`, strings.Repeat("é", 2000))
	for i, column := range []string{
		"description = '" + strings.Repeat("é", 3000) + "'", "expires = 'soon'", "scope = 'groups'", "scope = 'write  write groups read'",
		"token = 'webaccess1ABCDEFGHIJ012345678'", "token = 'webaccess1ABCDEFGHIJ012345678_'", "user_id = NULL, application_id = NULL", "user_id = 51", "application_id = 12345",
		"user_id = 54", "expires = '9999-12-31 23:59:59+00'", "last_used = 'never'", "user_id = 987",
	} {
		id := 100 + i
		run(t, from, `INSERT INTO main_oauth2accesstoken SELECT ?, ?, expires, scope, created, updated, description, last_used, NULL, user_id, NULL, modified, NULL
			FROM main_oauth2accesstoken WHERE id = 10`, id, strings.Replace(accessText(id), "made", "odds", 1))
		run(t, from, "UPDATE main_oauth2accesstoken SET "+column+" WHERE id = ?", id)
	}
	run(t, from, `INSERT INTO main_oauth2application SELECT 30, 'odd client', redirect_uris, client_type, authorization_grant_type, client_secret, 'a', skip_authorization, created, updated, '', '', organization_id, NULL, '', '' FROM main_oauth2application WHERE id = 3`)
	run(t, from, `INSERT INTO main_oauth2application SELECT 31, 'oddClient', 'ftp://x/ javascript:alert(1)', 'strange', authorization_grant_type, client_secret, 'b', skip_authorization, created, updated, '', '', organization_id, NULL, '', '' FROM main_oauth2application WHERE id = 3`)
	run(t, from, `INSERT INTO main_oauth2application SELECT 32, 'oddGrant', 'ftp://x/ javascript:alert(1) https://a/', client_type, 'openid-hybrid', client_secret, ' blank ', skip_authorization, created, updated, '', '', NULL, NULL, '', '' FROM main_oauth2application WHERE id = 3`)
	to := target(t, places[0].fresh(t))
	report := mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start})
	if c := *report.Counts["users"]; c.Stored != 8 || c.LeftOut != 3 {
		t.Errorf("users %+v", c)
	}
	if c := *report.Counts["tokens"]; c.Stored != 4+5 || c.LeftOut != 1+8 {
		t.Errorf("tokens %+v", c)
	}
	if c := *report.Counts["applications"]; c.Stored != 3 || c.LeftOut != 2 {
		t.Errorf("applications %+v", c)
	}
	app, err := to.Store.ApplicationByClientID(t.Context(), "oddGrant")
	if err != nil || app.Name != "Application oddGrant" || app.GrantType != "authorization-code" || app.OrganizationID != 1 || len(app.RedirectURIs) != 1 {
		t.Errorf("%+v, %v", app, err)
	}
	tok, err := to.Store.TokenByDigest(t.Context(), store.DigestOf(strings.Replace(accessText(103), "made", "odds", 1)))
	if err != nil || tok.Scopes != "write read" {
		t.Errorf("scopes %q, %v", tok.Scopes, err)
	}
	if got := serve(t, to).me(strings.Replace(accessText(109), "made", "odds", 1)); got != "" {
		t.Errorf("a token of a user who is not active is %q", got)
	}
}

// The first and the last number, and dates far away or none, are rows like others, and
// meet themselves again.
func TestExtremeRows(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	for i, id := range []string{"-9223372036854775807", "-1", "0", "9223372036854775807"} {
		at := []string{"never", "0001-01-01 00:00:00+00", "9999-12-31 23:59:59+00", ""}[i]
		run(t, from, `INSERT INTO auth_user SELECT `+id+`, password, NULL, false, 'extreme`+id+`', '', '', '', false, true, ? FROM auth_user WHERE id = 3`, at)
		run(t, from, `INSERT INTO main_oauth2accesstoken SELECT `+id+`, ?, expires, scope, created, updated, description, last_used, NULL, `+id+`, NULL, modified, NULL
			FROM main_oauth2accesstoken WHERE id = 10`, strings.Replace(accessText(i), "made", "odds", 1))
	}
	to := target(t, places[0].fresh(t))
	report := mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start})
	if c := *report.Counts["users"]; c != (importer.Counts{Read: 10, Stored: 10}) {
		t.Errorf("users %+v", c)
	}
	if c := *report.Counts["tokens"]; c.Read != 9 || c.Stored+c.LeftOut != 9 {
		t.Errorf("tokens %+v", c)
	}
	rows := dump(t, to)
	again := mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start})
	if diff := cmp.Diff(outcome(report), outcome(again)); diff != "" {
		t.Errorf("a second run (-first +second):\n%s", diff)
	}
	if diff := cmp.Diff(rows, dump(t, to)); diff != "" {
		t.Errorf("rows of a second run (-first +second):\n%s", diff)
	}
}

func TestScopes(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	run(t, from, "UPDATE main_oauth2accesstoken SET scope = 'groups admin deploy' WHERE id = 10")
	to := target(t, places[0].fresh(t))
	mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start, Scopes: []string{"deploy", "teams"}, RenameScopes: map[string]string{"groups": "teams"}})
	tok, err := to.Store.TokenByDigest(t.Context(), store.DigestOf("abcdefghijABCDEFGHIJ0123456789"))
	if err != nil || tok.Scopes != "teams deploy" {
		t.Errorf("scopes %q, %v", tok.Scopes, err)
	}
}

// A source of another kind, version or place is refused before anything is written.
func TestRefusedSources(t *testing.T) {
	for name, tt := range map[string]struct {
		change string
		o      importer.Options
		want   string
	}{
		"no kind":          {"", importer.Options{}, "no kind of source"},
		"another kind":     {"", importer.Options{Kind: importer.DAB}, "no table dab_oauth2_provider_oauth2application"},
		"a missing table":  {"DROP TABLE oauth2_provider_refreshtoken", importer.Options{Kind: importer.AWX}, "no table oauth2_provider_refreshtoken"},
		"a missing column": {"ALTER TABLE auth_user DROP COLUMN date_joined", importer.Options{Kind: importer.AWX}, "no column date_joined"},
		"a named table":    {"", importer.Options{Kind: importer.Django, Tables: importer.Tables{Users: "people"}}, "no table people"},
		"no name":          {"", importer.Options{Kind: importer.Django, Tables: importer.Tables{Users: "x; DROP TABLE auth_user"}}, "no name of a table"},
		"no migrations":    {"DROP TABLE django_migrations", importer.Options{Kind: importer.AWX}, "give it a name"},
		"a key for Django": {"", importer.Options{Kind: importer.Django, SecretKey: "x"}, "SECRET_KEY is for AWX"},
		"an odd name":      {"", importer.Options{Kind: importer.AWX, Name: "a\x1b[2Jb"}, "name of the source"},
		"a long name":      {"", importer.Options{Kind: importer.AWX, Name: strings.Repeat("x", 191)}, "name of the source"},
		"a hostile table": {`CREATE TABLE "x; DROP TABLE auth_user" (id integer PRIMARY KEY);
			CREATE TABLE oauth2_provider_accesstoken (id integer PRIMARY KEY, token text, expires text, scope text, user_id integer REFERENCES "x; DROP TABLE auth_user" (id), application_id integer)`,
			importer.Options{Kind: importer.Django}, `"x; DROP TABLE auth_user"`},
		"a short life":  {"", importer.Options{Kind: importer.AWX, PersonalLifetime: 1}, "personal tokens"},
		"a short grant": {"", importer.Options{Kind: importer.AWX, GrantLifetime: time.Hour}, "outlive"},
		"many workers":  {"", importer.Options{Kind: importer.AWX, Workers: 99}, "workers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, from := sourceOf(t, places[0], "awx.sql")
			if tt.change != "" {
				run(t, from, tt.change)
			}
			to := target(t, places[0].fresh(t))
			tt.o.Now = start
			if _, err := importer.Run(t.Context(), from, to, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if rows := dump(t, to); len(rows) > 0 {
				t.Errorf("it wrote %q", rows)
			}
		})
	}
}

// A database of Django alone has users and nothing else.
func TestPlainDjango(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	for _, table := range []string{"main_profile", "main_rbac_roles_members", "conf_setting", "oauth2_provider_refreshtoken", "oauth2_provider_grant"} {
		run(t, from, "DROP TABLE "+table)
	}
	to := target(t, places[0].fresh(t))
	report := mustImport(t, from, to, importer.Options{Kind: importer.Django, Now: start})
	if c := *report.Counts["users"]; c.Stored != 6 || !serve(t, to).logsIn("alice", "correct horse") {
		t.Errorf("users %+v", c)
	}
	if remarked(report, importer.Note, "the source has no tokens") != 1 || remarked(report, importer.Note, "the source has no applications") != 1 {
		t.Error("nothing is said of what is not there")
	}
}

// A dry run writes nothing, not even a table.
func TestDryRun(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	to := target(t, places[0].fresh(t))
	members := filepath.Join(t.TempDir(), "members")
	report := mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start, DryRun: true, Memberships: members})
	if c := *report.Counts["tokens"]; c != (importer.Counts{Read: 5, Stored: 4, LeftOut: 1}) {
		t.Errorf("tokens %+v", c)
	}
	var tables int
	if err := to.Pool.QueryRow("SELECT COUNT(*) FROM sqlite_master WHERE name = 'auth_import_marks'").Scan(&tables); err != nil || tables != 0 || len(dump(t, to)) > 0 {
		t.Errorf("%d tables, rows %q, %v", tables, dump(t, to), err)
	}
	if _, err := os.Stat(members); err == nil {
		t.Error("a dry run wrote the members")
	}
	o := sqlstore.Options{Prefix: "auth_"}
	if db, err := database.Connect(filepath.Join(t.TempDir(), "none"), o); err == nil {
		t.Errorf("a target that does not exist: %+v", db)
	}
}
