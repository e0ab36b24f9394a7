package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/store"
)

var here, there = netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")

// a proof counts for one text of the credentials, one network, one user
// and one stored hash, until its time is over or a guess is refused.
func TestProofs(t *testing.T) {
	now := time.Now()
	c := newProofs()
	alice := attempt{name: "alice", user: store.User{ID: "1"}, hash: "h", network: here}
	long := strings.Repeat("bG9uZ2Vy", 50)
	for _, text := range []string{"YWxpY2U6cHc=", long, ""} {
		c.put(text, &alice, now)
		e := c.find(text, here)
		if e == nil || e.name != "alice" || !e.covers("1", "h", now.Add(verifiedFor-1)) {
			t.Fatalf("%q is lost: %+v", text, e)
		}
		for what, counts := range map[string]bool{
			"too late": e.covers("1", "h", now.Add(verifiedFor)), "another user": e.covers("2", "h", now),
			"another hash": e.covers("1", "g", now), "no hash": e.covers("1", "", now),
		} {
			if counts {
				t.Errorf("%.20q: %s", text, what)
			}
		}
		if c.find(text, there) != nil || c.find(text, netip.Prefix{}) != nil || c.find(text+"A", here) != nil {
			t.Errorf("%.20q: the proof counts for another text or network", text)
		}
	}
	if other := newProofs(); c.digest("a") == other.digest("a") {
		t.Error("the digest does not depend on the secret of the process")
	}

	endless := strings.Repeat("A", header.MaxBasic+1)
	if c.put(endless, &alice, now); c.find(endless, here) != nil {
		t.Error("credentials are hashed that are too long to be right")
	}

	// All spellings go, and nobody else's.
	bob, away := alice, alice
	bob.user.ID, away.network = "2", there
	c.put("Ym9iOnB3", &bob, now)
	c.put(long, &away, now)
	c.drop(alice.pair())
	if c.find(long, here) != nil || c.find("", here) != nil || c.find("YWxpY2U6cHc=", here) != nil {
		t.Error("a proof outlives a refusal")
	}
	if c.find("Ym9iOnB3", here) == nil || c.find(long, there) == nil {
		t.Error("a refusal ends the proofs of others")
	}
	if c.drop(bob.pair()); c.find("Ym9iOnB3", here) != nil {
		t.Error("a second refusal ends nothing")
	}
	// A proof that was on its way during a refusal lasts until the next one.
	c.put("Ym9iOnB3", &bob, now)
	if c.drop(bob.pair()); c.find("Ym9iOnB3", here) != nil {
		t.Error("a proof that came late outlives the next refusal")
	}
}

// proofs are bounded, and so is what finds them.
func TestProofsAreBounded(t *testing.T) {
	now := time.Now()
	c := newProofs()
	a := attempt{network: here, hash: "h"}
	for i := range 3*maxVerified + 1 {
		a.user.ID = fmt.Sprint(i / 3) // each sends three texts
		c.put(fmt.Sprint(i), &a, now)
		c.put(fmt.Sprint(i), &a, now)
		if c.held > maxVerified || len(c.of) > c.held {
			t.Fatalf("%d proofs of %d pairs", c.held, len(c.of))
		}
	}
	if e := c.find(fmt.Sprint(3*maxVerified), here); e == nil || !e.covers(a.user.ID, "h", now) {
		t.Error("the last proof is lost")
	}
	holds(t, c)

	// The same text for ever new users, as of an account that is deleted and made again.
	c = newProofs()
	for i := range 2*maxVerified + 1 {
		a.user.ID = fmt.Sprint(i)
		c.put("same", &a, now)
	}
	if c.held != 1 || len(c.of) != 1 {
		t.Errorf("%d proofs of %d pairs", c.held, len(c.of))
	}
	holds(t, c)

	// The expired ones go first.
	later := now.Add(verifiedFor)
	c = newProofs()
	for i := range maxVerified {
		c.put(fmt.Sprint(i), &a, now)
		if i%10 == 0 {
			c.put(fmt.Sprint(i), &a, later)
		}
	}
	c.put("one more", &a, later)
	if c.held != maxVerified/10+1 || c.find("0", here) == nil || c.find("1", here) != nil {
		t.Errorf("%d proofs are left", c.held)
	}
	holds(t, c)
}

// holds checks that the proofs that can be found are those that can be dropped.
func holds(t *testing.T, c *proofs) {
	t.Helper()
	listed := make(map[*proof]bool)
	for of, list := range c.of {
		for _, e := range list {
			if listed[e] = true; e.pair() != of || len(e.name) > MaxUserName {
				t.Fatalf("%v lists a proof of %v", of, e.pair())
			}
		}
	}
	chained := 0
	for i := range c.heads {
		for e := c.heads[i].Load(); e != nil; e = e.next.Load() {
			if chained++; !listed[e] || c.head(&e.digest) != &c.heads[i] {
				t.Fatalf("a proof of %v is in no list, or in another chain than its own", e.pair())
			}
		}
	}
	if chained != c.held || len(listed) != c.held {
		t.Errorf("%d proofs are held, %d can be found and %d dropped", c.held, chained, len(listed))
	}
}

// Readers of proofs take no lock.
func TestProofsAreFoundWithoutALock(t *testing.T) {
	c, a := newProofs(), attempt{user: store.User{ID: "1"}, network: here}
	c.put("text", &a, time.Now())
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make(chan bool)
	go func() { found <- c.find("text", here) != nil && c.find("text", there) == nil }()
	select {
	case ok := <-found:
		if !ok {
			t.Error("the proof is lost, or counts elsewhere")
		}
	case <-time.After(10 * time.Second):
		t.Error("a reader waits for a writer")
	}
}

