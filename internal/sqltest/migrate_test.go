package sqltest

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// migrateChild migrates once it is told to, as does everybody else.
func migrateChild(args []byte) error {
	var p place
	if err := json.Unmarshal(args, &p); err != nil {
		return err
	}
	db, err := p.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	fmt.Println("ready")
	fmt.Scanln()
	ctx := context.Background()
	if err := sqlstore.Migrate(ctx, db, p.Dialect, p.options()); err != nil {
		return err
	}
	st, err := sqlstore.Open(ctx, db, p.Dialect, p.options())
	if err != nil {
		return err
	}
	return st.Close()
}

// migrateTogether has a process for each place that migrates and opens a store at the
// same time as the others.
func migrateTogether(t *testing.T, places []place) {
	t.Helper()
	var all []*child
	for _, p := range places {
		c := start(t, "migrate", p)
		if !c.lines.Scan() {
			t.Fatal("child did not start")
		}
		all = append(all, c)
	}
	for _, c := range all {
		fmt.Fprintln(c.stdin)
	}
	for _, c := range all {
		c.wait(t)
	}
}

func TestTenProcessesMigrateAtOnce(t *testing.T) {
	onEach(t, migrateAtOnce)
}

func migrateAtOnce(t *testing.T, fresh func(testing.TB) place) {
	p := fresh(t)
	migrateTogether(t, slices.Repeat([]place{p}, 10))
	st := p.open(t) // once more: nothing to do
	if _, _, err := st.ListUsers(t.Context(), store.UserFilter{}, page1); err != nil {
		t.Error(err)
	}
}

func TestOpenRefusesAnotherSchema(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		ctx := t.Context()
		db, err := p.connect()
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if p.Dialect == sqlstore.SQLite {
			if _, err := db.Exec("PRAGMA journal_mode = WAL"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := sqlstore.Open(ctx, db, p.Dialect, p.options()); err == nil || !strings.Contains(err.Error(), "call Migrate") {
			t.Errorf("without a schema: %v", err)
		}
		openIn(t, db, p)
		// A newer schema says with which versions it is compatible (decision 37).
		for _, tt := range []struct {
			name    string
			from    int
			refused string
		}{
			{"a newer schema that is compatible", 2, ""},
			{"a newer schema that is not", 999, "programs from version 999 on"},
		} {
			if _, err := db.Exec(p.sql("DELETE FROM auth_schema WHERE version = 1000")); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(p.sql(fmt.Sprintf("INSERT INTO auth_schema (version, compatible) VALUES (1000, %d)", tt.from))); err != nil {
				t.Fatal(err)
			}
			st, err := sqlstore.Open(ctx, db, p.Dialect, p.options())
			if fmt.Sprint(err) != "<nil>" && tt.refused == "" || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("%s: Open: %v", tt.name, err)
			}
			if err == nil {
				st.Close()
			}
			err = sqlstore.Migrate(ctx, db, p.Dialect, p.options())
			if fmt.Sprint(err) != "<nil>" && tt.refused == "" || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("%s: Migrate: %v", tt.name, err)
			}
			plan, err := sqlstore.Plan(ctx, db, p.Dialect, p.options())
			if plan != "" || (err == nil) != (tt.refused == "") {
				t.Errorf("%s: Plan: %q, %v", tt.name, plan, err)
			}
		}
	})
}

// A database that lost rows of its schema does not open: without a lock to take,
// what is there would not be found.
func TestOpenRefusesLostRows(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		for _, tt := range []struct{ table, lose, restore string }{
			{"locks", "DELETE FROM locks", ""},
			{"locks", "DELETE FROM locks WHERE slot = 1023", "INSERT INTO locks (slot) VALUES (1023)"},
			{"locks", "UPDATE locks SET slot = 1024 WHERE slot = 0", "UPDATE locks SET slot = 0 WHERE slot = 1024"},
			{"counters", "DELETE FROM counters", ""},
			{"counters", "DELETE FROM counters WHERE name = 'users'", "INSERT INTO counters (name, last_id) VALUES ('users', 0)"},
			{"counters", "DELETE FROM counters WHERE name = 'cutoffs'", "INSERT INTO counters (name, last_id) VALUES ('cutoffs', 0)"},
		} {
			p := fresh(t)
			_, db := p.openDB(t)
			run := func(statement string) {
				t.Helper()
				table := cmp.Or(p.Prefix, "auth_") + tt.table
				if _, err := db.Exec(strings.Replace(statement, tt.table, table, 1)); err != nil {
					t.Fatal(err)
				}
			}
			run(tt.lose)
			st, err := sqlstore.Open(t.Context(), db, p.Dialect, p.options())
			if err == nil || !strings.Contains(err.Error(), "rows of the schema are gone") {
				t.Errorf("%s: %v", tt.lose, err)
			}
			if err == nil {
				st.Close()
			}
			if tt.restore == "" {
				continue
			}
			run(tt.restore)
			if st, err = sqlstore.Open(t.Context(), db, p.Dialect, p.options()); err != nil {
				t.Errorf("after %s: %v", tt.restore, err)
			} else {
				st.Close()
			}
		}
	})
}

