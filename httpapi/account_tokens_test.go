package httpapi_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

// newest returns the newest token of alice.
func (s *pageSystem) newest() store.Token {
	s.t.Helper()
	list, _, err := s.db.ListTokens(s.t.Context(), store.TokenFilter{UserID: s.alice.ID}, store.Page{Limit: 1, Order: store.OrderID, Descending: true})
	if err != nil || len(list) == 0 {
		s.t.Fatalf("%d tokens, %v", len(list), err)
	}
	return list[0]
}

func (s *pageSystem) count() int {
	s.t.Helper()
	_, n, err := s.db.ListTokens(s.t.Context(), store.TokenFilter{UserID: s.alice.ID}, store.Page{})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func tokenPath(id int64) string { return "tokens/" + strconv.FormatInt(id, 10) + "/" }

func TestCreateTokenPage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	if r := s.get("tokens/").wants(200); !strings.Contains(r.text(), "You have no access tokens yet") {
		t.Errorf("page:\n%s", r.text())
	}
	empty := s.get("tokens/new/").wants(200)
	day := time.Now().UTC().Add(48 * time.Hour).Format("2006-01-02")
	filled := []string{
		"description", "back<b>up", "scope", "read", "expires", day, "addresses", "192.0.2.1/24\r\n2001:db8::1, 198.51.100.7",
		"newest", empty.field("newest"), "shown", empty.field("shown"),
	}
	r := s.send("tokens/new/", filled...)
	secret := r.secret("token")
	if s.whoami(bearer(secret), from("192.0.2.9:1")) != "alice" || s.whoami(bearer(secret), from("203.0.113.1:1")) != "" {
		t.Error("the token is good for others than the addresses, or not for them")
	}
	got := s.newest()
	if got.Description != "back<b>up" || got.Scopes != "read" || got.Expires.Format(time.DateTime) != day+" 23:59:59" {
		t.Errorf("token %+v", got)
	}
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("198.51.100.7/32")}
	if diff := cmp.Diff(want, got.Addresses, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	// The same form again, by a second click or a reload, makes nothing.
	s.done(s.send("tokens/new/", filled...), "sent twice")
	if s.count() != 1 {
		t.Errorf("%d tokens", s.count())
	}
	// The form opened anew makes another one with the same description.
	filled[9] = s.get("tokens/new/").field("newest")
	s.send("tokens/new/", filled...).secret("token")
	if s.count() != 2 {
		t.Errorf("%d tokens", s.count())
	}
	// No page has the secret again.
	for _, path := range []string{"tokens/", tokenPath(got.ID), tokenPath(got.ID) + "revoke/"} {
		if r := s.get(path).wants(200); strings.Contains(r.body, secret) || strings.Contains(r.body, "back<b>up") || !strings.Contains(r.body, "back&lt;b&gt;up") {
			t.Errorf("%s shows a secret, or text that is not escaped:\n%s", path, r.body)
		}
	}
}

func TestCreateTokenRefused(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{}, func(o *options) { o.tokens.MaxPersonalLifetime = 60 * 24 * time.Hour })
	in := func(days int) string { return time.Now().UTC().AddDate(0, 0, days).Format("2006-01-02") }
	for name, tt := range map[string]struct {
		pairs []string
		marks string
	}{
		"no description":       {[]string{"scope", "read"}, "description"},
		"blanks":               {[]string{"description", "  ", "scope", "read"}, "description"},
		"a long one":           {[]string{"description", strings.Repeat("x", 5000), "scope", "read"}, "description"},
		"no scope":             {[]string{"description", "x"}, "scope"},
		"an unknown one":       {[]string{"description", "x", "scope", "admin"}, "scope"},
		"all":                  {[]string{"description", "x", "scope", "*"}, "scope"},
		"an empty one":         {[]string{"description", "x", "scope", ""}, "scope"},
		"several in one":       {[]string{"description", "x", "scope", "read  write"}, "scope"},
		"no date":              {[]string{"description", "x", "scope", "read", "expires", "soon"}, "expires"},
		"yesterday":            {[]string{"description", "x", "scope", "read", "expires", in(-1)}, "expires"},
		"too late":             {[]string{"description", "x", "scope", "read", "expires", in(61)}, "expires"},
		"far too late":         {[]string{"description", "x", "scope", "read", "expires", "9999-12-31"}, "expires"},
		"a time":               {[]string{"description", "x", "scope", "read", "expires", in(2) + "T10:00:00Z"}, "expires"},
		"no address":           {[]string{"description", "x", "scope", "read", "addresses", "here"}, "addresses"},
		"an address and a bit": {[]string{"description", "x", "scope", "read", "addresses", "192.0.2.0/33"}, "addresses"},
		"too many":             {[]string{"description", "x", "scope", "read", "addresses", strings.Repeat("192.0.2.1 ", 65)}, "addresses"},
		"everything":           {[]string{"expires", "x", "addresses", "x"}, "description scope expires addresses"},
	} {
		t.Run(name, func(t *testing.T) {
			s.send("tokens/new/", tt.pairs...).marks(strings.Fields(tt.marks)...)
		})
	}
	if s.count() != 0 {
		t.Errorf("%d tokens", s.count())
	}
	// The last day that there is ends with the longest lifetime.
	s.send("tokens/new/", "description", "x", "scope", "read", "scope", "write", "expires", in(60)).secret("token")
	if got := s.newest(); got.Scopes != "write" || time.Until(got.Expires) < 59*24*time.Hour {
		t.Errorf("token %+v", got)
	}
	// Without a date the default counts.
	s.send("tokens/new/", "description", "x", "scope", "read").secret("token")
	if d := time.Until(s.newest().Expires).Round(time.Hour); d != 30*24*time.Hour {
		t.Errorf("lives for %v", d)
	}
}

