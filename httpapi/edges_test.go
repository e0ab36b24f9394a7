package httpapi_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

func TestAnswerOfALogin(t *testing.T) { // 1, 8
	s := newSystem(t)
	asForm, asJSON := form("username", "alice", "password", "alice-pw"), jsonBody(`{"username":"alice","password":"alice-pw"}`)
	withNext := form("username", "alice", "password", "alice-pw", "next", "/jobs/")
	for name, tt := range map[string]struct {
		body     with
		accept   string
		status   int
		location string
	}{
		"form":                   {asForm, "", 302, "/api/"},
		"form, for JSON":         {asForm, "application/json", 200, ""},
		"form, for a page":       {asForm, "text/html,*/*;q=0.8", 302, "/api/"},
		"form that knows where":  {withNext, "application/json", 302, "/jobs/"},
		"JSON":                   {asJSON, "", 200, ""},
		"JSON, for anything":     {asJSON, "*/*", 200, ""},
		"JSON, for a page":       {asJSON, "text/html", 302, "/api/"},
		"JSON that knows where":  {jsonBody(`{"username":"alice","password":"alice-pw","next":"/jobs/"}`), "text/html", 302, "/jobs/"},
		"JSON that leads astray": {jsonBody(`{"username":"alice","password":"alice-pw","next":"//evil.example"}`), "text/html", 302, "/api/"},
	} {
		parts := []with{tt.body}
		if tt.accept != "" {
			parts = append(parts, header("Accept", tt.accept))
		}
		r := s.do("POST", "/api/login/", parts...)
		if r.status != tt.status || r.header.Get("Location") != tt.location || r.cookies()["session"] == nil {
			t.Errorf("%s: %d, leads to %q, want %d and %q", name, r.status, r.header.Get("Location"), tt.status, tt.location)
		}
	}
	for _, next := range []string{"/a\x7fb", "/a\xffb", "/a\ufffdb", "/a\x1bb"} {
		r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw", "next", next)).wants(302)
		if got := r.header.Get("Location"); got != "/api/" {
			t.Errorf("next %q leads to %q", next, got)
		}
	}
	many := []string{"username", "alice", "password", "alice-pw"}
	for i := range 62 {
		many = append(many, fmt.Sprint("x", i), "")
	}
	s.do("POST", "/api/login/", form(many...)).wants(302)
	s.do("POST", "/api/login/", form(append(many, "one more", "")...)).wants(400)
}

func TestLastPages(t *testing.T) { // 231, 233
	s := newSystem(t)
	for range 30 {
		s.token(s.alice, auth.ScopeRead)
	}
	for _, tt := range []struct {
		who, target string
		n, count    int
		more        bool
	}{
		{"alice", "/api/v2/tokens/?page_size=10&page=2", 10, 30, true},
		{"alice", "/api/v2/tokens/?page_size=10&page=3", 10, 30, false},
		{"alice", "/api/v2/tokens/?page_size=30", 30, 30, false},
		{"alice", "/api/v2/tokens/?page_size=10&page=last", 10, 30, false},
		{"bob", "/api/v2/tokens/?page=last", 0, 0, false},
		{"bob", "/api/v2/tokens/", 0, 0, false},
		// A caller with all rights gets the requested records, not all.
		{"admin", "/api/v2/users/3/personal_tokens/?user=3", 25, 30, true},
		{"admin", "/api/v2/users/3/personal_tokens/?user=4", 0, 0, false},
		{"admin", "/api/v2/users/4/personal_tokens/?user=3", 0, 0, false},
		{"admin", "/api/v2/tokens/?user=", 0, 0, false},
		{"admin", "/api/v2/tokens/?scope=", 0, 0, false},
		{"admin", "/api/v2/tokens/?application=0", 0, 0, false},
		{"admin", "/api/v2/tokens/?id=-1", 0, 0, false},
	} {
		doc := s.do("GET", tt.target, basic(tt.who, tt.who+"-pw")).wants(200).json()
		results, _ := doc["results"].([]any)
		if len(results) != tt.n || doc["count"] != float64(tt.count) || (doc["next"] != nil) != tt.more {
			t.Errorf("%s of %s: %d of %v, next %v", tt.target, tt.who, len(results), doc["count"], doc["next"])
		}
	}
}

func TestHeadSaysHowLong(t *testing.T) { // R-028, over a connection
	s := newSystem(t)
	srv := httptest.NewServer(s.handler)
	defer srv.Close()
	for _, target := range []string{"/api/v2/users/3/", "/api/v2/tokens/", "/api/login/", "/api/v2/users/99/"} {
		var lengths []string
		for _, method := range []string{"GET", "HEAD"} {
			r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.SetBasicAuth("alice", "alice-pw")
			resp, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			lengths = append(lengths, resp.Header.Get("Content-Length"))
		}
		if lengths[0] == "" || lengths[0] != lengths[1] {
			t.Errorf("%s: GET is %q bytes, HEAD says %q", target, lengths[0], lengths[1])
		}
	}
}

