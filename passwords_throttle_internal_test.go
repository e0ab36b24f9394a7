package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/store"
)

// FuzzThrottleKey: keys are equal only if kind and all parts are.
func FuzzThrottleKey(f *testing.F) {
	f.Add("account", "id 1:3", "", "account", "id", "1:3")
	f.Add("known", "a", "b", "known", "a 1:b", "")
	f.Fuzz(func(t *testing.T, kind, a1, a2, other, b1, b2 string) {
		if strings.ContainsAny(kind+other, "0123456789:") {
			return // kinds are constants
		}
		if (throttleKey(kind, a1, a2) == throttleKey(other, b1, b2)) != ([3]string{kind, a1, a2} == [3]string{other, b1, b2}) {
			t.Fatalf("%q %q %q and %q %q %q", kind, a1, a2, other, b1, b2)
		}
		if throttleKey(kind, a1) == throttleKey(kind, b1, b2) {
			t.Fatalf("%q and %q %q", a1, b1, b2)
		}
	})
}

// A network that floods is refused without asking anybody, and nobody else is,
// however many there are.
func TestFloods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFloods(store.Limit{Max: 300, Window: time.Hour})
		taken := func(key string, n int) (got int) {
			for range n {
				if f.take(key) == 0 {
					got++
				}
			}
			return got
		}
		if n := taken("flood", 5000); n != floodBurst {
			t.Errorf("%d at once, want %d", n, floodBurst)
		}
		if wait := f.take("flood"); wait <= 0 || wait > time.Second/floodRate {
			t.Errorf("wait %v", wait)
		}
		time.Sleep(10 * time.Second)
		if n := taken("flood", 5000); n != 10*floodRate {
			t.Errorf("%d after ten seconds, want %d", n, 10*floodRate)
		}
		f.put("flood")
		f.put("nobody")
		f.put("")
		if n := taken("flood", 10); n != 1 {
			t.Errorf("%d after one was put back", n)
		}
		for i := range 100_000 {
			if f.take(fmt.Sprint("other ", i)) != 0 {
				t.Fatalf("another network is refused")
			}
		}
		time.Sleep(24 * time.Hour)
		if n := taken("flood", 5000); n != floodBurst {
			t.Errorf("%d a day later, want %d", n, floodBurst)
		}
		if f := newFloods(store.Limit{Max: 10_000, Window: time.Minute}); f.burst < 20_000 || f.rate < 300 {
			t.Errorf("less than the limit of the store: %v, %v a second", f.burst, f.rate)
		}
	})
}

// Hashes that take equally long are of one kind.
func TestKindOf(t *testing.T) {
	for hash, want := range map[string]string{
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$a2V5":       "$argon2id$v=19$m=19456,t=2,p=1",
		"argon2$argon2id$v=19$m=256,t=2,p=1$c2FsdA$a2V5":   "argon2$argon2id$v=19$m=256,t=2,p=1",
		"pbkdf2_sha256$600000$seasalt$JgZryXe2Ga8=":        "pbkdf2_sha256$600000",
		"$2b$12$abcdefghijklmnopqrstuujydOTSfIH":           "$2b$12",
		"$2y$10$abcdefghijklmnopqrstuujydOTSfIH":           "$2y$10",
		"bcrypt$$2b$12$abcdefghijklmnopqrstuujydOTSfIH":    "bcrypt$$2b$12",
		"bcrypt_sha256$$2b$12$abcdefghijklmnopqrstuujydOT": "bcrypt_sha256$$2b$12",
		"":           "",
		"!":          "",
		"$":          "",
		"of the own": "",
	} {
		if got := kindOf(hash); got != want {
			t.Errorf("%q: %q, want %q", hash, got, want)
		}
	}
}

// In any order of entering, leaving and giving up no slot is lost, none is
// given twice, and no waiter is forgotten.
func TestSlotsAreNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3
		s := newSlots(n)
		running, most, done := 0, 0, make(chan error)
		mu := make(chan struct{}, 1)
		const callers = 4000
		for i := range callers {
			go func() {
				ctx, cancel := t.Context(), func() {}
				if rand.IntN(3) == 0 {
					c, stop := context.WithTimeout(ctx, rand.N(40*time.Second))
					ctx, cancel = c, stop
				}
				defer cancel()
				time.Sleep(rand.N(10 * time.Second))
				network := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % (1 + i%40))}), 32)
				if i%3 == 0 { // a network of one of two sites
					network = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(i % 2), 0, byte(i % 50)}), 64)
				}
				err := s.acquire(ctx, network, func() (bool, error) { return i%5 == 0, nil })
				if err == nil {
					mu <- struct{}{}
					running++
					most = max(most, running)
					<-mu
					time.Sleep(rand.N(50 * time.Millisecond))
					mu <- struct{}{}
					running--
					<-mu
					s.release()
				}
				done <- err
			}()
		}
		in := 0
		for range callers {
			if <-done == nil {
				in++
			}
		}
		if most != n || s.free != n || s.lines[0].waiting+s.lines[1].waiting != 0 || len(s.lines[0].sites.turns)+len(s.lines[1].sites.of) != 0 {
			t.Errorf("%d at a time, %d free in the end, lines %+v", most, s.free, s.lines)
		}
		if in < 1500 {
			t.Errorf("only %d of %d got in", in, callers)
		}
	})
}
