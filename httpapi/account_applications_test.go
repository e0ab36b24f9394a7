package httpapi_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

func TestConnectionsPage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	path := "connections/" + strconv.FormatInt(s.cc.id, 10) + "/"
	if r := s.get("connections/").wants(200); !strings.Contains(r.text(), "No application has access") {
		t.Errorf("page:\n%s", r.text())
	}
	s.get(path).wants(404)
	access, refresh := s.pair()
	if !s.alive(access) {
		t.Fatal("no access")
	}
	if text := s.get("connections/").wants(200).text(); !strings.Contains(text, "cc") || !strings.Contains(text, "read everything that you can read") || !strings.Contains(text, "Goes to app.example") || !strings.Contains(text, "Last used  just now") {
		t.Errorf("page:\n%s", text)
	}
	if text := s.as("bob").get("connections/").wants(200).text(); !strings.Contains(text, "No application has access") {
		t.Errorf("bob's page:\n%s", text)
	}
	s.done(s.as("bob").send(path), "no access any more") // of bob, who gave none
	if !s.alive(access) {
		t.Fatal("bob withdrew what alice gave")
	}
	if text := s.get(path).wants(200).text(); !strings.Contains(text, "end the access of “cc”") {
		t.Errorf("page:\n%s", text)
	}
	for range 2 {
		s.done(s.send(path), "The application has no access any more.")
	}
	if s.alive(access) {
		t.Error("the access token lives")
	}
	s.cc.token(s.oauthSystem, "grant_type", "refresh_token", "refresh_token", refresh).fails(400, "invalid_grant")
	// An application that got tokens without a consent on record is there, too.
	access = s.pp.token(s.oauthSystem, "grant_type", "password", "username", "alice", "password", "alice-pw").wants(200).json()["access_token"].(string)
	if text := s.get("connections/").wants(200).text(); !strings.Contains(text, "pp") {
		t.Errorf("page:\n%s", text)
	}
	s.done(s.send("connections/"+strconv.FormatInt(s.pp.id, 10)+"/"), "no access any more")
	if s.alive(access) {
		t.Error("the token of the password grant lives")
	}
}

var registration = []string{
	"name", "News <b>", "description", "d", "organization", "1", "client_type", "confidential",
	"authorization_grant_type", "authorization-code", "redirect_uris", "https://a.example/cb\r\nhttps://b.example/cb",
}

// but returns the pairs with some replaced; an empty value stays.
func but(pairs []string, changes ...string) []string {
	list := append([]string(nil), pairs...)
	for i := 0; i < len(changes); i += 2 {
		found := false
		for j := 0; j < len(list); j += 2 {
			if list[j] == changes[i] {
				list[j+1], found = changes[i+1], true
			}
		}
		if !found {
			list = append(list, changes[i], changes[i+1])
		}
	}
	return list
}

func TestApplicationPages(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{}).as("orgadmin")
	if text := s.get("applications/").wants(200).text(); !strings.Contains(text, "cc") || !strings.Contains(text, "Default") {
		t.Errorf("page:\n%s", text)
	}
	r := s.send("applications/new/", registration...)
	secret, clientID := r.secret("client_secret"), r.secret("client_id")
	s.done(s.send("applications/new/", registration...), "sent twice")
	m := regexp.MustCompile(`href="/api/account/(applications/\d+/)">\s*News &lt;b&gt;`).FindStringSubmatch(s.get("applications/").body)
	if m == nil {
		t.Fatalf("not listed:\n%s", s.get("applications/").text())
	}
	path := m[1]
	page := s.get(path).wants(200)
	if !strings.Contains(page.body, clientID) || strings.Contains(page.body, secret) || !strings.Contains(page.body, "https://a.example/cb\nhttps://b.example/cb") {
		t.Errorf("page:\n%s", page.text())
	}
	revision := page.field("revision")
	s.done(s.send(path, "name", "News", "description", "", "redirect_uris", "https://a.example/cb", "revision", revision), "The application was changed.")
	s.done(s.send(path, "name", "Olds", "redirect_uris", "https://evil.example/cb", "revision", revision), "changed meanwhile")
	s.send(path, "name", "", "redirect_uris", "https://a.example/cb").marks("name")
	s.send(path, "name", "cc", "redirect_uris", "https://a.example/cb").marks("name") // which is taken
	s.send(path, "name", "a\u200bb", "redirect_uris", "").marks("name", "redirect_uris")
	s.send(path, "name", "News", "redirect_uris", "http://a.example/cb").marks("redirect_uris")
	s.send(path, "name", "News", "redirect_uris", "https://a.example/cb", "description", strings.Repeat("x", 5000)).marks("description")

	revision = s.get(path).field("revision")
	next := s.send(path, "rotate", "1", "overlap", "0", "revision", revision).secret("client_secret")
	s.done(s.send(path, "rotate", "1", "overlap", "0", "revision", revision), "changed meanwhile") // a reload
	app := client{name: clientID, secret: next}
	app.token(s.oauthSystem, "grant_type", "authorization_code", "code", "x", "redirect_uri", "https://a.example/cb").fails(400, "invalid_grant")
	app.secret = secret
	app.token(s.oauthSystem, "grant_type", "authorization_code", "code", "x", "redirect_uri", "https://a.example/cb").fails(401, "invalid_client")
	for _, overlap := range []string{"", "x", "-1", "99999999"} {
		s.send(path, "rotate", "1", "overlap", overlap).wants(400)
	}

	if text := s.get(path + "delete/").wants(200).text(); !strings.Contains(text, "delete “News”") {
		t.Errorf("page:\n%s", text)
	}
	for range 2 {
		s.done(s.send(path+"delete/"), "The application was deleted.")
	}
	s.get(path).wants(404)
}

