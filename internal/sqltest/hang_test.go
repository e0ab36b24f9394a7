package sqltest

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A database server that hangs is noticed: readiness fails, no call is answered
// wrongly, and after the first ones have waited the others are refused without the
// database. When it goes on, so does the store. The times are those of TestCircuit
// in package sqlstore.
func TestDatabaseHangs(t *testing.T) {
	for _, d := range databases() {
		if d.server == nil {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := need(t, d.server)
			t.Cleanup(s.kill)
			_, db := s.place.openDB(t)
			var seen reasons
			opts := s.place.options()
			opts.Timeout, opts.LookupTimeout = 0, 0 // as usual
			opts.Observe = seen.note
			st, err := sqlstore.Open(t.Context(), db, s.place.Dialect, opts)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { st.Close() })
			tok, err := st.InsertToken(t.Context(), tokenNamed("x", time.Now()), store.InsertLimits{})
			if err != nil {
				t.Fatal(err)
			}
			lookUp := func() error {
				_, err := st.AccessByDigest(context.Background(), tok.Digest)
				return err
			}
			everyConn(t, db, "SELECT 1")
			becomesReady(t, st)
			s.signal(syscall.SIGSTOP)
			defer s.signal(syscall.SIGCONT)

			if st.Ready(t.Context()) == nil {
				t.Error("ready")
			}
			var wg sync.WaitGroup
			for range 64 { // many more than connections
				wg.Go(func() {
					if err := lookUp(); err == nil || errors.Is(err, store.ErrNotFound) {
						t.Errorf("a database that hangs answered: %v", err)
					}
				})
			}
			wg.Wait()
			seen.reset()
			for range 50 {
				if err := lookUp(); err == nil || errors.Is(err, store.ErrNotFound) {
					t.Errorf("a look-up of a database that hangs: %v", err)
				}
			}
			if _, err := st.InsertToken(context.Background(), tokenNamed("y", time.Now()), store.InsertLimits{}); err == nil {
				t.Error("a write succeeds")
			}
			if all := seen.reset(); all[observe.ReasonCircuitOpen] != 51 || len(all) != 1 {
				t.Errorf("calls ended by %v, want 51 times %v", all, observe.ReasonCircuitOpen)
			}
			s.signal(syscall.SIGCONT)
			deadline := time.Now().Add(servertest.Patience)
			for err = lookUp(); err != nil && time.Now().Before(deadline); err = lookUp() {
				if errors.Is(err, store.ErrNotFound) {
					t.Fatal(err)
				}
			}
			if err != nil {
				t.Errorf("after it goes on: %v", err)
			}
			becomesReady(t, st)
		})
	}
}

// becomesReady waits until a store is ready: a busy machine may take longer than a
// probe waits.
func becomesReady(t *testing.T, st *sqlstore.Store) {
	t.Helper()
	deadline := time.Now().Add(servertest.Patience)
	err := st.Ready(t.Context())
	for err != nil && time.Now().Before(deadline) {
		err = st.Ready(t.Context())
	}
	if err != nil {
		t.Errorf("not ready: %v", err)
	}
}

// reasons counts why calls of a store ended.
type reasons struct {
	mu  sync.Mutex
	all map[observe.Reason]int
}

func (r *reasons) note(_ context.Context, e observe.Event) {
	if e.Name != observe.StoreCalled {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all != nil {
		r.all[e.Reason]++
	}
}

// reset returns the counts, and begins anew.
func (r *reasons) reset() map[observe.Reason]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = make(map[observe.Reason]int)
	return all
}
