// Package header parses credentials in header fields. Every function is total:
// any bytes in, a verdict out, in bounded time and memory.
package header

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"
)

// The faults of an Authorization field.
var (
	ErrAbsent  = errors.New("header: no Authorization")
	ErrDoubled = errors.New("header: more than one Authorization") // RFC 9110 section 5.3 allows one line
)

// Authorization splits the one Authorization field of h into its scheme, in the
// case it was sent, and the credentials after it. Credentials are "" where there
// is only a scheme, or nothing at all.
func Authorization(h http.Header) (scheme, credentials string, err error) {
	return Credentials(h["Authorization"])
}

// Credentials is Authorization for the values of that field.
func Credentials(values []string) (scheme, credentials string, err error) {
	switch len(values) {
	case 0:
		return "", "", ErrAbsent
	case 1:
	default:
		return "", "", ErrDoubled
	}
	scheme, credentials, _ = strings.Cut(values[0], " ")
	// One or more spaces may stand in between (RFC 9110 section 11.4).
	for credentials != "" && credentials[0] == ' ' {
		credentials = credentials[1:]
	}
	return scheme, credentials, nil
}

// TokenInQuery reports whether the URL of r carries a token. RFC 6750 section 2 allows
// one method in a request.
func TokenInQuery(r *http.Request) bool {
	q := r.URL.RawQuery // in which the name can be percent-encoded
	return q != "" && (strings.Contains(q, "access_token") || strings.Contains(q, "%")) && r.URL.Query().Has("access_token")
}

// IsScheme reports whether scheme is name, which must be in lower case. Schemes
// are case-insensitive (RFC 9110 section 11.1), in ASCII only: Unicode folding
// would take "Baſic" for "Basic".
func IsScheme(scheme, name string) bool {
	if len(scheme) != len(name) {
		return false
	}
	for i := range len(name) {
		if c := scheme[i]; c|0x20 != name[i] || c < 'A' {
			return false
		}
	}
	return true
}

// MaxBasic is the longest value of Basic credentials that is decoded, in bytes:
// a user name of 150 characters and a password of 1,024 bytes fit in every
// encoding.
const MaxBasic = 2400

// Basic decodes the credentials of RFC 7617. Base64 must be canonical. The user
// ends at the first colon. UTF-8 is expected; credentials that are not are read
// as Latin-1, as AWX's own client sends them. Control characters are refused.
func Basic(credentials string) (user, password string, ok bool) {
	if len(credentials) > MaxBasic || strings.ContainsAny(credentials, "\r\n") { // the decoder would skip line breaks
		return "", "", false
	}
	pair, err := strict.DecodeString(credentials)
	defer clear(pair)
	if err != nil {
		return "", "", false
	}
	first, rest, ok := bytes.Cut(pair, []byte(":"))
	// Each has memory of its own: what keeps the name must not keep the password.
	if utf8.Valid(pair) {
		user, password = string(first), string(rest)
	} else {
		user, password = latin1(first), latin1(rest)
	}
	if !ok || HasControl(user) || HasControl(password) {
		return "", "", false
	}
	return user, password, true
}

// latin1 returns the text that b is in Latin-1.
func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

var strict = base64.StdEncoding.Strict()

// HasControl reports whether s has a control character, C1 included.
func HasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x20, c == 0x7f:
			return true
		case c == 0xc2 && i+1 < len(s) && s[i+1] < 0xa0: // U+0080 to U+009F in UTF-8
			return true
		}
	}
	return false
}
