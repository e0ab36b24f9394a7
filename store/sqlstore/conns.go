package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

// A connection may become useless while it lives: its server was demoted and takes
// no more writes, or a column that its prepared statements return has changed.
// Such a connection is thrown away and the step repeated on the next, since
// nothing was done. A new connection that is no better ends that, for everybody
// and for [hopelessTime]: where the database itself is read-only, calls must not
// connect anew all the time.
const hopelessTime = time.Second

// conn returns a connection, and whether it is new as far as one can tell.
func (s *Store) conn(ctx context.Context) (conn *sql.Conn, fresh bool, err error) {
	before := s.db.Stats()
	if conn, err = s.db.Conn(ctx); err != nil {
		return nil, false, err
	}
	return conn, before.Idle == 0 && before.OpenConnections < s.db.Stats().OpenConnections, nil
}

// dropUseless returns err, after it has thrown the connection away if that is
// useless.
func (s *Store) dropUseless(conn *sql.Conn, fresh bool, err error) error {
	if s.dialect.faultOf(err) != useless {
		return err
	}
	now := time.Now()
	if fresh {
		s.hopeless.Store(now.UnixMicro())
	}
	if since := now.Sub(time.UnixMicro(s.hopeless.Load())); since >= 0 && since < hopelessTime {
		return errHopeless{err}
	}
	discard(conn)
	return err
}

// errHopeless wraps the error of a useless connection where another one would not
// help.
type errHopeless struct{ err error }

func (e errHopeless) Error() string { return e.err.Error() }
func (e errHopeless) Unwrap() error { return e.err }

// discard closes a connection that may be inside a transaction. Back in the
// pool, it would take the next caller's changes into that transaction.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}

// openConns returns how many connections there are, each of which may be useless
// when one is.
func (s *Store) openConns() int { return s.db.Stats().OpenConnections }

// once runs one statement by itself. Where the connection that it got is useless
// it throws that away and takes the next.
func (s *Store) once(ctx context.Context, query string, run func(statement) error) error {
	err := run(s.statement(ctx, nil, query))
	if err == nil || s.dialect.faultOf(err) != useless {
		return err
	}
	for range s.openConns() + 1 {
		// The statement does not tell which connection that was: so they are
		// taken by hand.
		conn, fresh, failed := s.conn(ctx)
		if failed != nil {
			return failed
		}
		if err = run(s.plain(conn, query)); err != nil {
			err = s.dropUseless(conn, fresh, err)
		}
		conn.Close()
		_, hopeless := errors.AsType[errHopeless](err)
		if err == nil || hopeless || s.dialect.faultOf(err) != useless {
			return err
		}
	}
	return errHopeless{err}
}
