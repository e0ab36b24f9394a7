package uri

import (
	"net/url"
	"strings"
	"testing"
)

func TestSameResource(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"equal", "https://a.example/mcp", "https://a.example/mcp", true},
		{"scheme and host in upper case", "https://a.example/mcp", "HTTPS://A.Example/mcp", true},
		{"no path and the root", "https://a.example", "https://a.example/", true},
		{"no path and the root, with a port", "http://127.0.0.1:8080", "http://127.0.0.1:8080/", true},
		{"path in upper case", "https://a.example/mcp", "https://a.example/MCP", false},
		{"a last slash", "https://a.example/mcp", "https://a.example/mcp/", false},
		{"the default port", "https://a.example", "https://a.example:443", false},
		{"another host", "https://a.example/mcp", "https://b.example/mcp", false},
		{"another scheme", "https://a.example/mcp", "http://a.example/mcp", false},
		{"a query", "https://a.example/?x", "https://a.example?x", false},
		{"a query in upper case", "https://a.example?x", "https://a.example?X", false},
		{"a user in upper case", "https://u@a.example", "https://U@a.example", false},
		{"an escaped path", "https://a.example/%7e", "https://a.example/~", false},
		{"another kind of URI", "urn:A", "urn:a", false},
		{"no URI at all", "", "", false},
		{"a fragment", "https://a.example#x", "https://a.example#x", false},
	} {
		if got := SameResource(tt.a, tt.b); got != tt.want {
			t.Errorf("%s: %q and %q: %v", tt.name, tt.a, tt.b, got)
		}
	}
}

// Resources that are the same lead every client to the same place.
func FuzzSameResource(f *testing.F) {
	f.Add("https://a.example/mcp", "HTTPS://A.Example/mcp")
	f.Add("https://a.example", "https://a.example/")
	f.Add("https://a.example/?x", "https://a.example?x")
	f.Add("https://u@a.example", "https://U@a.example")
	f.Fuzz(func(t *testing.T, a, b string) {
		if Resource(a) != SameResource(a, a) || SameResource(a, b) != SameResource(b, a) {
			t.Errorf("%q, %q: no equivalence", a, b)
		}
		if !SameResource(a, b) || a == b {
			return
		}
		u, _ := url.Parse(a)
		v, _ := url.Parse(b)
		if u.Scheme != v.Scheme || !strings.EqualFold(u.Host, v.Host) || u.User != nil || v.User != nil ||
			u.RequestURI() != v.RequestURI() {
			t.Errorf("%q and %q are the same", a, b)
		}
	})
}
