package memory_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// rotations stores a family of n rotated tokens, and returns the last one.
func rotations(t testing.TB, s *memory.Store, n int) store.Token {
	t.Helper()
	tok, err := s.InsertToken(t.Context(), grant("9", 0), store.MintLimits{})
	must(t, tok, err)
	for i := range n {
		next := grant("9", 2*i+2)
		out, err := s.Rotate(t.Context(), store.Rotation{Refresh: tok.Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: next})
		tok = must(t, out, err).Token
	}
	return tok
}

// A purge of an ended family is linear in it, and holds up nobody for longer than
// a step: 12,000 tokens took 5 seconds in which nothing else was answered.
func TestPurgeOfAFamilyIsLinear(t *testing.T) {
	purge := func(n int) (took, longest time.Duration) {
		s := newStore(t)
		rotations(t, s, n-1)
		var done atomic.Bool
		var worst time.Duration
		var others sync.WaitGroup
		others.Go(func() {
			for !done.Load() {
				begun := time.Now()
				_, err := s.TokenByID(context.Background(), 1) // under the lock
				_ = err                                        // it goes, in the end
				worst = max(worst, time.Since(begun))
			}
		})
		begun := time.Now()
		removed, err := s.Purge(t.Context(), now.Add(25*time.Hour), 1_000_000)
		took = time.Since(begun)
		done.Store(true)
		others.Wait()
		if must(t, removed, err) != n {
			t.Errorf("removed %d of %d", removed, n)
		}
		return took, worst
	}
	few, _ := purge(3_000)
	many, longest := purge(12_000)
	t.Logf("3,000 tokens in %v, 12,000 in %v; meanwhile somebody waited for %v at most", few, many, longest)
	if many > 16*few+time.Second {
		t.Errorf("3,000 tokens took %v, 12,000 %v", few, many)
	}
	if longest > time.Second {
		t.Errorf("somebody waited for %v", longest)
	}
}

// What must stay costs a purge nothing.
func TestPurgeLooksAtNothingThatStays(t *testing.T) {
	s := newStore(t)
	rotations(t, s, 12_000)
	n := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if n, err := s.Purge(b.Context(), now.Add(time.Hour), 1000); n != 0 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
	t.Logf("a purge of 12,000 tokens that stay takes %v", time.Duration(n.NsPerOp()))
	if per := time.Duration(n.NsPerOp()); per > 100*time.Microsecond {
		t.Errorf("a purge that has nothing to do takes %v", per)
	}
}

// The end of 60,000 tokens is one step for readers, and a bounded one for those
// who wait for the lock.
func TestRevocationOfManyIsBounded(t *testing.T) {
	n := 60_000
	if testing.Short() {
		n = 20_000
	}
	s := newStore(t)
	for i := range n {
		tok, err := s.InsertToken(t.Context(), grant("9", 2*i), store.MintLimits{})
		must(t, tok, err)
	}
	begun := time.Now()
	marked, err := s.RevokeTokens(t.Context(), store.Selection{ApplicationID: 1}, now)
	took := time.Since(begun)
	t.Logf("the revocation of %d tokens took %v and marked %d", n, took, must(t, marked, err))
	if marked > 1000 || took > time.Second {
		t.Errorf("it marked %d tokens in %v", marked, took)
	}
	for _, i := range []int{0, n / 2, n - 1} {
		if a, err := s.AccessByDigest(t.Context(), digest(2*i)); err != nil || a.Revoked.IsZero() {
			t.Errorf("token %d: revoked %v, %v", i, a.Revoked, err)
		}
	}
	if removed, err := s.Purge(t.Context(), now.Add(time.Second), n+1); must(t, removed, err) != n {
		t.Errorf("a purge removes %d of %d", removed, n)
	}
}

// A renewal is one step for readers who take no lock, also where the data is long:
// each sees the old session alive or the new one (F3).
func TestRenewalIsOneStep(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	data := make([]byte, 64<<10)
	session := func(n int) store.Session {
		return store.Session{Digest: digest(n), UserID: "9", Data: data, Created: now, Expires: now.Add(time.Hour)}
	}
	first, _, err := s.InsertSession(ctx, session(0), store.Digest{}, 0)
	must(t, first, err)
	const renewals, reads = 3000, 3000
	var current atomic.Int64 // the newest that may be there
	var readers sync.WaitGroup
	stop := make(chan struct{})
	neither := atomic.Int64{}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				n := int(current.Load())
				old, _, err := s.SessionByDigest(ctx, digest(n))
				if err == nil && old.Ended.IsZero() {
					continue
				}
				// It has been replaced: what replaced it is there, or was.
				if _, _, err := s.SessionByDigest(ctx, digest(n+1)); err != nil {
					neither.Add(1)
				}
			}
		})
	}
	for n := range renewals {
		next, _, err := s.InsertSession(ctx, session(n+1), digest(n), 0)
		must(t, next, err)
		current.Store(int64(n + 1))
	}
	close(stop)
	readers.Wait()
	if n := neither.Load(); n != 0 {
		t.Errorf("%d times neither the old session was alive nor the new one there", n)
	}
}

// The limit of sessions, the end of all and the deletion of a user are one step for
// readers, too: whoever has seen one session ended sees all of them ended.
func TestEndsAreOneStep(t *testing.T) {
	ctx, s := t.Context(), memory.New()
	const each = 8
	for round := range 300 {
		user := "u" + string(rune('a'+round%26)) + string(rune('0'+round%10))
		if round%3 == 2 {
			u, err := s.InsertUser(ctx, store.User{Name: user + time.Now().String(), Active: true})
			user = must(t, u, err).ID
		}
		id := func(i int) store.Digest { return digest(1_000_000 + round*each + i) }
		for i := range each {
			x, _, err := s.InsertSession(ctx, store.Session{Digest: id(i), UserID: user, Created: now, Expires: now.Add(time.Hour)}, store.Digest{}, 0)
			must(t, x, err)
		}
		start := make(chan struct{})
		var reader sync.WaitGroup
		reader.Go(func() {
			<-start
			for range 200 {
				a, _, err := s.SessionByDigest(ctx, id(0))
				b, _, err2 := s.SessionByDigest(ctx, id(each-1))
				if err != nil || err2 != nil || !a.Ended.IsZero() && b.Ended.IsZero() {
					t.Errorf("round %d: the first ended %v, the last %v, %v, %v", round, a.Ended, b.Ended, err, err2)
					return
				}
			}
		})
		close(start)
		var err error
		switch round % 3 {
		case 0:
			_, err = s.EndSessions(ctx, store.SessionSelection{UserID: user}, store.EndedAdmin, now)
		case 1:
			_, _, err = s.InsertSession(ctx, store.Session{Digest: digest(5_000_000 + round), UserID: user, Created: now.Add(time.Second), Expires: now.Add(time.Hour)}, store.Digest{}, 1)
		default:
			err = s.DeleteUser(ctx, user, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		reader.Wait()
	}
}
