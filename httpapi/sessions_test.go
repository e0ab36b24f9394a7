package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// browser logs a user in and returns the cookie and the path of the session.
func (s *system) browser(name string, parts ...with) (c *http.Cookie, path string) {
	s.t.Helper()
	parts = append(parts, form("username", name, "password", name+"-pw"))
	c = s.do("POST", "/api/login/", parts...).cookies()[s.session.CookieName()]
	if c == nil {
		s.t.Fatalf("%s is not logged in", name)
	}
	u, err := s.db.UserByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	row, _, err := s.db.SessionByDigest(s.t.Context(), store.DigestOf(c.Value))
	if err != nil {
		s.t.Fatal(err)
	}
	return c, fmt.Sprintf("/api/v2/users/%s/sessions/%d/", u.ID, row.ID)
}

// results returns the objects of a list.
func (r reply) results() (list []map[string]any) {
	r.s.t.Helper()
	for _, one := range r.wants(200).json()["results"].([]any) {
		list = append(list, one.(map[string]any))
	}
	return list
}

func TestSessionRepresentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		start := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
		agent := header("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
		mine, path := s.browser("alice", agent, from("203.0.113.9:1"))
		user := strings.TrimSuffix(path, "sessions/"+path[strings.Index(path, "sessions/")+len("sessions/"):])
		time.Sleep(2 * time.Minute)
		s.browser("alice", header("User-Agent", "curl/8.5.0\u202e"), from("@"))
		now := time.Now().UTC()
		got := s.do("GET", user+"sessions/", cookie(mine), from("[2001:db8::7]:1")).results()
		if len(got) != 2 {
			t.Fatalf("%d sessions", len(got))
		}
		id := got[1]["id"]
		want := map[string]any{
			"id": id, "type": "session", "url": path, "related": map[string]any{"user": user}, "user": got[1]["user"],
			"created": start, "last_seen": now.Format("2006-01-02T15:04:05.000000Z"),
			"expires": now.Add(30 * time.Minute).Format("2006-01-02T15:04:05.000000Z"),
			"address": "2001:db8::7", "browser": "Firefox 128 on Linux", "current": true,
		}
		if diff := cmp.Diff(want, got[1]); diff != "" {
			t.Errorf("the session (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(got[1], s.do("GET", path, cookie(mine), from("[2001:db8::7]:1")).wants(200).json()); diff != "" {
			t.Errorf("alone (-in the list +alone):\n%s", diff)
		}
		if other := got[0]; other["address"] != nil || other["browser"] != "curl 8.5.0" || other["current"] != false {
			t.Errorf("the other session: %v", other)
		}
		if self := s.do("GET", "/api/v2/me/", cookie(mine)).wants(200).json()["related"].(map[string]any)["sessions"]; self != user+"sessions/" {
			t.Errorf("me links to %v", self)
		}
	})
}

// What a session can be used by stands in no answer about it.
func TestSessionsShowNoSecret(t *testing.T) {
	s := newSystem(t)
	c, path := s.browser("alice")
	row, _, err := s.db.SessionByDigest(t.Context(), store.DigestOf(c.Value))
	if err != nil {
		t.Fatal(err)
	}
	list := path[:strings.Index(path, "sessions/")+len("sessions/")]
	for _, target := range []string{path, list, list + "?page_size=1"} {
		body := s.do("GET", target, cookie(c)).wants(200).body
		for _, secret := range []string{c.Value, fmt.Sprintf("%x", row.Digest), fmt.Sprint(row.Digest)} {
			if strings.Contains(body, secret) {
				t.Errorf("%s shows %s", target, body)
			}
		}
	}
	for _, guess := range []string{c.Value, fmt.Sprintf("%x", row.Digest), "0", "-1", "x", "9223372036854775808", "1e3", "+1"} {
		s.do("GET", list+guess+"/", cookie(c)).wants(404)
		s.do("DELETE", list+guess+"/", cookie(c)).wants(404)
	}
	for _, query := range []string{"?address=192.0.2.1", "?digest=x", "?browser=curl", "?order_by=address", "?order_by=digest"} {
		s.do("GET", list+query, cookie(c)).wants(400)
	}
}

func TestSessionPages(t *testing.T) {
	s := newSystem(t)
	var paths []string
	for range 5 {
		_, path := s.browser("alice")
		paths = append(paths, path)
	}
	list := strings.TrimSuffix(paths[0], strings.Split(paths[0], "/")[6]+"/")
	for query, want := range map[string][]int{
		"":                               {4, 3, 2, 1, 0},
		"?page_size=2":                   {4, 3},
		"?page_size=2&page=3":            {0},
		"?page_size=2&page=last":         {0},
		"?order_by=created&page_size=2":  {0, 1},
		"?order_by=-created&page_size=2": {4, 3},
	} {
		var got, wanted []string
		r := s.do("GET", list+query, basic("alice", "alice-pw"))
		for _, one := range r.results() {
			got = append(got, one["url"].(string))
		}
		for _, i := range want {
			wanted = append(wanted, paths[i])
		}
		if diff := cmp.Diff(wanted, got); diff != "" || r.json()["count"] != 5.0 {
			t.Errorf("%q: %v (-want +got):\n%s", query, r.json()["count"], diff)
		}
	}
}

