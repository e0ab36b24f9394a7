package sqltest

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// A database server that hangs is noticed: readiness fails within a second, no
// call is answered wrongly, and after the first ones have waited the others fail
// at once. When it goes on, so does the store.
func TestDatabaseHangs(t *testing.T) {
	for _, d := range databases() {
		if d.server == nil {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := need(t, d.server)
			t.Cleanup(s.kill)
			st, db := s.place.openDB(t)
			tok, err := st.InsertToken(t.Context(), tokenNamed("x", time.Now()), store.MintLimits{})
			if err != nil {
				t.Fatal(err)
			}
			lookUp := func() error {
				_, err := st.AccessByDigest(context.Background(), tok.Digest)
				return err
			}
			everyConn(t, db, "SELECT 1")
			if err := st.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.signal(syscall.SIGSTOP)
			defer s.signal(syscall.SIGCONT)

			if d := took(func() { err = st.Ready(t.Context()) }); err == nil || d > time.Second {
				t.Errorf("Ready took %v: %v", d, err)
			}
			var wg sync.WaitGroup
			for range 64 { // many more than connections
				wg.Go(func() {
					if err := lookUp(); err == nil || errors.Is(err, store.ErrNotFound) {
						t.Errorf("a database that hangs answered: %v", err)
					}
				})
			}
			if d := took(wg.Wait); d > 3*time.Second {
				t.Errorf("the first calls took %v", d)
			}
			testRefusals(t, st, lookUp)
			s.signal(syscall.SIGCONT)
			deadline := time.Now().Add(20 * time.Second)
			for err = lookUp(); err != nil && time.Now().Before(deadline); err = lookUp() {
				if errors.Is(err, store.ErrNotFound) {
					t.Fatal(err)
				}
			}
			if err != nil {
				t.Errorf("after it goes on: %v", err)
			}
			if err := st.Ready(t.Context()); err != nil {
				t.Errorf("Ready after it goes on: %v", err)
			}
		})
	}
}

// testRefusals calls a store whose database hangs, and has been found to.
func testRefusals(t *testing.T, st *sqlstore.Store, lookUp func() error) {
	t.Helper()
	slow := 0
	for range 50 {
		var err error
		if took(func() { err = lookUp() }) > 90*time.Millisecond {
			slow++ // it had the database asked
		}
		if err == nil || errors.Is(err, store.ErrNotFound) {
			t.Errorf("a look-up of a database that hangs: %v", err)
		}
	}
	if slow > 5 {
		t.Errorf("%d look-ups of 50 waited", slow)
	}
	if d := took(func() { st.InsertToken(context.Background(), tokenNamed("y", time.Now()), store.MintLimits{}) }); d > time.Second {
		t.Errorf("a write waited %v", d)
	}
}

func took(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}
