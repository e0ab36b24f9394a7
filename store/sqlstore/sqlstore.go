// Package sqlstore keeps the records of package store in a SQL database.
//
//	db, err := sql.Open("sqlite", "file:auth.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)")
//	err = sqlstore.Migrate(ctx, db, sqlstore.SQLite, nil)
//	st, err := sqlstore.Open(ctx, db, sqlstore.SQLite, nil)
//
// It uses database/sql and no driver. A [Store] is [store.Accounts],
// [store.OAuth], [store.Sessions], [store.Attempts] and [store.Activities]. A
// host with its own users sets [Options.Users]; the table of users here then
// stays empty.
//
// A reported change is on the disk, but for three on PostgreSQL. A crash may undo those of
// the last moments, up to three times wal_writer_delay: the use of one token, the next
// expiry of a session, and a right password that is given back, which then counts as a
// wrong one.
//
// A step of several statements is one transaction. Three are not: the deletion of a user
// with very many sessions or consents, and the end of very many sessions, also by the limit
// at a login, are several; in MySQL the insert of a token reads its conditions before. A
// step that lost against another transaction, or whose connection broke before the commit,
// is repeated for as long as the context
// and [Options.Timeout] allow. If the connection breaks during the commit, or
// during a step that is one statement, such as the insert of a token, the outcome is
// unknown. It is, too, if the context ends meanwhile. The method returns an error,
// never a success, and the caller must look again.
//
// # Connections
//
// A look-up of one record runs to its end, within [Options].LookupTimeout, even if the
// context is cancelled, because an interruption costs as much as the read, and
// with some drivers the connection. All other methods honour the context. No
// method needs more than one connection at a time, or keeps one.
//
// SQLite: on a local disk, in WAL mode, with synchronous FULL or EXTRA. Every
// connection needs a busy_timeout. The file must not be readable by others. The
// writers of a process queue up in its [Store], so a process should have one.
//
// PostgreSQL: any isolation level may be the default. Choose a schema with
// search_path. synchronous_commit must not be off.
//
// MySQL, MariaDB: innodb_flush_log_at_trx_commit must be 1, autocommit on, and
// sql_mode strict. A node of a Galera cluster needs interpolateParams=true and
// wsrep_sync_wait=7 in the data source name of its driver, and no maxAllowedPacket.
//
// Poolers in transaction mode need [Options.NoPreparedStatements]. While a server
// hangs, calls fail at once; [Store.Ready] is for readiness probes. The page
// doc/databases.md of the repository has poolers, clusters, clocks, and what is
// repeated when.
package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/observe"
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

	// LookupTimeout is how long the look-up of a token, a session or a user may take,
	// repetitions included. A look-up ignores the deadline of its context. Zero means 2
	// seconds, or Timeout if that is shorter. It must not be longer than Timeout.
	LookupTimeout time.Duration

	// NoPreparedStatements makes the store send every statement as text, prepare
	// nothing by name and rely on nothing that a connection remembers. It is for
	// poolers that give each transaction another connection, such as PgBouncer
	// in transaction mode. A look-up is slower by the time that the database
	// takes to parse it. The driver must not prepare by name either, which
	// [Open] checks in PostgreSQL: pgx has default_query_exec_mode=exec.
	NoPreparedStatements bool

	// Logger receives warnings for the operator of the database: it hangs, or
	// clocks differ. Nil means [slog.Default].
	Logger *slog.Logger

	// Observe is called for the events StoreCalled, CircuitOpened and CircuitClosed,
	// see package observe. Nil costs nothing. [Migrate] ignores it.
	Observe observe.Func

	// Users are the host's, for a host that has a table of its own:
	// AccessByDigest and SessionByDigest return the user that Users has, which
	// is a second read. Nil means the users of this database, which are read
	// along. [Migrate] ignores it.
	Users store.Users
}

const (
	defaultPrefix  = "auth_"
	defaultTimeout = 10 * time.Second
	lookupTimeout  = 2 * time.Second // of Options, and of a probe
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
		Users:   opts.Users,
		Logger:  options.Logger(opts.Logger),
		Observe: opts.Observe,

		NoPreparedStatements: opts.NoPreparedStatements,
	}
	o.LookupTimeout = cmp.Or(opts.LookupTimeout, min(lookupTimeout, o.Timeout))
	switch {
	case !d.valid():
		return o, errors.New("sqlstore: unknown dialect: give SQLite, Postgres or MySQL of this package")
	case !goodPrefix.MatchString(o.Prefix):
		return o, fmt.Errorf("sqlstore: Options.Prefix %q is not at most 30 lower-case letters, digits and underscores that begin with a letter", o.Prefix)
	case o.Timeout < time.Millisecond:
		return o, fmt.Errorf("sqlstore: Options.Timeout %v is below a millisecond", o.Timeout)
	case o.LookupTimeout < time.Millisecond || o.LookupTimeout > o.Timeout:
		return o, fmt.Errorf("sqlstore: Options.LookupTimeout %v is not between a millisecond and Timeout, %v", o.LookupTimeout, o.Timeout)
	case o.Users != nil && options.IsNil(o.Users):
		return o, errors.New("sqlstore: Options.Users holds a nil pointer")
	}
	return o, nil
}

