// Package sqlstore keeps everything of package store in a SQL database.
//
//	db, err := sql.Open("sqlite", "file:auth.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
//	err = sqlstore.Migrate(ctx, db, sqlstore.SQLite, nil)
//	st, err := sqlstore.Open(ctx, db, sqlstore.SQLite, nil)
//
// It uses database/sql and no driver. A [Store] is [store.Accounts],
// [store.OAuth], [store.Sessions] and [store.Attempts]; a host with users of its
// own passes its own [store.Users] and leaves the users here empty.
//
// What a method reported is on the disk, and what takes several statements is
// one transaction. Steps that lost against another transaction, or whose
// connection broke before they were committed, are repeated for as long as the
// context and [Options.Timeout] allow. Where the connection breaks while a
// commit is under way, nobody knows what became of it: that is an error, never a
// success, and the caller asks again.
//
// # Connections
//
// Look-ups of one record run to their end, within 2 seconds, even if the caller
// has gone: to interrupt a read of microseconds costs as much as the read, and
// with some drivers the connection. Everything else honours the context. No
// method needs more than one connection at a time, and none keeps one.
//
// SQLite: on a local disk, in WAL mode, with synchronous FULL or EXTRA. Give
// every connection a busy_timeout, and the file to no one else to read. Writers
// of one process queue up in the [Store], so use one per process.
//
// PostgreSQL: any isolation level may be the default. Choose a schema with
// search_path. synchronous_commit must not be off.
//
// MySQL, MariaDB: innodb_flush_log_at_trx_commit must be 1, and sql_mode strict.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// Options are the options of [Open] and [Migrate].
// A zero Options consists entirely of default values.
type Options struct {
	// Prefix begins the names of all tables and indexes. Empty means "auth_".
	// It consists of at most 30 lower-case letters, digits and underscores and
	// begins with a letter.
	Prefix string

	// Timeout is how long one call may take, repetitions included, if its
	// context has no earlier deadline. Zero means 10 seconds. [Migrate] has no
	// limit but the context.
	Timeout time.Duration
}

const (
	defaultPrefix  = "auth_"
	defaultTimeout = 10 * time.Second
	lookupTimeout  = 2 * time.Second
)

var goodPrefix = regexp.MustCompile(`^[a-z][a-z0-9_]{0,29}$`)

// settle checks d and opts and fills in the defaults.
func settle(d Dialect, opts *Options) (Options, error) {
	if opts == nil {
		opts = &Options{}
	}
	o := Options{
		Prefix:  cmp.Or(opts.Prefix, defaultPrefix),
		Timeout: cmp.Or(opts.Timeout, defaultTimeout),
	}
	switch {
	case !d.valid():
		return o, errors.New("sqlstore: unknown dialect")
	case !goodPrefix.MatchString(o.Prefix):
		return o, errors.New("sqlstore: Options.Prefix is not a plain identifier")
	case o.Timeout < 0:
		return o, errors.New("sqlstore: Options.Timeout is negative")
	}
	return o, nil
}

// A Store is a database. It is safe for concurrent use.
type Store struct {
	db       *sql.DB
	dialect  Dialect
	prefix   string
	timeout  time.Duration
	prepared map[string]*sql.Stmt // by the constant in queries.go; never changes

	// writer is held by the one who writes to SQLite: to wait here is fair and
	// costs nothing, other than to ask again until the file is free. It is nil
	// for servers.
	writer chan struct{}
}

var (
	_ store.Accounts = (*Store)(nil)
	_ store.OAuth    = (*Store)(nil)
	_ store.Sessions = (*Store)(nil)
	_ store.Attempts = (*Store)(nil)
)

// Open returns the store in db, which stays the caller's to close. It refuses a
// database whose schema is older than this package, which [Migrate] changes, or
// newer, or has lost rows that came with it, and one whose settings would lose
// what was acknowledged. It prepares all statements; [Store.Close] gives them
// back.
func Open(ctx context.Context, db *sql.DB, d Dialect, opts *Options) (*Store, error) {
	if db == nil {
		panic("sqlstore: nil *sql.DB")
	}
	o, err := settle(d, opts)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, dialect: d, prefix: o.Prefix, timeout: o.Timeout,
		prepared: make(map[string]*sql.Stmt),
	}
	if d == SQLite {
		s.writer = make(chan struct{}, 1)
	}
	if err := checkSettings(ctx, db, d); err != nil {
		return nil, err
	}
	if err := checkVersion(ctx, db, d, o.Prefix); err != nil {
		return nil, err
	}
	if err := checkFixedRows(ctx, db, d, o.Prefix); err != nil {
		return nil, err
	}
	for _, query := range preparedQueries(d) {
		stmt, err := db.PrepareContext(ctx, d.rewrite(query, s.prefix))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sqlstore: prepare a statement: %w", err), s.Close())
		}
		s.prepared[query] = stmt
	}
	return s, nil
}

// Close gives the prepared statements back. The store must not be used any more.
func (s *Store) Close() error {
	var errs []error
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// checkSettings refuses a database that would lose or change what it is given.
func checkSettings(ctx context.Context, db *sql.DB, d Dialect) error {
	ask := func(query string) (answer string, err error) {
		if err := db.QueryRowContext(ctx, query).Scan(&answer); err != nil {
			return "", fmt.Errorf("sqlstore: ask for the settings: %w", err)
		}
		return answer, nil
	}
	switch d {
	case SQLite:
		mode, err := ask("PRAGMA journal_mode")
		if err != nil {
			return err
		}
		if mode != "wal" {
			return fmt.Errorf("sqlstore: the journal mode of SQLite is %q: it must be a file in WAL mode, which Migrate sets", mode)
		}
		if level, err := ask("PRAGMA synchronous"); err != nil {
			return err
		} else if level != "2" && level != "3" {
			return errors.New("sqlstore: SQLite's synchronous must be FULL or EXTRA, or acknowledged changes are lost with the power")
		}
	case Postgres:
		if encoding, err := ask("SHOW server_encoding"); err != nil {
			return err
		} else if encoding != "UTF8" {
			return errors.New("sqlstore: the PostgreSQL database is not in UTF-8")
		}
		if commit, err := ask("SHOW synchronous_commit"); err != nil {
			return err
		} else if commit == "off" {
			return errors.New("sqlstore: PostgreSQL's synchronous_commit is off: acknowledged changes would be lost in a crash")
		}
	case MySQL:
		if mode, err := ask("SELECT @@sql_mode"); err != nil {
			return err
		} else if !strings.Contains(mode, "STRICT_TRANS_TABLES") && !strings.Contains(mode, "STRICT_ALL_TABLES") {
			return errors.New("sqlstore: MySQL's sql_mode is not strict: it would cut what does not fit")
		}
		if flush, err := ask("SELECT @@innodb_flush_log_at_trx_commit"); err != nil {
			return err
		} else if flush != "1" {
			return errors.New("sqlstore: MySQL's innodb_flush_log_at_trx_commit is not 1: acknowledged changes would be lost in a crash")
		}
	}
	return nil
}
