package auth

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// Scopes is a list of scopes separated by single spaces (RFC 6749 section 3.3).
// Scopes narrow the rights of a user and never add to them. The zero value and
// undefined words permit nothing.
type Scopes string

// The scopes of AWX. Hosts can add their own, see [TokensOptions].
const (
	ScopeRead  = "read"
	ScopeWrite = "write" // implies read
)

// Unrestricted permits everything that the user may do. Sessions and Basic have
// it; [ParseScopes] never returns it.
const Unrestricted Scopes = "*"

var errScope = errors.New("auth: not a list of known scopes, separated by single spaces, without duplicates")

// ParseScopes returns s as Scopes if it is a list of read, write and the given
// further names. It refuses the empty string, unknown words, duplicates, and
// anything but single spaces between words. Case counts. The result keeps the
// order of s.
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

// Within reports whether t permits everything that s permits. It bounds the
// scopes that one credential may give to another.
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

// Permit reports whether s permits a request with the given method: GET, HEAD
// and OPTIONS need read. All others, unknown methods and other spellings
// included, need write.
func (s Scopes) Permit(method string) bool {
	if safeMethod(method) {
		return s == ScopeRead || s.Has(ScopeRead) // most tokens have one
	}
	return s == ScopeWrite || s.Has(ScopeWrite)
}

// safeMethod reports whether method is GET, HEAD or OPTIONS. Case counts (RFC
// 9110 section 9.1).
func safeMethod(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}
