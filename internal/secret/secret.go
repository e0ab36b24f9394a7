// Package secret makes the secrets of this module and recognises their form: the
// texts of access tokens, refresh tokens, authorization codes and device codes.
package secret

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// The kinds of secret. One kind is never good for another.
const (
	Access  = 'a'
	Refresh = 'r'
	Code    = 'c'
	Device  = 'd'
)

// The text of a secret is
//
//	prefix kind _ body checksum
//
// of letters, digits and that one underscore, so that a double click selects it,
// no client encodes it, and secret scanners find it. The body has 256 bits; the
// checksum is the CRC-32 of all that stands before it, so that a typing error
// costs no look-up. It is no protection: anyone can compute it.
//
// The body of a refresh token begins with its locator, which has 95 bits and is
// the same for all refresh tokens of a grant. The 160 bits behind it are new in
// each of them (RFC 6749 section 10.10).
const (
	bodyLen    = 43
	locatorLen = 16
	crcLen     = 6
	maxLen     = 55 // what SHA-256 hashes in one block
	// MaxPrefix is what remains for the prefix.
	MaxPrefix = maxLen - bodyLen - crcLen - 2

	// Base62 are the characters of a body, by their values.
	Base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// New returns a fresh secret. crypto/rand ends the program rather than
// return weak bytes, so there is no error.
func New(prefix string, kind byte) string {
	return string(appendChecksum(appendRandom(head(prefix, kind), bodyLen)))
}

// Succeed returns a fresh refresh token with the locator of the one it follows.
func Succeed(prefix, spent string) string {
	b := append(head(prefix, Refresh), Locator(spent)...)
	return string(appendChecksum(appendRandom(b, len(prefix)+2+bodyLen-len(b))))
}

// Locator returns the locator of a refresh token, "" for an imported one.
func Locator(refresh string) string {
	if len(refresh) < bodyLen+crcLen {
		return ""
	}
	return refresh[len(refresh)-bodyLen-crcLen:][:locatorLen]
}

// head returns what stands before the body, with room for the rest.
func head(prefix string, kind byte) []byte {
	return append(append(make([]byte, 0, maxLen), prefix...), kind, '_')
}

// Random returns n letters and digits, each with the same probability.
func Random(n int) string { return string(appendRandom(make([]byte, 0, n), n)) }

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
				b = append(b, Base62[c%62])
				n--
			}
		}
	}
}

func appendChecksum(b []byte) []byte {
	sum := checksum(string(b))
	var digits [crcLen]byte
	for i := crcLen - 1; i >= 0; i-- {
		digits[i] = Base62[sum%62]
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

// HasForm reports whether s has the length and the prefix of a secret of that kind.
func HasForm(s, prefix string, kind byte) bool {
	head := len(prefix) + 2
	return len(s) == head+bodyLen+crcLen && strings.HasPrefix(s, prefix) && s[len(prefix)] == kind && s[head-1] == '_'
}

// WellFormed reports whether s could be a secret of that prefix and kind. It
// checks the length, the prefix and the checksum, not the characters of the
// body: a text with others is not found in the store.
func WellFormed(s, prefix string, kind byte) bool {
	return HasForm(s, prefix, kind) && ChecksumHolds(s)
}

// ChecksumHolds reports whether the checksum of a text that [HasForm] is right.
func ChecksumHolds(s string) bool {
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

// importedLen is the length of the access and refresh tokens of AWX.
const importedLen = 30

// Imported reports whether s could be an access or refresh token that AWX issued:
// letters and digits only. Nothing else tells those two apart from any text.
func Imported(s string) bool { return len(s) == importedLen && ascii.Alphanumeric(s) }

// Pattern returns a regular expression of the access and refresh tokens of a
// prefix. It does not check their checksums.
func Pattern(prefix string) string {
	return fmt.Sprintf(`\b%s[%c%c]_[0-9A-Za-z]{%d}\b`, prefix, Access, Refresh, bodyLen+crcLen)
}

// digitValues are the values of the bytes of base62, and -1 for all others.
var digitValues = func() (t [256]int8) {
	for c := range t {
		t[c] = int8(strings.IndexByte(Base62, byte(c)))
	}
	return t
}()

// Derive returns a secret of the usual form. The kind is part of the
// message, so that the access token does not give the refresh token away. A
// refresh token has the locator of the spent one.
func Derive(prefix string, kind byte, spent string, nonce [32]byte) string {
	mac := hmac.New(sha256.New, []byte(spent))
	_, _ = mac.Write([]byte{kind})
	_, _ = mac.Write(nonce[:])
	b := appendBase62(head(prefix, kind), [sha256.Size]byte(mac.Sum(nil)))
	if kind == Refresh {
		copy(b[len(prefix)+2:], Locator(spent))
	}
	return string(appendChecksum(b))
}

// appendBase62 appends the number that sum is, in bodyLen digits: 62^43 is just
// above 2^256, so that different sums have different texts.
func appendBase62(b []byte, sum [sha256.Size]byte) []byte {
	var words [4]uint64 // big-endian
	for i, c := range sum {
		words[i/8] = words[i/8]<<8 | uint64(c)
	}
	var digits [bodyLen]byte
	for i := bodyLen - 1; i >= 0; i-- {
		var rem uint64
		for w := range words {
			words[w], rem = bits.Div64(rem, words[w], 62)
		}
		digits[i] = Base62[rem]
	}
	return append(b, digits[:]...)
}
