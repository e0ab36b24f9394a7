package auth_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

// inGroups runs a test while Tokens.Run writes the last uses. Stop ends it.
func inGroups(t *testing.T, test func(t *testing.T, s *system, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if err := s.tokens.Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run: %v", err)
			}
		})
		synctest.Wait()
		stop := func() { cancel(); all.Wait() }
		test(t, s, stop)
		stop()
	})
}

func (s *system) touches(f func()) (n int) {
	for _, call := range s.db.during(f) {
		if call == "Touch" {
			n++
		}
	}
	return n
}

func (s *system) used(t *testing.T, issued auth.IssuedToken) time.Time {
	t.Helper()
	tok, err := s.db.Store.TokenByID(t.Context(), issued.ID)
	if err != nil {
		t.Fatal(err)
	}
	return tok.LastUsed
}

func (s *system) use(t *testing.T, all ...auth.IssuedToken) {
	t.Helper()
	for _, issued := range all {
		if got := s.me(bearer(issued)); got != "alice by bearer" {
			t.Fatal(got)
		}
	}
}

// No request writes its use. All uses of a second are one call of the store, and the
// latest counts for each of them.
func TestUsesInGroups(t *testing.T) {
	inGroups(t, func(t *testing.T, s *system, _ func()) {
		tokens := []auth.IssuedToken{s.issue(s.alice, "read"), s.issue(s.alice, "read"), s.issue(s.alice, "write")}
		if n := s.touches(func() { s.use(t, slices.Concat(tokens, tokens)...) }); n != 0 {
			t.Errorf("%d writes by requests", n)
		}
		time.Sleep(time.Millisecond)
		s.use(t, tokens[1])
		at := time.Now()
		if n := s.touches(func() { time.Sleep(time.Second) }); n != 1 {
			t.Errorf("%d writes for three tokens", n)
		}
		for i, issued := range tokens {
			if got := s.used(t, issued); !got.Equal(at) {
				t.Errorf("token %d was used at %v, want %v", i, got, at)
			}
		}
		if n := s.touches(func() { s.use(t, tokens...); time.Sleep(10 * time.Second) }); n != 0 {
			t.Errorf("%d writes within TouchInterval", n)
		}
	})
}

// What waits is written at the end, and then each request writes its own use.
func TestUsesAtTheEnd(t *testing.T) {
	inGroups(t, func(t *testing.T, s *system, stop func()) {
		first, second := s.issue(s.alice, "read"), s.issue(s.alice, "read")
		s.use(t, first)
		if n := s.touches(stop); n != 1 || s.used(t, first).IsZero() {
			t.Errorf("%d writes at the end, used %v", n, s.used(t, first))
		}
		if n := s.touches(func() { s.use(t, second) }); n != 1 || s.used(t, second).IsZero() {
			t.Errorf("%d writes after the end", n)
		}
	})
}

// No use is lost while the store is down, and no request fails.
func TestUsesInAnOutage(t *testing.T) {
	inGroups(t, func(t *testing.T, s *system, _ func()) {
		issued := s.issue(s.alice, "read")
		s.db.on(func(call string) error {
			if call == "Touch" {
				return errors.New("down")
			}
			return nil
		})
		s.use(t, issued)
		time.Sleep(5*time.Second + time.Millisecond) // not at a tick of Run
		s.db.on(nil)
		if !s.used(t, issued).IsZero() {
			t.Fatal("the store was not down")
		}
		time.Sleep(time.Second)
		if s.used(t, issued).IsZero() {
			t.Error("the use is lost")
		}
	})
}

// One call of Run at a time, so that each use is written once.
func TestRunTwice(t *testing.T) {
	inGroups(t, func(t *testing.T, s *system, stop func()) {
		if err := s.tokens.Run(t.Context()); err == nil || errors.Is(err, context.Canceled) {
			t.Errorf("a second Run: %v", err)
		}
		stop()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.tokens.Run(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("Run after Run: %v", err)
		}
	})
}
