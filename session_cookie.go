package auth

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

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

// sessionTimeouts are fields Session-Timeout for the seconds that most responses
// have: those after a session was used. Their capacity makes an append copy them.
type sessionTimeouts struct {
	least  int
	fields [][]string
}

func newSessionTimeouts(idle, touch time.Duration) sessionTimeouts {
	t := sessionTimeouts{least: seconds(idle - touch)}
	for left := t.least; left <= seconds(idle); left++ {
		t.fields = append(t.fields, []string{strconv.Itoa(left)})
	}
	return t
}

func (t *sessionTimeouts) of(left int) []string {
	if i := left - t.least; i >= 0 && i < len(t.fields) {
		return t.fields[i]
	}
	return []string{strconv.Itoa(left)}
}