// A Store is a database. It is safe for concurrent use.
type Store struct {
	db                     *sql.DB
	dialect                Dialect
	prefix                 string
	timeout, lookupTimeout time.Duration
	users                  store.Users // the host's, nil where they are in db
	log                    *slog.Logger
	hook                   *hook.Hook
	circuit                circuit
	life                   context.Context // ends with Close
	end                    context.CancelFunc
	hopeless               atomic.Int64                    // when a new connection was useless, in microseconds
	skewNoted              atomic.Int64                    // when clocks were last seen to be apart, in microseconds
	texts                  map[string]string               // in the dialect's form, by its constant; never changes
	prepared               map[string]*sql.Stmt            // by the same; never changes, empty with NoPreparedStatements
	inserts                map[insertShape]insertStatement // never changes
	founders               map[insertShape]insertStatement // of MySQL; never changes
	readCommitted          bool                            // the session of MySQL that Open asked is; each statement checks its own
	lists                  lists

	// writer is held by the writer of SQLite: waiting here is fair and cheaper
	// than polling the file. It is nil for servers.
	writer chan struct{}
}

var (
	_ store.Accounts = (*Store)(nil)
	_ store.OAuth    = (*Store)(nil)
	_ store.Sessions = (*Store)(nil)
	_ store.Attempts = (*Store)(nil)

	_ store.Activities = (*Store)(nil)
)

// Open returns the store in db. The caller must close db after the store. Nil
// options mean the defaults. Open refuses a schema that is older than this
// package, for which [Migrate] must run first, one that is newer and not
// compatible, and one that has lost rows. It refuses a database whose settings
// would lose acknowledged changes. It prepares all statements, unless
// [Options.NoPreparedStatements] is set; [Store.Close] closes them.
func Open(ctx context.Context, db *sql.DB, d Dialect, opts *Options) (*Store, error) {
	s, err := open(ctx, db, d, opts)
	return s, explained(d, err)
}

func open(ctx context.Context, db *sql.DB, d Dialect, opts *Options) (*Store, error) {
	o, err := settle(d, opts)
	if err != nil {
		return nil, err
	}
	if err := checkDialect(ctx, db, d); err != nil {
		return nil, err
	}
	s := &Store{
		db: db, dialect: d, prefix: o.Prefix, timeout: o.Timeout, lookupTimeout: o.LookupTimeout,
		users: o.Users, log: o.Logger, hook: hook.New(o.Observe, o.Logger),
		texts: make(map[string]string), prepared: make(map[string]*sql.Stmt),
		inserts: make(map[insertShape]insertStatement), founders: make(map[insertShape]insertStatement), lists: newLists(),
	}
	for _, h := range insertShapes() {
		s.inserts[h] = h.statement(d)
	}
	s.life, s.end = context.WithCancel(context.Background())
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
	ids, err := tokenIDsOf(ctx, db, d, s.prefix)
	if err != nil {
		return nil, err
	}
	queries := preparedQueries(d)
	names := []string{serial(s.prefix), ids}
	if d == MySQL {
		name, level, err := isolationOf(ctx, db)
		if err != nil {
			return nil, err
		}
		names, s.readCommitted = append(names, isolation, name), level == "READ-COMMITTED"
		for _, h := range insertShapes() {
			if h.paid { // in the transaction of what pays
				continue
			}
			s.founders[h] = h.founder(s.readCommitted)
			queries = append(queries, s.founders[h].query)
		}
	}
	known := strings.NewReplacer(names...)
	for _, query := range queries {
		s.texts[query] = known.Replace(d.rewrite(query, s.prefix))
	}
	if o.NoPreparedStatements {
		if err := checkNothingPrepared(ctx, db, d); err != nil {
			return nil, err
		}
	}
	notePool(ctx, db, d, s.log)
	galera, err := inGalera(ctx, db, d, s.log)
	if err != nil {
		return nil, err
	}
	if galera || o.NoPreparedStatements {
		return s, nil
	}
	if err := checkPrepared(ctx, db, d); err != nil {
		return nil, err
	}
	for query, text := range s.texts {
		stmt, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("sqlstore: prepare a statement: %w", err), s.Close())
		}
		s.prepared[query] = stmt
	}
	return s, nil
}

// Close gives the prepared statements back. The store must not be used any more.
func (s *Store) Close() error {
	s.end()
	var errs []error
	for _, stmt := range s.prepared {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// checkSettings refuses a database that would lose or change values.
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
			return fmt.Errorf("sqlstore: the journal mode of SQLite is %q: it must be a file in WAL mode, which Migrate sets; package memory is for tests", mode)
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
			return errors.New("sqlstore: MySQL's sql_mode is not strict: it would cut long values")
		}
		if auto, err := ask("SELECT @@autocommit"); err != nil {
			return err
		} else if auto != "1" {
			return errors.New("sqlstore: MySQL's autocommit is off: steps of one statement would be acknowledged and not committed")
		}
		if flush, err := ask("SELECT @@innodb_flush_log_at_trx_commit"); err != nil {
			return err
		} else if flush != "1" {
			return errors.New("sqlstore: MySQL's innodb_flush_log_at_trx_commit is not 1: acknowledged changes would be lost in a crash")
		}
	}
	return nil
}
