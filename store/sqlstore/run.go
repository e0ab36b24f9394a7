package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
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
	return explained(s.dialect, fmt.Errorf("sqlstore: %s: %w", what, err))
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
		return s.plain(in, query)
	}
	return s.plain(s.db, query)
}

// text returns a statement in the dialect's form.
func (s *Store) text(query string) string {
	if text, ok := s.texts[query]; ok {
		return text
	}
	return s.dialect.rewrite(query, s.prefix)
}

// A runner is a *sql.DB, a *sql.Conn or a *sql.Tx.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// plain is a statement that was not prepared.
type plain struct {
	on     runner
	text   string
	inline bool // see numbered
}

func (s *Store) plain(on runner, query string) plain {
	return plain{on, s.text(query), s.dialect == MySQL}
}

func (p plain) ExecContext(ctx context.Context, args ...any) (sql.Result, error) {
	text, args := p.numbered(args)
	return p.on.ExecContext(ctx, text, args...)
}

func (p plain) QueryContext(ctx context.Context, args ...any) (*sql.Rows, error) {
	text, args := p.numbered(args)
	return p.on.QueryContext(ctx, text, args...)
}

func (p plain) QueryRowContext(ctx context.Context, args ...any) *sql.Row {
	text, args := p.numbered(args)
	return p.on.QueryRowContext(ctx, text, args...)
}

// numbered returns the text with the arguments in it, if all of them are numbers: for
// a statement with arguments a driver of MySQL may have to ask the server twice.
func (p plain) numbered(args []any) (text string, left []any) {
	if !p.inline || len(args) == 0 {
		return p.text, args
	}
	b, rest := make([]byte, 0, len(p.text)+8*len(args)), p.text
	for _, arg := range args {
		before, after, found := strings.Cut(rest, "?")
		if !found { // the driver refuses that
			return p.text, args
		}
		b, rest = append(b, before...), after
		switch n := arg.(type) {
		case int:
			b = strconv.AppendInt(b, int64(n), 10)
		case int64:
			b = strconv.AppendInt(b, n, 10)
		default:
			return p.text, args
		}
	}
	if strings.Contains(rest, "?") {
		return p.text, args
	}
	return string(append(b, rest...)), nil
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
