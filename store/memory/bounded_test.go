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
	tok, err := s.InsertToken(t.Context(), grant("9", 0), store.InsertLimits{})
	must(t, tok, err)
	for i := range n {
		next := grant("9", 2*i+2)
		out, err := s.Rotate(t.Context(), store.Rotation{Refresh: tok.Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: next})
		tok = must(t, out, err).Token
	}
	return tok
}

// betweenSteps is a context that a store asks before each step, when it does not hold
// its lock.
type betweenSteps struct {
	context.Context
	call func()
}

func (c betweenSteps) Err() error {
	c.call()
	return nil
}

// A purge of an ended family is linear in it, and holds up nobody for longer than
// a step: 12,000 tokens took 5 seconds in which nothing else was answered.
func TestPurgeOfAFamilyIsLinear(t *testing.T) {
	const few, many = 2_000, 8_000
	purge := func(n int) time.Duration {
		s := newStore(t)
		rotations(t, s, n-1)
		steps, most, left := 0, 0, n
		ctx := betweenSteps{t.Context(), func() {
			now := 0
			for id := range n {
				if _, err := s.TokenByID(t.Context(), int64(id+1)); err == nil { // under the lock
					now++
				}
			}
			steps, most, left = steps+1, max(most, left-now), now
		}}
		removed, err := s.Purge(ctx, now.Add(25*time.Hour), 1_000_000)
		if must(t, removed, err) != n {
			t.Errorf("removed %d of %d", removed, n)
		}
		if most > 500 || steps > n/250+2 {
			t.Errorf("%d tokens go in %d steps, the largest of %d", n, steps, most)
		}
		again := newStore(t)
		rotations(t, again, n-1)
		return work(func() {
			if _, err := again.Purge(t.Context(), now.Add(25*time.Hour), 1_000_000); err != nil {
				t.Error(err)
			}
		})
	}
	atMost(t, 2*many/few, "a purge of 8,000 tokens", func() time.Duration { return purge(many) }, "one of 2,000", func() time.Duration { return purge(few) })
}

// What must stay costs a purge nothing.
func TestPurgeLooksAtNothingThatStays(t *testing.T) {
	purge := func(n int) func() time.Duration {
		s := newStore(t)
		rotations(t, s, n)
		return func() time.Duration {
			return work(func() {
				for range 500 {
					if n, err := s.Purge(t.Context(), now.Add(time.Hour), 1000); n != 0 || err != nil {
						t.Fatal(n, err)
					}
				}
			})
		}
	}
	atMost(t, 5, "a purge beside 5,000 tokens that stay", purge(5_000), "one beside 10", purge(10))
}

// The end of 24,000 tokens is one step for readers, and a bounded one for those
// who wait for the lock.
func TestRevocationOfManyIsBounded(t *testing.T) {
	revoke := func(n int) time.Duration {
		s := newStore(t)
		for i := range n {
			tok, err := s.InsertToken(t.Context(), grant("9", 2*i), store.InsertLimits{})
			must(t, tok, err)
		}
		took := work(func() {
			marked, err := s.RevokeTokens(t.Context(), store.Selection{ApplicationID: 1}, now)
			if must(t, marked, err) > 1000 {
				t.Errorf("it marked %d tokens", marked)
			}
		})
		for _, i := range []int{0, n / 2, n - 1} {
			if a, err := s.AccessByDigest(t.Context(), digest(2*i)); err != nil || a.Revoked.IsZero() {
				t.Errorf("token %d: revoked %v, %v", i, a.Revoked, err)
			}
		}
		if removed, err := s.Purge(t.Context(), now.Add(time.Second), n+1); must(t, removed, err) != n {
			t.Errorf("a purge removes %d of %d", removed, n)
		}
		return took
	}
	atMost(t, 5, "the revocation of 24,000 tokens", func() time.Duration { return revoke(24_000) }, "that of 2,000", func() time.Duration { return revoke(2_000) })
}

// atMost fails the test if the first of two takes more than factor times the work of
// the second. Both are tried again while they do: a processor has other caches to fill.
func atMost(t *testing.T, factor int, what string, a func() time.Duration, other string, b func() time.Duration) {
	t.Helper()
	var first, second time.Duration
	for range 3 {
		second, first = b(), a()
		t.Logf("%s takes %v, %s %v", what, first, other, second)
		if first <= time.Duration(factor)*second {
			return
		}
	}
	t.Errorf("%s takes %v, %s %v: more than %d times that", what, first, other, second, factor)
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
	neither := atomic.Int64{}
	stop := readers(t, 2, func() bool {
		n := int(current.Load())
		old, _, err := s.SessionByDigest(ctx, digest(n))
		if err == nil && old.Ended.IsZero() {
			return true
		}
		// It has been replaced: what replaced it is there, or was.
		if _, _, err := s.SessionByDigest(ctx, digest(n+1)); err != nil {
			neither.Add(1)
		}
		return true
	})
	for n := range renewals {
		next, _, err := s.InsertSession(ctx, session(n+1), digest(n), 0)
		must(t, next, err)
		current.Store(int64(n + 1))
	}
	stop()
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
