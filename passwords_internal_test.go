package auth

import (
	"testing"
	"time"
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
	for i := range 3*maxVerified + 1 {
		c.put(cacheKey{byte(i), byte(i >> 8), byte(i >> 16)}, now)
		if n := len(c.expires); n > maxVerified {
			t.Fatalf("%d entries", n)
		}
	}
	if c.has(cacheKey{byte(3 * maxVerified % 256), byte(3 * maxVerified >> 8), byte(3 * maxVerified >> 16)}, now.Add(verifiedFor)) {
		t.Error("an entry outlives its time")
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
