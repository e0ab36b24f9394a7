//go:build unix

package cli_test

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store/sqlstore"
)

// TestServers runs commands on a throwaway PostgreSQL, MariaDB and, where
// OSTIARY_MYSQLD names its program, MySQL.
func TestServers(t *testing.T) {
	t.Run("PostgreSQL", func(t *testing.T) { testServer(t, launchPostgres(t), "a superuser of PostgreSQL") })
	t.Run("MariaDB", func(t *testing.T) {
		const what = "MariaDB (Debian: mariadb-server)"
		install := programOf(t, what, "/usr/bin/mariadb-install-db", "mariadb-install-db")
		mariadbd := programOf(t, what, "/usr/sbin/mariadbd", "mariadbd")
		testServer(t, launchMySQL(t, mariadbd, install, "--auth-root-authentication-method=normal", "--skip-test-db"), "root of the server")
	})
	// Few systems package MySQL itself, too.
	if mysqld := os.Getenv("OSTIARY_MYSQLD"); mysqld != "" {
		t.Run("MySQL", func(t *testing.T) {
			testServer(t, launchMySQL(t, mysqld, mysqld, "--initialize-insecure"), "root of the server")
		})
	}
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

func launchPostgres(t *testing.T) (name string) {
	initdb := programOf(t, "PostgreSQL (Debian: postgresql)", "/usr/lib/postgresql/*/bin/initdb", "initdb")
	dir := serverDir(t)
	data := filepath.Join(dir, "data")
	as := account(t, "postgres")
	finish(t, as, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
	name = "postgres:///postgres?user=postgres&sslmode=disable&host=" + dir
	launch(t, as, name, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-k", dir, "-h", "")
	return name
}

// launchMySQL starts mysqld on a data folder that install makes.
func launchMySQL(t *testing.T, mysqld, install string, args ...string) (name string) {
	dir := serverDir(t)
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	as := account(t, "mysql")
	finish(t, as, install, append([]string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir}, args...)...)
	first := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(first, []byte("CREATE DATABASE IF NOT EXISTS ostiary;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	name = "mysql://root@/ostiary?socket=" + socket
	launch(t, as, name, mysqld, "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking", "--skip-log-bin",
		"--pid-file="+filepath.Join(dir, "pid"), "--init-file="+first, "--secure-file-priv="+dir, "--loose-mysqlx=OFF")
	return name
}

// programOf returns where a program is. Where it is not installed it skips the
// test, but not in CI.
func programOf(t *testing.T, what, pattern, name string) string {
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1]
	}
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("%s is not installed", what)
	}
	if err != nil {
		t.Fatalf("%s is not installed", what)
	}
	return path
}

// account returns the account to run a database as, which root may not: nil if
// this one will do.
func account(t *testing.T, name string) *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// serverDir makes a folder that every account can use, with a path short enough
// for a socket in it.
func serverDir(t *testing.T) string {
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("OSTIARY_TMP"), "/tmp"), "ostiary")
	if err == nil {
		err = os.Chmod(dir, 0o777)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func serverCommand(as *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	return cmd
}

func finish(t *testing.T, as *syscall.Credential, name string, args ...string) {
	t.Helper()
	if out, err := serverCommand(as, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// launch runs a server until the test ends, and returns when it answers.
func launch(t *testing.T, as *syscall.Credential, name, program string, args ...string) {
	t.Helper()
	var log strings.Builder
	cmd := serverCommand(as, program, args...)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-exited
		if t.Failed() {
			t.Logf("%s:\n%s", program, &log)
		}
	})
	db, err := database.Connect(name, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for db.Pool.PingContext(t.Context()) != nil {
		select {
		case <-tick.C:
		case <-exited:
			t.Fatalf("%s ended by itself", program)
		}
	}
}
