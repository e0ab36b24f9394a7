package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

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

// errUnknown wraps the error of a commit that may or may not have happened.
type errUnknown struct{ err error }

func (e errUnknown) Error() string { return "outcome of the commit unknown: " + e.err.Error() }
func (e errUnknown) Unwrap() error { return e.err }

// repeat runs step until it succeeds or another try is of no use. resend tells
// that a lost connection does no harm: what was under way has not happened, or
// may happen twice.
func (s *Store) repeat(ctx context.Context, what string, resend bool, step func() error) error {
	for n := 1; ; n++ {
		err := step()
		if err == nil {
			return nil
		}
		again := false
		if _, unknown := errors.AsType[errUnknown](err); !unknown {
			switch s.dialect.faultOf(err) {
			case beaten:
				again = n < beatenTimes
			case dropped:
				again = resend && n <= droppedTimes
			}
		}
		if !again || pause(ctx, n) != nil {
			return s.fail(what, err)
		}
	}
}

// pause waits before the try that follows the n-th: at random, so that those who
// collided do not meet again.
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

// A tx is a transaction that writes.
type tx struct {
	ctx context.Context
	tx  *sql.Tx
	s   *Store
}

// write runs step in one transaction, again if it was beaten or the connection
// broke. What step found out for the caller it must set anew each time. An
// error rolls back; a step that both changes something and has bad news returns
// nil and tells the news through a variable.
func (s *Store) write(ctx context.Context, what string, step func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.repeat(ctx, what, true, func() error {
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
		return s.transact(ctx, step)
	})
}

func (s *Store) transact(ctx context.Context, step func(*tx) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	t, err := conn.BeginTx(ctx, s.dialect.txOptions())
	if err != nil {
		return err
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
		return err
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

// discard throws a connection away that may be in the middle of a transaction:
// back in the pool it would swallow what the next one believes is committed.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
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
	if stmt := t.s.prepared[query]; stmt != nil {
		return t.tx.StmtContext(t.ctx, stmt).ExecContext(t.ctx, args...)
	}
	return t.tx.ExecContext(t.ctx, t.s.dialect.rewrite(query, t.s.prefix), args...)
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

// get reads one row, or sql.ErrNoRows.
func (t *tx) get(query string, args []any, dest ...any) error {
	if err := checkText(args); err != nil {
		return err
	}
	if stmt := t.s.prepared[query]; stmt != nil {
		return t.tx.StmtContext(t.ctx, stmt).QueryRowContext(t.ctx, args...).Scan(dest...)
	}
	return t.tx.QueryRowContext(t.ctx, t.s.dialect.rewrite(query, t.s.prefix), args...).Scan(dest...)
}

// column reads the one column of all rows.
func column[T any](t *tx, query string, args ...any) ([]T, error) {
	if err := checkText(args); err != nil {
		return nil, err
	}
	var rows *sql.Rows
	var err error
	if stmt := t.s.prepared[query]; stmt != nil {
		rows, err = t.tx.StmtContext(t.ctx, stmt).QueryContext(t.ctx, args...)
	} else {
		rows, err = t.tx.QueryContext(t.ctx, t.s.dialect.rewrite(query, t.s.prefix), args...)
	}
	if err != nil {
		return nil, err
	}
	return collect(rows, func(scan func(...any) error) (v T, err error) {
		return v, scan(&v)
	})
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

// change runs one statement that is a step of its own, and returns how many rows
// it changed. It is not sent again after the connection broke, unless repeating
// it is harmless.
func (s *Store) change(ctx context.Context, what string, harmless bool, query string, args ...any) (changed int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.repeat(ctx, what, harmless, func() error {
		if err := checkText(args); err != nil {
			return err
		}
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
		var res sql.Result
		var err error
		if stmt := s.prepared[query]; stmt != nil {
			res, err = stmt.ExecContext(ctx, args...)
		} else {
			res, err = s.db.ExecContext(ctx, s.dialect.rewrite(query, s.prefix), args...)
		}
		if err != nil {
			return err
		}
		changed, err = res.RowsAffected()
		return err
	})
	return changed, err
}

// get looks one record up, by a prepared statement. Text that cannot be stored
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
	stmt := s.prepared[query]
	err := stmt.QueryRowContext(ctx, args...).Scan(dest...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return store.ErrNotFound
	}
	return s.repeat(ctx, what, true, func() error {
		if err != nil { // the first try
			first := err
			err = nil
			return first
		}
		return stmt.QueryRowContext(ctx, args...).Scan(dest...)
	})
}

// lookup returns the context of a look-up: not the caller's, who may go away,
// and without any deadline where the database is in this process and has a
// connection to spare, since only waiting for one could take long.
func (s *Store) lookup(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	if s.dialect.local() {
		if pool := s.db.Stats(); pool.MaxOpenConnections == 0 || pool.InUse < pool.MaxOpenConnections {
			return ctx, func() {}
		}
	}
	return context.WithTimeout(ctx, min(lookupTimeout, s.timeout))
}

// list reads all rows of a query that is put together.
func list[T any](ctx context.Context, s *Store, what, query string, args []any, read func(scan func(...any) error) (T, error)) (all []T, err error) {
	err = s.repeat(ctx, what, true, func() error {
		var rows *sql.Rows
		var err error
		if stmt := s.prepared[query]; stmt != nil {
			rows, err = stmt.QueryContext(ctx, args...)
		} else {
			rows, err = s.db.QueryContext(ctx, s.dialect.rewrite(query, s.prefix), args...)
		}
		if err != nil {
			return err
		}
		all, err = collect(rows, read)
		return err
	})
	return all, err
}

// page reads one page of a list and counts the whole.
func page[T any](ctx context.Context, s *Store, what, count, query, where, order string, args []any, p store.Page, read func(scan func(...any) error) (T, error)) (all []T, total int, err error) {
	if checkText(args) != nil {
		return nil, 0, nil // nothing like that is stored
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	totals, err := list(ctx, s, what, count+where, args, func(scan func(...any) error) (n int, err error) {
		return n, scan(&n)
	})
	if err != nil {
		return nil, 0, err
	}
	if p.Limit < 1 {
		return nil, totals[0], nil
	}
	all, err = list(ctx, s, what, query+where+order+" LIMIT ? OFFSET ?", append(args, p.Limit, max(p.Offset, 0)), read)
	if err != nil {
		return nil, 0, err
	}
	return all, totals[0], nil
}
