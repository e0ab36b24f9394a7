package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
	"github.com/ostiary/auth/store/storetest"
)

// poolerConns is how many connections the pooler has to the database.
const poolerConns = 5

var sharedPgBouncer = sync.OnceValues(func() (*server, error) {
	behind, err := sharedPostgres()
	if err != nil {
		return nil, err
	}
	return newPgBouncer(behind)
})

// newPgBouncer starts a PgBouncer in transaction mode in front of a PostgreSQL.
func newPgBouncer(behind *server) (*server, error) {
	pgbouncer, err := servertest.Program("PgBouncer (Debian: pgbouncer)", "/usr/sbin/pgbouncer", "pgbouncer")
	if err != nil {
		return nil, err
	}
	as, err := servertest.Account("postgres")
	if err != nil {
		return nil, err
	}
	dir, err := servertest.Folder(as)
	if err != nil {
		return nil, err
	}
	settings := fmt.Sprintf(`[databases]
postgres = host=%[1]s dbname=postgres user=postgres

[pgbouncer]
pool_mode = transaction
default_pool_size = %[2]d
max_client_conn = 500
auth_type = any
listen_addr =
listen_port = 6432
unix_socket_dir = %[3]s
`, behind.dir, poolerConns, dir)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		return nil, err
	}
	return launched(&server{
		dir: dir,
		place: place{
			Dialect: sqlstore.Postgres, Driver: "pgx", Unprepared: true,
			DSN: "host=" + dir + " port=6432 user=postgres dbname=postgres sslmode=disable default_query_exec_mode=exec",
		},
		run: func() *exec.Cmd { return servertest.Command(as, dir, pgbouncer, "-q", file) },
	})
}

// inMode returns the place with another mode of the driver.
func (p place) inMode(mode string) place {
	p.DSN = strings.Replace(p.DSN, "mode=exec", "mode="+mode, 1)
	return p
}

// The whole contract, and what several clients at once see, hold behind a pooler
// that gives each transaction another connection.
func TestContractBehindPooler(t *testing.T) {
	for _, mode := range []string{"exec", "simple_protocol", "cache_describe"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			fresh := func(t testing.TB) place { return freshOn(sharedPgBouncer)(t).inMode(mode) }
			if mode != "cache_describe" { // which sends what exec does, after it asked for the types once
				storetest.Run(t, func(t *testing.T, users store.Users) storetest.Store { return fresh(t).openFor(t, users) })
			}
			for _, w := range workloads() {
				h := newHistory(t, fresh(t).open(t))
				h.run(w, 300*time.Millisecond, 2000)
				if key := h.check(w); key != "" {
					t.Errorf("no order explains what clients saw of %s:\n%s", key, h.print(key))
				}
			}
		})
	}
}

// What prepares by name is refused when the store is opened, although one client
// alone would not notice. The error names the option.
func TestPreparedNamesBehindPooler(t *testing.T) {
	p := freshOn(sharedPgBouncer)(t)
	p.open(t) // migrates
	for _, tt := range []struct {
		name, mode string
		unprepared bool
		want       string
	}{
		{"the option is missing", "exec", false, "Options.NoPreparedStatements"},
		{"the option and the mode are missing", "cache_statement", false, "Options.NoPreparedStatements"},
		{"the mode is missing", "cache_statement", true, "default_query_exec_mode"},
		// It takes what another client prepared without a name for its own.
		{"the mode has two steps", "describe_exec", true, "default_query_exec_mode"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := p.inMode(tt.mode)
			p.Unprepared = tt.unprepared
			db, err := p.connect()
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			st, err := sqlstore.Open(t.Context(), db, p.Dialect, p.options())
			if err == nil {
				st.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want an error about %s", err, tt.want)
			}
		})
	}
}

// Where another client has prepared what the driver prepares under the same name, the
// first statement of Open or Migrate is the one that fails, and each says why, once.
func TestTakenNameIsExplained(t *testing.T) {
	p := freshOn(sharedPgBouncer)(t)
	p.open(t) // migrates
	p = p.inMode("cache_statement")
	for call, do := range map[string]func(*sql.DB) error{
		"Migrate": func(db *sql.DB) error { return sqlstore.Migrate(t.Context(), db, p.Dialect, p.options()) },
		"Open": func(db *sql.DB) error {
			st, err := sqlstore.Open(t.Context(), db, p.Dialect, p.options())
			if err == nil {
				err = st.Close()
			}
			return err
		},
	} {
		taken := 0
		for range 4 * poolerConns {
			db, err := p.connect()
			if err != nil {
				t.Fatal(err)
			}
			err = do(db)
			db.Close()
			if err == nil || !strings.Contains(err.Error(), "42P05") {
				continue
			}
			taken++
			if strings.Count(err.Error(), "Options.NoPreparedStatements") != 1 {
				t.Errorf("%s: %v", call, err)
			}
		}
		if taken == 0 {
			t.Errorf("%s: no name was taken", call)
		}
	}
}

// Where Open cannot notice, because its pool has one connection, a statement that
// gets lost says why.
func TestLostStatementIsExplained(t *testing.T) {
	p := freshOn(sharedPgBouncer)(t)
	p.open(t) // migrates
	p.Unprepared = false
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	st, err := sqlstore.Open(t.Context(), db, p.Dialect, p.options())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	limit(db)
	deadline := time.Now().Add(servertest.Patience)
	for time.Now().Before(deadline) {
		var errs [8]error
		var all []func()
		for i := range errs {
			all = append(all, func() {
				_, _, errs[i] = st.SessionByDigest(context.Background(), store.Digest{byte(i)})
			})
		}
		together(all...)
		for _, err := range errs {
			if err != nil && strings.Contains(err.Error(), "Options.NoPreparedStatements") {
				return
			}
		}
	}
	t.Error("no statement got lost")
}

// MySQL's driver puts the arguments into the text, which is another way of saying
// what they are. The text does not depend on the server.
func TestContractUnprepared(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, users store.Users) storetest.Store {
		p := freshOn(sharedMariaDB)(t)
		p.Unprepared = true
		p.DSN += "?interpolateParams=true"
		return p.openFor(t, users)
	})
}

func TestTenProcessesMigrateBehindPooler(t *testing.T) { migrateAtOnce(t, freshOn(sharedPgBouncer)) }
