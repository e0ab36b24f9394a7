package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/ostiary/auth/store/sqlstore"
)

// A database holds what the module keeps, and the tables of this service beside
// it.
type database struct {
	*sql.DB
	dialect sqlstore.Dialect
	options sqlstore.Options
	store   *sqlstore.Store
}

const (
	maxConns = 16 // that are open, and stay open

	dialTimeout = 10 * time.Second
	// hostTimeout is how long each of several hosts may take to answer. A look-up
	// has two seconds for all of them.
	hostTimeout = time.Second
)

// limits are what a database may cost; zero means the default.
type limits struct {
	conns   int
	timeout time.Duration // of a call

	metrics *metrics // count its calls and connections; nil for none
}

// open opens the database that -db names and brings its tables up to date.
func open(ctx context.Context, name string, l limits) (*database, error) {
	pool, dialect, err := connect(name)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(cmp.Or(l.conns, maxConns))
	pool.SetMaxIdleConns(cmp.Or(l.conns, maxConns))
	db := &database{DB: pool, dialect: dialect}
	db.options.Timeout = l.timeout
	db.options.NoPreparedStatements = unprepared(name)
	db.options.Observe = l.metrics.observe()
	if err := db.prepare(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return db, l.metrics.watch(pool)
}

func connect(name string) (pool *sql.DB, dialect sqlstore.Dialect, err error) {
	if err := checkDatabase(name); err != nil {
		return nil, 0, err
	}
	switch scheme, _, isURL := strings.Cut(name, "://"); {
	case !isURL:
		pool, err = openFile(name)
		return pool, sqlstore.SQLite, err
	case scheme == "postgres" || scheme == "postgresql":
		c, err := postgresConfig(name)
		if err != nil {
			return nil, 0, err
		}
		return stdlib.OpenDB(*c), sqlstore.Postgres, nil
	case scheme == "mysql":
		c, err := mysqlConfig(name)
		if err != nil {
			return nil, 0, err
		}
		connector, err := mysql.NewConnector(c)
		if err != nil {
			return nil, 0, err
		}
		return sql.OpenDB(connector), sqlstore.MySQL, nil
	default:
		return nil, 0, errScheme(scheme)
	}
}

func errScheme(scheme string) error {
	return fmt.Errorf("%s:// is no database I know; give a file, postgres://… or mysql://…", scheme)
}

// checkDatabase refuses a name that cannot be opened, and makes nothing.
func checkDatabase(name string) error {
	switch scheme, _, isURL := strings.Cut(name, "://"); {
	case !isURL:
		return checkFile(name)
	case scheme == "postgres" || scheme == "postgresql":
		_, err := postgresConfig(name)
		return err
	case scheme == "mysql":
		_, err := mysqlConfig(name)
		return err
	default:
		return errScheme(scheme)
	}
}

// checkFile refuses a SQLite file that is none, or that has no folder.
func checkFile(name string) error {
	if name == "" {
		return errors.New("the name is empty; give a file, postgres://… or mysql://…")
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		folder, errFolder := os.Stat(filepath.Dir(name))
		if errFolder == nil && folder.IsDir() {
			return nil
		}
	}
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a folder", name)
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = &fs.PathError{Op: "open", Path: name, Err: e.Err}
	}
	if err != nil {
		return fmt.Errorf("%w; choose a file that can be written", err)
	}
	return nil
}

// postgresConfig reads a URL of PostgreSQL. Where it names several hosts, one that
// hangs must leave time for the others.
func postgresConfig(name string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(name)
	if err != nil {
		return nil, err
	}
	for _, other := range c.Fallbacks {
		if (other.Host != c.Host || other.Port != c.Port) && !strings.Contains(name, "connect_timeout=") {
			c.ConnectTimeout = hostTimeout
		}
	}
	return c, nil
}

// unprepared reports whether a URL of PostgreSQL asks for a mode of the driver that
// prepares nothing, as it must behind a pooler in transaction mode.
func unprepared(name string) bool {
	if u, err := url.Parse(name); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		mode := u.Query().Get("default_query_exec_mode")
		return mode != "" && mode != "cache_statement"
	}
	return false
}

