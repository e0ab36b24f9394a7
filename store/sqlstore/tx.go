package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/ostiary/auth/observe"
)

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
