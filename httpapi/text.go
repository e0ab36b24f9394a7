package httpapi

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// isDecimal reports whether s is a decimal number without sign and leading zeros
// that fits an int64.
func isDecimal(s string) bool {
	if s == "" || len(s) > 18 || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// storable reports whether s can be an argument of a store.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// clip shortens a text of the client for an answer.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// quoted is clip in quotation marks.
func quoted(s string) string { return strconv.Quote(clip(s)) }

// words splits a list that is separated by spaces.
func words(s string) []string { return strings.Fields(s) }
