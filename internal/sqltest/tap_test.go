package sqltest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/store/sqlstore"
)

// A tap stands between database/sql and a driver. It sees every call that
// reaches the database, and may spoil it.
type tap struct {
	driver driver.Driver
	dsn    string
	local  bool // nobody notices that the connection is gone and rolls back
	twice  bool // the driver sends the isolation of a transaction before its beginning

	mu     sync.Mutex
	seen   map[string]bool // statements
	asked  []asked         // queries that during has seen, nil outside of it
	trips  []string        // what trippedBy has seen, nil outside of it
	before func()          // called before each commit, nil for nothing
	onTrip func(string)    // called before each round trip, nil for nothing
	calls  int             // since arm
	victim int             // the call to spoil, 0 for none
	how    harm
	struck string // which call it was
	cancel func() // what a call that hangs does after a while
}

// A harm is what happens to a call.
type harm uint8

const (
	fails     harm = iota // the call is not made and returns an error
	drops                 // the connection breaks before the call
	dropsLate             // the connection breaks after the call was made
	hangs                 // the call does not return before its context ends
)

var errInjected = errors.New("injected fault")

// tapped returns a pool whose driver is tapped, until the end of the test.
func (p place) tapped(t testing.TB) (*sql.DB, *tap) {
	t.Helper()
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	spy := &tap{driver: db.Driver(), dsn: p.DSN, local: p.Dialect == sqlstore.SQLite, twice: p.Dialect == sqlstore.MySQL, seen: map[string]bool{}}
	tapped := sql.OpenDB(spy)
	t.Cleanup(func() { tapped.Close() })
	limit(tapped)
	return tapped, spy
}

// arm spoils the n-th call from now on, 0 for none, and returns what was struck
// since the last time. Whoever waits for a call that hangs gives up with cancel.
func (t *tap) arm(n int, how harm, cancel func()) (struck string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	struck, t.struck = t.struck, ""
	t.calls, t.victim, t.how, t.cancel = 0, n, how, cancel
	return struck
}

// counted returns the number of calls since arm.
func (t *tap) counted() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// tripping sets what is called before each round trip, nil for nothing.
func (t *tap) tripping(on func(string)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.onTrip = on
}

// trippedBy returns the round trips that f made: statements, and the beginnings and
// ends of transactions. A statement that the driver has to prepare first counts twice,
// and one that was prepared before once. Rows that are fetched do not count.
func (t *tap) trippedBy(f func()) []string {
	t.mu.Lock()
	t.trips = []string{}
	t.mu.Unlock()
	f()
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.trips
	t.trips = nil
	return all
}

func (t *tap) trip(what string) {
	t.mu.Lock()
	on := t.onTrip
	t.mu.Unlock()
	if on != nil {
		on(what)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.trips != nil {
		t.trips = append(t.trips, what)
	}
}

// call makes a call on c, or does harm to it.
func (t *tap) call(ctx context.Context, c *tapConn, name string, call func() error) error {
	t.mu.Lock()
	t.calls++
	hit, how, cancel := t.calls == t.victim, t.how, t.cancel
	if hit {
		t.struck = name
	}
	t.mu.Unlock()
	if !hit {
		return call()
	}
	switch how {
	case drops:
		c.drop()
		return io.ErrUnexpectedEOF
	case dropsLate:
		err := call()
		c.drop()
		return errors.Join(err, io.ErrUnexpectedEOF)
	case hangs:
		if ctx.Done() == nil {
			return errInjected // only a local database is asked without a deadline
		}
		if cancel != nil {
			time.AfterFunc(5*time.Millisecond, cancel)
		}
		<-ctx.Done()
		c.drop()
		return ctx.Err()
	}
	return errInjected
}

func (t *tap) see(query string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[query] = true
}

// An asked is a query with its arguments.
type asked struct {
	query string
	args  []any
}

// during returns the queries that f made which were not prepared by name.
func (t *tap) during(f func()) []asked {
	t.mu.Lock()
	t.asked = []asked{}
	t.mu.Unlock()
	f()
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.asked
	t.asked = nil
	return all
}

func (t *tap) ask(query string, args []driver.NamedValue) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.asked == nil {
		return
	}
	q := asked{query: query}
	for _, a := range args {
		q.args = append(q.args, a.Value)
	}
	t.asked = append(t.asked, q)
}

func (t *tap) Driver() driver.Driver { return t.driver }

