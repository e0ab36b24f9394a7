package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Dialect is a kind of database. Dialects differ in placeholders and types,
// not in the meaning of statements. The zero Dialect is refused.
type Dialect uint8

const (
	// SQLite is SQLite 3.35 or later, in WAL mode. See [Open] for how to
	// connect.
	SQLite Dialect = iota + 1
	// Postgres is PostgreSQL 12 or later, with a database in UTF-8.
	Postgres
	// MySQL is MySQL 8.0 or MariaDB 10.5, or later, with InnoDB and a strict
	// sql_mode, which is the default of both.
	MySQL
)

// String returns the name of the folder with the dialect's schema.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "sqlite"
	case Postgres:
		return "postgres"
	case MySQL:
		return "mysql"
	}
	return "Dialect(" + strconv.Itoa(int(d)) + ")"
}

func (d Dialect) valid() bool { return d >= SQLite && d <= MySQL }

// rewrite translates a statement of queries.go to the dialect.
func (d Dialect) rewrite(query, prefix string) string {
	if prefix != defaultPrefix {
		query = strings.ReplaceAll(query, defaultPrefix, prefix)
	}
	switch d {
	case SQLite:
		query = strings.TrimSuffix(strings.TrimSuffix(query, " FOR UPDATE"), " FOR SHARE")
	case MySQL:
		if before, ok := strings.CutSuffix(query, " FOR SHARE"); ok {
			query = before + " LOCK IN SHARE MODE" // which MariaDB has, too
		}
	}
	if d != Postgres {
		return strings.TrimSuffix(strings.TrimSuffix(query, "\n\tRETURNING id"), notWaiting)
	}
	query = strings.ReplaceAll(query, "INSTR(", "STRPOS(")
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString(d.placeholder(n - 1))
		query = after
	}
}

// placeholder returns what stands for the n-th argument, from 0.
func (d Dialect) placeholder(n int) string {
	if d == Postgres {
		return "$" + strconv.Itoa(n+1)
	}
	return "?"
}

// txOptions are the options of every transaction. READ COMMITTED is asked for,
// whatever the default of the server: the statements are written for it, and
// anything stricter fails more often and protects no better.
func (d Dialect) txOptions() *sql.TxOptions {
	if d == SQLite {
		return nil // always serializable
	}
	return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
}

// local reports whether the database is in this process, so that a read cannot
// hang for want of an answer.
func (d Dialect) local() bool { return d == SQLite }

// tableExists counts the tables of a name.
func (d Dialect) tableExists() string {
	switch d {
	case SQLite:
		return `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?`
	case Postgres:
		return `SELECT COUNT(*) FROM pg_catalog.pg_class WHERE oid = to_regclass($1) AND relkind IN ('r', 'p')`
	default:
		return `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?`
	}
}

// The indexes of live tokens, see schema step lists: by user and ID, by user and in
// other orders, by application and ID, by ID.
const (
	indexListed   = "listed"
	indexCreated  = "created"
	indexModified = "modified"
	indexExpiring = "expiring"
	indexIssued   = "issued"
	indexEvery    = "every"

	// Of those that were minted through an application, also revoked ones.
	indexVia = "via"
)

// tokensBy returns where tokens are read from, by an index of live tokens unless it
// is empty. MySQL has to be told: it would rather go through the primary key until
// it has met as many as it needs.
func (d Dialect) tokensBy(index string) string {
	if index != "" {
		index = "auth_tokens_" + index
	}
	return "\n\tFROM auth_tokens t" + d.force(index)
}

// force says behind a table by which index MySQL finds rows, unless it is "".
func (d Dialect) force(index string) string {
	if d != MySQL || index == "" {
		return ""
	}
	return " FORCE INDEX (" + index + ")"
}

// orderLive is orderBy for live tokens, as they stand in the indexes: behind the
// column of a range, "" for none. PostgreSQL does not see by itself that this orders
// nothing, and for all tokens seq tells their index from the primary key, which has those
// that were revoked. In SQLite they stand behind revoked_at, too, which is NULL in all of them.
func (d Dialect) orderLive(column string, descending bool, columns ...string) string {
	switch {
	case d == SQLite:
		columns = append([]string{"t.revoked_at"}, columns...)
	case d == Postgres && column != "":
		columns = append([]string{column}, columns...)
	case d == Postgres && len(columns) == 1:
		columns = []string{columns[0], "t.seq"}
	}
	return orderBy(descending, columns...)
}

// serial is how statements name what PostgreSQL takes the IDs of tokens from.
func serial(prefix string) string {
	return "pg_get_serial_sequence('" + prefix + "tokens', 'id')"
}

// tokenIDsOf returns a shorter name than [serial], because PostgreSQL would look that up
// in each statement. It has a schema only if another sequence would be found without. For
// the other dialects, whose statements do not need it, it is "".
func tokenIDsOf(ctx context.Context, db *sql.DB, d Dialect, prefix string) (name string, err error) {
	if d != Postgres {
		return "", nil
	}
	err = db.QueryRowContext(ctx, "SELECT quote_literal("+serial(prefix)+"::regclass::text) || '::regclass'").Scan(&name)
	if err != nil {
		return "", fmt.Errorf("sqlstore: look for the sequence of the tokens: %w", err)
	}
	return name, nil
}

// isolation is how statements name the isolation of a session of MySQL.
const isolation = "@@transaction_isolation"

// isolationOf returns the name that the server has for it, which is another one in MariaDB
// before version 11.1, and the isolation of a session.
func isolationOf(ctx context.Context, db *sql.DB) (name, level string, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", "", fmt.Errorf("sqlstore: ask for the settings: %w", err)
	}
	defer conn.Close()
	for _, name := range []string{isolation, "@@tx_isolation"} {
		level, err = variable(ctx, conn, "VARIABLES", name[len("@@"):])
		if level != "" || err != nil {
			return name, level, err
		}
	}
	return "", "", errors.New("sqlstore: the server does not tell the isolation of a session")
}
