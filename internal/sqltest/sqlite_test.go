package sqltest

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/ostiary/auth/store/sqlstore"
)

// sqliteDSN is what a program would use; see package sqlstore.
func sqliteDSN(file string) string {
	return "file:" + file + "?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)"
}

// openFile migrates and opens a SQLite file. Everything is closed with the test.
func openFile(t testing.TB, file string) *sqlstore.Store {
	t.Helper()
	db, err := sql.Open("sqlite", sqliteDSN(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return open(t, db, sqlstore.SQLite, nil)
}

// openSQLite opens a new SQLite file.
func openSQLite(t testing.TB) *sqlstore.Store {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "auth.db"))
}

// open migrates and opens a database.
func open(t testing.TB, db *sql.DB, d sqlstore.Dialect, opts *sqlstore.Options) *sqlstore.Store {
	t.Helper()
	ctx := context.Background()
	if err := sqlstore.Migrate(ctx, db, d, opts); err != nil {
		t.Fatal(err)
	}
	st, err := sqlstore.Open(ctx, db, d, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}