// while proofs come and go, also all others of one chain, readers find each that
// stays, and none that went before they began.
func TestProofsOfManyAtOnce(t *testing.T) {
	c, now := newProofs(), time.Now()
	var texts []string // of one chain
	for i := 0; len(texts) < 12; i++ {
		text := fmt.Sprint(i)
		if d := c.digest(text); c.head(&d) == &c.heads[0] {
			texts = append(texts, text)
		}
	}
	of := func(i int) *attempt {
		return &attempt{name: texts[i], user: store.User{ID: fmt.Sprint(i)}, hash: "h", network: here}
	}
	for i := range texts {
		c.put(texts[i], of(i), now)
	}
	for i := 1; i < len(texts); i += 2 {
		e := c.find(texts[i], here) // where a reader may stand
		c.drop(of(i).pair())
		behind := 0
		for e = e.next.Load(); e != nil; e = e.next.Load() {
			behind++
		}
		if want := len(texts) - 1 - i; behind != want { // the newest comes last
			t.Errorf("%d proofs are behind number %d, want %d", behind, i, want)
		}
	}
	gone := &attempt{name: "gone", user: store.User{ID: "gone"}, network: here}
	var round atomic.Int64 // the text of an odd one is remembered, that of the one before no more
	var done atomic.Bool
	var readers, writers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for n := 0; !done.Load(); n++ {
				i := n * 2 % len(texts)
				if e := c.find(texts[i], here); e == nil || e.name != texts[i] || c.find(texts[i], there) != nil {
					t.Errorf("proof %d, which stays: %v", i, e != nil)
					return
				}
				if at := round.Load(); at%2 == 0 && at > 0 && c.find(fmt.Sprint("gone", at-1), here) != nil {
					t.Errorf("the proof of round %d outlives its end", at-1)
					return
				}
			}
		})
	}
	for i := 1; i < len(texts); i += 2 {
		writers.Go(func() {
			for range 500 {
				c.put(texts[i-1], of(i-1), now) // stays
				c.put(texts[i], of(i), now)
				c.put(texts[i], of(i), now)
				if c.find(texts[i], here) == nil {
					t.Errorf("proof %d is lost", i)
				}
				if c.drop(of(i).pair()); c.find(texts[i], here) != nil {
					t.Errorf("proof %d outlives its end", i)
				}
			}
		})
	}
	writers.Go(func() {
		for range 500 {
			text := fmt.Sprint("gone", round.Load()+1)
			c.put(text, gone, now)
			round.Add(1)
			c.drop(gone.pair())
			round.Add(1)
		}
	})
	writers.Wait()
	done.Store(true)
	readers.Wait()
	if c.held != len(texts)/2 {
		t.Errorf("%d proofs are held, want %d", c.held, len(texts)/2)
	}
	holds(t, c)

	// More than there is room for. What is found is what was asked for.
	for w := range 4 {
		writers.Go(func() {
			a := &attempt{hash: "h", network: here}
			for i := range maxVerified {
				text := fmt.Sprint(w, " ", i)
				a.user.ID, a.name = text, text
				c.put(text, a, now)
				if other := fmt.Sprint(3-w, " ", i); i%7 == 0 {
					if e := c.find(other, here); e != nil && e.name != other {
						t.Errorf("%q is found for %q", e.name, other)
					}
					c.drop(a.pair())
				}
			}
		})
	}
	writers.Wait()
	if c.held > maxVerified {
		t.Errorf("%d proofs are held, want %d at most", c.held, maxVerified)
	}
	holds(t, c)
}

// FuzzProofs holds proofs against the list of all that was put.
func FuzzProofs(f *testing.F) {
	f.Add("YTo=", "YTp4", true)
	f.Add("YTo=", "YTo=", false)
	f.Add("", "\x00", false)
	f.Fuzz(func(t *testing.T, put, asked string, elsewhere bool) {
		c, a := newProofs(), attempt{name: "a", user: store.User{ID: "1"}, hash: "h", network: here}
		c.put(put, &a, time.Now())
		from := here
		if elsewhere {
			from = there
		}
		if found := c.find(asked, from) != nil; found != (put == asked && !elsewhere && len(put) <= header.MaxBasic) {
			t.Fatalf("%q was right, and %q is found: %v", put, asked, found)
		}
	})
}

// FuzzAttemptKey: keys are equal only if all three parts are.
func FuzzAttemptKey(f *testing.F) {
	parts := []string{"", "a", "b", "ab", "abc", "a\x00", "\x01\x00\x00\x00\x00\x00\x00\x00a", ":"}
	for i := range parts {
		three := func(i int) []string { return slices.Concat(parts, parts)[i : i+3] }
		a, b := three(i), three((i*5+1)%len(parts))
		f.Add(a[0], a[1], a[2], b[0], b[1], b[2])
		f.Add(a[0], a[1], a[2], a[0], a[1], a[2])
	}
	f.Add("ab", "c", "h", "a", "bc", "h")
	nothing := strings.Repeat("\x00", 8) // as a length before the text
	f.Add(nothing, "", "", "", nothing, "")
	c, other := newFlights(), newFlights()
	f.Fuzz(func(t *testing.T, a1, a2, a3, b1, b2, b3 string) {
		if (c.key(a1, a2, a3) == c.key(b1, b2, b3)) != ([3]string{a1, a2, a3} == [3]string{b1, b2, b3}) {
			t.Fatalf("%q %q %q and %q %q %q", a1, a2, a3, b1, b2, b3)
		}
		if c.key(a1, a2, a3) == other.key(a1, a2, a3) {
			t.Fatal("the key does not depend on the secret of the process")
		}
	})
}
