package sqltest

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/store/sqlstore"
)

// TestWrongDialect: E8. Whatever is called first names the dialect that would be
// right, and changes nothing.
func TestWrongDialect(t *testing.T) {
	names := map[sqlstore.Dialect]string{sqlstore.SQLite: "SQLite", sqlstore.Postgres: "Postgres", sqlstore.MySQL: "MySQL"}
	onEach(t, func(t *testing.T, fresh func(t testing.TB) place) {
		p := fresh(t)
		db, ctx := p.pool(t), t.Context()
		for _, wrong := range []sqlstore.Dialect{sqlstore.SQLite, sqlstore.Postgres, sqlstore.MySQL} {
			if wrong == p.Dialect {
				continue
			}
			want := "the dialect is " + names[wrong] + " and the database is one of " + names[p.Dialect] + ": give sqlstore." + names[p.Dialect]
			_, errOpen := sqlstore.Open(ctx, db, wrong, p.options())
			_, errPlan := sqlstore.Plan(ctx, db, wrong, p.options())
			for call, err := range map[string]error{"Open": errOpen, "Plan": errPlan, "Migrate": sqlstore.Migrate(ctx, db, wrong, p.options())} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s for %v: %v, want %q", call, wrong, err, want)
				}
			}
		}
		if plan, err := sqlstore.Plan(ctx, db, p.Dialect, p.options()); err != nil || plan == "" {
			t.Errorf("the schema is there, or: %v", err)
		}
	})
}

// TestPoolsThatWork: E7. A pool that works until there is load is warned of, once,
// with the remedy.
func TestPoolsThatWork(t *testing.T) {
	open := func(t *testing.T, db *sql.DB, p place) string {
		t.Helper()
		log := &logtest.Buffer{}
		opts := p.options()
		opts.Logger = slog.New(slog.NewTextHandler(log, nil))
		if err := sqlstore.Migrate(context.Background(), db, p.Dialect, opts); err != nil {
			t.Fatal(err)
		}
		st, err := sqlstore.Open(context.Background(), db, p.Dialect, opts)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		return log.String()
	}
	wants := func(t *testing.T, log, want string) {
		t.Helper()
		if n := strings.Count(log, "level=WARN"); n != min(1, len(want)) || !strings.Contains(log, want) {
			t.Errorf("logged %q, want %q", log, want)
		}
	}
	onEach(t, func(t *testing.T, fresh func(t testing.TB) place) {
		p := fresh(t)
		db := p.pool(t)
		wants(t, open(t, db, p), "")
		db.SetMaxOpenConns(0)
		if p.Dialect == sqlstore.SQLite {
			wants(t, open(t, db, p), "") // writers queue up in the store
			p.DSN = "file:" + filepath.Join(t.TempDir(), "auth.db") + "?_pragma=synchronous(FULL)"
			wants(t, open(t, p.pool(t), p), "busy_timeout is 0")
			return
		}
		wants(t, open(t, db, p), "SetMaxOpenConns")
	})
}
