package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
)

// checkDialect refuses a database of another dialect than d, whose first statement
// would fail with a message that explains nothing. It leaves everything else that
// is wrong to that statement.
func checkDialect(ctx context.Context, db *sql.DB, d Dialect) error {
	if db == nil {
		panic("sqlstore: nil *sql.DB: give the one that sql.Open returned")
	}
	var text string
	is := func(query string) bool { return db.QueryRowContext(ctx, query).Scan(&text) == nil }
	found := d
	if d == SQLite && !is("SELECT sqlite_version()") || d != SQLite {
		switch {
		case is("SELECT version()") && strings.HasPrefix(text, "PostgreSQL"):
			found = Postgres
		case text != "" && text[0] >= '0' && text[0] <= '9': // "8.0.36", "10.11.6-MariaDB"
			found = MySQL
		case d != SQLite && is("SELECT sqlite_version()"):
			found = SQLite
		}
	}
	if found != d {
		return fmt.Errorf("sqlstore: the dialect is %v and the database is one of %v: give sqlstore.%s", d.name(), found.name(), found.name())
	}
	return nil
}

// name returns the name of the constant.
func (d Dialect) name() string { return [...]string{"", "SQLite", "Postgres", "MySQL"}[d] }

// notePool warns of a pool that works until there is load.
func notePool(ctx context.Context, db *sql.DB, d Dialect, log *slog.Logger) {
	if d != SQLite {
		if db.Stats().MaxOpenConnections == 0 {
			log.WarnContext(ctx, "sqlstore: the pool has no limit, so that a burst takes every connection of the server: call SetMaxOpenConns and SetMaxIdleConns of the *sql.DB")
		}
		return
	}
	wait := 0
	if err := db.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&wait); err == nil && wait == 0 {
		log.WarnContext(ctx, "sqlstore: SQLite's busy_timeout is 0, so that another process that writes makes calls fail: set it in the data source name, to 5000 for instance")
	}
}