func TestRegisterRefused(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	for _, user := range []string{"alice", "member", "auditor"} { // who manage nothing
		who := s.as(user)
		if text := who.get("applications/").wants(200).text(); !strings.Contains(text, "You manage no applications") {
			t.Errorf("%s sees:\n%s", user, text)
		}
		who.get("applications/new/").wants(403)
		who.send("applications/new/", registration...).wants(403)
		for _, path := range []string{"applications/3/", "applications/3/delete/", "applications/99/", "applications/x/"} {
			who.get(path).wants(404)
		}
		who.send("applications/3/", "name", "changed", "redirect_uris", callback).wants(404)
		who.send("applications/3/", "rotate", "1", "overlap", "0").wants(404)
		who.send("applications/3/delete/").wants(303) // as if it were gone
	}
	s.pair() // with the application and its secret as they were
	who := s.as("orgadmin")
	for name, tt := range map[string]struct {
		pairs []string
		marks string
	}{
		"no name":              {but(registration, "name", ""), "name"},
		"a long one":           {but(registration, "name", strings.Repeat("x", 256)), "name"},
		"an invisible one":     {but(registration, "name", "a\u202eb"), "name"},
		"one that is taken":    {but(registration, "name", "cc"), "name"},
		"no organization":      {but(registration, "organization", ""), "organization"},
		"a word":               {but(registration, "organization", "Default"), "organization"},
		"no client type":       {but(registration, "client_type", ""), "client_type"},
		"an unknown one":       {but(registration, "client_type", "secret"), "client_type"},
		"no grant type":        {but(registration, "authorization_grant_type", ""), "authorization_grant_type"},
		"one of RFC 6749":      {but(registration, "authorization_grant_type", "implicit"), "authorization_grant_type"},
		"a public machine":     {but(registration, "client_type", "public", "authorization_grant_type", "client-credentials"), "client_type"},
		"no redirect URI":      {but(registration, "redirect_uris", ""), "redirect_uris"},
		"one that is a script": {but(registration, "redirect_uris", "javascript:alert(1)"), "redirect_uris"},
		"plain HTTP":           {but(registration, "redirect_uris", "http://a.example/cb"), "redirect_uris"},
		"the same twice":       {but(registration, "redirect_uris", "https://a.example/cb https://a.example/cb"), "redirect_uris"},
		"no consent":           {but(registration, "skip_authorization", "1"), "skip_authorization"},
		"nothing":              {nil, "organization"},
	} {
		t.Run(name, func(t *testing.T) {
			who.send("applications/new/", tt.pairs...).marks(strings.Fields(tt.marks)...)
		})
	}
	who.send("applications/new/", but(registration, "organization", "2")...).wants(403)
	if text := who.get("applications/").wants(200).text(); strings.Contains(text, "News") {
		t.Errorf("it was registered:\n%s", text)
	}
	// A superuser may switch consent off, and a public application has no secret.
	admin := s.as("admin")
	admin.send("applications/new/", but(registration, "skip_authorization", "1")...).secret("client_secret")
	r := admin.send("applications/new/", but(registration, "name", "public", "client_type", "public", "skip_authorization", "1")...)
	r.marks("skip_authorization")
	if r := admin.send("applications/new/", but(registration, "name", "public", "client_type", "public")...).wants(200); strings.Contains(r.body, `id="client_secret"`) {
		t.Errorf("page:\n%s", r.text())
	}
}

// Superusers say on the pages what an application stands for, and nobody else does.
func TestResourceOnPages(t *testing.T) {
	const jobs = "https://jobs.example/"
	s := newPages(t, httpapi.PageOptions{}, func(c *options) { c.oauth.Resources = []string{jobs} })
	cc := "applications/" + strconv.FormatInt(s.cc.id, 10) + "/"
	admin, other := s.as("admin"), s.as("orgadmin")
	form := []string{"name", "cc", "redirect_uris", callback}
	stands := func(want string) {
		t.Helper()
		if got := s.do("GET", s.cc.path(), as("admin")).wants(200).json()["resource"]; got != want {
			t.Errorf("the application stands for %q, want %q", got, want)
		}
	}
	admin.send(cc, but(form, "resource", "https://unknown.example/")...).marks("resource")
	admin.done(admin.send(cc, but(form, "resource", jobs)...), "The application was changed.")
	if got := admin.get(cc).wants(200).field("resource"); got != jobs {
		t.Errorf("the page shows %q, want %q", got, jobs)
	}
	admin.done(admin.send(cc, form...), "The application was changed.") // a template without the field
	stands(jobs)
	admin.done(admin.send(cc, but(form, "resource", "")...), "The application was changed.")
	stands("")

	if page := other.get(cc).wants(200); strings.Contains(page.body, `name="resource"`) {
		t.Errorf("page:\n%s", page.text())
	}
	other.done(other.send(cc, but(form, "resource", jobs)...), "The application was changed.")
	stands("")
	other.send("applications/new/", but(registration, "resource", jobs)...).marks("resource")
	admin.send("applications/new/", but(registration, "resource", jobs, "client_type", "public")...).marks("resource")
	admin.send("applications/new/", but(registration, "resource", jobs)...).secret("client_secret")
}

// The page has applications by name, or by organization where that are too many.
func TestPageOfVeryManyApplications(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	for i := range store.MaxCount + 1 {
		app := store.Application{Name: fmt.Sprintf("app %05d", i), ClientID: fmt.Sprint("client ", i), OrganizationID: 1}
		if _, err := s.db.InsertApplication(t.Context(), app); err != nil {
			t.Fatal(err)
		}
	}
	if text := s.as("admin").get("applications/").wants(200).text(); !strings.Contains(text, "app 00000") {
		t.Errorf("page:\n%s", text)
	}
}