func TestPlanIsWhatMigrateRuns(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		ctx := t.Context()
		db, err := p.connect()
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		plan, err := sqlstore.Plan(ctx, db, p.Dialect, p.options())
		if err != nil {
			t.Fatal(err)
		}
		if again, err := sqlstore.Plan(ctx, db, p.Dialect, p.options()); err != nil || again != plan {
			t.Errorf("Plan changed something: %v", err)
		}
		// By hand, as an administrator would.
		for statement := range strings.SplitSeq(plan, ";\n") {
			if strings.TrimSpace(statement) == "" {
				continue
			}
			if _, err := db.Exec(statement); err != nil {
				t.Fatalf("%s\n%v", statement, err)
			}
		}
		if plan, err := sqlstore.Plan(ctx, db, p.Dialect, p.options()); plan != "" || err != nil {
			t.Errorf("Plan after it was done: %q, %v", plan, err)
		}
		openIn(t, db, p)
	})
}

// A step that removes an index works beside a store that writes to the table, and where the
// index is gone: an administrator may have seen that nothing reads it.
func TestIndexGoesBesideStore(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		ctx := t.Context()
		create := func() error {
			_, err := db.Exec(p.sql("CREATE INDEX auth_tokens_ends ON auth_tokens (ends_at)"))
			return err
		}
		for _, there := range []bool{true, false} {
			if there {
				if err := create(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := db.Exec(p.sql("DELETE FROM auth_schema WHERE version >= 12")); err != nil {
				t.Fatal(err)
			}
			if err := st.Ready(ctx); !errors.Is(err, sqlstore.ErrSchema) {
				t.Errorf("ready before the step: %v", err)
			}
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					for i := range 20 {
						if _, err := st.InsertToken(ctx, tokenNamed(fmt.Sprint(there, n, "-", i), time.Now()), limits); err != nil {
							t.Errorf("a token beside the step: %v", err)
							return
						}
					}
				})
			}
			err := sqlstore.Migrate(ctx, db, p.Dialect, p.options())
			wg.Wait()
			if err != nil {
				t.Errorf("with the index %t: %v", there, err)
				continue
			}
			if err := st.Ready(ctx); err != nil {
				t.Error(err)
			}
		}
		if err := create(); err != nil {
			t.Errorf("the index is there after all: %v", err)
		}
	})
}

// In PostgreSQL a step that waits for a lock behind a long reader holds up everybody
// who reads the table after it. With lock_timeout it makes way for them, and tries again.
func TestMigrateMakesWayForReaders(t *testing.T) {
	t.Parallel()
	p := freshOn(sharedPostgres)(t)
	_, db := p.openDB(t)
	ctx := t.Context()
	for _, statement := range []string{"CREATE INDEX auth_tokens_ends ON auth_tokens (ends_at)", "DELETE FROM auth_schema WHERE version >= 12"} {
		if _, err := db.Exec(p.sql(statement)); err != nil {
			t.Fatal(err)
		}
	}
	count := p.sql("SELECT COUNT(*) FROM auth_tokens")
	reader, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Rollback()
	var n int
	if err := reader.QueryRow(count).Scan(&n); err != nil {
		t.Fatal(err)
	}
	patient := p
	patient.DSN += " lock_timeout=200ms"
	done := make(chan error, 1)
	go func() { done <- sqlstore.Migrate(ctx, patient.pool(t), p.Dialect, p.options()) }()
	p.migrationWaits(t, db, done)
	hurried, cancel := context.WithTimeout(ctx, servertest.Patience)
	defer cancel()
	if err := db.QueryRowContext(hurried, count).Scan(&n); err != nil {
		t.Errorf("a reader behind Migrate: %v", err)
	}
	if err := reader.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the long reader: %v", err)
	}
	if _, err := sqlstore.Open(ctx, db, p.Dialect, p.options()); err != nil {
		t.Error(err)
	}
}

