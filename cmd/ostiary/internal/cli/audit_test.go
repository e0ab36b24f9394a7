package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// changes are commands that change something, in an order that works, with the events
// that they log and the entries that they leave in the activity stream.
var changes = []struct {
	args    string
	events  []string
	entries []string
}{
	{"user create root --superuser --generate", []string{audit.UserCreated}, []string{"create user"}},
	{"user create erika --generate", []string{audit.UserCreated}, []string{"create user"}},
	{"user create max --password-stdin", []string{audit.UserCreated}, []string{"create user"}},
	{"user disable erika", []string{audit.UserChanged}, []string{"update user"}},
	{"user disable erika", nil, nil},
	{"user enable erika", []string{audit.UserChanged}, []string{"update user"}},
	{"user admin erika", []string{audit.UserChanged}, []string{"update user"}},
	{"user password erika --generate --end-tokens", []string{audit.PasswordChanged, audit.UserChanged, audit.TokenRevoked}, []string{"disassociate user token", "update user", "update user"}},
	{"update_password --username erika --password-stdin", []string{audit.PasswordChanged, audit.UserChanged}, []string{"update user", "update user"}},
	{"token create --user erika", []string{audit.TokenIssued}, []string{"create token"}},
	{"create_oauth2_token --user erika", []string{audit.TokenIssued}, []string{"create token"}},
	{"application create app --redirect-uri https://app.example/", []string{audit.ApplicationCreated}, []string{"create application"}},
	{"application secret app", []string{audit.ApplicationRotated}, []string{"update application"}},
	{"application disable app", []string{audit.ApplicationChanged}, []string{"update application"}},
	{"application enable app", []string{audit.ApplicationChanged}, []string{"update application"}},
	{"token revoke 1", []string{audit.TokenRevoked}, []string{"delete token"}},
	{"token revoke --user erika", []string{audit.TokenRevoked}, []string{"disassociate user token"}},
	{"token revoke --application app", []string{audit.TokenRevoked}, []string{"disassociate application token"}},
	{"token revoke --all --yes", []string{audit.TokenRevoked}, []string{"delete token"}},
	{"revoke_oauth2_tokens --user erika", []string{audit.TokenRevoked}, []string{"disassociate user token"}},
	{"session end --user erika 1", []string{audit.SessionEnded}, nil},
	{"session end --all --yes", []string{audit.SessionEnded}, nil},
	{"consent withdraw --user erika --application app", []string{audit.ConsentWithdrawn}, []string{"disassociate user application"}},
	{"application delete app", []string{audit.ApplicationDeleted}, []string{"delete application"}},
	{"user delete max", []string{audit.UserDeleted}, []string{"delete user"}},
	{"purge", []string{"ostiary: purged"}, nil},
	{"cleanup_tokens", []string{"ostiary: purged"}, nil},
}

// looking are commands that change nothing, and so log nothing.
var looking = []string{
	"user list", "user show erika", "token list", "token show 2", "session list --user erika", "application list", "application show app",
	"consent list --user erika", "stats", "check", "migrate", "migrate --plan",
}

// Every change is an audit event that names the operator, in the log and in the activity
// stream.
func TestEveryChangeIsAudited(t *testing.T) {
	b := newBench(t)
	b.env["OSTIARY_AUDIT_LOG"] = filepath.Join(t.TempDir(), "audit.log")
	var s *site
	for _, tt := range changes {
		if tt.events != nil && tt.events[0] == audit.SessionEnded {
			s.login("erika", goodPassword)
		}
		entries := len(b.activities())
		lines := len(b.audited())
		b.okWith(goodPassword, strings.Fields(tt.args)...)
		var events, acts []string
		for _, e := range b.audited()[lines:] {
			events = append(events, e["msg"].(string))
			if e["msg"] != audit.PasswordChanged && e["actor"] != "operator:eve" { // the event beside it has the actor
				t.Errorf("%s: %v has not the operator for its actor", tt.args, e)
			}
			if at, _ := e["time"].(string); !strings.HasSuffix(at, "Z") {
				t.Errorf("%s: at %s", tt.args, at)
			}
		}
		for _, e := range b.activities()[entries:] {
			acts = append(acts, strings.TrimSpace(string(e.Operation)+" "+string(e.Object)+" "+string(e.Associated)))
			if e.Actor != "operator:eve" && !strings.Contains(e.Changes, `"password"`) {
				t.Errorf("%s: the entry %+v has not the operator for its actor", tt.args, e)
			}
		}
		slices.Sort(acts)
		want(t, tt.args+": events", tt.events, events)
		want(t, tt.args+": entries", tt.entries, acts)
		if s == nil {
			s = serve(t, b)
		}
		if tt.args == "application enable app" {
			before := len(b.audited())
			for _, args := range looking {
				b.ok(strings.Fields(args)...)
			}
			want(t, "looking", []object{}, b.audited()[before:])
		}
	}
	if info, err := os.Stat(b.env["OSTIARY_AUDIT_LOG"]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the mode of the audit log: %v, %v", info.Mode(), err)
	}
}