func TestWhatIsUnclearIsRefused(t *testing.T) {
	s := newSystem(t)
	alice := basic("alice", "alice-pw")
	s.do("POST", "/api/v2/tokens/", alice, jsonBody("{}"), header("Content-Type", "application/json", "application/json")).wants(415)
	s.do("POST", "/api/login/", form(), header("Content-Type", "application/json", "application/x-www-form-urlencoded")).wants(415)
	s.do("GET", "/api/v2/me/", alice, header("Accept", "application/json;q=much")).wants(406)
	s.token(s.alice, auth.ScopeWrite)
	s.do("POST", "/api/v2/tokens/1/rotate/", alice, jsonBody(`{"scope":"write"}`)).blames("scope")
	s.do("POST", "/api/v2/tokens/1/rotate/", alice, jsonBody(`[]`)).wants(400)
	s.do("POST", "/api/v2/tokens/1/rotate/", alice, jsonBody(`{}`)).wants(200)
}

// TestNumbersAreIDs has a user whose name is the number of nobody, and one whose
// name is another's.
func TestNumbersAreIDs(t *testing.T) {
	s := newSystem(t)
	for _, name := range []string{"99", "4"} {
		if _, err := s.db.InsertUser(t.Context(), store.User{Name: name, Active: true}); err != nil {
			t.Fatal(err)
		}
	}
	admin := basic("admin", "admin-pw")
	s.do("GET", "/api/v2/users/99/", admin).wants(404)
	if doc := s.do("GET", "/api/v2/users/4/", admin).wants(200).json(); doc["username"] != "bob" {
		t.Errorf("4 is %v", doc["username"])
	}
}

// TestEmptySegments has paths that net/http's mux would tidy.
func TestEmptySegments(t *testing.T) {
	s := newSystem(t)
	s.document.Store(nil)
	s.handler = auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Tokens: s.tokens}))
	for _, target := range []string{"", "/", "//", "/api//", "/api/v2/users//", "/api/v2/users//personal_tokens/", "//api/v2/me/", "//api/v2/me", "/api/v2/users/../", "/api/v2/tokens//rotate/"} {
		want := 404
		if target == "/api/v2/users/../" { // a user of that name could exist
			want = 401
		}
		r := s.do("GET", "/", func(r *http.Request) { r.URL = &url.URL{Path: target} })
		if r.status != want || strings.HasPrefix(r.header.Get("Location"), "//") {
			t.Errorf("%q: %d %v", target, r.status, r.header)
		}
	}
	s.do("GET", "/api/login/").wants(404) // no part, no path
	s.do("GET", "/api/v2/applications/", basic("admin", "admin-pw")).wants(404)
}

// picky is a store that is asked for nothing it could not have.
type picky struct {
	*memory.Store
	t *testing.T
}

func (p *picky) check(texts ...string) {
	for _, s := range texts {
		if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || len(s) > 4096 {
			p.t.Errorf("the store is asked for %.80q", s)
		}
	}
}

func (p *picky) UserByID(ctx context.Context, id string) (store.User, error) {
	p.check(id)
	return p.Store.UserByID(ctx, id)
}

func (p *picky) UserByName(ctx context.Context, name string) (store.User, error) {
	p.check(name)
	return p.Store.UserByName(ctx, name)
}

func (p *picky) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	p.check(t.Description, t.Scopes)
	return p.Store.InsertToken(ctx, t, store.InsertLimits{})
}

func (p *picky) UpdateToken(ctx context.Context, t store.Token, minted store.Minted) error {
	p.check(t.Description, t.Scopes)
	return p.Store.UpdateToken(ctx, t, store.KeepMinted)
}

func (p *picky) ListTokens(ctx context.Context, f store.TokenFilter, page store.Page) ([]store.Token, int, error) {
	p.check(f.Scopes, f.OwnerID, f.Search)
	if f.Description != nil {
		p.check(*f.Description)
	}
	return p.Store.ListTokens(ctx, f, page)
}

