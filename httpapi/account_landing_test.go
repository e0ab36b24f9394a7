package httpapi_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// TestLanding sends people to their account and API clients where they always
// went.
func TestLanding(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	alice := form("username", "alice", "password", "alice-pw")
	for name, tt := range map[string]struct {
		parts  []with
		status int
		to     string
	}{
		"a browser":               {[]with{alice, browser}, 302, "/api/account/"},
		"one with Fetch Metadata": {[]with{alice, browser, header("Sec-Fetch-Mode", "navigate"), header("Sec-Fetch-Site", "same-origin")}, 302, "/api/account/"},
		"one that knows where":    {[]with{form("username", "alice", "password", "alice-pw", "next", "/jobs/"), browser}, 302, "/jobs/"},
		"one that is led astray":  {[]with{form("username", "alice", "password", "alice-pw", "next", "//evil.example/"), browser}, 302, "/api/"},
		"a script of a page":      {[]with{alice, browser, header("Sec-Fetch-Mode", "cors"), header("Sec-Fetch-Site", "same-origin")}, 302, "/api/"},
		"curl":                    {[]with{alice, header("Accept", "*/*")}, 302, "/api/"},
		"one that says nothing":   {[]with{alice}, 302, "/api/"},
		"one that wants JSON":     {[]with{alice, header("Accept", "application/json")}, 200, ""},
		"one that takes both":     {[]with{alice, header("Accept", "text/html, application/json")}, 200, ""},
	} {
		r := s.do("POST", "/api/login/", tt.parts...)
		if got := r.header.Get("Location"); r.status != tt.status || got != tt.to {
			t.Errorf("%s: %d to %q, want %d to %q", name, r.status, got, tt.status, tt.to)
		}
	}
	next := regexp.MustCompile(`name="next" value="([^"]*)"`)
	for query, want := range map[string]string{"": "/api/account/", "?next=/jobs/": "/jobs/", "?next=https://evil.example/": "/api/"} {
		if m := next.FindStringSubmatch(s.do("GET", "/api/login/"+query, browser).wants(200).body); m == nil || m[1] != want {
			t.Errorf("the page with %q leads to %q", query, m)
		}
	}
	if m := next.FindStringSubmatch(s.do("GET", "/api/login/").wants(200).body); m == nil || m[1] != "/api/" {
		t.Errorf("the page leads clients to %q", m)
	}
}

func TestLoggedOutPage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	if to := s.get("logged_out/").wants(302).header.Get("Location"); to != "/api/account/" {
		t.Errorf("who is logged in is sent to %s", to)
	}
	to := s.do("POST", "/api/logout/", browser, cookie(s.session), header("Sec-Fetch-Site", "same-origin")).wants(302).header.Get("Location")
	r := s.do("GET", to, browser, cookie(s.session)).wants(200)
	if text := r.text(); !strings.Contains(text, "You are logged out") || !strings.Contains(r.body, `href="/api/login/?next=%2Fapi%2Faccount%2F"`) {
		t.Errorf("%s shows:\n%s", to, r.body)
	}
	if got := s.whoami(cookie(s.session)); got != "" {
		t.Errorf("logged in as %s", got)
	}
	for name, tt := range map[string]struct {
		target string
		part   with
		to     string
	}{
		"curl":                   {"/api/logout/", header("Accept", "*/*"), "/api/"},
		"a browser with a place": {"/api/logout/?next=/jobs/", browser, "/jobs/"},
		"one that is led astray": {"/api/logout/?next=//evil.example/", browser, "/api/"},
	} {
		if to := s.do("GET", tt.target, tt.part).wants(302).header.Get("Location"); to != tt.to {
			t.Errorf("%s is sent to %s", name, to)
		}
	}
}

