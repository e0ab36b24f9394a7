package auth

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// cookieValue returns the value of the cookie of that name and how many there
// are. It parses like net/http without copies, and also gives up on more than
// 3,000 cookies. A name without an equals sign is a cookie without a value.
func cookieValue(lines []string, name string) (value string, n int) {
	const maxCookies = 3000
	seen := 0
	for _, line := range lines {
		for rest := line; rest != ""; {
			var pair string
			pair, rest, _ = strings.Cut(rest, ";")
			if seen++; seen > maxCookies {
				return "", 0
			}
			pair = ascii.TrimOWS(pair)
			if tail, ok := strings.CutPrefix(pair, name); ok && (tail == "" || tail[0] == '=') {
				value = strings.TrimPrefix(tail, "=")
				n++
			}
		}
	}
	return value, n
}

// sessionIDLen is the length of an identifier: 32 random bytes in base64url.
var sessionIDLen = base64.RawURLEncoding.EncodedLen(32)

// newSessionID returns an identifier that nobody can guess.
func newSessionID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func isSessionID(s string) bool { return len(s) == sessionIDLen && ascii.Base64URL(s) }

// addCookie adds a cookie to the header of a response and keeps shared caches from
// storing it.
func addCookie(h http.Header, c *http.Cookie) {
	h.Add("Set-Cookie", c.String())
	if cc := h["Cache-Control"]; !slices.Contains(cc, noStore[0]) {
		h["Cache-Control"] = append(slices.Clip(cc), `no-cache="Set-Cookie"`)
	}
}
