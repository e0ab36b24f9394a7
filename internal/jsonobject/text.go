package jsonobject

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// IsText reports whether a JSON document is in UTF-8 and none of its escapes is half of a
// surrogate pair. Package json replaces such a half by U+FFFD, so that different names
// and passwords would become one (RFC 8259 section 8.2).
func IsText(body []byte) bool {
	if !utf8.Valid(body) {
		return false
	}
	for {
		i := bytes.IndexByte(body, '\\')
		if i < 0 {
			return true
		}
		body = body[i:]
		first := escaped(body)
		switch {
		case !utf16.IsSurrogate(first):
			body = body[min(2, len(body)):]
		case utf16.DecodeRune(first, escaped(body[6:])) == utf8.RuneError:
			return false
		default:
			body = body[12:]
		}
	}
}

// escaped returns the code unit of an escape with which b begins, or -1.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
