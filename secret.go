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
	kindDevice  = 'd'
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
	sum := checksum(string(b))
	var digits [crcLen]byte
	for i := crcLen - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return append(b, digits[:]...)
}

// crcTables are the tables of the CRC-32 of IEEE 802.3 for eight bytes at a time:
// hash/crc32 would move the token to the heap.
var crcTables = func() (t [8][256]uint32) {
	t[0] = *crc32.MakeTable(crc32.IEEE)
	for i := range 256 {
		crc := t[0][i]
		for j := 1; j < len(t); j++ {
			crc = t[0][byte(crc)] ^ crc>>8
			t[j][i] = crc
		}
	}
	return t
}()

// checksum returns the CRC-32 of s.
func checksum(s string) uint32 {
	t := &crcTables
	crc := ^uint32(0)
	for ; len(s) >= 8; s = s[8:] {
		lo := crc ^ (uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24)
		crc = t[7][byte(lo)] ^ t[6][byte(lo>>8)] ^ t[5][byte(lo>>16)] ^ t[4][lo>>24] ^
			t[3][s[4]] ^ t[2][s[5]] ^ t[1][s[6]] ^ t[0][s[7]]
	}
	for i := range len(s) {
		crc = t[0][byte(crc)^s[i]] ^ crc>>8
	}
	return ^crc
}

// wellFormed reports whether s could be a secret of that prefix and kind. What
// has other characters than base62 and the right checksum is simply not found.
func wellFormed(s, prefix string, kind byte) bool {
	head := len(prefix) + 2
	if len(s) != head+bodyLen+crcLen || !strings.HasPrefix(s, prefix) || s[len(prefix)] != kind || s[head-1] != '_' {
		return false
	}
	body, digits := s[:len(s)-crcLen], s[len(s)-crcLen:]
	var sum uint64 // of six digits, which is more than 32 bits
	for i := range len(digits) {
		d := digitValues[digits[i]]
		if d < 0 {
			return false
		}
		sum = sum*62 + uint64(d)
	}
	return sum == uint64(checksum(body))
}

// digitValues are the values of the bytes of base62, and -1 for all others.
var digitValues = func() (t [256]int8) {
	for c := range t {
		t[c] = int8(strings.IndexByte(base62, byte(c)))
	}
	return t
}()

func alphanumeric(s string) bool {
	for i := range len(s) {
		if digitValues[s[i]] < 0 {
			return false
		}
	}
	return true
}
