package auth_test

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

const busy = "503 Too many logins at the same time. Try again later."

// replies counts what logins that run at the same time get.
type replies struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *replies) add(reply string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = make(map[string]int)
	}
	r.n[reply]++
}

func (r *replies) counts() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.n)
}

// unlimited has a throttle that never refuses.
func unlimited(o *settings) {
	o.passwords.MaxHashes = 2
	l := store.Limit{Max: 1_000_000, Window: time.Minute}
	o.passwords.PerClient, o.passwords.PerAccount, o.passwords.PerNetwork = l, l, l
}

// a login that cannot be hashed soon is refused, and the rest of the
// service does not notice.
func TestHashesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, unlimited)
		release := make(chan struct{})
		var running, most atomic.Int64
		s.hasher.hold = func() {
			n := running.Add(1)
			for {
				m := most.Load()
				if n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			<-release
			running.Add(-1)
		}
		var got replies
		attempt := func(ctx context.Context, i int) {
			got.add(verdictOf(s.passwords.Verify(ctx, "alice", fmt.Sprint("wrong", i))))
		}
		start := time.Now()
		const places = 2 * 256
		for i := range 2 + places + 66 {
			go attempt(t.Context(), i)
		}
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{busy: 66}, got.counts()); diff != "" || !time.Now().Equal(start) {
			t.Errorf("refused at once (-want +got):\n%s", diff)
		}
		if got := s.me(bearer(s.issue(s.alice, "read"))); got != "alice by bearer" {
			t.Errorf("meanwhile a token: %s", got)
		}
		time.Sleep(30 * time.Second) // those that wait give up
		synctest.Wait()
		if diff := cmp.Diff(map[string]int{busy: 66 + places}, got.counts()); diff != "" {
			t.Errorf("after thirty seconds (-want +got):\n%s", diff)
		}
		// a client that hangs up frees its place in the queue.
		ctx, cancel := context.WithCancel(t.Context())
		for i := range places {
			go attempt(ctx, 1000+i)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		go attempt(t.Context(), 3000)
		synctest.Wait()
		close(release)
		synctest.Wait()
		if n := got.counts(); n[badLogin] != 3 || n[busy] != 66+places || most.Load() != 2 {
			t.Errorf("in the end %v; %d hashes at a time", n, most.Load())
		}
		before := s.hasher.verifies.Load()
		go attempt(t.Context(), 4000)
		go attempt(t.Context(), 4001)
		synctest.Wait()
		if n := s.hasher.verifies.Load() - before; n != 2 {
			t.Errorf("a slot is lost: %d of 2 hashes", n)
		}
	})
}

// B3: an attempt that is not compared is not charged. Ten answers 503 are not ten
// wrong passwords.
func TestBusyChargesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.passwords.MaxHashes = 1 })
		release := make(chan struct{})
		s.hasher.hold = func() { <-release }
		go s.passwords.Verify(at(t, "192.0.2.9"), "bob", "takes the only slot")
		synctest.Wait()
		var got replies
		calls := s.db.during(func() {
			for i := range 30 {
				go func() { got.add(verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", fmt.Sprint("wrong", i)))) }()
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		})
		if diff := cmp.Diff(map[string]int{busy: 30}, got.counts()); diff != "" {
			t.Errorf("replies (-want +got):\n%s", diff)
		}
		for _, call := range calls {
			if call == "Charge" || call == "Settle" {
				t.Errorf("%s without a comparison", call)
			}
		}
		close(release)
		for i := range 9 {
			if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", fmt.Sprint("wrong", i))); got != badLogin {
				t.Errorf("attempt %d after that: %s", i, got)
			}
		}
		if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", goodPassword)); got != "alice" {
			t.Errorf("the right password after that: %s", got)
		}
	})
}

// A hundred users who log in at the same moment, on two cores and with hashes of
// 25 ms, wait a little and get in, from one network or from a hundred. So do they
// with imported hashes of 300 ms.
func TestHundredLogins(t *testing.T) {
	for _, networks := range []int{1, 7, 100} {
		for _, hash := range []time.Duration{25 * time.Millisecond, 300 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, func(o *settings) { o.passwords.MaxHashes = 2 })
				s.hasher.hold = func() { time.Sleep(hash) }
				for i := range 100 {
					s.addUser(store.User{Name: fmt.Sprint("user", i), Active: true})
				}
				start := time.Now()
				var wg sync.WaitGroup
				for i := range 100 {
					wg.Go(func() {
						ctx := at(t, fmt.Sprintf("192.0.2.%d", i%networks))
						if got := verdictOf(s.passwords.Verify(ctx, fmt.Sprint("user", i), goodPassword)); got != fmt.Sprint("user", i) {
							t.Errorf("user %d of %d networks: %s", i, networks, got)
						}
					})
				}
				wg.Wait()
				took := time.Since(start)
				if want := 50 * hash; took != want {
					t.Errorf("took %v, want %v", took, want)
				}
				t.Logf("100 logins from %d networks at %v a hash: all in, the last after %v", networks, hash, took)
			})
		}
	}
}

// B3: while a network takes all places, somebody from another one gets in after
// two of its hashes, and while a hundred networks do, somebody from a known one.
func TestPlacesAreShared(t *testing.T) {
	for _, tt := range []struct {
		name     string
		networks int
		known    bool
		within   time.Duration
	}{
		{"one network, and somebody new", 1, false, 3 * time.Second},
		{"one network, and somebody known", 1, true, 3 * time.Second},
		{"300 networks, and somebody known", 300, true, 3 * time.Second},
		{"3,000 networks, and somebody known", 3000, true, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, func(o *settings) { unlimited(o); o.passwords.MaxHashes = 1 })
				if tt.known {
					if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", goodPassword)); got != "alice" {
						t.Fatal(got)
					}
				}
				s.hasher.hold = func() { time.Sleep(time.Second) }
				var flood replies
				for i := range 3000 {
					ctx := at(t, fmt.Sprintf("10.0.%d.%d", i%tt.networks/256, i%tt.networks%256))
					go func() { flood.add(verdictOf(s.passwords.Verify(ctx, fmt.Sprint("nobody", i), "wrong"))) }()
				}
				synctest.Wait()
				start := time.Now()
				if got := verdictOf(s.passwords.Verify(at(t, "192.0.2.1"), "alice", goodPassword)); got != "alice" || time.Since(start) > tt.within {
					t.Errorf("alice: %s after %v", got, time.Since(start))
				}
				time.Sleep(time.Minute)
				synctest.Wait()
			})
		})
	}
}

// BenchmarkHundredLogins is a hundred users at the same moment with the real
// hasher.
func BenchmarkHundredLogins(b *testing.B) {
	hash, err := auth.Argon2id{}.Hash(goodPassword)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		b.StopTimer()
		s := newSystem(b, func(o *settings) { o.passwords.Hasher = auth.Argon2id{} })
		for i := range 100 {
			u := s.addUser(store.User{Name: fmt.Sprint("user", i), Active: true})
			if err := s.db.Store.SetPasswordHash(b.Context(), u.ID, hash); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				if got := verdictOf(s.passwords.Verify(at(b, "192.0.2.1"), fmt.Sprint("user", i), goodPassword)); got != fmt.Sprint("user", i) {
					b.Errorf("user %d: %s", i, got)
				}
			})
		}
		wg.Wait()
	}
}
