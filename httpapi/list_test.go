package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
)

func TestMe(t *testing.T) { // 226 to 230, 248
	s := newSystem(t)
	for name, part := range map[string]with{
		"session": cookie(s.login("admin", "admin-pw")),
		"basic":   basic("admin", "admin-pw"),
		"bearer":  bearer(s.token(s.admin, auth.ScopeRead)),
	} {
		r := s.do("GET", "/api/v2/me/", part).wants(200)
		doc := r.json()
		results, _ := doc["results"].([]any)
		if doc["count"] != 1.0 || doc["next"] != nil || doc["previous"] != nil || len(results) != 1 {
			t.Fatalf("%s: %s", name, r.body)
		}
		inside, _ := results[0].(map[string]any)
		for field, want := range map[string]any{
			"id": 1.0, "username": "admin", "email": "admin@example.com", "is_superuser": true, "is_system_auditor": false,
			"type": "user", "url": "/api/v2/users/1/", "password": "$encrypted$", "first_name": "", "last_name": "",
		} {
			if doc[field] != want || inside[field] != want {
				t.Errorf("%s: %s is %v and in the list %v, want %v", name, field, doc[field], inside[field], want)
			}
		}
		related, _ := inside["related"].(map[string]any)
		if diff := cmp.Diff(map[string]any{"personal_tokens": "/api/v2/users/1/personal_tokens/", "sessions": "/api/v2/users/1/sessions/"}, related); diff != "" {
			t.Errorf("%s: related:\n%s", name, diff)
		}
		if got := r.header.Get("Vary"); !strings.Contains(got, "Authorization") || !strings.Contains(got, "Cookie") { // 108
			t.Errorf("Vary: %q", got)
		}
		head := s.do("HEAD", "/api/v2/me/", part).wants(200)
		if head.body != "" || head.header.Get("Content-Length") != r.header.Get("Content-Length") {
			t.Errorf("HEAD: %q %v", head.body, head.header)
		}
	}
	s.do("GET", "/api/v2/me/").is401()
	s.do("POST", "/api/v2/me/").is401()
	r := s.do("POST", "/api/v2/me/", basic("alice", "alice-pw")).wants(405).hasDetail(`Method "POST" not allowed.`)
	if r.header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow: %q", r.header.Get("Allow"))
	}
}

func TestRoots(t *testing.T) {
	s := newSystem(t)
	r := s.do("GET", "/api/").wants(200)
	doc := r.json()
	versions, _ := doc["available_versions"].(map[string]any)
	if versions["v2"] != "/api/v2/" || doc["current_version"] != "/api/v2/" {
		t.Errorf("%s", r.body)
	}
	c := r.cookies()["csrftoken"]
	if c == nil || c.HttpOnly || c.Path != "/" || c.Domain != "" || c.Value == "" {
		t.Fatalf("csrftoken: %+v", c)
	}
	if s.do("GET", "/api/", cookie(c)).cookies()["csrftoken"] != nil {
		t.Error("the cookie is set again")
	}
	for name, link := range s.do("GET", "/api/v2/").wants(200).json() {
		if got := s.do("GET", fmt.Sprint(link), basic("admin", "admin-pw")).status; got != 200 {
			t.Errorf("%s leads to %v, which answers %d", name, link, got)
		}
	}
}

