package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// limits are wide enough for every tree here.
var limits = store.InsertLimits{Depth: store.MaxDepth, Live: 100_000}

// A place is where a store lives: what another process needs to find it.
type place struct {
	Dialect     sqlstore.Dialect
	Driver, DSN string
	Prefix      string
	Unprepared  bool
}

// options are for a busy machine, on which 64 calls at once may take long: an outage
// would be right then, and is not what is tested.
func (p place) options() *sqlstore.Options {
	return &sqlstore.Options{Prefix: p.Prefix, NoPreparedStatements: p.Unprepared, Timeout: servertest.Patience, LookupTimeout: servertest.Patience}
}

// connect opens a pool.
func (p place) connect() (*sql.DB, error) {
	db, err := sql.Open(p.Driver, p.DSN)
	if err != nil {
		return nil, err
	}
	limit(db)
	return db, nil
}

func limit(db *sql.DB) {
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
}

// open migrates and opens the store, with one application. Everything is closed
// with the test.
func (p place) open(t testing.TB) *sqlstore.Store {
	t.Helper()
	st, _ := p.openDB(t)
	return st
}

// openFor is open for a host with users of its own, unless users is nil.
func (p place) openFor(t testing.TB, users store.Users) *sqlstore.Store {
	t.Helper()
	if users == nil {
		return openIn(t, p.pool(t), p)
	}
	db := p.pool(t)
	openIn(t, db, p)
	opts := p.options()
	opts.Users = users
	st, err := sqlstore.Open(context.Background(), db, p.Dialect, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func (p place) openDB(t testing.TB) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := p.pool(t)
	st := openIn(t, db, p)
	serve(t, st)
	return st, db
}

// pool is connect. The pool is closed with the test.
func (p place) pool(t testing.TB) *sql.DB {
	t.Helper()
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// serve stores the application 1, unless it is there.
func serve(t testing.TB, st store.Applications) {
	t.Helper()
	_, err := st.InsertApplication(context.Background(), store.Application{ClientID: "sqltest", Name: "sqltest"})
	if err != nil && !errors.Is(err, store.ErrExists) {
		t.Fatal(err)
	}
	if a, err := st.ApplicationByID(context.Background(), 1); err != nil || a.Disabled {
		t.Fatal("no application 1", err)
	}
}

func openIn(t testing.TB, db *sql.DB, p place) *sqlstore.Store {
	t.Helper()
	ctx := context.Background()
	if err := sqlstore.Migrate(ctx, db, p.Dialect, p.options()); err != nil {
		t.Fatal(err)
	}
	st, err := sqlstore.Open(ctx, db, p.Dialect, p.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// A database is a kind of database to test on.
type database struct {
	name   string
	fresh  func(t testing.TB) place // an empty place; skips where there is no server
	server func() (*server, error)  // starts another server; nil for SQLite, which has none
}

func databases() []database {
	all := []database{
		{"SQLite", freshSQLite, nil},
		{"PostgreSQL", freshOn(sharedPostgres), newPostgres},
		{"MariaDB", freshOn(sharedMariaDB), newMariaDB},
	}
	if mysqlProgram() != "" {
		all = append(all, database{"MySQL", freshOn(sharedMySQL), newMySQL})
	}
	return all
}

// onEach runs a test on every kind of database.
func onEach(t *testing.T, test func(t *testing.T, fresh func(t testing.TB) place)) {
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) { test(t, d.fresh) })
	}
}

// freshSQLite returns a new file. The DSN is what a program would use, see
// package sqlstore.
func freshSQLite(t testing.TB) place {
	file := filepath.Join(t.TempDir(), "auth.db")
	return place{
		Dialect: sqlstore.SQLite,
		Driver:  "sqlite",
		DSN:     "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)",
	}
}

// prefixes counts the places on servers: each has tables of its own.
var prefixes atomic.Int64

func freshPrefix() string { return fmt.Sprintf("t%d_", prefixes.Add(1)) }
