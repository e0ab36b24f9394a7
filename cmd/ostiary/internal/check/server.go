package check

import (
	"context"
	"log/slog"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store/sqlstore"
)

const (
	patience = 15 * time.Second // for an answer of the database
	slow     = 250 * time.Millisecond
)

// checkReachable reports whether the database answers.
func (r *report) checkReachable(ctx context.Context, db *database.DB) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := db.Pool.PingContext(ctx); err != nil {
		r.add(Error, "database", "see whether it runs, and whether its address, user and password are right", "it does not answer: %v", err)
		return false
	}
	start := time.Now()
	if err := db.Pool.PingContext(ctx); err == nil && time.Since(start) > slow {
		r.add(Warning, "database", "bring the service nearer to it", "it takes %v to answer, which every request waits for", time.Since(start).Round(time.Millisecond))
	}
	return true
}

// A setting is a question to the server, and the answer that is wrong.
type setting struct {
	query, bad   string
	level        Level
	text, remedy string
}

var settings = map[sqlstore.Dialect][]setting{
	sqlstore.Postgres: {
		{"SELECT pg_is_in_recovery()::text", "true", Error, "this is a standby, which cannot be written", "name the primary, or add target_session_attrs=read-write"},
		{"SHOW default_transaction_read_only", "on", Error, "transactions are read-only by default", "SET default_transaction_read_only = off for this user"},
		{"SHOW fsync", "off", Error, "fsync is off: a power failure destroys the database", "set fsync = on"},
		{"SHOW full_page_writes", "off", Error, "full_page_writes is off: a power failure may destroy the database", "set full_page_writes = on"},
		{"SELECT current_setting('is_superuser')", "on", Warning, "the service's user is a superuser of PostgreSQL", "give the service a user that owns its tables and nothing else"},
		{"SELECT (count(*) > 0.9 * current_setting('max_connections')::int)::text FROM pg_stat_activity", "true", Warning, "more than nine of ten connections of the server are taken", "raise max_connections, or lower SetMaxOpenConns of the services"},
	},
	sqlstore.MySQL: {
		{"SELECT @@global.read_only", "1", Error, "the server is read-only", "name the primary"},
		{"SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1) = 'root'", "1", Warning, "the service's user is root of the server", "give the service a user with rights to its database and nothing else"},
		{"SELECT @@global.innodb_doublewrite IN ('0', 'OFF')", "1", Error, "innodb_doublewrite is off: a power failure may destroy the database", "set innodb_doublewrite = ON"},
		{"SELECT @@global.log_bin = 1 AND @@global.sync_binlog <> 1", "1", Warning, "sync_binlog is not 1: replicas may miss an acknowledged revocation after a crash", "set sync_binlog = 1"},
		{"SELECT COUNT(*) > 0.9 * @@global.max_connections FROM information_schema.processlist", "1", Warning, "more than nine of ten connections of the server are taken", "raise max_connections, or lower SetMaxOpenConns of the services"},
	},
	sqlstore.SQLite: {
		{"SELECT CASE WHEN quick_check = 'ok' THEN 'ok' ELSE 'damaged' END FROM pragma_quick_check LIMIT 1", "damaged", Error, "the file is damaged", "restore a backup"},
	},
}

// checkServer looks at the settings of the server that [sqlstore.Open] does not look at.
func (r *report) checkServer(ctx context.Context, db *database.DB) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, s := range settings[db.Dialect] {
		var answer string
		if err := db.Pool.QueryRowContext(ctx, s.query).Scan(&answer); err != nil {
			r.failed("server", err)
			return
		}
		if answer == s.bad {
			r.add(s.level, "server", s.remedy, "%s", s.text)
		}
	}
}

const (
	skewNoted = time.Second
	skewBad   = 30 * time.Second
)

var clocks = map[sqlstore.Dialect]string{
	sqlstore.Postgres: "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
	sqlstore.MySQL:    "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)",
}

// checkClock compares the clocks of this machine and of the server. No time is taken
// from the database, so that a difference means that one of them is wrong.
func (r *report) checkClock(ctx context.Context, db *database.DB) {
	query, ok := clocks[db.Dialect]
	if !ok {
		return // the same machine
	}
	var micros int64
	start := r.Now()
	if err := db.Pool.QueryRowContext(ctx, query).Scan(&micros); err != nil {
		r.failed("clock", err)
		return
	}
	r.compareClocks("the database", start, r.Now(), time.UnixMicro(micros), 0)
}

// compareClocks compares a time that was told between two instants, and that is exact
// to a unit.
func (r *report) compareClocks(whose string, start, end, told time.Time, unit time.Duration) {
	var apart time.Duration
	switch {
	case told.Add(unit).Before(start):
		apart = start.Sub(told.Add(unit))
	case told.After(end):
		apart = told.Sub(end)
	}
	const remedy = "set both clocks over the network (NTP)"
	switch {
	case apart > skewBad:
		r.add(Error, "clock", remedy, "this clock and that of %s are %v apart: tokens, codes and sessions end at the wrong time", whose, apart.Round(time.Millisecond))
	case apart > skewNoted:
		r.add(Warning, "clock", remedy, "this clock and that of %s are %v apart", whose, apart.Round(time.Millisecond))
	}
}

// checkSchema opens the store and reports whether that could be done.
func (r *report) checkSchema(ctx context.Context, db *database.DB) bool {
	plan, err := sqlstore.Plan(ctx, db.Pool, db.Dialect, &db.Options)
	switch {
	case err != nil:
		r.add(Error, "schema", "install a newer version of this command", "%v", err)
		return false
	case plan != "":
		r.add(Error, "schema", "ostiary migrate --plan shows the steps, ostiary migrate runs them; --prefix names other tables", "the database has no schema with this prefix, or an old one")
		return false
	}
	if db.Store, err = sqlstore.Open(ctx, db.Pool, db.Dialect, &db.Options); err != nil {
		r.add(Error, "schema", "change the setting, or restore what is gone from a backup", "the service cannot start: %v", err)
		return false
	}
	return true
}

// logger makes findings of the warnings of the store.
func (r *report) logger() *slog.Logger { return slog.New(warnings{r}) }

type warnings struct{ report *report }

func (w warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (w warnings) Handle(_ context.Context, record slog.Record) error {
	w.report.add(Warning, "schema", "see doc/databases.md", "%s", record.Message)
	return nil
}

func (w warnings) WithAttrs([]slog.Attr) slog.Handler { return w }
func (w warnings) WithGroup(string) slog.Handler      { return w }
