package auth_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Cases 28 and 82, R-158 to R-161.
func TestThrottle(t *testing.T) {
	const slow = "429 Too many attempts. Try again later."
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, s *system)
	}{
		{"the eleventh attempt in a minute is refused, even a right one, and not hashed", func(t *testing.T, s *system) {
			for i := range 10 {
				if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", fmt.Sprint("wrong", i))); got != badLogin {
					t.Fatalf("attempt %d: %s", i, got)
				}
			}
			before := s.hasher.verifies.Load()
			w := s.send("GET", "/probe/", basicLine("alice", goodPassword))
			want := refused{Status: 429, RetryAfter: "60", Body: `{"detail":"Too many attempts. Try again later."}`}
			if diff := cmp.Diff(want, refusalOf(w)); diff != "" || s.hasher.verifies.Load() != before {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.2"), "alice", goodPassword)); got != "alice" {
				t.Errorf("from another address: %s", got)
			}
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "bob", goodPassword)); got != "bob" {
				t.Errorf("another user from that address: %s", got)
			}
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", goodPassword)); got != slow {
				t.Errorf("a success elsewhere reset the counter here: %s", got)
			}
			time.Sleep(time.Minute)
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", goodPassword)); got != "alice" {
				t.Errorf("after a minute: %s", got)
			}
		}},
		{"names that do not exist are counted, too", func(t *testing.T, s *system) {
			for i := range 11 {
				want := badLogin
				if i == 10 {
					want = slow
				}
				if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "nobody", "wrong")); got != want {
					t.Errorf("attempt %d: %s", i, got)
				}
			}
		}},
		{"login and Basic share the counter", func(t *testing.T, s *system) {
			for i := range 5 {
				s.send("GET", "/probe/", basicLine("alice", fmt.Sprint("wrong", i)))
				_, _ = s.passwords.Verify(at(t, "192.0.2.1"), "alice", "wrong")
			}
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", "wrong")); got != slow {
				t.Errorf("the eleventh: %s", got)
			}
		}},
		{"a right password forgets the wrong ones of its network", func(t *testing.T, s *system) {
			for i := range 40 {
				password, want := "wrong", badLogin
				if i%9 == 8 {
					password, want = goodPassword, "alice"
				}
				if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", password)); got != want {
					t.Fatalf("attempt %d: %s", i, got)
				}
			}
		}},
		{"a customer of IPv6 is one network, of IPv4 one address", func(t *testing.T, s *system) {
			for i := range 10 {
				_, _ = s.passwords.Verify(at(t, fmt.Sprintf("2001:db8::%x", i)), "alice", "wrong")
				_, _ = s.passwords.Verify(at(t, fmt.Sprintf("198.51.100.%d", i)), "bob", "wrong")
			}
			for addr, want := range map[string]string{"2001:db8::ffff:0:1": slow, "2001:db8:0:1::1": badLogin} {
				if got := verdictOf(s.passwords.Verify(at(t, addr), "alice", "wrong")); got != want {
					t.Errorf("alice from %s: %s", addr, got)
				}
			}
			if got := verdictOf(s.passwords.Verify(at(t, "198.51.100.10"), "bob", goodPassword)); got != "bob" {
				t.Errorf("bob: %s", got)
			}
		}},
		{"a hundred attempts an hour from wherever", func(t *testing.T, s *system) {
			for i := range 100 {
				if got := verdictOf(s.passwords.Verify(at(t, fmt.Sprintf("10.0.%d.1", i)), "alice", "wrong")); got != badLogin {
					t.Fatalf("attempt %d: %s", i, got)
				}
			}
			if got := verdictOf(s.passwords.Verify(at(t, "10.1.0.1"), "alice", goodPassword)); got != slow {
				t.Errorf("the next: %s", got)
			}
			if got := s.me(s.login(s.alice)); got != "alice by session" {
				t.Errorf("a session of the attacked user: %s", got)
			}
			time.Sleep(time.Hour)
			if got := verdictOf(s.passwords.Verify(at(t, "10.1.0.1"), "alice", goodPassword)); got != "alice" {
				t.Errorf("after an hour: %s", got)
			}
		}},
		{"two hundred parallel guesses are ten", func(t *testing.T, s *system) {
			var wg sync.WaitGroup
			var refusedAtOnce atomic.Int64
			for i := range 200 {
				wg.Go(func() {
					if verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", fmt.Sprint("guess", i))) == slow {
						refusedAtOnce.Add(1)
					}
				})
			}
			wg.Wait()
			if n, m := s.hasher.verifies.Load(), refusedAtOnce.Load(); n != 10 || m != 190 {
				t.Errorf("%d were compared, %d refused", n, m)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tt.run(t, newSystem(t, func(o *settings) { o.passwords.MaxHashes = 300 })) })
		})
	}
}

// Parallel requests with one password make one hash and one attempt; those with
// different ones do not wait for each other's answer.
func TestOneHashForEqualRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.passwords.MaxHashes = 10 })
		release := make(chan struct{})
		s.hasher.hold = func() { <-release }
		var mu sync.Mutex
		replies := make(map[string]int)
		calls := s.db.during(func() {
			for _, line := range []string{basicLine("alice", goodPassword), basicLine("alice", "wrong"), basicLine("bob", goodPassword)} {
				for range 64 {
					go func() {
						got := s.me(line)
						mu.Lock()
						defer mu.Unlock()
						replies[got]++
					}()
				}
			}
			synctest.Wait()
			close(release)
			synctest.Wait()
		})
		charges := 0
		for _, c := range calls {
			if c == "Charge" {
				charges++
			}
		}
		if n := s.hasher.verifies.Load(); n != 3 || charges != 3 {
			t.Errorf("%d hashes and %d attempts for three distinct pairs", n, charges)
		}
		if diff := cmp.Diff(map[string]int{"alice by basic": 64, "401": 64, "bob by basic": 64}, replies); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
	})
}

// A leader that hangs up leaves the others an answer of their own.
func TestLeaderHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.passwords.MaxHashes = 1 })
		release := make(chan struct{})
		s.hasher.hold = func() { <-release }
		go s.passwords.Verify(t.Context(), "bob", "takes the only slot")
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan string, 2)
		go func() { results <- "first " + verdictOf(s.passwords.Verify(ctx, "alice", goodPassword)) }()
		synctest.Wait()
		go func() { results <- "second " + verdictOf(s.passwords.Verify(t.Context(), "alice", goodPassword)) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(release)
		got := []string{<-results, <-results}
		slices.Sort(got)
		if diff := cmp.Diff([]string{"first outage: context canceled", "second alice"}, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}