// openFile opens a SQLite file, and creates it if it is missing, readable by its
// owner alone.
func openFile(name string) (*sql.DB, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; choose a file that can be written", err)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	// Writers wait for each other instead of failing, and an acknowledged
	// change is on the disk.
	return sql.Open("sqlite", "file:"+(&url.URL{Path: name}).EscapedPath()+"?"+url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)"},
	}.Encode())
}

// mysqlConfig takes a URL as PostgreSQL has it; the parameter socket stands for
// host and port. The driver takes the other ones; what it does not know is a
// variable of the server, such as wsrep_sync_wait.
func mysqlConfig(name string) (*mysql.Config, error) {
	u, err := url.Parse(name)
	if err != nil {
		return nil, errors.New("not a URL of the form mysql://user:password@host:3306/database")
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("the parameters behind the question mark: %w", err)
	}
	network, address := "tcp", u.Host
	if socket := parameters.Get("socket"); socket != "" {
		network, address = "unix", socket
	} else if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "3306")
	}
	parameters.Del("socket")
	for name, value := range map[string]string{
		// A Galera cluster was seen to acknowledge what it undid, where statements
		// are prepared for one use.
		"interpolateParams": "true",
		"timeout":           dialTimeout.String(),
	} {
		if !parameters.Has(name) {
			parameters.Set(name, value)
		}
	}
	c, err := mysql.ParseDSN(network + "(" + address + ")/?" + parameters.Encode())
	if err != nil {
		return nil, err
	}
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.TrimPrefix(u.Path, "/")
	return c, nil
}

func (db *database) prepare(ctx context.Context) error {
	if err := sqlstore.Migrate(ctx, db.DB, db.dialect, nil); err != nil {
		return err
	}
	if err := db.createTables(ctx); err != nil {
		return fmt.Errorf("create the tables of the server: %w", err)
	}
	var err error
	db.store, err = sqlstore.Open(ctx, db.DB, db.dialect, &db.options)
	return err
}

// tablesLock is what PostgreSQL knows the creation of these tables by.
const tablesLock = 0x6f737469617279

// createTables creates the tables that are missing. Several servers may start at
// once: MySQL and SQLite create a table once, PostgreSQL fails in all but one
// unless they wait for each other.
func (db *database) createTables(ctx context.Context) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after the commit
	if db.dialect == sqlstore.Postgres {
		// The lock ends with the transaction, so that it works behind a pooler.
		if _, err := tx.ExecContext(ctx, fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", tablesLock)); err != nil {
			return err
		}
	}
	for _, table := range []string{jobsTable, membersTable, purgesTable} {
		if _, err := tx.ExecContext(ctx, db.define(table)); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// Close closes the store and the connections.
func (db *database) Close() error { return errors.Join(db.store.Close(), db.DB.Close()) }

// define spells a table for the dialect.
func (db *database) define(table string) string {
	switch db.dialect {
	case sqlstore.Postgres:
		return strings.ReplaceAll(table, "INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY")
	case sqlstore.MySQL:
		return strings.ReplaceAll(table, "INTEGER PRIMARY KEY", "BIGINT AUTO_INCREMENT PRIMARY KEY") +
			" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
	}
	return table
}

// bind spells the placeholders of a statement for the dialect.
func (db *database) bind(query string) string {
	if db.dialect != sqlstore.Postgres {
		return query
	}
	parts := strings.Split(query, "?")
	var b strings.Builder
	b.WriteString(parts[0])
	for i, part := range parts[1:] {
		b.WriteString("$" + strconv.Itoa(i+1) + part)
	}
	return b.String()
}

// insert runs an INSERT and returns the ID of the new row.
func (db *database) insert(ctx context.Context, query string, args ...any) (id int64, err error) {
	if db.dialect == sqlstore.Postgres {
		err = db.QueryRowContext(ctx, db.bind(query)+" RETURNING id", args...).Scan(&id)
		return id, err
	}
	result, err := db.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}
