package cli_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// open opens the database of a bench beside the commands.
func open(t testing.TB, b *bench) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), b.env["OSTIARY_DSN"], sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func insertUser(t testing.TB, b *bench, name string) store.User {
	t.Helper()
	u, err := open(t, b).Store.InsertUser(t.Context(), store.User{Name: name, Active: true, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// fill inserts users in one transaction.
func fill(t testing.TB, b *bench, n int) {
	t.Helper()
	tx, err := open(t, b).Pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() // does nothing after the commit
	for i := range n {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO auth_users (id, id_number, name, email, first_name, last_name, is_admin, is_auditor, is_active, epoch, password_hash, created_at, revision)
			VALUES (?, ?, ?, '', '', '', FALSE, FALSE, TRUE, 1, '', 0, 1)`, fmt.Sprint(i+1), i+1, fmt.Sprint("u", i))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
