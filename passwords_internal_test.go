package auth

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/header"
)

// the cache is bounded, and no two logins share a key, however name,
// password and hash are cut.
func TestVerifiedCache(t *testing.T) {
	c := newVerifiedCache()
	seen := make(map[cacheKey][3]string)
	parts := []string{"", "a", "b", "ab", "abc", "a\x00", "\x01\x00\x00\x00\x00\x00\x00\x00a", ":"}
	for _, name := range parts {
		for _, password := range parts {
			for _, hash := range parts {
				k, triple := c.key(name, password, hash), [3]string{name, password, hash}
				if other, ok := seen[k]; ok {
					t.Errorf("%q and %q share a key", other, triple)
				}
				seen[k] = triple
			}
		}
	}
	other := newVerifiedCache()
	if c.key("a", "b", "c") == other.key("a", "b", "c") {
		t.Error("the key does not depend on the secret of the process")
	}

	now := time.Now()
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32")
	for i := range 3*maxVerified + 1 {
		c.put(pair{fmt.Sprint(i), here}, cacheKey{1}, now)
		if n := len(c.entries); n > maxVerified {
			t.Fatalf("%d entries", n)
		}
	}
	last := pair{fmt.Sprint(3 * maxVerified), here}
	if !c.has(last, cacheKey{1}, now.Add(verifiedFor-1)) {
		t.Error("an entry is lost")
	}
	if c.has(last, cacheKey{1}, now.Add(verifiedFor)) {
		t.Error("an entry outlives its time")
	}
	if c.has(last, cacheKey{2}, now) || c.has(pair{last.userID, there}, cacheKey{1}, now) || c.has(pair{"x", here}, cacheKey{1}, now) {
		t.Error("an entry counts for another password, network or user")
	}
	c.drop(last)
	if c.has(last, cacheKey{1}, now) {
		t.Error("an entry outlives a refusal")
	}
}

// FuzzVerifiedKey: keys are equal only if all three parts are.
func FuzzVerifiedKey(f *testing.F) {
	f.Add("ab", "c", "h", "a", "bc", "h")
	f.Add("alice", "pw", "h", "alice", "pw", "h")
	c := newVerifiedCache()
	f.Fuzz(func(t *testing.T, a1, a2, a3, b1, b2, b3 string) {
		if (c.key(a1, a2, a3) == c.key(b1, b2, b3)) != ([3]string{a1, a2, a3} == [3]string{b1, b2, b3}) {
			t.Fatalf("%q %q %q and %q %q %q", a1, a2, a3, b1, b2, b3)
		}
	})
}

// The names of credentials that were sent are bounded, and a text whose hash is that of
// another is not read with its name.
func TestSentNames(t *testing.T) {
	n := newSentNames()
	text := func(pair string) string { return base64.StdEncoding.EncodeToString([]byte(pair)) }
	var room [2 * maxSent]byte
	for i := range maxVerified + 2 {
		n.put(text(fmt.Sprint(i, ":pw")), fmt.Sprint(i))
		if len(n.names) > maxVerified {
			t.Fatalf("%d names", len(n.names))
		}
	}
	last := fmt.Sprint(maxVerified + 1)
	if name, password := n.read(text(last+":pw"), &room); name != last || string(password) != "pw" {
		t.Errorf("%q, %q", name, password)
	}
	for _, tt := range []struct{ name, pair string }{
		{"ali", "alice:pw"},
		{"alice:pw", "alice:pw"},
		{"alice", "alice"},
		{"alice", "bob:pw"},
		{"alice", "alice:\xe9"}, // Latin-1
	} {
		n.put(text(tt.pair), tt.name)
		if name, password := n.read(text(tt.pair), &room); password != nil {
			t.Errorf("%q with the name %q: %q, %q", tt.pair, tt.name, name, password)
		}
	}
}

// FuzzSentNames holds read against the parser of package header.
func FuzzSentNames(f *testing.F) {
	for _, s := range []string{"YWxpY2U6cHc=", "YTo=", "YTpi/w==", "YTpi\n", "Og==", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, credentials string) {
		n := newSentNames()
		var room [2 * maxSent]byte
		user, password, ok := header.Basic(credentials)
		if _, read := n.read(credentials, &room); read != nil || !ok {
			if read != nil {
				t.Fatalf("%q is known", credentials)
			}
			return
		}
		n.put(credentials, user)
		if name, read := n.read(credentials, &room); read != nil && (name != user || string(read) != password) {
			t.Fatalf("%q: %q, %q; want %q, %q", credentials, name, read, user, password)
		}
	})
}
