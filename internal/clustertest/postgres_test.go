package clustertest

import (
	"context"
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/ostiary/auth/internal/servertest"
)

// A postgres is a server of PostgreSQL.
type postgres struct {
	t    testing.TB
	args []string
	*servertest.Server
	*servertest.Process
}

// newPostgres starts a server on an empty data folder. The further arguments are
// those of postgres.
func newPostgres(t testing.TB, args ...string) *postgres {
	t.Helper()
	p := makePostgres(t, args...)
	servertest.Check(t, p.Initdb())
	p.start()
	return p
}

// makePostgres returns a server that has no data folder yet.
func makePostgres(t testing.TB, args ...string) *postgres {
	t.Helper()
	s, err := servertest.EmptyPostgres()
	servertest.Check(t, err)
	t.Cleanup(s.Remove)
	return &postgres{t: t, args: args, Server: s}
}

// start runs the server and waits until it answers.
func (p *postgres) start() {
	p.t.Helper()
	p.Process = spawn(p.t, p.Command(append([]string{
		"-c", "max_connections=120", "-c", "max_wal_size=1GB", "-c", "log_min_messages=fatal",
	}, p.args...)...))
	servertest.Eventually(p.t, "PostgreSQL answers", func() bool { return p.exec("SELECT 1") == nil })
}

// url is what the example server calls the server.
func (p *postgres) url() string { return p.URL("postgres") }

// pool connects as the operator. The pool is closed with the test.
func (p *postgres) pool() *sql.DB {
	p.t.Helper()
	db, err := sql.Open("pgx", p.url()+"&default_query_exec_mode=exec")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() })
	return db
}

// exec runs a statement on a connection of its own.
func (p *postgres) exec(query string) error {
	db, err := sql.Open("pgx", p.url()+"&default_query_exec_mode=exec")
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), servertest.Patience)
	defer cancel()
	_, err = db.ExecContext(ctx, query)
	return err
}

// must is exec for what cannot fail.
func (p *postgres) must(query string) {
	p.t.Helper()
	if err := p.exec(query); err != nil {
		p.t.Fatalf("%s: %v", query, err)
	}
}

// fresh makes an empty database on the server, in the tablespace of the same name,
// and returns its URL.
func (p *postgres) fresh(name string) string {
	p.t.Helper()
	p.must("CREATE DATABASE " + name + " TABLESPACE " + name)
	return p.URL(name)
}