// TestErrorPages shows people a page where others get JSON, byte for byte as
// without pages.
func TestErrorPages(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	plain := newOAuth(t)
	for name, tt := range map[string]struct {
		method, target string
		status         int
		says, link     string
	}{
		"an unknown path":    {"GET", "/api/nothing/", 404, "There is no such page", "/api/account/"},
		"nobody":             {"GET", "/api/v2/me/", 401, "You are not logged in", "/api/login/?next=%2Fapi%2Fv2%2Fme%2F"},
		"nobody, a query":    {"GET", "/api/v2/tokens/?a=%3Cb%3E", 401, "You are not logged in", "/api/login/?next=%2Fapi%2Fv2%2Ftokens%2F%3Fa%3D%253Cb%253E"},
		"a method":           {"GET", "/api/o/token/", 405, "There is no such page", "/api/account/"},
		"a form for nothing": {"POST", "/api/nothing/", 404, "There is no such page", "/api/account/"},
	} {
		r := s.do(tt.method, tt.target, browser).wants(tt.status)
		if text := r.text(); !strings.Contains(text, tt.says) || !strings.Contains(r.body, `href="`+tt.link+`"`) {
			t.Errorf("%s:\n%s", name, r.body)
		}
		for client, part := range map[string]with{
			"curl": header("Accept", "*/*"), "one that says nothing": header("X-Nothing", ""), "one that wants JSON": header("Accept", "application/json"),
			"one that takes both":  header("Accept", "application/json, text/html;q=0.9"),
			"a script of the page": func(r *http.Request) { browser(r); r.Header.Set("Sec-Fetch-Mode", "cors") },
			"one with a token":     func(r *http.Request) { browser(r); r.Header.Set("Authorization", "Bearer dead") },
		} {
			got, want := s.do(tt.method, tt.target, part), plain.do(tt.method, tt.target, part)
			if got.status != want.status || got.body != want.body || strings.Contains(got.header.Get("Content-Type"), "html") {
				t.Errorf("%s, %s: %d %s, want %d %s", name, client, got.status, got.body, want.status, want.body)
			}
		}
	}
	// What a browser may see it still sees, and a challenge is still there.
	if got := s.do("GET", "/api/v2/me/", browser, cookie(s.session)).wants(200).json()["username"]; got != "alice" {
		t.Errorf("me is %v", got)
	}
	if got := s.do("GET", "/api/v2/me/", browser).header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
		t.Errorf("challenge %q", got)
	}
	s.do("GET", "/api/v2/users/bob/", browser, cookie(s.session)).wants(404).text()
}

// An outage of the store is a page, too, that says nothing about the store.
func TestOutagePage(t *testing.T) {
	for path, pairs := range accountForms {
		var f *failing
		organizations := auth.Organizations{Of: func(context.Context, string) (m auth.Memberships, err error) {
			m.Admin = []int64{1}
			return m, nil
		}}
		s := newPages(t, httpapi.PageOptions{}, func(o *options) {
			o.db = func(m *memory.Store) database { f = &failing{Store: m, stays: true}; return failingLists{f} }
			o.tokens.Organizations = organizations
		})
		pages := 0
		for n := int64(1); n < 12; n++ {
			f.calls.Store(0)
			f.fail.Store(n)
			replies := []reply{s.get(path)}
			if pairs != nil {
				f.calls.Store(0)
				replies = append(replies, s.send(path, pairs...))
			}
			f.fail.Store(0)
			for _, r := range replies {
				if strings.Contains(r.body, "marker") || r.status >= 500 && r.status != 503 {
					t.Errorf("%s: %d %s", path, r.status, r.body)
				}
				if r.status == 503 && strings.Contains(r.body, "<h1>") {
					pages++
					if text := r.text(); !strings.Contains(text, "This does not work at the moment") {
						t.Errorf("%s:\n%s", path, text)
					}
				}
			}
			if replies[0].status == 200 && replies[len(replies)-1].status < 500 {
				break
			}
		}
		if pages == 0 {
			t.Errorf("%s never shows that the store is down", path)
		}
	}
}

// failingLists is failing for the calls that only pages make.
type failingLists struct{ *failing }

func (f failingLists) ListTokens(ctx context.Context, filter store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	if err := f.down(); err != nil {
		return nil, 0, err
	}
	return f.Store.ListTokens(ctx, filter, p)
}

func (f failingLists) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	if err := f.down(); err != nil {
		return store.Token{}, err
	}
	return f.Store.TokenByID(ctx, id)
}

func (f failingLists) ListConsents(ctx context.Context, userID string, p store.Page) ([]store.Consent, int, error) {
	if err := f.down(); err != nil {
		return nil, 0, err
	}
	return f.Store.ListConsents(ctx, userID, p)
}

func (f failingLists) WithdrawConsent(ctx context.Context, userID string, id int64, at time.Time) error {
	if err := f.down(); err != nil {
		return err
	}
	return f.Store.WithdrawConsent(ctx, userID, id, at)
}

func (f failingLists) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	if err := f.down(); err != nil {
		return store.Application{}, err
	}
	return f.Store.ApplicationByID(ctx, id)
}

func (f failingLists) ListApplications(ctx context.Context, filter store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	if err := f.down(); err != nil {
		return nil, 0, err
	}
	return f.Store.ListApplications(ctx, filter, p)
}