func TestShortTokens(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{}, func(o *options) {
		o.tokens.PersonalLifetime, o.tokens.MaxPersonalLifetime = time.Hour, 5*time.Hour
	})
	if r := s.get("tokens/new/").wants(200); !strings.Contains(r.text(), "It lives for 1 hour.") || strings.Contains(r.body, `type="date"`) {
		t.Errorf("page:\n%s", r.text())
	}
	s.send("tokens/new/", "description", "x", "scope", "read", "expires", "2099-01-01").secret("token")
	if d := time.Until(s.newest().Expires).Round(time.Minute); d != time.Hour {
		t.Errorf("lives for %v", d)
	}
}

func TestTokenPage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{}, func(o *options) { o.tokens.Scopes = []string{"deploy"} })
	secret := s.token(s.alice, "write")
	first := s.newest()
	path := tokenPath(first.ID)
	page := s.get(path).wants(200)
	revision := page.field("revision")
	s.done(s.send(path, "description", "x", "scope", "read", "revision", revision), "The token was changed.")
	if got := s.newest(); got.Scopes != "read" || got.Description != "x" {
		t.Errorf("token %+v", got)
	}
	// What was shown is out of date.
	s.done(s.send(path, "description", "y", "revision", revision), "changed meanwhile")
	s.done(s.send(path, "rotate", "1", "revision", revision), "changed meanwhile")
	if s.newest().Description != "x" || s.whoami(bearer(secret)) != "alice" {
		t.Error("a form that was out of date did something")
	}
	// Scopes only narrow: there is no choice any more, and none is taken.
	s.done(s.send(path, "description", "z", "scope", "write"), "changed")
	if got := s.newest(); got.Scopes != "read" {
		t.Errorf("scopes %q", got.Scopes)
	}
	revision = s.get(path).field("revision")
	next := s.send(path, "rotate", "1", "revision", revision).secret("token")
	if next == secret || s.whoami(bearer(secret)) != "" || s.whoami(bearer(next)) != "alice" {
		t.Error("the secret was not replaced")
	}
	s.done(s.send(path, "rotate", "1", "revision", revision), "changed meanwhile") // a reload
	if s.whoami(bearer(next)) != "alice" {
		t.Error("a reload replaced the secret again")
	}

	s.token(s.alice, "write deploy")
	wide := s.newest()
	s.send(tokenPath(wide.ID), "description", "x").marks("scope")
	day := func(t time.Time) string { return t.UTC().Format("2006-01-02") }
	for _, expires := range []string{"soon", "2020-01-01", day(wide.Expires.AddDate(0, 0, 1)), "9999-12-31", day(wide.Expires) + " "} {
		r := s.send(tokenPath(wide.ID), "description", "x", "scope", "write", "scope", "deploy", "expires", expires)
		if strings.HasSuffix(expires, " ") { // the day that it is
			s.done(r, "changed")
			continue
		}
		r.marks("expires")
	}
	if got := s.newest(); !got.Expires.Equal(wide.Expires) || got.Scopes != wide.Scopes {
		t.Errorf("token %+v", got)
	}
	tomorrow := day(time.Now().Add(24 * time.Hour))
	s.done(s.send(tokenPath(wide.ID), "description", "x", "scope", "write", "scope", "deploy", "expires", tomorrow), "changed")
	if got := s.newest(); got.Expires.Format(time.DateTime) != tomorrow+" 23:59:59" {
		t.Errorf("expires %v", got.Expires)
	}
	s.send(tokenPath(wide.ID), "description", "x", "scope", "admin").marks("scope")
	s.send(tokenPath(wide.ID), "description", strings.Repeat("x", 5000), "scope", "read").marks("description")
	if s.newest().Scopes != wide.Scopes {
		t.Errorf("scopes %q", s.newest().Scopes)
	}
}

