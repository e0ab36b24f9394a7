package httpapi_test

import (
	"strings"
	"testing"
)

// Answers quote the client briefly, however long what it sent is.
func TestEchoesAreShort(t *testing.T) {
	s := newSystem(t)
	long := strings.Repeat("y", 5000)
	ors := strings.Repeat("or__", 1000)
	for name, r := range map[string]reply{
		"order":            s.do("GET", "/api/v2/users/?order_by="+long, as("admin")),
		"filter":           s.do("GET", "/api/v2/users/?"+long+"=1", as("admin")),
		"filter twice":     s.do("GET", "/api/v2/users/?"+long+"=1&"+long+"=2", as("admin")),
		"comparison":       s.do("GET", "/api/v2/users/?username__"+long+"=1", as("admin")),
		"value":            s.do("GET", "/api/v2/users/?"+ors+"created=x", as("admin")),
		"flag":             s.do("GET", "/api/v2/users/?"+ors+"is_active__gt=x", as("admin")),
		"several":          s.do("GET", "/api/v2/tokens/?"+ors+"id__in=", as("admin")),
		"long value":       s.do("GET", "/api/v2/tokens/?"+ors+"description="+long, as("admin")),
		"field":            s.do("POST", "/api/v2/users/", as("admin"), object(long, "x")),
		"field twice":      s.do("POST", "/api/v2/users/", as("admin"), jsonBody(`{"`+long+`":1,"`+long+`":1}`)),
		"method":           s.do(long, "/api/v2/users/", as("admin")),
		"parameter twice":  s.do("POST", "/api/login/", form(long, "1", long, "2")),
		"address":          s.do("POST", "/api/v2/tokens/", as("admin"), object("addresses", []string{long})),
		"scope":            s.do("POST", "/api/v2/tokens/", as("admin"), object("scope", long)),
		"ID of an object":  s.do("POST", "/api/v2/tokens/", as("admin"), object("application", long)),
		"method of a page": s.do(long, "/api/login/", browser),
	} {
		if r.status < 400 || r.status >= 500 || len(r.body) > 2000 && !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || strings.Contains(r.body, long[:200]) {
			t.Errorf("%s: status %d, %d bytes: %.200s", name, r.status, len(r.body), r.body)
		}
		if challenge := r.header.Get("WWW-Authenticate"); len(challenge) > 500 {
			t.Errorf("%s: challenge of %d bytes", name, len(challenge))
		}
	}
}
