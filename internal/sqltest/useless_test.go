package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// everyConn runs a statement on all connections of a pool, so that all are open.
func everyConn(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	for range db.Stats().MaxOpenConnections {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// useEverything reads and writes in each way that the store has, and returns what
// failed.
func useEverything(st *sqlstore.Store, name string) error {
	ctx, now := context.Background(), time.Now()
	u, err := st.InsertUser(ctx, store.User{Name: name, Active: true}) // a transaction
	if err != nil {
		return fmt.Errorf("InsertUser: %w", err)
	}
	tok := tokenNamed(name, now)
	tok.UserID = u.ID
	if tok, err = st.InsertToken(ctx, tok, store.InsertLimits{}); err != nil {
		return fmt.Errorf("InsertToken: %w", err)
	}
	if a, err := st.AccessByDigest(ctx, tok.Digest); err != nil || a.User.Name != name { // a look-up
		return fmt.Errorf("AccessByDigest: %v, %w", a, err)
	}
	if err := st.Touch(ctx, []store.Sighting{{TokenID: tok.ID, At: now}}); err != nil { // one statement that writes
		return fmt.Errorf("Touch: %w", err)
	}
	_, err = st.Rotate(ctx, store.Rotation{ // one statement that must not run twice
		Refresh: tok.Refresh.Digest, ApplicationID: 1, Revision: tok.Revision, At: now, Token: tokenNamed(name+"'", now),
	})
	if err != nil {
		return fmt.Errorf("Rotate: %w", err)
	}
	if list, n, err := st.ListUsers(ctx, store.UserFilter{Name: name}, store.Page{Limit: 5}); err != nil || n != 1 || len(list) != 1 { // a list
		return fmt.Errorf("ListUsers: %v, %d, %w", list, n, err)
	}
	return nil
}

// Connections that have become useless, all of them at once, are replaced without
// a call that fails.
func TestUselessConnections(t *testing.T) {
	for _, tt := range []struct {
		name, database string
		spoil          func(t *testing.T, db *sql.DB, prefix string)
	}{
		{"the type of a column changed", "PostgreSQL", func(t *testing.T, db *sql.DB, prefix string) {
			for _, change := range []string{
				"users ALTER COLUMN email TYPE VARCHAR(500)",
				"tokens ALTER COLUMN description TYPE VARCHAR(10000)",
			} {
				if _, err := db.Exec("ALTER TABLE " + prefix + change); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"read-only", "PostgreSQL", func(t *testing.T, db *sql.DB, _ string) {
			everyConn(t, db, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
		}},
		{"read-only", "MariaDB", func(t *testing.T, db *sql.DB, _ string) {
			everyConn(t, db, "SET SESSION TRANSACTION READ ONLY")
		}},
		{"read-only", "MySQL", func(t *testing.T, db *sql.DB, _ string) {
			everyConn(t, db, "SET SESSION TRANSACTION READ ONLY")
		}},
		{"terminated", "PostgreSQL", func(t *testing.T, db *sql.DB, prefix string) {
			// Others have the shared server, too.
			everyConn(t, db, "SET application_name = '"+prefix+"'")
			admin, err := need(t, sharedPostgres).place.connect()
			if err != nil {
				t.Fatal(err)
			}
			defer admin.Close()
			_, err = admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", prefix)
			if err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for _, d := range databases() {
			if d.name != tt.database {
				continue
			}
			t.Run(tt.database+" "+tt.name, func(t *testing.T) {
				p := d.fresh(t)
				st, db := p.openDB(t)
				// Each connection of PostgreSQL has prepared everything.
				var all []func()
				warm := 1
				if d.name == "PostgreSQL" {
					warm = 3 * db.Stats().MaxOpenConnections
				}
				for i := range warm {
					all = append(all, func() {
						if err := useEverything(st, fmt.Sprintf("before%d", i)); err != nil {
							t.Error(err)
						}
					})
				}
				together(all...)
				tt.spoil(t, db, p.Prefix)
				if err := st.Ready(t.Context()); err != nil { // as a request is
					t.Errorf("Ready: %v", err)
				}
				for i := range 5 {
					if err := useEverything(st, fmt.Sprintf("after%d", i)); err != nil {
						t.Errorf("call %d: %v", i, err)
					}
				}
			})
		}
	}
}

// Where the database itself is read-only, new connections are not opened all the
// time.
func TestReadOnlyDatabase(t *testing.T) {
	p := freshOn(sharedPostgres)(t)
	p.open(t) // migrates
	p.DSN += " default_transaction_read_only=on"
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	st, err := sqlstore.Open(t.Context(), db, p.Dialect, p.options())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	everyConn(t, db, "SELECT 1")
	connected := countConnects(t, st, db)
	if most := 2 * db.Stats().MaxOpenConnections; connected > most {
		t.Errorf("200 writes opened %d connections, want at most %d", connected, most)
	}
	if _, err := st.AccessByDigest(t.Context(), store.Digest{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a look-up: %v", err)
	}
	if err := st.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

// countConnects writes in vain and returns how many new connections that took: as
// many as were closed, since none is missing afterwards.
func countConnects(t *testing.T, st *sqlstore.Store, db *sql.DB) int {
	t.Helper()
	pids := map[int]bool{}
	for range 200 {
		_, err := st.InsertToken(t.Context(), tokenNamed("x", time.Now()), store.InsertLimits{})
		if err == nil || !strings.Contains(err.Error(), "25006") {
			t.Fatalf("InsertToken = %v, want a read-only transaction", err)
		}
		pid := 0
		if err := db.QueryRow("SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		pids[pid] = true
	}
	return len(pids)
}

// Where the server takes no further connection, calls wait for those that there
// are.
func TestTooManyConnections(t *testing.T) {
	for _, tt := range []struct {
		database string
		limited  func(t *testing.T, admin *sql.DB, p place) place
	}{
		{"PostgreSQL", func(t *testing.T, admin *sql.DB, p place) place {
			for _, statement := range []string{
				"CREATE ROLE " + p.Prefix + "limited LOGIN CONNECTION LIMIT 4",
				"GRANT ALL ON ALL TABLES IN SCHEMA public TO " + p.Prefix + "limited",
				"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO " + p.Prefix + "limited",
			} {
				if _, err := admin.Exec(statement); err != nil {
					t.Fatal(err)
				}
			}
			p.DSN = strings.Replace(p.DSN, "user=postgres", "user="+p.Prefix+"limited", 1)
			return p
		}},
		{"MariaDB", limitedMySQL},
		{"MySQL", limitedMySQL},
	} {
		for _, d := range databases() {
			if d.name != tt.database {
				continue
			}
			t.Run(d.name, func(t *testing.T) {
				p := d.fresh(t)
				_, admin := p.openDB(t)
				st := tt.limited(t, admin, p).openMigrated(t)
				var all []func()
				for i := range 16 {
					all = append(all, func() {
						for n := range 3 {
							if err := useEverything(st, fmt.Sprintf("u%d.%d", i, n)); err != nil {
								t.Error(err)
							}
						}
					})
				}
				together(all...)
			})
		}
	}
}

func limitedMySQL(t *testing.T, admin *sql.DB, p place) place {
	for _, statement := range []string{
		"CREATE USER " + p.Prefix + "limited WITH MAX_USER_CONNECTIONS 4",
		"GRANT ALL ON ostiary.* TO " + p.Prefix + "limited",
	} {
		if _, err := admin.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	p.DSN = strings.Replace(p.DSN, "root@", p.Prefix+"limited@", 1)
	return p
}

// openMigrated opens a store that was migrated by somebody else.
func (p place) openMigrated(t testing.TB) *sqlstore.Store {
	t.Helper()
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	st, err := sqlstore.Open(context.Background(), db, p.Dialect, p.options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}
