package auth

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Scopes is a list of scopes separated by single spaces (RFC 6749 section 3.3).
// Scopes narrow what a user may do and never add to it. The zero value permits
// nothing, and so do words that nobody defined.
type Scopes string

// The scopes of AWX. Hosts can add their own, see [TokensOptions].
const (
	ScopeRead  = "read"
	ScopeWrite = "write" // implies read
)

// Unrestricted is what sessions and Basic have: whatever the user may do.
// [ParseScopes] never returns it.
const Unrestricted Scopes = "*"

var errScope = errors.New("auth: not a list of known scopes, separated by single spaces, without duplicates")

// ParseScopes checks s against read, write and the given further names. It
// refuses the empty string, unknown words, duplicates, and anything but single
// spaces between words; case counts. The result has the order of s.
func ParseScopes(s string, further ...string) (Scopes, error) {
	rest := s
	for i := 0; ; i++ {
		word, tail, more := strings.Cut(rest, " ")
		known := word == ScopeRead || word == ScopeWrite || word != "" && word != string(Unrestricted) && slices.Contains(further, word)
		if !known || hasWord(s[:len(s)-len(rest)], word) {
			return "", errScope
		}
		if !more {
			return Scopes(s), nil
		}
		rest = tail
	}
}

// validScopeName reports whether s is a scope-token of RFC 6749 section 3.3 that
// a host may define.
func validScopeName(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return s != "" && s != string(Unrestricted)
}

// hasWord reports whether word stands in the space-separated list.
func hasWord(list, word string) bool {
	for list != "" {
		w, tail, _ := strings.Cut(list, " ")
		if w == word {
			return true
		}
		list = tail
	}
	return false
}

// Has reports whether s includes the scope of that name. Write includes read.
func (s Scopes) Has(name string) bool {
	if s == Unrestricted {
		return true
	}
	return hasWord(string(s), name) || name == ScopeRead && hasWord(string(s), ScopeWrite)
}

// Within reports whether s allows nothing that t does not. It caps what one
// credential may hand to another.
func (s Scopes) Within(t Scopes) bool {
	if s == Unrestricted {
		return t == Unrestricted
	}
	for list := string(s); list != ""; {
		var word string
		word, list, _ = strings.Cut(list, " ")
		if word != "" && !t.Has(word) {
			return false
		}
	}
	return true
}

// Permit reports whether s allows a request with the given method: GET, HEAD and
// OPTIONS need read, everything else, unknown methods and other spellings
// included, needs write.
func (s Scopes) Permit(method string) bool { return s.Has(needed(method)) }

func needed(method string) string {
	if safeMethod(method) {
		return ScopeRead
	}
	return ScopeWrite
}

// safeMethod reports whether method is one that changes nothing. Case counts
// (RFC 9110 section 9.1).
func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
