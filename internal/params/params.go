// Package params reads the parameters of OAuth requests.
package params

import (
	"net/url"
	"slices"
)

// Present returns v as if parameters without a value had been omitted (RFC 6749
// sections 3.1 and 3.2). A parameter that occurs more than once stays as it is,
// so that it can be refused, but for those that may repeat: of them only the
// values that are none go. v is not changed.
func Present(v url.Values, repeatable ...string) url.Values {
	present := make(url.Values, len(v))
	for name, values := range v {
		if slices.Contains(repeatable, name) {
			values = slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
		}
		if len(values) > 1 || len(values) == 1 && values[0] != "" {
			present[name] = values
		}
	}
	return present
}

// One returns the value of a parameter, "" if there is none, and whether it is
// given at most once.
func One(v url.Values, name string) (string, bool) {
	switch values := v[name]; len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	}
	return "", false
}