// Users see and end their own sessions, administrators everybody's, and of tokens
// only personal ones that may write.
func TestWhoSeesSessions(t *testing.T) {
	s := newSystem(t)
	kept, _ := s.browser("alice")
	for _, tt := range []struct {
		name           string
		with           with
		list, one, end int
	}{
		{"nobody", func(*http.Request) {}, 401, 401, 401},
		{"the user by Basic", basic("alice", "alice-pw"), 200, 200, 204},
		{"the user by name", basic("alice", "alice-pw"), 200, 200, 204},
		{"an administrator", basic("admin", "admin-pw"), 200, 200, 204},
		{"an auditor", basic("auditor", "auditor-pw"), 403, 403, 403},
		{"somebody else", basic("bob", "bob-pw"), 404, 404, 404},
		{"a token that may write", bearer(s.token(s.alice, auth.ScopeWrite)), 200, 200, 204},
		{"a token that may read", bearer(s.token(s.alice, auth.ScopeRead)), 403, 403, 403},
		{"an administrator's token that may read", bearer(s.token(s.admin, auth.ScopeRead)), 403, 403, 403},
		{"somebody else's token", bearer(s.token(s.bob, auth.ScopeWrite)), 404, 404, 404},
		{"a session that is dead", cookie(&http.Cookie{Name: s.session.CookieName(), Value: strings.Repeat("x", 43)}), 401, 401, 401},
	} {
		victim, path := s.browser("alice")
		list := path[:strings.Index(path, "sessions/")+len("sessions/")]
		if strings.HasSuffix(tt.name, "by name") {
			path = strings.Replace(path, "/users/"+s.alice.ID+"/", "/users/alice/", 1)
		}
		s.do("GET", list, tt.with).wants(tt.list)
		s.do("GET", path, tt.with).wants(tt.one)
		s.do("DELETE", path, tt.with).wants(tt.end)
		dead := s.do("GET", "/probe/", cookie(victim)).status == 401
		if dead != (tt.end == 204) {
			t.Errorf("%s: the session is dead: %v", tt.name, dead)
		}
		if tt.end == 204 {
			s.do("DELETE", path, tt.with).wants(404)
			s.do("GET", path, tt.with).wants(404)
		} else {
			s.do("DELETE", list, tt.with).wants(tt.end)
		}
		s.do("GET", "/probe/", cookie(kept)).wants(200)
	}
	// An administrator whom everybody sees is nobody's to log out.
	c, path := s.browser("admin")
	for _, method := range []string{"GET", "DELETE"} {
		s.do(method, path, basic("alice", "alice-pw")).is403()
		s.do(method, path[:strings.Index(path, "sessions/")+len("sessions/")], basic("alice", "alice-pw")).is403()
	}
	s.do("GET", "/probe/", cookie(c)).wants(200)
	// The session of one user is not found below another.
	s.do("DELETE", strings.Replace(path, "/users/"+s.admin.ID+"/", "/users/"+s.alice.ID+"/", 1), basic("admin", "admin-pw")).wants(404)
	s.do("GET", "/probe/", cookie(c)).wants(200)
}

// The session that asks ends all others and stays; it ends itself with its cookie.
func TestEndSessionsOverHTTP(t *testing.T) {
	s := newSystem(t)
	mine, path := s.browser("alice")
	others := make([]*http.Cookie, 3)
	for i := range others {
		others[i], _ = s.browser("alice")
	}
	bobs, _ := s.browser("bob")
	list := path[:strings.Index(path, "sessions/")+len("sessions/")]

	crossSite := header("Sec-Fetch-Site", "cross-site")
	s.do("DELETE", list, cookie(mine), crossSite).wants(403)
	s.do("DELETE", path, cookie(mine), crossSite).wants(403)
	s.do("GET", "/probe/", cookie(others[0])).wants(200)

	s.do("DELETE", list, cookie(mine)).wants(204)
	for _, c := range others {
		s.do("GET", "/probe/", cookie(c)).wants(401)
	}
	s.do("GET", "/probe/", cookie(mine)).wants(200)
	s.do("GET", "/probe/", cookie(bobs)).wants(200)
	s.do("DELETE", list, cookie(mine)).wants(204) // there are none, which is harmless

	r := s.do("DELETE", path, cookie(mine)).wants(204)
	if c := r.cookies()[s.session.CookieName()]; c == nil || c.MaxAge >= 0 {
		t.Errorf("the cookie is not cleared: %v", r.header)
	}
	s.do("GET", "/probe/", cookie(mine)).wants(401)
}
