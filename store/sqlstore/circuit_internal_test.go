package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/store"
)

// A mute is a driver that finds nothing, or does not answer at all.
type mute struct {
	hangs   atomic.Bool
	refuses atomic.Bool // every statement fails, at once
	asked   atomic.Int64
}

func (m *mute) Connect(context.Context) (driver.Conn, error) { return muteConn{m}, nil }
func (m *mute) Driver() driver.Driver                        { return nil }

type muteConn struct{ m *mute }

func (c muteConn) Prepare(string) (driver.Stmt, error) { return nil, errors.New("not prepared") }
func (c muteConn) Close() error                        { return nil }
func (c muteConn) Begin() (driver.Tx, error)           { return muteTx{}, nil }

func (c muteConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return muteTx{}, nil }

func (c muteConn) wait(ctx context.Context) error {
	c.m.asked.Add(1)
	if c.m.refuses.Load() {
		return pgError("42501")
	}
	if !c.m.hangs.Load() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (c muteConn) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	return muteRows{}, c.wait(ctx)
}

func (c muteConn) ExecContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Result, error) {
	return driver.RowsAffected(1), c.wait(ctx)
}

type (
	muteTx   struct{}
	muteRows struct{}
)

func (muteTx) Commit() error               { return nil }
func (muteTx) Rollback() error             { return nil }
func (muteRows) Columns() []string         { return []string{"x"} }
func (muteRows) Close() error              { return nil }
func (muteRows) Next([]driver.Value) error { return io.EOF }

// openMute returns a store on a mute server, and what it logs.
func openMute(t *testing.T) (*Store, *mute, *strings.Builder) {
	m := new(mute)
	db := sql.OpenDB(m)
	db.SetMaxOpenConns(16)
	t.Cleanup(func() { db.Close() })
	var log strings.Builder
	return &Store{
		db: db, dialect: Postgres, prefix: defaultPrefix, timeout: defaultTimeout, lookupTimeout: lookupTimeout,
		log: slog.New(slog.NewTextHandler(&log, nil)), life: t.Context(),
	}, m, &log
}

// took calls f and returns how long that took.
func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

func TestCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, log := openMute(t)
		lookUp := func() error {
			_, err := s.AccessByDigest(t.Context(), store.Digest{1})
			return err
		}
		if err := lookUp(); !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		m.hangs.Store(true)
		var wg sync.WaitGroup
		for range 50 { // more than there are connections
			wg.Go(func() {
				if err := lookUp(); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("an answer from a database that hangs: %v", err)
				}
			})
		}
		if d := took(wg.Wait); d != lookupTimeout {
			t.Errorf("the first calls took %v", d)
		}
		// Now a call has the database asked, and all are refused.
		var err error
		if d := took(func() { err = lookUp() }); d != patience || !errors.Is(err, errSilent) {
			t.Errorf("the call that asks took %v: %v", d, err)
		}
		asked := m.asked.Load()
		for name, do := range map[string]func() error{
			"a look-up": lookUp,
			"a write":   func() error { return s.UpdateToken(t.Context(), store.Token{ID: 1}, store.KeepMinted) },
			"a change": func() error {
				return s.TouchSession(t.Context(), store.Digest{1}, time.Now(), time.Now(), netip.Addr{})
			},
			"a list": func() error {
				_, _, err := s.ListSessions(t.Context(), store.SessionFilter{UserID: "1"}, time.Now(), store.Page{Limit: 1000, Descending: true})
				return err
			},
			"a page": func() error {
				_, _, err := s.ListUsers(t.Context(), store.UserFilter{}, store.Page{Limit: 1})
				return err
			},
			"a rotation": func() error { _, err := s.Rotate(t.Context(), store.Rotation{}); return err },
		} {
			var err error
			if d := took(func() { err = do() }); d != 0 || !errors.Is(err, errSilent) {
				t.Errorf("%s took %v: %v", name, d, err)
			}
		}
		if n := m.asked.Load(); n != asked {
			t.Errorf("calls that were refused asked the database %d times", n-asked)
		}
		time.Sleep(lookupTimeout) // the probe ends
		m.hangs.Store(false)
		if d := took(func() {
			if err := lookUp(); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("the first call of a database that answers again: %v", err)
			}
		}); d != 0 || s.circuit.open.Load() {
			t.Errorf("it took %v, open %v", d, s.circuit.open.Load())
		}
		if text := log.String(); strings.Count(text, "does not answer") != 1 || strings.Count(text, "answers again") != 1 {
			t.Errorf("log:\n%s", text)
		}
	})
}