// migrationWaits waits until a migration waits for the tokens.
func (p place) migrationWaits(t *testing.T, db *sql.DB, done <-chan error) {
	t.Helper()
	for deadline, waiting := time.Now().Add(servertest.Patience), 0; waiting == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits for the table")
		}
		err := db.QueryRow("SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = CAST($1 AS regclass)", p.sql("auth_tokens")).Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
		if len(done) > 0 {
			t.Fatalf("Migrate did not wait: %v", <-done)
		}
	}
}

// In PostgreSQL a step that builds indexes keeps no lock for the one that removes others. Whoever
// has read a token could not write it meanwhile, and the step would wait for that until one of
// the two is ended (deadlock): with many who revoke tokens, each try of the migration.
func TestMigrateLetsWritersEnd(t *testing.T) {
	t.Parallel()
	p := freshOn(sharedPostgres)(t)
	st, db := p.openDB(t)
	ctx := t.Context()
	if _, err := st.InsertToken(ctx, tokenNamed("a", time.Now()), limits); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(p.sql("DELETE FROM auth_schema WHERE version >= 13")); err != nil {
		t.Fatal(err)
	}
	writer, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Rollback()
	run := func(statement string) {
		t.Helper()
		if _, err := writer.Exec(statement); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	run(p.sql("SELECT id FROM auth_tokens FOR UPDATE"))
	done := make(chan error, 1)
	go func() { done <- sqlstore.Migrate(ctx, p.pool(t), p.Dialect, p.options()) }()
	p.migrationWaits(t, db, done)
	run("SET LOCAL lock_timeout = '500ms'") // it is there at once, or not before the migration ends
	run(p.sql("UPDATE auth_tokens SET description = 'b'"))
	if err := writer.Commit(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSettingsThatLoseDataAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, dsn, want string }{
		{"memory", "file::memory:?cache=shared", "WAL"},
		{"synchronous off", freshSQLite(t).DSN + "&_pragma=synchronous(OFF)", "synchronous"},
		{"synchronous normal", freshSQLite(t).DSN + "&_pragma=synchronous(NORMAL)", "synchronous"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := place{Dialect: sqlstore.SQLite, Driver: "sqlite", DSN: tt.dsn}
			db, err := p.connect()
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := sqlstore.Migrate(t.Context(), db, p.Dialect, nil); err != nil {
				t.Fatal(err)
			}
			if _, err := sqlstore.Open(t.Context(), db, p.Dialect, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want an error about %s", err, tt.want)
			}
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	p := freshSQLite(t)
	_, db := p.openDB(t)
	for _, tt := range []struct {
		name string
		d    sqlstore.Dialect
		opts sqlstore.Options
	}{
		{"no dialect", 0, sqlstore.Options{}},
		{"unknown dialect", 9, sqlstore.Options{}},
		{"prefix with a quote", p.Dialect, sqlstore.Options{Prefix: `x"; DROP TABLE auth_users; --`}},
		{"prefix with a capital", p.Dialect, sqlstore.Options{Prefix: "Auth_"}},
		{"long prefix", p.Dialect, sqlstore.Options{Prefix: strings.Repeat("a", 31)}},
		{"negative timeout", p.Dialect, sqlstore.Options{Timeout: -1}},
		{"negative timeout of a look-up", p.Dialect, sqlstore.Options{LookupTimeout: -1}},
		{"a look-up that may take longer than a call", p.Dialect, sqlstore.Options{Timeout: time.Second, LookupTimeout: 2 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := sqlstore.Open(t.Context(), db, tt.d, &tt.opts); err == nil {
				t.Error("Open accepts it")
			}
			if err := sqlstore.Migrate(t.Context(), db, tt.d, &tt.opts); err == nil {
				t.Error("Migrate accepts it")
			}
		})
	}
}
