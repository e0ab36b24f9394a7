package auth

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"log/slog"
	"strings"
)

// A Secret is a token or a password in clear. It prints as a mask wherever it is
// formatted, logged or encoded; only [Secret.Reveal] gives it away.
type Secret string

const redacted = "[redacted]"

// Reveal returns the secret in clear, for the one reply that shows it.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask.
func (s Secret) String() string { return redacted }

// Format writes a mask for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText returns a mask.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue returns a mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// The kinds of secret. One kind is never good for another.
const (
	kindAccess  = 'a'
	kindRefresh = 'r'
	kindCode    = 'c'
)

// The text of a secret is
//
//	prefix kind _ body checksum
//
// of letters, digits and that one underscore, so that a double click selects it,
// no client encodes it, and secret scanners find it. The body has 256 bits; the
// checksum is the CRC-32 of all that stands before it, so that a typing error
// costs no look-up. It is no protection: anyone can compute it.
const (
	bodyLen  = 43
	crcLen   = 6
	maxToken = 55 // what SHA-256 hashes in one block
	// maxPrefix is what remains for the prefix.
	maxPrefix = maxToken - bodyLen - crcLen - 2

	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// newSecret returns a fresh secret. crypto/rand ends the program rather than
// return weak bytes, so there is no error.
func newSecret(prefix string, kind byte) Secret {
	b := make([]byte, 0, maxToken)
	b = append(b, prefix...)
	b = append(b, kind, '_')
	b = appendRandom(b, bodyLen)
	return Secret(appendChecksum(b))
}

// appendRandom appends n characters of base62, each with the same probability.
func appendRandom(b []byte, n int) []byte {
	var random [64]byte
	for {
		_, _ = rand.Read(random[:])
		for _, c := range random {
			if n == 0 {
				return b
			}
			if c < 62*4 { // the rest would favour the first letters
				b = append(b, base62[c%62])
				n--
			}
		}
	}
}

func appendChecksum(b []byte) []byte {
	sum := crc32.ChecksumIEEE(b)
	var digits [crcLen]byte
	for i := crcLen - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return append(b, digits[:]...)
}

// wellFormed reports whether s could be a secret of that prefix and kind.
func wellFormed(s, prefix string, kind byte) bool {
	head := len(prefix) + 2
	if len(s) != head+bodyLen+crcLen || !strings.HasPrefix(s, prefix) || s[len(prefix)] != kind || s[head-1] != '_' {
		return false
	}
	var buf [maxToken]byte
	return string(appendChecksum(append(buf[:0], s[:len(s)-crcLen]...))) == s && alphanumeric(s[head:])
}

func alphanumeric(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
