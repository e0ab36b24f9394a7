package main

import (
	"context"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
)

// TestDocumentedFlowOnServers is TestDocumentedFlow with a server behind the
// server.
func TestDocumentedFlowOnServers(t *testing.T) {
	onServers(t, func(t *testing.T, database string) { testDocumentedFlow(t, t.TempDir(), "-db", database) })
}

// onServers runs a test with a throwaway PostgreSQL, MariaDB and, where
// OSTIARY_MYSQLD names its program, MySQL.
func onServers(t *testing.T, test func(t *testing.T, database string)) {
	servertest.OnEach(t, ping, test)
}

func ping(ctx context.Context, database string) error {
	pool, _, err := connect(database)
	if err != nil {
		return err
	}
	defer pool.Close()
	return pool.PingContext(ctx)
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