func TestStoreIsNotAskedForTheImpossible(t *testing.T) { // the contract of package store
	s := newSystem(t, func(o *options) {
		o.db = func(m *memory.Store) database { return &picky{m, t} }
	})
	s.token(s.alice, auth.ScopeWrite)
	admin, alice := basic("admin", "admin-pw"), basic("alice", "alice-pw")
	for _, odd := range []string{"a\x00b", "a\xffb", strings.Repeat("a", 5000), "\xed\xa0\x80"} {
		q := url.QueryEscape(odd)
		for _, r := range []reply{
			s.do("GET", "/api/v2/users/"+url.PathEscape(odd)+"/", admin),
			s.do("POST", "/api/v2/users/"+url.PathEscape(odd)+"/personal_tokens/", admin),
			s.do("GET", "/api/v2/tokens/?description="+q, admin),
			s.do("GET", "/api/v2/tokens/?scope="+q, admin),
			s.do("GET", "/api/v2/tokens/?user="+q, admin),
			s.do("GET", "/api/v2/tokens/?search="+q, admin),
			s.do("POST", "/api/v2/tokens/", alice, jsonBody(`{"description":"`+strings.ReplaceAll(odd, "\x00", `\u0000`)+`"}`)),
			s.do("PATCH", "/api/v2/tokens/1/", alice, jsonBody(`{"description":"`+strings.ReplaceAll(odd, "\x00", `\u0000`)+`"}`)),
			s.do("PATCH", "/api/v2/tokens/1/", alice, jsonBody(`{"description":"\ud800"}`)),
			s.do("POST", "/api/login/", form("username", odd, "password", "x")),
			s.do("GET", "/api/v2/me/", basic(odd, "x")),
		} {
			if r.status >= 500 {
				t.Errorf("%.20q: %d %s", odd, r.status, r.body)
			}
		}
	}
}

func TestApplicationTokensAreNotPersonal(t *testing.T) { // 129, 131
	o := newOAuth(t)
	member := basic("member", "member-pw")
	doc := o.do("POST", "/api/v2/tokens/", member, jsonBody(fmt.Sprintf(`{"application":%d,"scope":"read"}`, o.pc.id))).wants(201).json()
	path := fmt.Sprintf("/api/v2/users/7/personal_tokens/%v/", doc["id"])
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		o.do(method, path, member, jsonBody("{}")).wants(404)
	}
	if n := o.do("GET", "/api/v2/users/7/personal_tokens/", member).wants(200).json()["count"]; n != 0.0 {
		t.Errorf("%v personal tokens", n)
	}
	o.do("DELETE", fmt.Sprintf("/api/v2/tokens/%v/", doc["id"]), member).wants(204)
}

func TestOptionsSayWhatIsRequired(t *testing.T) {
	o := newOAuth(t)
	actions := o.do("OPTIONS", "/api/v2/applications/", basic("admin", "admin-pw")).wants(200).json()["actions"].(map[string]any)
	for action, want := range map[string]bool{"GET": false, "POST": true} {
		name := actions[action].(map[string]any)["name"].(map[string]any)
		if name["required"] != want {
			t.Errorf("%s: the name is required: %v", action, name["required"])
		}
	}
	for target, want := range map[string][]string{
		"/api/v2/tokens/1/rotate/":              {},
		"/api/v2/applications/1/rotate_secret/": {"overlap"},
		"/api/v2/applications/1/tokens/":        {"addresses", "application", "description", "expires", "scope"},
	} {
		post := o.do("OPTIONS", target, basic("admin", "admin-pw")).wants(200).json()["actions"].(map[string]any)["POST"].(map[string]any)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(post)), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: what POST takes (-want +got):\n%s", target, diff)
		}
	}
	for target, allow := range map[string]string{"/api/login/": "GET, POST, HEAD, OPTIONS", "/api/logout/": "GET, POST, HEAD, OPTIONS", "/api/o/token/": "POST, OPTIONS"} {
		if got := o.do("OPTIONS", target).wants(200).header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow: %q", target, got)
		}
	}
}

// The host's resources stand beside this package's in /api/v2/.
func TestLinks(t *testing.T) {
	db := memory.New()
	links := map[string]string{"job_templates": "/api/v2/job_templates/"}
	api := auth.Must(httpapi.New(httpapi.Config{Gate: auth.NewGate(auth.NewBearer(auth.Must(auth.NewTokens(db, db, nil))), nil), Users: db, Links: links}))
	links["late"] = "/late/" // settings are copied
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/api/v2/", nil))
	want := `{"job_templates":"/api/v2/job_templates/","me":"/api/v2/me/"}`
	if got := strings.TrimSpace(w.Body.String()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The name of a user makes no difference to what OPTIONS says about users.
func TestOptionsOfUsers(t *testing.T) { // E10
	s := newSystem(t)
	for _, name := range []string{"tokens", "applications", "rotate", "rotate_secret"} {
		if _, err := s.db.InsertUser(t.Context(), store.User{Name: name, Active: true}); err != nil {
			t.Fatal(err)
		}
		get := s.do("OPTIONS", "/api/v2/users/"+name+"/", basic("admin", "admin-pw")).wants(200).json()["actions"].(map[string]any)["GET"].(map[string]any)
		if get["username"] == nil || get["scope"] != nil || get["overlap"] != nil {
			t.Errorf("%s: %v", name, get)
		}
	}
}
