package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// How often and when a step is repeated. A step that was beaten will win sooner
// or later; a server that is gone does not come back within a request.
const (
	beatenTimes  = 40
	droppedTimes = 2
	firstWait    = time.Millisecond
	longestWait  = 100 * time.Millisecond
)

// errBeaten is a step that another was quicker than, as this package finds out.
var errBeaten = errors.New("another step was quicker")

// errUnknown wraps the error of a commit that may or may not have happened.
type errUnknown struct{ err error }

func (e errUnknown) Error() string { return "outcome of the commit unknown: " + e.err.Error() }
func (e errUnknown) Unwrap() error { return e.err }

// repeat runs step until it succeeds or another try is useless. resend allows
// another try after a lost connection: the step was not executed, or may be
// executed twice. Without it there is one only if nothing was sent.
func (s *Store) repeat(ctx context.Context, what string, resend bool, step func() error) error {
	most := 0 // how often connections that are useless or gone are replaced
	for n := 1; ; n++ {
		err := step()
		if err == nil {
			return nil
		}
		again, wait := false, true
		_, unknown := errors.AsType[errUnknown](err)
		_, hopeless := errors.AsType[errHopeless](err)
		if !unknown && !hopeless {
			switch s.dialect.faultOf(err) {
			case beaten:
				again = n < beatenTimes
			case dropped:
				resend := resend || unsent(err)
				again = resend && n <= droppedTimes
				if open := s.openConns(); resend && open > 0 { // these may be gone, too
					most = cmp.Or(most, n+open)
					again, wait = n <= most, false
				}
			case useless:
				most = cmp.Or(most, n+s.openConns())
				again, wait = n <= most, false
			case full: // one of those that are open will be free
				again = n < beatenTimes && s.openConns() > 0
			}
		}
		if !again || wait && pause(ctx, n) != nil {
			return s.fail(what, err)
		}
	}
}

