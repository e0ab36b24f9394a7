// Package trustedproxy has the format of X-Trusted-Proxy, the signed field of
// Ansible gateways, and verifies it.
//
// The value is "T-S". S is the hexadecimal RSA-PSS signature of the text
// "trusted_proxy-T". In version 1, T is the time in nanoseconds. In version 2, T is
// "time.2.key.nonce.digest", and the digest is that of the request.
package trustedproxy

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base32"
	"hash"
	"net/http"
	"strconv"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// A Proof is a value of X-Trusted-Proxy.
type Proof struct {
	Text   string // the signed text, without the label
	At     int64  // nanoseconds since 1970
	Bound  bool   // version 2
	value  string
	hex    string // the signature
	kid    string
	nonce  string
	digest string
}

// Lengths of the parts of a proof of version 2, in characters.
const (
	kidLen    = 8
	NonceLen  = 16
	digestLen = 2 * sha256.Size
)

// maxProof is the longest value that is looked at, in bytes: that of a key of
// 8,192 bits.
const maxProof = 19 + 2 + 1 + kidLen + 1 + NonceLen + 1 + digestLen + 1 + maxKeyBits/4

// Parse reads a value strictly. In particular each proof has one spelling,
// so that a copy cannot pass for another one.
func Parse(value string) (p Proof, ok bool) {
	if len(value) > maxProof {
		return Proof{}, false
	}
	p.value = value
	if p.Text, p.hex, ok = strings.Cut(value, "-"); !ok || !ascii.LowerHex(p.hex) {
		return Proof{}, false
	}
	digits, rest, bound := strings.Cut(p.Text, ".")
	if bound {
		parts := strings.Split(rest, ".")
		if len(parts) != 4 || parts[0] != "2" {
			return Proof{}, false
		}
		p.Bound, p.kid, p.nonce, p.digest = true, parts[1], parts[2], parts[3]
		if len(p.kid) != kidLen || len(p.nonce) != NonceLen || len(p.digest) != digestLen ||
			!isBase32(p.kid) || !isBase32(p.nonce) || !ascii.LowerHex(p.digest) {
			return Proof{}, false
		}
	}
	if digits == "" || len(digits) > 19 || digits[0] == '0' && len(digits) > 1 {
		return Proof{}, false
	}
	at, err := strconv.ParseUint(digits, 10, 63) // which takes no sign
	p.At = int64(at)
	return p, err == nil
}

// once returns what tells p from all other proofs. For a proof of version 2 these
// are the key and the nonce, so that the gateway uses a nonce once.
func (p *Proof) once() (key [16]byte) {
	value := p.value
	if p.Bound {
		value = p.kid + p.nonce
	}
	sum := sha256.Sum256([]byte(value))
	return [16]byte(sum[:16])
}

// isBase32 reports whether s has only digits of the encoding in lower case.
func isBase32(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// Encoding is that of the parts of a proof: it has no hyphen and no dot.
var Encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PSS signs with the longest salt that the key allows, as the reference demands,
// and accepts every length.
var PSS = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}

// Digest is the digest that is signed.
func Digest(text string) [sha256.Size]byte {
	return sha256.Sum256(append([]byte("trusted_proxy-"), text...))
}

// RequestDigest returns the SHA-256 of the parts of a request that a proof of
// version 2 covers. Every part is preceded by its length, so that no two
// requests have one text. Fields that do not occur are left out: one that is
// added or removed on the way changes the text all the same.
func RequestDigest(audience, method, host, target string, h http.Header, covered []string) []byte {
	sum := sha256.New()
	writePart(sum, "ostiary trusted proxy 2")
	writePart(sum, audience)
	writePart(sum, method)
	writePart(sum, host)
	writePart(sum, target)
	for _, name := range covered {
		values := h[name]
		if name == "Cookie" {
			values = cookies(values)
		}
		if len(values) == 0 {
			continue
		}
		writePart(sum, name)
		writePart(sum, strconv.Itoa(len(values)))
		for _, v := range values {
			writePart(sum, v)
		}
	}
	return sum.Sum(nil)
}

// cookies returns the cookies of all lines. HTTP/2 may split a line at the
// semicolons, and the other end joins what it got (RFC 9113 section 8.2.3).
func cookies(lines []string) (list []string) {
	for _, line := range lines {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = ascii.TrimOWS(cookie); cookie != "" {
				list = append(list, cookie)
			}
		}
	}
	return list
}

func writePart(sum hash.Hash, part string) {
	var buf [24]byte
	sum.Write(append(strconv.AppendInt(buf[:0], int64(len(part)), 10), ':')) // a hash never fails
	sum.Write([]byte(part))
}