// TestTokensOfOthers tries the pages of tokens that are not the visitor's own
// personal ones, as users and as a superuser.
func TestTokensOfOthers(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	secret := s.token(s.bob, "write")
	s.token(s.alice, "write")
	access, _ := s.pair() // alice's, of an application
	list, _, err := s.db.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 9})
	if err != nil || len(list) != 3 {
		t.Fatal(len(list), err)
	}
	ids := map[string]bool{"0": true, "-1": true, "99": true, "x": true, "9223372036854775808": true, "01": true}
	for _, tok := range list {
		if tok.UserID == s.bob.ID || tok.ApplicationID != 0 {
			ids[strconv.FormatInt(tok.ID, 10)] = true
		}
	}
	for _, who := range []*pageSystem{s, s.as("admin"), s.as("auditor"), s.as("orgadmin")} {
		for id := range ids {
			for _, end := range []string{"", "revoke/"} {
				r := who.get("tokens/" + id + "/" + end).wants(404)
				if strings.Contains(r.text(), "bob") {
					t.Errorf("page:\n%s", r.text())
				}
			}
			who.send("tokens/"+id+"/", "description", "changed").wants(404)
			who.send("tokens/"+id+"/", "rotate", "1").wants(404)
			who.send("tokens/" + id + "/revoke/").wants(303) // as if it had been revoked before
		}
	}
	if s.whoami(bearer(secret)) != "bob" || s.whoami(bearer(access)) != "alice" {
		t.Error("a token of others ended")
	}
	if r := s.as("admin").get("tokens/").wants(200); !strings.Contains(r.text(), "no access tokens yet") {
		t.Errorf("the superuser's own tokens:\n%s", r.text())
	}
}

// TestRevokePage says what ends with a token before it ends.
func TestRevokePage(t *testing.T) {
	for name, tt := range map[string]struct {
		minting  auth.Minting
		says     string
		all      bool
		survives bool
	}{
		"children":               {auth.MintChildren, "“child <1>”, which ends, too", false, false},
		"independent":            {auth.InsecureMintIndependent, "“child <1>”, which goes on without it", false, true},
		"independent, all of it": {auth.InsecureMintIndependent, "“child <1>”, which goes on without it", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newPages(t, httpapi.PageOptions{}, func(o *options) { o.tokens.Minting = tt.minting })
			secret := s.token(s.alice, "write")
			path := tokenPath(s.newest().ID)
			var child string
			for i := range 12 {
				child, _ = s.do("POST", "/api/v2/tokens/", bearer(secret), jsonBody(fmt.Sprintf(`{"scope":"read","description":"child <%d>"}`, i))).wants(201).json()["token"].(string)
			}
			r := s.get(path + "revoke/").wants(200)
			if text := r.text(); !strings.Contains(text, tt.says) || !strings.Contains(text, "The same is so for 2 more.") {
				t.Errorf("page:\n%s", text)
			}
			if got := strings.Contains(r.body, `name="all"`); got != (tt.minting == auth.InsecureMintIndependent) {
				t.Errorf("offers to end what outlives it: %v", got)
			}
			var pairs []string
			if tt.all {
				pairs = []string{"all", "1"}
			}
			for range 2 {
				s.done(s.send(path+"revoke/", pairs...), "The token was revoked.")
			}
			if s.whoami(bearer(secret)) != "" || (s.whoami(bearer(child)) == "alice") != tt.survives {
				t.Error("not exactly what the page said has ended")
			}
		})
	}
}

func TestTokenListPages(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	for range 41 {
		s.token(s.alice, "read")
	}
	for query, says := range map[string]string{"": "1 to 20 of 41", "?page=2": "21 to 40 of 41", "?page=3": "41 to 41 of 41", "?page=x": "1 to 20 of 41", "?page=-1": "1 to 20 of 41", "?page=99999999999": "1 to 20 of 41"} {
		if r := s.get("tokens/" + query).wants(200); !strings.Contains(r.text(), says) {
			t.Errorf("%s does not say %q", query, says)
		}
	}
	s.get("tokens/?page=900").wants(200)
}