func (t *tap) Connect(ctx context.Context) (driver.Conn, error) {
	c := &tapConn{tap: t}
	err := t.call(ctx, c, "connect", func() (err error) {
		c.Conn, err = t.driver.Open(t.dsn)
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

type tapConn struct {
	driver.Conn
	tap  *tap
	tx   driver.Tx
	gone bool
}

// drop closes the connection, so that the server rolls back.
func (c *tapConn) drop() {
	switch {
	case c.gone || c.Conn == nil:
	case !c.tap.local:
		c.Conn.Close()
	case c.tx != nil:
		c.tx.Rollback()
	}
	c.gone = true
}

func (c *tapConn) Close() error {
	if c.gone && !c.tap.local {
		return nil
	}
	return c.Conn.Close()
}

func (c *tapConn) IsValid() bool {
	if v, ok := c.Conn.(driver.Validator); ok && !c.gone {
		return v.IsValid()
	}
	return !c.gone
}

func (c *tapConn) ResetSession(ctx context.Context) error {
	if c.gone {
		return driver.ErrBadConn
	}
	if r, ok := c.Conn.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *tapConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *tapConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.tap.see(query)
	s := &tapStmt{conn: c, query: query}
	err := c.tap.call(ctx, c, "prepare", func() (err error) {
		s.Stmt, err = c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *tapConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.tap.twice && opts.Isolation != 0 {
		c.tap.trip("SET TRANSACTION ISOLATION LEVEL")
	}
	c.tap.trip("BEGIN")
	t := &tapTx{conn: c, ctx: ctx}
	err := c.tap.call(ctx, c, "begin", func() (err error) {
		t.Tx, err = c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
		c.tx = t.Tx
		return err
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (c *tapConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (res driver.Result, err error) {
	c.tap.see(query)
	c.tap.trip(query)
	skip := false
	err = c.tap.call(ctx, c, "exec", func() (err error) {
		res, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		skip = errors.Is(err, driver.ErrSkip)
		return err
	})
	if skip {
		return nil, driver.ErrSkip
	}
	return res, err
}

func (c *tapConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (rows driver.Rows, err error) {
	c.tap.see(query)
	c.tap.ask(query, args)
	c.tap.trip(query)
	skip := false
	err = c.tap.call(ctx, c, "query", func() (err error) {
		rows, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
		skip = errors.Is(err, driver.ErrSkip)
		return err
	})
	if skip {
		return nil, driver.ErrSkip
	}
	return c.rows(ctx, rows, err)
}

func (c *tapConn) rows(ctx context.Context, rows driver.Rows, err error) (driver.Rows, error) {
	if err != nil {
		if rows != nil {
			rows.Close()
		}
		return nil, err
	}
	return &tapRows{Rows: rows, conn: c, ctx: ctx}, nil
}

type tapStmt struct {
	driver.Stmt
	conn  *tapConn
	query string
}

func (s *tapStmt) Close() error {
	if s.conn.gone && !s.conn.tap.local {
		return nil
	}
	return s.Stmt.Close()
}

func (s *tapStmt) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := s.Stmt.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return s.conn.CheckNamedValue(v)
}

func (s *tapStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (res driver.Result, err error) {
	s.conn.tap.trip(s.query)
	err = s.conn.tap.call(ctx, s.conn, "exec", func() (err error) {
		res, err = s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
		return err
	})
	return res, err
}

func (s *tapStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (rows driver.Rows, err error) {
	s.conn.tap.trip(s.query)
	err = s.conn.tap.call(ctx, s.conn, "query", func() (err error) {
		rows, err = s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		return err
	})
	return s.conn.rows(ctx, rows, err)
}

type tapRows struct {
	driver.Rows
	conn *tapConn
	ctx  context.Context
}

func (r *tapRows) Next(dest []driver.Value) error {
	return r.conn.tap.call(r.ctx, r.conn, "next", func() error { return r.Rows.Next(dest) })
}

type tapTx struct {
	driver.Tx
	conn *tapConn
	ctx  context.Context
}

func (t *tapTx) Commit() error {
	if before := t.conn.tap.before; before != nil {
		before()
	}
	t.conn.tap.trip("COMMIT")
	return t.conn.tap.call(t.ctx, t.conn, "commit", t.Tx.Commit)
}

func (t *tapTx) Rollback() error {
	if t.conn.gone {
		return driver.ErrBadConn
	}
	t.conn.tap.trip("ROLLBACK")
	return t.conn.tap.call(context.Background(), t.conn, "rollback", t.Tx.Rollback)
}