// What is not a database that hangs opens no circuit.
func TestCircuitStaysClosed(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, s *Store, m *mute)
	}{
		{"another call is answered meanwhile", func(t *testing.T, s *Store, m *mute) {
			m.hangs.Store(true)
			go func() {
				time.Sleep(lookupTimeout / 2)
				s.ended(t.Context(), call{}, nil)
			}()
			_, _ = s.AccessByDigest(t.Context(), store.Digest{1})
		}},
		{"the caller allows less than a second", func(t *testing.T, s *Store, m *mute) {
			m.hangs.Store(true)
			ctx, cancel := context.WithTimeout(t.Context(), silence-time.Millisecond)
			defer cancel()
			_ = s.UpdateToken(ctx, store.Token{ID: 1}, store.KeepMinted)
		}},
		{"the caller gives up", func(t *testing.T, s *Store, m *mute) {
			m.hangs.Store(true)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(5*time.Second, cancel)
			_ = s.UpdateToken(ctx, store.Token{ID: 1}, store.KeepMinted)
		}},
		{"every statement is refused", func(t *testing.T, s *Store, m *mute) {
			m.refuses.Store(true)
			_, _ = s.AccessByDigest(t.Context(), store.Digest{1})
		}},
		{"readiness is not answered in time", func(t *testing.T, s *Store, m *mute) {
			m.hangs.Store(true)
			if err := s.Ready(t.Context()); err == nil {
				t.Error("ready")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, m, _ := openMute(t)
				tt.do(t, s, m)
				synctest.Wait()
				if s.circuit.open.Load() {
					t.Error("the circuit is open")
				}
			})
		})
	}
}

// A write that hangs opens it as well, and an error closes it: it is an answer.
func TestCircuitOfWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, _ := openMute(t)
		update := func() error { return s.UpdateToken(t.Context(), store.Token{ID: 1}, store.KeepMinted) }
		m.hangs.Store(true)
		if d := took(func() { _ = update() }); d != defaultTimeout || !s.circuit.open.Load() {
			t.Errorf("it took %v, open %v", d, s.circuit.open.Load())
		}
		if d := took(func() { _ = update() }); d != patience {
			t.Errorf("the next took %v", d)
		}
		time.Sleep(lookupTimeout)
		m.hangs.Store(false)
		m.refuses.Store(true)
		if err := update(); err == nil || errors.Is(err, errSilent) {
			t.Errorf("a refused write: %v", err)
		}
		if s.circuit.open.Load() {
			t.Error("the circuit is open although the database answers")
		}
	})
}

// A call that gives up while the database is asked on its behalf leaves that to
// the others.
func TestCircuitCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, _ := openMute(t)
		m.hangs.Store(true)
		_, _ = s.AccessByDigest(t.Context(), store.Digest{1})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(patience/2, cancel)
		if err := s.UpdateToken(ctx, store.Token{ID: 1}, store.KeepMinted); !errors.Is(err, context.Canceled) {
			t.Errorf("UpdateToken = %v", err)
		}
		if !s.circuit.open.Load() || !s.circuit.probing.Load() {
			t.Error("nobody asks any more")
		}
		time.Sleep(lookupTimeout)
		if s.circuit.probing.Load() {
			t.Error("the question has no end")
		}
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m, _ := openMute(t)
		m.hangs.Store(true)
		if d := took(func() {
			if s.Ready(t.Context()) == nil {
				t.Error("ready although the database hangs")
			}
		}); d >= time.Second {
			t.Errorf("it took %v", d)
		}
		m.hangs.Store(false)
		m.refuses.Store(true)
		if s.Ready(t.Context()) == nil {
			t.Error("ready although every statement is refused")
		}
	})
}