// pause waits before the try that follows the n-th: at random, so that
// colliding callers do not collide again.
func pause(ctx context.Context, n int) error {
	wait := min(firstWait<<min(n, 16), longestWait)
	timer := time.NewTimer(rand.N(wait))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fail turns the error of a driver into one of the contract.
func (s *Store) fail(what string, err error) error {
	for _, sentinel := range []error{store.ErrNotFound, store.ErrExists, store.ErrConflict, store.ErrUsed} {
		if errors.Is(err, sentinel) {
			return err
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	if s.dialect.faultOf(err) == taken {
		return store.ErrExists
	}
	if s.dialect == Postgres && lostStatement(err) {
		return fmt.Errorf("sqlstore: %s: %w (%s)", what, err, lostStatementRemedy)
	}
	return fmt.Errorf("sqlstore: %s: %w", what, err)
}

// enter waits for the turn to write.
func (s *Store) enter(ctx context.Context) error {
	if s.writer == nil {
		return nil
	}
	select {
	case s.writer <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() {
	if s.writer != nil {
		<-s.writer
	}
}

// A statement is ready to run: a *sql.Stmt, or the text of one that was not
// prepared.
type statement interface {
	ExecContext(ctx context.Context, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, args ...any) *sql.Row
}

// statement returns a statement of queries.go, in a transaction unless that is
// nil.
func (s *Store) statement(ctx context.Context, in *sql.Tx, query string) statement {
	stmt := s.prepared[query]
	switch {
	case stmt != nil && in != nil:
		return in.StmtContext(ctx, stmt)
	case stmt != nil:
		return stmt
	case in != nil:
		return plain{in, s.text(query)}
	}
	return plain{s.db, s.text(query)}
}

// text returns a statement in the dialect's form.
func (s *Store) text(query string) string {
	if text, ok := s.texts[query]; ok {
		return text
	}
	return s.dialect.rewrite(query, s.prefix)
}

// plain is a statement that was not prepared.
type plain struct {
	on interface { // *sql.DB or *sql.Tx
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	}
	text string
}

func (p plain) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	return p.on.ExecContext(ctx, p.text, args...)
}

func (p plain) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	return p.on.QueryContext(ctx, p.text, args...)
}

func (p plain) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	return p.on.QueryRowContext(ctx, p.text, args...)
}

// A tx is a transaction that writes.
type tx struct {
	ctx context.Context
	tx  *sql.Tx
	s   *Store
}

// write runs step in one transaction, again if it was beaten or the connection
// broke. Step must set its results anew each time. An error rolls back. A step
// that must commit although its outcome is an error returns nil and sets a
// variable.
func (s *Store) write(ctx context.Context, what string, step func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	c, err := s.admit(ctx, observe.KindWrite)
	if err != nil {
		return s.fail(what, err)
	}
	err = s.repeat(ctx, what, true, func() error {
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
		return s.transact(ctx, step)
	})
	s.ended(ctx, c, err)
	return err
}

func (s *Store) transact(ctx context.Context, step func(*tx) error) error {
	conn, fresh, err := s.conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	t, err := conn.BeginTx(ctx, s.dialect.txOptions())
	if err != nil {
		return s.dropUseless(conn, fresh, err)
	}
	u := &tx{ctx: ctx, tx: t, s: s}
	if s.dialect == SQLite {
		_, err = u.exec(lockWriter)
	}
	if err == nil {
		err = step(u)
	}
	if err != nil {
		if rollback := t.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			discard(conn)
		}
		return s.dropUseless(conn, fresh, err)
	}
	err = t.Commit()
	if err == nil {
		return nil
	}
	// If ctx ended before the commit, database/sql is about to roll back.
	if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		discard(conn)
	}
	if s.dialect.faultOf(err) != beaten {
		return errUnknown{err}
	}
	return err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	res, err := t.result(query, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) result(query string, args []any) (sql.Result, error) {
	if err := checkText(args); err != nil {
		return nil, err
	}
	return t.s.statement(t.ctx, t.tx, query).ExecContext(t.ctx, args...)
}

// insert runs an INSERT that ends in "RETURNING id" and returns the id.
func (t *tx) insert(query string, args ...any) (id int64, err error) {
	if t.s.dialect == Postgres {
		err = t.get(query, args, &id)
		return id, err
	}
	res, err := t.result(query, args)
	if err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// insertSome runs an INSERT with conditions on a database that is not PostgreSQL. It
// returns the ID, 0 if they do not hold.
func (t *tx) insertSome(query string, args ...any) (id int64, err error) {
	res, err := t.result(query, args)
	if err != nil {
		return 0, err
	}
	return insertedID(res)
}

// insertedID returns the ID of the row that was inserted, or 0 if none was.
func insertedID(res sql.Result) (int64, error) {
	if n, err := res.RowsAffected(); n == 0 || err != nil {
		return 0, err
	}
	return res.LastInsertId()
}

// get reads one row, or sql.ErrNoRows.
func (t *tx) get(query string, args []any, dest ...any) error {
	if err := checkText(args); err != nil {
		return err
	}
	return t.s.statement(t.ctx, t.tx, query).QueryRowContext(t.ctx, args...).Scan(dest...)
}

// column reads the one column of all rows.
func column[T any](t *tx, query string, args ...any) ([]T, error) {
	return rows(t, query, args, func(scan func(...any) error) (v T, err error) {
		return v, scan(&v)
	})
}

// rows reads all rows.
func rows[T any](t *tx, query string, args []any, read func(scan func(...any) error) (T, error)) ([]T, error) {
	if err := checkText(args); err != nil {
		return nil, err
	}
	found, err := t.s.statement(t.ctx, t.tx, query).QueryContext(t.ctx, args...)
	if err != nil {
		return nil, err
	}
	return collect(found, read)
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, read func(scan func(...any) error) (T, error)) ([]T, error) {
	defer rows.Close()
	var list []T
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// change runs one statement that is a step of its own, and returns the number
// of changed rows. It is not sent again after the connection broke, unless
// repeating it is harmless.
func (s *Store) change(ctx context.Context, what string, harmless bool, query string, args ...any) (changed int64, err error) {
	err = s.run(ctx, what, harmless, query, args, func(res sql.Result) error {
		changed, err = res.RowsAffected()
		return err
	})
	return changed, err
}

// insertAlone is change for an INSERT with conditions. It returns the ID, 0 if they do
// not hold.
func (s *Store) insertAlone(ctx context.Context, what, query string, args []any) (id int64, err error) {
	err = s.run(ctx, what, false, query, args, func(res sql.Result) error {
		id, err = insertedID(res)
		return err
	})
	return id, err
}

// run runs one statement that writes and is a step of its own.
func (s *Store) run(ctx context.Context, what string, harmless bool, query string, args []any, read func(sql.Result) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.alone(ctx, observe.KindWrite, what, harmless, query, func(on statement) error {
		if err := checkText(args); err != nil {
			return err
		}
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
		res, err := on.ExecContext(ctx, args...)
		if err != nil {
			return err
		}
		return read(res)
	})
}

// alone runs one statement that is a step of its own, with repetitions. See
// repeat for resend.
func (s *Store) alone(ctx context.Context, kind observe.Kind, what string, resend bool, query string, run func(statement) error) error {
	c, err := s.admit(ctx, kind)
	if err != nil {
		return s.fail(what, err)
	}
	err = s.repeat(ctx, what, resend, func() error { return s.once(ctx, query, run) })
	s.ended(ctx, c, err)
	return err
}

// get looks one record up. Text that cannot be stored
// is not found.
func (s *Store) get(ctx context.Context, what, query string, args []any, dest ...any) error {
	if checkText(args) != nil {
		return store.ErrNotFound
	}
	if err := ctx.Err(); err != nil {
		return s.fail(what, err)
	}
	ctx, cancel := s.lookup(ctx)
	defer cancel()
	c, err := s.admit(ctx, observe.KindRead)
	if err != nil {
		return s.fail(what, err)
	}
	err = s.statement(ctx, nil, query).QueryRowContext(ctx, args...).Scan(dest...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		err = s.getAgain(ctx, what, err, query, args, dest)
	}
	s.ended(ctx, c, err)
	if errors.Is(err, sql.ErrNoRows) {
		return store.ErrNotFound
	}
	return err
}

// getAgain is get after a first try that failed.
func (s *Store) getAgain(ctx context.Context, what string, failed error, query string, args, dest []any) error {
	return s.repeat(ctx, what, true, func() error {
		if err := failed; err != nil {
			failed = nil
			return err
		}
		return s.once(ctx, query, func(on statement) error {
			return on.QueryRowContext(ctx, args...).Scan(dest...)
		})
	})
}

// lookup returns the context of a look-up. It is not that of the caller, who
// may go away. It has no deadline if the database is in this process and has a
// free connection, since only waiting for one could take long.
func (s *Store) lookup(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if s.dialect.local() {
		if pool := s.db.Stats(); pool.MaxOpenConnections == 0 || pool.InUse < pool.MaxOpenConnections {
			return ctx, func() {}
		}
	}
	return context.WithTimeout(ctx, s.lookupTimeout)
}

// atOnce runs one statement that is a step of its own and returns its rows. It is
// not sent again after the connection broke. Lost tells that another step was in the
// way and nothing was done: a transaction, whose isolation is known, is to try.
func atOnce[T any](ctx context.Context, s *Store, what, query string, args []any, read func(scan func(...any) error) (T, error)) (all []T, lost bool, err error) {
	if err := checkText(args); err != nil {
		return nil, false, s.fail(what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.alone(ctx, observe.KindWrite, what, false, query, func(on statement) error {
		rows, err := on.QueryContext(ctx, args...)
		if err == nil {
			all, err = collect(rows, read)
		}
		if err == nil {
			return nil
		}
		all = nil // a statement may lose after its rows, when it commits
		fault := s.dialect.faultOf(err)
		if lost = fault == taken || fault == beaten; lost {
			return nil
		}
		return err
	})
	return all, lost, err
}

// list reads all rows of a composed query.
func list[T any](ctx context.Context, s *Store, what, query string, args []any, read func(scan func(...any) error) (T, error)) (all []T, err error) {
	err = s.alone(ctx, observe.KindRead, what, true, query, func(on statement) error {
		rows, err := on.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		all, err = collect(rows, read)
		return err
	})
	return all, err
}