func TestPages(t *testing.T) { // 231 to 235
	s := newSystem(t)
	for range 30 {
		s.token(s.alice, auth.ScopeRead)
	}
	alice := basic("alice", "alice-pw")
	for _, tt := range []struct {
		query          string
		status, n      int
		first          float64
		next, previous string
	}{
		{"", 200, 25, 1, "page=2", ""},
		{"page=2", 200, 5, 26, "", "page=1"},
		{"page=last", 200, 5, 26, "", "page=1"},
		{"page_size=10", 200, 10, 1, "page=2&page_size=10", ""},
		{"page_size=10&page=2", 200, 10, 11, "page=3&page_size=10", "page=1&page_size=10"},
		{"page_size=1000", 200, 30, 1, "", ""},
		{"page_size=0", 200, 25, 1, "page=2&page_size=25", ""},
		{"page_size=abc", 200, 25, 1, "page=2&page_size=25", ""},
		{"page_size=-5", 200, 25, 1, "page=2&page_size=25", ""},
		{"order_by=-created&page_size=10", 200, 10, 30, "order_by=-created&page=2&page_size=10", ""},
		{"order_by=-id", 200, 25, 30, "order_by=-id&page=2", ""},
		{"order=-id,created", 200, 25, 30, "order=-id%2Ccreated&page=2", ""},
		{"id=7", 200, 1, 7, "", ""},
		{"id=0", 200, 0, 0, "", ""},
		{"scope=write", 200, 0, 0, "", ""},
		{"description=nothing", 200, 0, 0, "", ""},
		{"search=TestPages", 200, 25, 1, "page=2&search=TestPages", ""},
		{"search=%27+OR+1%3D1--", 200, 0, 0, "", ""},
		{"user=3", 200, 25, 1, "page=2&user=3", ""},
		{"user=4", 200, 0, 0, "", ""},
		{"page=3", 404, 0, 0, "", ""},
		{"page=0", 404, 0, 0, "", ""},
		{"page=-1", 404, 0, 0, "", ""},
		{"page=%2B1", 404, 0, 0, "", ""},
		{"page=abc", 404, 0, 0, "", ""},
		{"page=9223372036854775807&page_size=200", 404, 0, 0, "", ""},
		{"page=1&page=2", 400, 0, 0, "", ""},
		{"order_by=nonsense", 400, 0, 0, "", ""},
		{"order_by=id;drop+table+users", 400, 0, 0, "", ""},
		{"order_by=token", 400, 0, 0, "", ""},
		{"nonsense=1", 400, 0, 0, "", ""},
		{"cursor=x", 400, 0, 0, "", ""},
		{"id=x", 400, 0, 0, "", ""},
		{"search=%00", 400, 0, 0, "", ""},
		{"search=%ff", 400, 0, 0, "", ""},
		{"x=%zz", 400, 0, 0, "", ""},
		{"token=x", 403, 0, 0, "", ""}, // 177
		{"token__startswith=a", 403, 0, 0, "", ""},
		{"user__password__startswith=p", 403, 0, 0, "", ""},
	} {
		for _, path := range []string{"/api/v2/tokens/", "/api/v2/users/3/personal_tokens/"} {
			target := path + "?" + tt.query
			if path != "/api/v2/tokens/" && tt.query == "user=4" {
				continue
			}
			r := s.do("GET", target, alice)
			if r.status != tt.status {
				t.Errorf("%s: %d, want %d: %s", target, r.status, tt.status, r.body)
				continue
			}
			if tt.status != 200 {
				if r.json()["detail"] == "" {
					t.Errorf("%s: %s", target, r.body)
				}
				continue
			}
			doc := r.json()
			results, _ := doc["results"].([]any)
			var first float64
			if len(results) > 0 {
				first, _ = results[0].(map[string]any)["id"].(float64)
			}
			link := func(query string) any {
				if query == "" {
					return nil
				}
				return path + "?" + query
			}
			if len(results) != tt.n || first != tt.first || doc["next"] != link(tt.next) || doc["previous"] != link(tt.previous) {
				t.Errorf("%s: %d results from %v, next %v, previous %v", target, len(results), first, doc["next"], doc["previous"])
			}
		}
	}
	if doc := s.do("GET", "/api/v2/tokens/?count_disabled=1", alice).wants(200).json(); len(doc) != 1 || doc["results"] == nil {
		t.Errorf("count_disabled: %v", doc)
	}
	s.do("GET", "/api/v2/me/?page=2", alice).wants(404).hasDetail("Invalid page.")
}

func TestUnknownPathsAreUnknownToEverybody(t *testing.T) { // 239, and clients that probe
	s := newSystem(t)
	for _, target := range []string{
		"/api/nope/", "/api/v2/nope/", "/api/v2/tokens/1/nope/", "/api/gateway/v1/tokens/", "/api/v1/",
		"/api/v2/tokens%2f",
	} {
		for _, parts := range [][]with{nil, {basic("admin", "wrong")}, {bearer("dead")}, {header("Sec-Fetch-Site", "cross-site")}} {
			for _, method := range []string{"GET", "POST"} {
				if r := s.do(method, target, parts...); r.status != 404 {
					t.Errorf("%s %s: %d", method, target, r.status)
				}
			}
		}
	}
}

func TestSlashIsAdded(t *testing.T) { // 245
	s := newSystem(t)
	for _, tt := range []struct {
		method, target string
		status         int
		location       string
	}{
		{"GET", "/api/v2/me", 301, "/api/v2/me/"},
		{"HEAD", "/api/v2/me?x=1", 301, "/api/v2/me/?x=1"},
		{"POST", "/api/v2/tokens", 308, "/api/v2/tokens/"},
		{"DELETE", "/api/v2/users/a%2Fb/personal_tokens/1", 308, "/api/v2/users/a%2Fb/personal_tokens/1/"},
	} {
		r := s.do(tt.method, tt.target).wants(tt.status)
		if got := r.header.Get("Location"); got != tt.location {
			t.Errorf("%s %s leads to %q", tt.method, tt.target, got)
		}
	}
}

