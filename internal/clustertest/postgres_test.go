package clustertest

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// A postgres is a server of PostgreSQL that is reached through a socket in its
// folder.
type postgres struct {
	t    testing.TB
	as   *syscall.Credential
	bin  string // the folder of the programs
	dir  string
	data string
	args []string
	*process
}

// newPostgres starts a server on an empty data folder. The further arguments are
// those of postgres.
func newPostgres(t testing.TB, args ...string) *postgres {
	t.Helper()
	p := makePostgres(t, args...)
	p.initialize()
	p.start()
	return p
}

// initialize makes an empty data folder. The arguments are those of initdb.
func (p *postgres) initialize(args ...string) {
	p.t.Helper()
	finish(p.t, command(p.as, p.dir, filepath.Join(p.bin, "initdb"), append([]string{"-D", p.data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "-N"}, args...)...))
}

// makePostgres returns a server that has no data folder yet.
func makePostgres(t testing.TB, args ...string) *postgres {
	t.Helper()
	initdb := programOf(t, "PostgreSQL (Debian: postgresql)", "/usr/lib/postgresql/*/bin/initdb", "initdb")
	as := account(t, "postgres")
	dir := folder(t, as)
	return &postgres{t: t, as: as, bin: filepath.Dir(initdb), dir: dir, data: filepath.Join(dir, "data"), args: args}
}

// start runs the server and waits until it answers.
func (p *postgres) start() {
	p.t.Helper()
	p.launch()
	eventually(p.t, "PostgreSQL answers", func() bool { return p.exec("SELECT 1") == nil })
}

// launch is start without the wait.
func (p *postgres) launch() {
	p.t.Helper()
	p.process = spawn(p.t, command(p.as, p.dir, filepath.Join(p.bin, "postgres"), append([]string{
		"-D", p.data, "-k", p.dir, "-h", "", "-c", "max_connections=120", "-c", "max_wal_size=1GB", "-c", "log_min_messages=fatal",
	}, p.args...)...))
}

// url is what the example server calls the server.
func (p *postgres) url() string {
	return "postgres:///postgres?user=postgres&sslmode=disable&host=" + p.dir
}

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
	ctx, cancel := context.WithTimeout(context.Background(), patience)
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
	return fmt.Sprintf("postgres:///%s?user=postgres&sslmode=disable&host=%s", name, p.dir)
}
