package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// database is all that the parts of the server ask of a store.
type database interface {
	store.Accounts
	store.OAuth
	store.Sessions
	store.Attempts
}

// open opens the database, and creates it if it is missing, readable by its owner
// alone.
func open(ctx context.Context, file string) (*sql.DB, *sqlstore.Store, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("-db: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, nil, fmt.Errorf("-db: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(file))
	if err != nil {
		return nil, nil, err
	}
	st, err := prepare(ctx, db)
	if err != nil {
		_ = db.Close()
		return nil, nil, fmt.Errorf("-db %s: %w", file, err)
	}
	return db, st, nil
}

// dsn makes writers wait for each other instead of failing, and keeps what was
// acknowledged through a crash.
func dsn(file string) string {
	return "file:" + (&url.URL{Path: file}).EscapedPath() + "?" + url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)"},
	}.Encode()
}

func prepare(ctx context.Context, db *sql.DB) (*sqlstore.Store, error) {
	if err := sqlstore.Migrate(ctx, db, sqlstore.SQLite, nil); err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, jobsSchema); err != nil {
		return nil, err
	}
	return sqlstore.Open(ctx, db, sqlstore.SQLite, nil)
}
