package main

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
)

// TestDocumentedFlowOnServers is TestDocumentedFlow with a server behind the
// server.
func TestDocumentedFlowOnServers(t *testing.T) {
	onServers(t, func(t *testing.T, database string) { testDocumentedFlow(t, t.TempDir(), "-db", database) })
}

// onServers runs a test with a throwaway PostgreSQL, MariaDB and, where
// OSTIARY_MYSQLD names its program, MySQL.
func onServers(t *testing.T, test func(t *testing.T, database string)) {
	t.Run("PostgreSQL", func(t *testing.T) { test(t, launchPostgres(t)) })
	t.Run("MariaDB", func(t *testing.T) {
		const what = "MariaDB (Debian: mariadb-server)"
		install := programOf(t, what, "/usr/bin/mariadb-install-db", "mariadb-install-db")
		mariadbd := programOf(t, what, "/usr/sbin/mariadbd", "mariadbd")
		test(t, launchMySQL(t, mariadbd, install, "--auth-root-authentication-method=normal", "--skip-test-db"))
	})
	// Few systems package MySQL itself, too.
	if mysqld := os.Getenv("OSTIARY_MYSQLD"); mysqld != "" {
		t.Run("MySQL", func(t *testing.T) { test(t, launchMySQL(t, mysqld, mysqld, "--initialize-insecure")) })
	}
}

func launchPostgres(t *testing.T) (database string) {
	initdb := programOf(t, "PostgreSQL (Debian: postgresql)", "/usr/lib/postgresql/*/bin/initdb", "initdb")
	dir := serverDir(t)
	data := filepath.Join(dir, "data")
	as := account(t, "postgres")
	finish(t, as, initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C")
	database = "postgres:///postgres?user=postgres&sslmode=disable&host=" + dir
	launch(t, as, database, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-k", dir, "-h", "")
	return database
}

// launchMySQL starts mysqld on a data folder that install makes.
func launchMySQL(t *testing.T, mysqld, install string, args ...string) (database string) {
	dir := serverDir(t)
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	as := account(t, "mysql")
	finish(t, as, install, append([]string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir}, args...)...)
	database = "mysql://root@/ostiary?socket=" + socket
	launch(t, as, database, mysqld, "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking",
		"--pid-file="+filepath.Join(dir, "pid"), "--init-file="+initFile(t, dir), "--secure-file-priv="+dir, "--loose-mysqlx=OFF")
	return database
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

func initFile(t *testing.T, dir string) string {
	file := filepath.Join(dir, "init.sql")
	if err := os.WriteFile(file, []byte("CREATE DATABASE IF NOT EXISTS ostiary;\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func command(as *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Setpgid: true}
	return cmd
}

func finish(t *testing.T, as *syscall.Credential, name string, args ...string) {
	t.Helper()
	if out, err := command(as, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// launch runs a database until the test ends, and returns when it answers.
func launch(t *testing.T, as *syscall.Credential, database, name string, args ...string) {
	t.Helper()
	var log strings.Builder
	cmd := command(as, name, args...)
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
			t.Logf("%s:\n%s", name, &log)
		}
	})
	pool, _, err := connect(database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for pool.PingContext(t.Context()) != nil {
		select {
		case <-tick.C:
		case <-exited:
			t.Fatalf("%s ended by itself", name)
		}
	}
}

func TestMySQLConfig(t *testing.T) {
	const usual = "interpolateParams=true&timeout=10s"
	for name, want := range map[string]string{
		"mysql://u:p@db.example/x":            "tcp(db.example:3306)/x?" + usual,
		"mysql://u:p@db.example:3307/x":       "tcp(db.example:3307)/x?" + usual,
		"mysql://u:p@[2001:db8::1]/x":         "tcp([2001:db8::1]:3306)/x?" + usual,
		"mysql://u:p@[2001:db8::1]:3307/x":    "tcp([2001:db8::1]:3307)/x?" + usual,
		"mysql://u:p@/x?socket=/run/mysqld/s": "unix(/run/mysqld/s)/x?" + usual,
		// What doc/databases.md names is not dropped without a word.
		"mysql://u:p@a/x?wsrep_sync_wait=7":            "tcp(a:3306)/x?" + usual + "&wsrep_sync_wait=7",
		"mysql://u:p@a/x?timeout=1s&tls=true":          "tcp(a:3306)/x?interpolateParams=true&timeout=1s&tls=true",
		"mysql://u:p@a/x?interpolateParams=false":      "tcp(a:3306)/x?timeout=10s", // Open refuses it where it matters
		"mysql://u:p@a/x?sql_mode=%27STRICT_%25%2B%27": "tcp(a:3306)/x?" + usual + "&sql_mode=%27STRICT_%25%2B%27",
	} {
		c, err := mysqlConfig(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.FormatDSN(); got != "u:p@"+want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if c.TLS != nil && c.TLS.ServerName != "a" {
			t.Errorf("%s: the certificate must be of %q", name, c.TLS.ServerName)
		}
	}
	for _, name := range []string{"mysql://u:p@a/x?timeout=1", "mysql://u:p@a/x?tls=sometimes", "mysql://u:p@a/x?a=%zz", "mysql://u:p@a:port/x", "mysql://u:p@a/x?interpolateParams=maybe"} {
		if c, err := mysqlConfig(name); err == nil {
			t.Errorf("%s: %s", name, c.FormatDSN())
		}
	}
}