// An import is two audit events, with numbers and without names, and a dry run is none.
func TestImportIsAudited(t *testing.T) {
	b := newBench(t)
	b.env["OSTIARY_AUDIT_LOG"] = filepath.Join(t.TempDir(), "audit.log")
	b.env["OSTIARY_SOURCE_DSN"] = djangoSource(t)
	b.ok("import", "django", "--quiet", "--dry-run")
	want(t, "a dry run", 0, len(b.audited()))
	b.ok("import", "django", "--quiet")
	b.ok("import", "django", "--quiet")
	b.refused(2, "the lifetime of grants", "import", "django", "--quiet", "--grant-lifetime", "1h")
	begun := func() object {
		return object{"msg": "ostiary: import begun", "level": "INFO", "actor": "operator:eve", "kind": "django"}
	}
	ended := func(users, before float64, complete bool) object {
		e := begun()
		e["msg"], e["complete"] = "ostiary: import ended", complete
		e["users"], e["applications"], e["tokens"] = users, 0.0, 0.0
		e["stored_before"], e["linked"], e["left_out"] = before, 0.0, 0.0
		return e
	}
	events := b.audited()
	for _, e := range events {
		delete(e, "time")
	}
	want(t, "the events", []object{begun(), ended(2, 0, true), begun(), ended(0, 2, true), begun(), ended(0, 0, false)}, events)
}

// djangoSource returns the file of a database of Django with two users.
func djangoSource(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "django")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := database.Connect(file, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range []string{
		"CREATE TABLE django_migrations (id integer PRIMARY KEY, applied datetime)",
		"INSERT INTO django_migrations VALUES (1, '2020-01-01 00:00:00')",
		"CREATE TABLE auth_user (id integer PRIMARY KEY, username text, password text, is_superuser bool, is_active bool, date_joined datetime)",
		"INSERT INTO auth_user VALUES (1, 'ada', '', 0, 1, '2020-01-01 00:00:00'), (2, 'bob', '', 0, 1, '2020-01-01 00:00:00')",
	} {
		if _, err := db.Pool.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// audited returns the events of the audit log.
func (b *bench) audited() (list []object) {
	b.t.Helper()
	content, err := os.ReadFile(b.env["OSTIARY_AUDIT_LOG"])
	if err != nil && !os.IsNotExist(err) {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var e object
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			b.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// activities returns the activity stream, the oldest entry first.
func (b *bench) activities() []store.Activity {
	b.t.Helper()
	list, _, err := open(b.t, b).Store.ListActivities(b.t.Context(), store.ActivityFilter{All: true}, store.Page{Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

// The operator is who the system says, unless the operator says otherwise.
func TestWhoTheOperatorIs(t *testing.T) {
	b := newBench(t)
	user := func(args ...string) string {
		b.ok(append([]string{"user", "create", "u" + string(rune('a'+len(b.activities()))), "--generate"}, args...)...)
		list := b.activities()
		return list[len(list)-1].Actor
	}
	want(t, "environment", "operator:eve", user())
	want(t, "flag", "operator:Eve M.", user("--operator", "Eve M."))
	delete(b.env, "OSTIARY_OPERATOR")
	b.env["SUDO_USER"] = "mallory"
	got := user()
	if os.Geteuid() == 0 && got != "operator:mallory" || os.Geteuid() != 0 && got == "operator:mallory" || got == "operator:" {
		t.Errorf("the system: %s", got)
	}
	for _, name := range []string{"\x00", " ", strings.Repeat("x", 151), "a\nb", "\xff"} {
		b.refused(2, "--operator: ", "user", "list", "--operator", name)
	}
	b.env["OSTIARY_AUDIT_LOG"] = t.TempDir()
	b.refused(1, "--audit-log: ", "user", "create", "nobody", "--generate")
	b.refused(3, "there is no user", "user", "show", "nobody", "--audit-log", filepath.Join(t.TempDir(), "x"))
}

// Secrets are shown once, on standard output, and nowhere else.
func TestSecretsAreShownOnce(t *testing.T) {
	b := newBench(t)
	const typed = "typed by somebody 1234"
	b.env["OSTIARY_AUDIT_LOG"] = filepath.Join(t.TempDir(), "audit.log")
	var secrets []string
	for _, args := range []string{
		"user create erika --generate", "user password erika --generate", "token create --user erika", "token create --user erika --quiet",
		"create_oauth2_token --user erika", "application create app --grant-type password", "application secret app", "application secret app --quiet",
	} {
		for _, form := range []string{"table", "json"} {
			if form == "json" {
				b.run("", "user", "delete", "id:2")
				args = strings.ReplaceAll(strings.ReplaceAll(args, "create erika", "create erik2"), "create app", "create ap2")
			}
			out := b.ok(append(strings.Fields(args), "-o", form)...)
			found := secretText.FindAllString(out, -1)
			if len(found) == 0 {
				t.Errorf("%s: no secret in %s", args, out)
			}
			secrets = append(secrets, found...)
		}
	}
	b.okWith(typed, "user", "password", "erika", "--password-stdin")
	b.ok("user", "show", "erika")
	b.ok("token", "show", "1")
	b.ok("application", "show", "app")
	b.run("", "user", "password", "nobody", "--generate")
	log, err := os.ReadFile(b.env["OSTIARY_AUDIT_LOG"])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range append(secrets, typed) {
		shown := 1
		if secret == typed {
			shown = 0
		}
		if n := strings.Count(b.shown.String(), secret); n != shown {
			t.Errorf("%s is shown %d times, want %d", secret, n, shown)
		}
		if strings.Contains(b.said.String(), secret) || strings.Contains(string(log), secret) {
			t.Errorf("%s is in standard error or in the audit log", secret)
		}
	}
}
