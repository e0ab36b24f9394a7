package memory_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Places of tokens are used again while others read without a lock. Nobody sees a part
// of one token and a part of another, nor of a token before and after a change. There
// are more threads than processors, so that the system interrupts them anywhere.
func TestReadersSeeOneToken(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4*runtime.NumCPU() + 4))
	ctx, s := t.Context(), memory.New()
	// Everything that a token has follows from its number.
	expires := func(n int) time.Time { return now.Add(time.Duration(n+1) * time.Minute) }
	token := func(n int) store.Token {
		return store.Token{
			Digest: digest(n), UserID: fmt.Sprint("u", n%13), Scopes: fmt.Sprint("s", n), Audience: fmt.Sprint("a", n),
			Addresses: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n)}), 32)},
			Epoch:     int64(n), Created: now, Modified: now, Expires: expires(n), LastUsed: expires(n),
		}
	}
	var current, mixed, reads atomic.Int64
	stop := readers(t, 2*runtime.NumCPU()+2, func() bool {
		n := int(current.Load())
		a, err := s.AccessByDigest(ctx, digest(n))
		reads.Add(1)
		if errors.Is(err, store.ErrNotFound) {
			return true
		}
		want := token(n)
		late := a.Scopes != want.Scopes // after the change
		if late {
			want.Scopes, want.Expires = "late", expires(n+1)
		}
		if err != nil || a.TokenID != int64(n+1) || a.Family != a.TokenID || a.UserID != want.UserID || a.Scopes != want.Scopes ||
			a.Audience != want.Audience || len(a.Addresses) != 1 || a.Addresses[0] != want.Addresses[0] || a.Epoch != want.Epoch ||
			!a.Expires.Equal(want.Expires) || !a.LastUsed.Equal(want.LastUsed) || !a.Revoked.IsZero() {
			if mixed.Add(1) == 1 {
				t.Errorf("token %d: %+v, %v", n, a, err)
			}
		}
		return true
	})
	end := time.Now().Add(1500 * time.Millisecond)
	for n := 0; time.Now().Before(end) && mixed.Load() == 0; n++ {
		tok, err := s.InsertToken(ctx, token(n), store.InsertLimits{})
		tok = must(t, tok, err)
		current.Store(int64(n))
		for before := reads.Load(); reads.Load() < before+20; {
			runtime.Gosched()
		}
		tok.Scopes, tok.Expires = "late", expires(n+1)
		if err := s.UpdateToken(ctx, tok, store.KeepMinted); err != nil {
			t.Fatal(err)
		}
		for before := reads.Load(); reads.Load() < before+20; {
			runtime.Gosched()
		}
		removed, err := s.Purge(ctx, expires(n+1).Add(time.Second), 10)
		if must(t, removed, err) != 1 {
			t.Fatalf("%d tokens purged", removed)
		}
	}
	stop()
	if n := mixed.Load(); n != 0 {
		t.Errorf("%d of %d reads saw parts of two tokens", n, reads.Load())
	}
}

// readers calls read over and over in n goroutines, until it returns false. They end
// with the test, or with the function that is returned, which waits for them.
func readers(t *testing.T, n int, read func() bool) (stop func()) {
	var stopped atomic.Bool
	var running sync.WaitGroup
	for range n {
		running.Go(func() {
			for !stopped.Load() && read() {
			}
		})
	}
	stop = func() {
		stopped.Store(true)
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}
