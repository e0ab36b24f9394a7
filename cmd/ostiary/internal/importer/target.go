package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A target is the store that is written to, with a table of marks beside it.
type target struct {
	*sqlstore.Store
	db     *database.DB
	origin string
	dry    bool
	marks  map[string]int64 // by step
	before map[string]int64 // the same before this run
}

// marksTable has, by source and step, the last ID whose fate is decided. The step ""
// has the start of the first run, in microseconds.
const marksTable = `import_marks`

func openTarget(ctx context.Context, db *database.DB, origin string, dry bool) (*target, error) {
	if db.Store == nil {
		return nil, errors.New("the target is not open")
	}
	t := &target{Store: db.Store, db: db, origin: origin, dry: dry, marks: map[string]int64{}}
	if !dry {
		if err := t.createTable(ctx, t.table(), `source VARCHAR(190) NOT NULL, step VARCHAR(32) NOT NULL, mark BIGINT NOT NULL, PRIMARY KEY (source, step)`); err != nil {
			return nil, fmt.Errorf("create the table of marks in the target: %w", err)
		}
	}
	return t, nil
}

// createTable makes a table if it is missing.
func (t *target) createTable(ctx context.Context, name, columns string) error {
	query := `CREATE TABLE IF NOT EXISTS ` + name + ` (` + columns + `)`
	if t.exec(ctx, query) == nil {
		return nil
	}
	return t.exec(ctx, query) // PostgreSQL fails where another process makes it just now
}

func (t *target) table() string { return t.prefix() + marksTable }

func (t *target) prefix() string { return cmp.Or(t.db.Options.Prefix, "auth_") }

// bind spells placeholders for the dialect.
func (t *target) bind(query string) string {
	if t.db.Dialect != sqlstore.Postgres {
		return query
	}
	parts := strings.Split(query, "?")
	for i := range parts[1:] {
		parts[i] += fmt.Sprint("$", i+1)
	}
	return strings.Join(parts, "")
}

func (t *target) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.db.Pool.ExecContext(ctx, t.bind(query), args...)
	return err
}

// begin reads the marks and returns the start of the first run, which is now if there
// was none.
func (t *target) begin(ctx context.Context, now time.Time, again bool) (time.Time, error) {
	now = now.UTC().Truncate(time.Microsecond)
	exists, err := t.hasMarks(ctx)
	if err != nil {
		return now, fmt.Errorf("read the marks in the target: %w", err)
	}
	if exists && again && !t.dry {
		if err := t.exec(ctx, `DELETE FROM `+t.table()+` WHERE source = ?`, t.origin); err != nil {
			return now, err
		}
	}
	if exists && !again {
		rows, err := t.db.Pool.QueryContext(ctx, t.bind(`SELECT step, mark FROM `+t.table()+` WHERE source = ?`), t.origin)
		if err != nil {
			return now, fmt.Errorf("read the marks in the target: %w", err)
		}
		defer rows.Close()
		for rows.Next() {
			var step string
			var mark int64
			if err := rows.Scan(&step, &mark); err != nil {
				return now, err
			}
			t.marks[step] = mark
		}
		if err := rows.Err(); err != nil {
			return now, err
		}
	}
	t.before = maps.Clone(t.marks)
	if start, ok := t.marks[""]; ok {
		return time.UnixMicro(start).UTC(), nil
	}
	return now, t.mark(ctx, "", now.UnixMicro())
}

// hasMarks reports whether the table exists: a dry run does not create it.
func (t *target) hasMarks(ctx context.Context) (bool, error) {
	query := map[sqlstore.Dialect]string{
		sqlstore.SQLite:   `SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?`,
		sqlstore.Postgres: `SELECT COUNT(*) FROM pg_catalog.pg_class WHERE oid = to_regclass(?)`,
		sqlstore.MySQL:    `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?`,
	}[t.db.Dialect]
	var n int
	err := t.db.Pool.QueryRowContext(ctx, t.bind(query), t.table()).Scan(&n)
	return n > 0, err
}

// Remembered reports whether an import has brought tokens into a database.
func Remembered(ctx context.Context, db *database.DB) (bool, error) {
	t := &target{db: db}
	if exists, err := t.hasMarks(ctx); err != nil || !exists {
		return false, err
	}
	var n int
	err := db.Pool.QueryRowContext(ctx, t.bind(`SELECT COUNT(*) FROM `+t.table()+` WHERE step = ?`), stepTokens).Scan(&n)
	return n > 0, err
}

// mark remembers that the fate of all records up to an ID is decided. A crash in
// between repeats a batch, which is harmless.
func (t *target) mark(ctx context.Context, step string, id int64) error {
	if old, ok := t.marks[step]; t.dry || ok && old >= id {
		return nil
	}
	query, args := `INSERT INTO `+t.table()+` (mark, source, step) VALUES (?, ?, ?)`, []any{id, t.origin, step}
	if _, ok := t.marks[step]; ok {
		// An import that lost its lease and does not know it yet sets no mark back.
		query, args = `UPDATE `+t.table()+` SET mark = ? WHERE source = ? AND step = ? AND mark < ?`, append(args, id)
	}
	if err := t.exec(ctx, query, args...); err != nil {
		return fmt.Errorf("set a mark in the target: %w", err)
	}
	t.marks[step] = id
	return nil
}

// passed reports whether the fate of a record was decided before this run.
func (t *target) passed(step string, id int64) bool {
	mark, ok := t.before[step]
	return ok && id <= mark
}

// usersBy returns the users of the target with these values of a column.
func (t *target) usersBy(ctx context.Context, column store.Column, values []any, key func(store.User) string) (map[string]store.User, error) {
	if len(values) == 0 {
		return nil, nil
	}
	list, _, err := t.ListUsers(ctx, store.UserFilter{Where: store.Where{{{Column: column, Values: values}}}},
		store.Page{Limit: len(values), CountTo: -1})
	if err != nil {
		return nil, err
	}
	found := make(map[string]store.User, len(list))
	for _, u := range list {
		found[key(u)] = u
	}
	return found, nil
}
