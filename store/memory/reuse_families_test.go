package memory_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Places of families are used again while others read without a lock. Nobody sees the
// token of one family with the parent, the cut-offs or the end of another one: it is
// alive until its parent is revoked, and dead from then on.
func TestReadersSeeOneFamily(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4*runtime.NumCPU() + 4))
	ctx, s := t.Context(), memory.New()
	// Each round has a tree, which goes through these phases.
	const (
		stored = iota
		ending // and then ended
		ended
		going // and then gone
	)
	type round struct {
		n     int
		leaf  int64 // the family of the last token
		phase atomic.Int32
	}
	var current atomic.Pointer[round]
	var wrong, reads atomic.Int64
	stop := readers(t, 2*runtime.NumCPU()+2, func() bool {
		x := current.Load()
		if x == nil {
			return true
		}
		before := x.phase.Load()
		a, err := s.AccessByDigest(ctx, digest(x.n))
		after := x.phase.Load()
		reads.Add(1)
		gone := errors.Is(err, store.ErrNotFound)
		if gone && after < going || !gone && (err != nil || a.Family != x.leaf || a.UserID != fmt.Sprint("u", x.n%7) ||
			after == stored && !a.Revoked.IsZero() || before >= ended && a.Revoked.IsZero()) {
			if wrong.Add(1) == 1 {
				t.Errorf("round %d between %d and %d: %+v, %v", x.n, before, after, a, err)
			}
		}
		return true
	})
	wait := func() {
		for before := reads.Load(); reads.Load() < before+20; {
			runtime.Gosched()
		}
	}
	end := time.Now().Add(1500 * time.Millisecond)
	for n := 0; time.Now().Before(end) && wrong.Load() == 0; n++ {
		depth := 2 + n%4 // so that a place is at another height each time
		var first, last store.Token
		for level := range depth {
			tok := store.Token{Digest: digest(1_000_000 + 10*n + level), UserID: fmt.Sprint("u", n%7), ParentID: last.Family, Created: now, Expires: now.Add(time.Hour)}
			if level == depth-1 {
				tok.Digest = digest(n)
			}
			tok, err := s.InsertToken(ctx, tok, store.InsertLimits{Depth: 8, Live: 100})
			if last = must(t, tok, err); level == 0 {
				first = last
			}
		}
		x := &round{n: n, leaf: last.Family}
		current.Store(x)
		wait()
		x.phase.Store(ending)
		sel := []store.Selection{{TokenID: first.ID}, {MintedBy: first.Family}, {UserID: first.UserID}}[n%3]
		revoked, err := s.RevokeTokens(ctx, sel, now)
		must(t, revoked, err)
		x.phase.Store(ended)
		wait()
		x.phase.Store(going)
		removed, err := s.Purge(ctx, now.Add(2*time.Hour), 100)
		if must(t, removed, err) != depth {
			t.Fatalf("%d of %d tokens purged", removed, depth)
		}
	}
	stop()
	if n := wrong.Load(); n != 0 {
		t.Errorf("%d of %d reads saw another family", n, reads.Load())
	}
}
