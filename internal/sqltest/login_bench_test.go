package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// clocked has the time that each part of logins takes.
type clocked struct {
	*sqlstore.Store
	auth.Argon2id
	took map[string]time.Duration
}

func (c *clocked) since(part string, begun time.Time) { c.took[part] += time.Since(begun) }

func (c *clocked) Verify(hash, password string) (ok, outdated bool, err error) {
	defer c.since("hash", time.Now())
	return c.Argon2id.Verify(hash, password)
}

func (c *clocked) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	defer c.since("charge", time.Now())
	return c.Store.Charge(ctx, charges, now)
}

func (c *clocked) Settle(ctx context.Context, s store.Settlement) error {
	defer c.since("give-back", time.Now())
	return c.Store.Settle(ctx, s)
}

func (c *clocked) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	defer c.since("session", time.Now())
	return c.Store.InsertSession(ctx, s, replaces, keep)
}

// BenchmarkLogin is a whole login at the API, what its parts take, and how often the
// server has synced its log. The parts wait for a disk where OSTIARY_TMP, and TMPDIR for
// SQLite, are on one.
func BenchmarkLogin(b *testing.B) {
	for _, d := range databases() {
		b.Run(d.name, func(b *testing.B) {
			p := d.fresh(b)
			st, db := p.openDB(b)
			db.SetMaxOpenConns(1) // whose counts are asked for
			c := &clocked{Store: st, took: make(map[string]time.Duration)}
			quiet := slog.New(slog.DiscardHandler)
			passwords := auth.Must(auth.NewPasswords(st, c, &auth.PasswordsOptions{Hasher: c, Logger: quiet}))
			session := auth.Must(auth.NewSession(c, st, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
			api := auth.Must(httpapi.New(httpapi.Config{
				Gate: auth.NewGate(session, &auth.GateOptions{Logger: quiet}), Users: st, Passwords: passwords, Session: session,
			}))
			const credentials = `{"username":"bench","password":"a long password"}`
			u, err := st.InsertUser(b.Context(), store.User{Name: "bench", Active: true, Created: time.Now()})
			if err == nil {
				err = passwords.Set(b.Context(), u.ID, "a long password")
			}
			if err != nil {
				b.Fatal(err)
			}
			login := func() {
				r := httptest.NewRequest("POST", "/api/login/", strings.NewReader(credentials))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				if api.ServeHTTP(w, r); w.Code >= 300 {
					b.Fatal(w.Code, w.Body)
				}
			}
			login() // makes the counters
			clear(c.took)
			var all time.Duration
			before := p.syncs(b, db)
			for b.Loop() {
				begun := time.Now()
				login()
				all += time.Since(begun)
			}
			b.ReportMetric((p.syncs(b, db)-before)/float64(b.N), "syncs/op")
			rest := all
			for part, took := range c.took {
				rest -= took
				b.ReportMetric(float64(took.Microseconds())/float64(b.N), part+"-µs")
			}
			b.ReportMetric(float64(rest.Microseconds())/float64(b.N), "rest-µs")
		})
	}
}

// syncs returns how often the server has synced its log, 0 if it does not tell.
func (p place) syncs(b *testing.B, db *sql.DB) (n float64) {
	b.Helper()
	var err error
	switch p.Dialect {
	case sqlstore.Postgres:
		_, _ = db.Exec("SELECT pg_stat_force_next_flush()") // since version 15
		err = db.QueryRow("SELECT wal_sync FROM pg_stat_wal").Scan(&n)
	case sqlstore.MySQL:
		err = db.QueryRow("SHOW GLOBAL STATUS LIKE 'Innodb_os_log_fsyncs'").Scan(new(string), &n)
		if errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}