func TestUserPaths(t *testing.T) {
	s := newSystem(t)
	odd := s.alice
	odd.Name = "al/ice é"
	if err := s.db.UpdateUser(t.Context(), odd); err != nil {
		t.Fatal(err)
	}
	for target, status := range map[string]int{
		"/api/v2/users/" + url.PathEscape(odd.Name) + "/": 200,
		"/api/v2/users/3/":    200,
		"/api/v2/users/1/":    200, // everybody sees superusers
		"/api/v2/users/4/":    404,
		"/api/v2/users/bob/":  404,
		"/api/v2/users/03/":   404,
		"/api/v2/users/+3/":   404,
		"/api/v2/users/3%00/": 404,
		"/api/v2/users/%ff/":  404,
		"/api/v2/users/" + strings.Repeat("a", 5000) + "/": 404,
		"/api/v2/tokens/99999999999999999999/":             404,
		"/api/v2/tokens/abc/":                              404,
		"/api/v2/tokens/-1/":                               404,
		"/api/v2/tokens/01/":                               404,
	} {
		if got := s.do("GET", target, basic(odd.Name, "alice-pw")).status; got != status {
			t.Errorf("%s: %d, want %d", target, got, status)
		}
	}
}

func TestOptions(t *testing.T) {
	s := newSystem(t)
	s.do("OPTIONS", "/api/v2/tokens/").is401()
	r := s.do("OPTIONS", "/api/v2/tokens/", basic("alice", "alice-pw")).wants(200)
	if r.header.Get("Allow") != "GET, POST, HEAD, OPTIONS" {
		t.Errorf("Allow: %q", r.header.Get("Allow"))
	}
	actions, _ := r.json()["actions"].(map[string]any)
	if len(actions) != 2 {
		t.Errorf("actions %v, want GET and POST alone", actions)
	}
	for action, fields := range actions {
		list, _ := fields.(map[string]any)
		for name, f := range list {
			if f.(map[string]any)["type"] == "" {
				t.Errorf("%s %s has no type", action, name)
			}
		}
		if list["scope"] == nil || (action == "POST") == (list["id"] != nil) {
			t.Errorf("%s: %v", action, list)
		}
	}
	r = s.do("OPTIONS", "/api/v2/tokens/1/", basic("alice", "alice-pw")).wants(200) // there is no such token
	if r.header.Get("Allow") != "GET, PUT, PATCH, DELETE, HEAD, OPTIONS" {
		t.Errorf("Allow: %q", r.header.Get("Allow"))
	}
}

func TestAcceptIsLookedAtAfterCredentials(t *testing.T) { // 241
	s := newSystem(t)
	xml := header("Accept", "application/xml")
	s.do("GET", "/api/v2/me/", xml).is401()
	s.do("GET", "/api/v2/me/", xml, basic("alice", "alice-pw")).wants(406).hasDetail("Could not satisfy the request Accept header.")
	for _, accept := range []string{"application/json", "application/*", "*/*", "text/html, application/json;q=0.5", "application/json; charset=utf-8"} {
		s.do("GET", "/api/v2/me/", header("Accept", accept), basic("alice", "alice-pw")).wants(200)
	}
	s.do("GET", "/api/v2/me/", header("Accept", "application/json;q=0"), basic("alice", "alice-pw")).wants(406)
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	s := newSystem(t)
	alice := basic("alice", "alice-pw")
	for _, r := range []reply{
		s.do("GET", "/api/"), s.do("GET", "/api/v2/me/"), s.do("GET", "/api/v2/me/", alice), s.do("GET", "/api/nope/"),
		s.do("POST", "/api/v2/tokens/", alice), s.do("POST", "/api/v2/tokens/", alice, jsonBody("x")),
		s.do("POST", "/api/v2/tokens/", alice, jsonBody(`{"scope":"x"}`)), s.do("PUT", "/api/v2/tokens/", alice),
		s.do("GET", "/api/login/"), s.do("POST", "/api/login/", form("username", "x", "password", "y")),
	} {
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""} {
			if got := r.header.Get(name); got != want {
				t.Errorf("%d %.60s: %s is %q, want %q", r.status, r.body, name, got, want)
			}
		}
		if strings.Contains(strings.Join(r.header.Values("WWW-Authenticate"), ","), "Basic") || r.status < 300 && r.header["Www-Authenticate"] != nil {
			t.Errorf("%d: challenge %v", r.status, r.header.Values("WWW-Authenticate"))
		}
		if !strings.HasPrefix(r.body, "<!DOCTYPE") && r.body != "" {
			r.json()
		}
	}
}
