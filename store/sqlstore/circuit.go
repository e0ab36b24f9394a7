package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// A circuit refuses calls at once while a database server hangs. Without it every
// request waits for its own deadline, holding a connection that others wait for,
// and for seconds nobody is answered. It opens when a call got no answer for
// [silence] and no other call got one meanwhile. From then on calls fail, and
// one of them at a time makes the store ask the database whether it answers;
// the first answer closes the circuit. To refuse is always safe: nothing was sent,
// and the error is that of an outage.
//
// Nothing runs by itself: a goroutine asks on behalf of a call that came, for at
// most [lookupTimeout].
type circuit struct {
	answers  atomic.Uint64 // calls that the database answered, if only by an error
	open     atomic.Bool   // calls are refused
	openedAt atomic.Int64  // microseconds
	probing  atomic.Bool   // the database is being asked
}

const (
	// silence is how long no call at all is answered by a database that hangs.
	silence = time.Second
	// patience is how long the call that makes the store ask waits for the
	// answer: a database that is back does not cost it an error.
	patience = 100 * time.Millisecond
)

// errSilent is the error of calls that the circuit refuses.
var errSilent = errors.New("the database does not answer; calls are refused until it does")

// A call is the state of a call for the circuit.
type call struct {
	kind    observe.Kind
	answers uint64
	began   time.Time
}

// admit lets a call begin, or refuses it. A database in this process cannot hang.
func (s *Store) admit(ctx context.Context, kind observe.Kind) (c call, err error) {
	if s.dialect.local() {
		return call{kind: kind, began: s.hook.Now()}, nil
	}
	if s.circuit.open.Load() {
		began := s.hook.Now()
		if err := s.probe(ctx); err != nil {
			s.hook.Took(ctx, observe.StoreCalled, kind, refusedReason(err), began)
			return call{}, err
		}
	}
	return call{kind, s.circuit.answers.Load(), time.Now()}, nil
}

// ended learns from the end of a call that was admitted.
func (s *Store) ended(ctx context.Context, c call, err error) {
	if s.hook != nil {
		s.hook.Took(ctx, observe.StoreCalled, c.kind, reasonOf(err), c.began)
	}
	switch {
	case s.dialect.local(), errors.Is(err, context.Canceled):
	case !timedOut(err):
		s.circuit.answers.Add(1)
	case time.Since(c.began) >= silence && s.circuit.answers.Load() == c.answers:
		if s.circuit.open.CompareAndSwap(false, true) {
			s.circuit.openedAt.Store(time.Now().UnixMicro())
			s.hook.One(ctx, observe.CircuitOpened, observe.KindNone, observe.ReasonNone)
			s.log.Error("the database does not answer: calls are refused until it does", "waited", time.Since(c.began), "error", err)
		}
	}
}

// timedOut reports whether err says that no answer came in time, to the store or
// to the driver.
func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// probe asks the database on behalf of all callers, and returns nil if it
// answers soon. Concurrent callers get errSilent.
func (s *Store) probe(ctx context.Context) error {
	if !s.circuit.probing.CompareAndSwap(false, true) {
		return errSilent
	}
	answer := make(chan error, 1)
	go func() {
		defer s.circuit.probing.Store(false)
		ctx, cancel := context.WithTimeout(s.life, lookupTimeout)
		defer cancel()
		err := s.ask(ctx)
		if err == nil || !errors.Is(err, context.Canceled) && !timedOut(err) {
			s.answered(ctx)
			err = nil
		}
		answer <- err
	}()
	wait := time.NewTimer(patience)
	defer wait.Stop()
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("%w: %w", errSilent, err)
		}
		return nil
	case <-wait.C:
		return errSilent
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answered closes the circuit.
func (s *Store) answered(ctx context.Context) {
	s.circuit.answers.Add(1)
	if s.circuit.open.CompareAndSwap(true, false) {
		silent := time.Since(time.UnixMicro(s.circuit.openedAt.Load()))
		s.hook.Emit(ctx, observe.Event{Name: observe.CircuitClosed, Count: 1, Duration: silent})
		s.log.Info("the database answers again", "after", silent)
	}
}

// ask runs the look-ups of most requests, for a token and a session that cannot
// exist.
func (s *Store) ask(ctx context.Context) error {
	queries := []string{accessAndUser, sessionAndUser}
	if s.users != nil {
		queries = []string{accessByDigest, sessionByDigest}
	}
	var nothing store.Digest
	for _, query := range queries {
		err := s.once(ctx, query, func(on statement) error {
			rows, err := on.QueryContext(ctx, nothing[:])
			if err != nil {
				return err
			}
			defer rows.Close()
			rows.Next()
			return rows.Err()
		})
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
	}
	return nil
}

// readyTimeout bounds [Store.Ready]. It is below the usual timeout of probes, a
// second.
const readyTimeout = 800 * time.Millisecond

// Ready returns nil if the store can answer requests: the database answers the
// look-ups of a request, and its schema is compatible with this package. The error
// wraps [ErrSchema] if the schema is what does not fit. Ready
// takes at most 800 milliseconds, or as long as ctx allows. It reads only, so
// it succeeds on a database that is read-only for a while, where sessions and
// tokens still work. It is for readiness probes. A liveness probe must not ask
// a database.
func (s *Store) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	var schema error
	// With the repetitions of a look-up: connections that the database has closed say
	// nothing about requests.
	err := s.repeat(ctx, "ask whether the database is ready", true, func() error {
		err := s.ask(ctx)
		if err == nil {
			s.answered(ctx)
		}
		schema = checkVersion(ctx, s.db, s.dialect, s.prefix)
		if err == nil || errors.Is(schema, ErrSchema) { // which may be why it failed
			return schema
		}
		return err
	})
	if errors.Is(schema, ErrSchema) {
		return schema
	}
	return err
}
