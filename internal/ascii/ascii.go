// Package ascii has the character rules of the specifications that this module
// obeys, one function each. Every function looks at bytes and allocates nothing.
package ascii

import "strings"

// class has a bit for each set of characters that a byte belongs to.
var class = func() (t [256]uint8) {
	set := func(bit uint8, chars string) {
		for i := range len(chars) {
			t[chars[i]] |= bit
		}
	}
	for c := '!'; c <= '~'; c++ {
		t[c] |= visible
	}
	const (
		digits = "0123456789"
		lower  = "abcdefghijklmnopqrstuvwxyz"
		upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	set(alphanumeric|token|unreserved|token68, digits+lower+upper)
	set(token, "!#$%&'*+-.^_`|~")
	set(unreserved, "-._~")
	set(token68, "-._~+/")
	set(lowerHex, digits+"abcdef")
	set(base64URL, digits+lower+upper+"-_")
	return t
}()

const (
	visible uint8 = 1 << iota
	alphanumeric
	token
	unreserved
	token68
	lowerHex
	base64URL
)

// all reports whether s has characters of the class only, and at least one.
func all(s string, bit uint8) bool {
	for i := range len(s) { // without branches, because nearly every s is good
		bit &= class[s[i]]
	}
	return bit != 0 && s != ""
}

// Visible reports whether s is one or more VCHAR (RFC 5234 appendix B.1).
func Visible(s string) bool { return all(s, visible) }

// Alphanumeric reports whether s is one or more ALPHA or DIGIT (RFC 5234
// appendix B.1).
func Alphanumeric(s string) bool { return all(s, alphanumeric) }

// Token reports whether s is a token (RFC 9110 section 5.6.2).
func Token(s string) bool { return all(s, token) }

// Unreserved reports whether s is one or more unreserved characters (RFC 3986
// section 2.3).
func Unreserved(s string) bool { return all(s, unreserved) }

// Token68 reports whether s is a token68 (RFC 9110 section 11.2), which RFC 6750
// section 2.1 calls b64token.
func Token68(s string) bool { return all(strings.TrimRight(s, "="), token68) }

// Base64URL reports whether s is one or more characters of the URL and filename
// safe alphabet (RFC 4648 section 5).
func Base64URL(s string) bool { return all(s, base64URL) }

// LowerHex reports whether s is a whole number of bytes in lower-case
// hexadecimal, and at least one.
func LowerHex(s string) bool { return len(s)%2 == 0 && all(s, lowerHex) }

// Scope reports whether s is a scope-token (RFC 6749 section 3.3).
func Scope(s string) bool { return Visible(s) && !strings.ContainsAny(s, `"\`) }

// EqualFold reports whether s is lower, which has no upper-case letters, whatever
// the case of the ASCII letters of s. Unicode folding would take "Baſic" for
// "basic".
func EqualFold(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// TrimOWS removes optional whitespace from both ends (RFC 9110 section 5.6.3).
func TrimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// HasWord reports whether word stands in a list that is separated by single
// spaces, such as a scope (RFC 6749 section 3.3).
func HasWord(list, word string) bool {
	for list != "" {
		w, tail, _ := strings.Cut(list, " ")
		if w == word {
			return true
		}
		list = tail
	}
	return false
}

// Quotable replaces by question marks what error_description, error and scope
// must not hold (RFC 6749 section 5.2, RFC 6750 section 3).
func Quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}
