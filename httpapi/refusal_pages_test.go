package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

// A host that writes its own refusals writes those for browsers, too.
func TestRefusalsOfTheHost(t *testing.T) {
	own := func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(e.Status)
		_, _ = w.Write([]byte("own"))
	}
	s := newPages(t, httpapi.PageOptions{}, func(o *options) { o.gate.Deny = own })
	for target, status := range map[string]int{
		"/api/v2/me/": 401, "/api/nothing/": 404, "/api/v2/users/?x=1": 401, "/api/o/token/": 405,
	} {
		for name, accept := range map[string]with{"a browser": browser, "a program": header("Accept", "*/*")} {
			if r := s.do("GET", target, accept).wants(status); r.body != "own" {
				t.Errorf("%s to %s gets %q", target, name, r.body)
			}
		}
	}
	// What is a page in every other case stays one.
	s.get("tokens/77/").wants(404).text()
}

// A page is for who looks at it: a program that accepts text/html, as Java's does
// by itself, gets JSON for a body of JSON.
func TestProgramsGetJSON(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	java := header("Accept", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2")
	for target, parts := range map[string][]with{
		"/api/v2/users/":   {cookie(s.session), object("username", "x", "password", newPassword)},
		"/api/v2/users/1/": {cookie(s.session), object()},
		"/api/v2/tokens/":  {cookie(s.session), object("scope", "all")},
		"/api/v2/nothing/": {object()},
	} {
		r := s.do("POST", target, append(parts, java)...)
		if r.json(); r.status < 400 {
			t.Errorf("%s: status %d", target, r.status)
		}
	}
	// A form of a browser is never JSON.
	if r := s.do("POST", "/api/v2/users/", browser, cookie(s.session), form("username", "x")); !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		t.Errorf("a form gets %s", r.body)
	}
}
