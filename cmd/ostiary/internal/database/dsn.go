package database

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/ostiary/auth/store/sqlstore"
)

const (
	dialTimeout = 10 * time.Second
	// hostTimeout is how long each of several hosts may take to answer.
	hostTimeout = 2 * time.Second
)

// connect opens a pool. Errors name no part of the data source name, which has a
// password in it.
func connect(name string) (*DB, error) {
	switch scheme, _, isURL := strings.Cut(name, "://"); {
	case name == "":
		return nil, errors.New("the data source name is empty")
	case !isURL:
		pool, err := openFile(name)
		if err != nil {
			return nil, err
		}
		return &DB{Pool: pool, Dialect: sqlstore.SQLite, File: name}, nil
	case scheme == "postgres" || scheme == "postgresql":
		c, err := postgresConfig(name)
		if err != nil {
			return nil, err
		}
		return &DB{Pool: stdlib.OpenDB(*c), Dialect: sqlstore.Postgres}, nil
	case scheme == "mysql":
		c, err := mysqlConfig(name)
		if err != nil {
			return nil, err
		}
		connector, err := mysql.NewConnector(c)
		if err != nil {
			return nil, err
		}
		return &DB{Pool: sql.OpenDB(connector), Dialect: sqlstore.MySQL}, nil
	}
	return nil, errors.New("the data source name begins with no scheme that is known: give the path of a SQLite file, postgres://… or mysql://…")
}

// postgresConfig reads a URL of PostgreSQL. Where it names several hosts, one that
// hangs must leave time for the others.
func postgresConfig(name string) (*pgx.ConnConfig, error) {
	c, err := pgx.ParseConfig(name)
	if err != nil {
		return nil, postgresForm(err)
	}
	if !strings.Contains(name, "connect_timeout=") {
		c.ConnectTimeout = dialTimeout
		for _, other := range c.Fallbacks {
			if other.Host != c.Host || other.Port != c.Port {
				c.ConnectTimeout = hostTimeout
			}
		}
	}
	if !strings.Contains(name, "default_query_exec_mode=") {
		c.DefaultQueryExecMode = pgx.QueryExecModeExec
	}
	return c, nil
}

// postgresForm returns what is wrong with a URL of PostgreSQL. The URL itself is in what
// net/url says, with the password.
func postgresForm(err error) error {
	form := errors.New("not a URL of the form postgres://user:password@host:5432/database?sslmode=verify-full")
	cause := errors.Unwrap(err)
	if _, ok := errors.AsType[*url.Error](err); ok || cause == nil {
		return form
	}
	return fmt.Errorf("%w: %w", form, cause)
}

// path are the characters of a name that is certainly a path, and no data source name
// with a password in another form.
var path = regexp.MustCompile(`^[A-Za-z0-9_./ -]+$`)

// errNoFile is wrapped by what [Connect] says of a SQLite file that does not exist.
var errNoFile = errors.New("no such file")

// Hint adds to an error of [Connect] how a new database is made, where that is missing.
func Hint(err error) error {
	if errors.Is(err, errNoFile) {
		return fmt.Errorf("%w; ostiary migrate --create makes a new database", err)
	}
	return err
}

// openFile opens a SQLite file that exists. A command that creates files would make
// an empty database of each mistyped name.
func openFile(name string) (*sql.DB, error) {
	switch info, err := os.Stat(name); {
	case err != nil && !path.MatchString(name):
		return nil, errors.New("the data source name is neither postgres://…, nor mysql://…, nor the path of a SQLite file")
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", name, errNoFile)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a file", name)
	}
	// Writers wait for each other instead of failing, and an acknowledged change is
	// on the disk.
	return sql.Open("sqlite", "file:"+(&url.URL{Path: name}).EscapedPath()+"?"+url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(10000)", "synchronous(FULL)", "foreign_keys(ON)"},
	}.Encode())
}

// mysqlConfig takes a URL as PostgreSQL has it; the parameter socket stands for
// host and port. The driver takes the other ones; what it does not know is a
// variable of the server, such as wsrep_sync_wait.
func mysqlConfig(name string) (*mysql.Config, error) {
	form := errors.New("not a URL of the form mysql://user:password@host:3306/database?tls=true")
	u, err := url.Parse(name)
	if err != nil {
		return nil, form
	}
	parameters, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, form
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
		return nil, fmt.Errorf("the parameters of the data source name: %w", err)
	}
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.TrimPrefix(u.Path, "/")
	return c, nil
}
