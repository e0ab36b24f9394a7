package memory_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A reader without a lock that is interrupted in the middle looks again: nobody sees
// a live token, or a live session, of a user who is not there (F3). There are more
// threads than processors, so that the system interrupts them anywhere.
func TestInterruptedReadersLookAgain(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4*runtime.NumCPU() + 4))
	ctx, s := t.Context(), memory.New()
	type target struct{ token, session store.Digest }
	var current atomic.Pointer[target]
	current.Store(&target{})
	var halves, reads atomic.Int64
	stop := readers(t, 2*runtime.NumCPU()+2, func() bool {
		at := current.Load()
		if a, err := s.AccessByDigest(ctx, at.token); err == nil && a.Revoked.IsZero() && a.User.ID == "" {
			halves.Add(1)
		}
		if x, u, err := s.SessionByDigest(ctx, at.session); err == nil && x.Ended.IsZero() && u.ID == "" {
			halves.Add(1)
		}
		reads.Add(1)
		return true
	})
	end := time.Now().Add(1500 * time.Millisecond)
	for n := 0; time.Now().Before(end) && halves.Load() == 0; n++ {
		u, err := s.InsertUser(ctx, store.User{Name: fmt.Sprint(n), Active: true})
		must(t, u, err)
		var next target
		parent := int64(0)
		for level := range store.MaxDepth { // the longer a reader looks, the more often it is interrupted
			next.token = store.DigestOf(fmt.Sprint(n, level))
			tok, err := s.InsertToken(ctx, store.Token{
				Digest: next.token, UserID: u.ID, Scopes: "read", ParentID: parent, Created: now, Expires: now.Add(time.Hour),
			}, store.InsertLimits{Depth: store.MaxDepth, Live: 100})
			parent = must(t, tok, err).Family
		}
		next.session = store.DigestOf(fmt.Sprint("session", n))
		x, _, err := s.InsertSession(ctx, store.Session{Digest: next.session, UserID: u.ID, Created: now, Expires: now.Add(time.Hour)}, store.Digest{}, 0)
		must(t, x, err)
		current.Store(&next)
		for before := reads.Load(); reads.Load() < before+20; {
			runtime.Gosched()
		}
		if err := s.DeleteUser(ctx, u.ID, now); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if n := halves.Load(); n != 0 {
		t.Errorf("%d of %d reads saw something live of a user who was not there", n, reads.Load())
	}
}

// ReadUser returns the user and the hash of one instant, or what the two look-ups that
// it stands for return.
func TestReadUser(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	alice := addUser(t, s, "alice")
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, tt := range []struct {
		ctx  context.Context
		name string
		err  error
	}{{ctx, "alice", nil}, {ctx, "Alice", store.ErrNotFound}, {ctx, "", store.ErrNotFound}, {ended, "alice", context.Canceled}} {
		want, wantErr := s.UserByName(tt.ctx, tt.name)
		got := store.User{Name: "of an earlier look-up"}
		if hash, err := s.ReadUser(tt.ctx, tt.name, &got); got != want || hash != "" || err != wantErr || !errors.Is(err, tt.err) {
			t.Errorf("%q: %+v, %q, %v", tt.name, got, hash, err)
		}
	}
	stop := readers(t, 2, func() bool {
		var u store.User
		hash, err := s.ReadUser(ctx, "alice", &u)
		if err != nil || u.ID != alice.ID || u.Epoch > 0 && hash != fmt.Sprint(u.Epoch) {
			t.Errorf("user %q of epoch %d with the hash %q, %v", u.ID, u.Epoch, hash, err)
			return false
		}
		return true
	})
	for epoch := range 2000 {
		if err := s.SetPasswordHash(ctx, alice.ID, fmt.Sprint(epoch+1)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
}
