//go:build unix

package cli_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store/sqlstore"
)

// TestServers runs commands on a throwaway PostgreSQL, MariaDB and, where
// OSTIARY_MYSQLD names its program, MySQL.
func TestServers(t *testing.T) {
	servertest.OnEach(t, ping, func(t *testing.T, name string) {
		weak := "root of the server"
		if strings.HasPrefix(name, "postgres:") {
			weak = "a superuser of PostgreSQL"
		}
		testServer(t, name, weak)
	})
}

func ping(ctx context.Context, name string) error {
	db, err := database.Connect(name, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Pool.PingContext(ctx)
}

// testServer runs each kind of command once.
func testServer(t *testing.T, name, weak string) {
	b := &bench{t: t, env: map[string]string{"OSTIARY_DSN": name, "OSTIARY_OPERATOR": "eve"}}
	b.refused(1, "call Migrate first", "user", "list")
	b.refused(1, "", "check")
	if plan := b.ok("migrate", "--plan"); !strings.Contains(plan, "CREATE TABLE") || !strings.Contains(plan, "auth_users (") {
		t.Errorf("the plan: %s", plan)
	}
	b.refused(2, "--create is for a SQLite file", "migrate", "--create")
	b.ok("migrate")
	want(t, "migrate again", object{"up_to_date": true, "changed": false}, b.json("migrate"))
	b.user("root", "--superuser")
	b.user("erika")
	token := b.token("--user", "erika", "--address", "192.0.2.0/24")
	b.ok("application", "create", "app", "--redirect-uri", "https://app.example/cb")
	b.ok("application", "secret", "app", "--overlap", "1h")
	b.ok("application", "disable", "app")
	b.ok("consent", "withdraw", "--user", "erika", "--application", "app")
	b.ok("session", "end", "--all", "--yes")
	want(t, "token", []any{tokenObject(1, "erika", "write", object{"addresses": []any{"192.0.2.0/24"}})}, b.json("token", "list", "--live"))
	stats := b.json("stats").(object)
	want(t, "stats", []any{2.0, 1.0, 1.0, 1.0}, []any{stats["users"], stats["active_superusers"], stats["personal_tokens"], stats["applications"]})
	b.okWith("another good password", "user", "password", "erika", "--password-stdin", "--end-tokens")
	want(t, "purge", object{"tokens": 0.0, "sessions": 0.0, "attempts": 0.0, "activities": 0.0}, b.json("purge"))
	b.refused(4, "last active superuser", "user", "delete", "root")
	b.ok("user", "delete", "erika")
	if bearer(t, b, token) == 0 {
		t.Error("the token lives on")
	}
	b.env["OSTIARY_SOURCE_DSN"] = djangoSource(t)
	b.ok("import", "django", "--quiet", "--new-ids")
	want(t, "users after an import", 3.0, b.json("stats").(object)["users"])
	r := b.run("", "check")
	if r.code != 0 || !strings.Contains(r.out, weak) || !strings.Contains(r.out, "\n0 errors, 1 warning\n") {
		t.Errorf("check: status %d\n%s%s", r.code, r.out, r.err)
	}
	b.refused(1, "", "check", "--strict")
}
