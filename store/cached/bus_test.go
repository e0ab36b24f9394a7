package cached_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/cached"
)

// onTwo runs a test on two processes that share a database and a bus.
func onTwo(t *testing.T, test func(w *world, here, there *cached.Store, bus *network)) {
	synctest.Test(t, func(t *testing.T) {
		w, bus := newWorld(t), newNetwork()
		here, there := w.open(cached.Options{MaxAge: time.Minute, Bus: bus}), w.open(cached.Options{MaxAge: time.Minute, Bus: bus})
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for _, st := range []*cached.Store{here, there} {
			all.Go(func() {
				if err := st.Run(ctx); !errors.Is(err, context.Canceled) {
					t.Errorf("Run: %v", err)
				}
			})
		}
		synctest.Wait()
		test(w, here, there, bus)
		stop()
		all.Wait()
	})
}

func (w *world) revoke(st store.Tokens) {
	w.Helper()
	if _, err := st.RevokeTokens(w.Context(), store.Selection{TokenID: w.token.ID}, time.Now()); err != nil {
		w.Fatal(err)
	}
}

func (w *world) live(st store.Tokens) bool {
	w.Helper()
	return w.access(st, w.token.Digest).Revoked.IsZero()
}

// A change here is seen there as soon as the message has arrived.
func TestBus(t *testing.T) {
	onTwo(t, func(w *world, here, there *cached.Store, _ *network) {
		w.live(there)
		w.revoke(here)
		synctest.Wait()
		if w.live(there) {
			w.Error("the revocation was not heard")
		}
	})
	onTwo(t, func(w *world, here, there *cached.Store, _ *network) {
		w.live(there)
		if err := here.SetPasswordHash(w.Context(), w.user.ID, "hash"); err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		if w.access(there, w.token.Digest).User.Epoch == w.user.Epoch {
			w.Error("the new password was not heard of")
		}
	})
}

// A process does not listen to itself, and the use of a token concerns nobody else.
func TestBusCostsNoCache(t *testing.T) {
	onTwo(t, func(w *world, here, there *cached.Store, _ *network) {
		here.ForgetUser(w.Context(), "another")
		w.live(there)
		w.live(here)
		if err := here.Touch(w.Context(), []store.Sighting{{TokenID: w.token.ID, At: time.Now()}}); err != nil {
			w.Fatal(err)
		}
		w.live(here)
		synctest.Wait()
		if n := w.db.asked(func() { w.live(here); w.live(there) }); n != 0 {
			w.Errorf("%d queries", n)
		}
	})
}

// While the bus is down the bound of MaxAge holds, a change succeeds, and nothing is
// believed that was heard before. When it is back everything is asked for again.
func TestPartition(t *testing.T) {
	onTwo(t, func(w *world, here, there *cached.Store, bus *network) {
		w.live(there)
		bus.set(true)
		synctest.Wait()
		if n := w.db.asked(func() { w.live(there) }); n != 1 {
			w.Errorf("%d queries after the bus broke", n)
		}
		w.revoke(here)
		if !w.live(there) {
			w.Error("how does it know?")
		}
		time.Sleep(time.Minute)
		if w.live(there) {
			w.Error("the token passes after MaxAge")
		}
	})
	onTwo(t, func(w *world, here, there *cached.Store, bus *network) {
		bus.set(true)
		synctest.Wait()
		w.live(there)
		w.revoke(here)
		bus.set(false)
		time.Sleep(10 * time.Second) // the longest pause of Run is shorter
		if w.live(there) {
			w.Error("the token passes although messages were lost")
		}
	})
}

// A message that this version does not know can mean anything.
func TestUnknownMessages(t *testing.T) {
	for _, message := range []string{"", "1", "1 other", "1 other ", "1 other x", "1 other -1", "1 other 4097", "1 other 99999999999", "2 other 5", "1 other 1 2", "1  4096"} {
		onTwo(t, func(w *world, _, there *cached.Store, bus *network) {
			w.live(there)
			if err := bus.Publish(w.Context(), message); err != nil {
				w.Fatal(err)
			}
			synctest.Wait()
			if n := w.db.asked(func() { w.live(there) }); n != 1 {
				w.Errorf("%q: %d queries", message, n)
			}
		})
	}
}

func TestRunWithoutBus(t *testing.T) {
	if err := newWorld(t).open(cached.Options{}).Run(t.Context()); err == nil {
		t.Error("no error")
	}
}
