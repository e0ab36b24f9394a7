package auth

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	if other := newProofs(); c.key("a", here) == other.key("a", here) {
		t.Error("the key does not depend on the secret of the process")
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
		if n := len(c.of); n > maxVerified || len(c.keys) > n {
			t.Fatalf("%d proofs of %d pairs", n, len(c.keys))
		}
	}
	if e := c.find(fmt.Sprint(3*maxVerified), here); e == nil || !e.covers(a.user.ID, "h", now) {
		t.Error("the last proof is lost")
	}
	var listed int
	for of, keys := range c.keys {
		listed += len(keys)
		for _, k := range keys {
			if e := c.of[k]; e == nil || e.userID != of.userID || k.network != of.network {
				t.Fatalf("%v lists a proof of %+v", of, e)
			}
		}
	}
	if listed != len(c.of) {
		t.Errorf("%d of %d proofs can be dropped", listed, len(c.of))
	}

	// The same text for ever new users, as of an account that is deleted and made again.
	c = newProofs()
	for i := range 2*maxVerified + 1 {
		a.user.ID = fmt.Sprint(i)
		c.put("same", &a, now)
	}
	if len(c.of) != 1 || len(c.keys) > maxVerified {
		t.Errorf("%d proofs of %d pairs", len(c.of), len(c.keys))
	}

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
	if len(c.of) != maxVerified/10+1 || c.find("0", here) == nil || c.find("1", here) != nil {
		t.Errorf("%d proofs are left", len(c.of))
	}
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
