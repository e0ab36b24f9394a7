package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/clientdoctest"
	"github.com/ostiary/auth/oauth"
)

// A documentSystem has clients that nobody has registered.
type documentSystem struct {
	*oauthSystem
	web *clientdoctest.Server
}

func newDocuments(t *testing.T, opts ...func(*options)) *documentSystem {
	t.Helper()
	d := &documentSystem{web: clientdoctest.New(t)}
	d.oauthSystem = newOAuth(t, append([]func(*options){func(c *options) {
		c.oauth.Issuer = "http://localhost"
		c.oauth.Documents = &oauth.DocumentOptions{Fetcher: d.web.Fetcher(nil)}
	}}, opts...)...)
	return d
}

// client publishes a document with a redirect URI of its host.
func (d *documentSystem) client(path, name string) (c client, uri string) {
	uri = d.web.URL() + "/callback"
	return client{name: d.web.Client(path, name, uri)}, uri
}

func TestDocumentMetadata(t *testing.T) {
	d := newDocuments(t)
	if got := d.do("GET", "/.well-known/oauth-authorization-server").wants(200).json()["client_id_metadata_document_supported"]; got != true {
		t.Errorf("client_id_metadata_document_supported is %v", got)
	}
	if _, said := newOAuth(t).do("GET", "/.well-known/oauth-authorization-server").wants(200).json()["client_id_metadata_document_supported"]; said {
		t.Error("a server without documents announces them")
	}
}

// The whole flow of a client that nobody has registered. From the consent on, the
// server of the document is down.
func TestDocumentFlow(t *testing.T) {
	d := newDocuments(t)
	c, uri := d.client("/client.json", "Tool")
	target := authorizeURL(c, uri)

	// Without a login nothing is fetched and nothing is stored.
	for range 5 {
		if to, _ := d.do("GET", target).location(); to != "/api/login/" {
			t.Fatalf("without a login the browser goes to %s", to)
		}
	}
	if n := d.web.Requests(); n != 0 {
		t.Fatalf("%d requests before the login", n)
	}

	alice := d.login("alice", "alice-pw")
	page := d.do("GET", target, cookie(alice)).wants(200)
	for _, text := range []string{"<strong>" + d.web.Host() + "</strong>", "It says that its name is “Tool”", "Nobody here has checked it"} {
		if !strings.Contains(page.body, text) {
			t.Errorf("the consent page does not say %q:\n%s", text, page.body)
		}
	}
	count := func() float64 {
		return d.do("GET", "/api/v2/applications/?name="+url.QueryEscape(strings.TrimPrefix(c.name, "https://")), basic("admin", "admin-pw")).wants(200).json()["count"].(float64)
	}
	if count() != 0 {
		t.Fatal("the page has stored an application")
	}
	to, v := d.allow(target, alice).location()
	if to != uri || v.Get("code") == "" || v.Get("iss") != "http://localhost" {
		t.Fatalf("redirect to %s with %v", to, v)
	}
	d.web.Stop()
	requests := d.web.Requests()
	if requests != 1 {
		t.Errorf("%d fetches for one flow", requests)
	}
	tokens := c.token(d.oauthSystem, "grant_type", "authorization_code", "code", v.Get("code"), "redirect_uri", uri, "code_verifier", verifier).wants(200).json()
	for range 3 {
		if !d.alive(tokens["access_token"].(string)) {
			t.Fatal("the access token is dead")
		}
		tokens = c.token(d.oauthSystem, "grant_type", "refresh_token", "refresh_token", tokens["refresh_token"].(string)).wants(200).json()
	}
	d.do("POST", "/api/o/revoke_token/", form("client_id", c.name, "token", tokens["access_token"].(string))).wants(200)
	if d.alive(tokens["access_token"].(string)) {
		t.Error("the revoked token lives")
	}
	if n := d.web.Requests(); n != requests {
		t.Errorf("%d fetches after the consent", n-requests)
	}

	app := d.do("GET", "/api/v2/applications/?name="+url.QueryEscape(strings.TrimPrefix(c.name, "https://")), basic("admin", "admin-pw")).wants(200).json()["results"].([]any)[0].(map[string]any)
	got := map[string]any{}
	for _, name := range []string{"name", "description", "client_type", "authorization_grant_type", "organization", "redirect_uris", "skip_authorization", "pkce_required"} {
		got[name] = app[name]
	}
	if diff := cmp.Diff(map[string]any{
		"name": d.web.Host() + "/client.json", "description": "Tool", "client_type": "public", "authorization_grant_type": "authorization-code",
		"organization": 1.0, "redirect_uris": uri, "skip_authorization": false, "pkce_required": true,
	}, got); diff != "" {
		t.Errorf("the application (-want +got):\n%s", diff)
	}
}

// A document of which nothing may be shown or followed has an error page that says
// which rule it breaks. The browser is never sent to a URI that was not checked.
func TestDocumentRefused(t *testing.T) {
	d := newDocuments(t)
	alice := d.login("alice", "alice-pw")
	_, uri := d.client("/client.json", "Tool")
	html := header("Accept", "text/html")
	secret := d.web.Handle("/secret", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("<b>internal answer</b>"))
	})
	for _, tt := range []struct{ name, id, uri, text string }{
		{"an answer that is none", secret, uri, "with status 200 and without a redirect"},
		{"a script", d.web.Client("/script.json", "", "javascript:alert(1)"), "javascript:alert(1)", "must be https addresses of its own host"},
		{"another host", d.web.Client("/other.json", "", "https://evil.example/cb"), "https://evil.example/cb", "must be https addresses of its own host"},
		{"a name that turns the text round", d.web.Client("/name.json", "a\u202eb", uri), uri, "at most 100 visible characters"},
		{"an unregistered URI", d.web.URL() + "/client.json", "https://evil.example/cb", "not one that is registered"},
		{"an address of a local network", "https://169.254.169.254/latest", uri, "full name of a public host"},
		{"a script for a client", "javascript:alert(1)", uri, "not known here"},
	} {
		for _, method := range []string{"GET", "POST"} {
			target := authorizeURL(client{name: tt.id}, tt.uri)
			var r reply
			if method == "GET" {
				r = d.do("GET", target, cookie(alice), html)
			} else {
				r = d.allow(target, alice, html)
			}
			r.wants(400)
			if !strings.Contains(r.body, tt.text) || r.header.Get("Location") != "" {
				t.Errorf("%s: %s does not say %q, or redirects: %v", tt.name, r.body, tt.text, r.header)
			}
			for _, echo := range []string{"internal answer", "evil.example", "javascript:", "418"} {
				if strings.Contains(r.body, echo) {
					t.Errorf("%s: the page has %q:\n%s", tt.name, echo, r.body)
				}
			}
		}
	}
}

// The consent page says where the code goes, and warns about a client that every
// program of the computer can pose as.
func TestDocumentConsentPage(t *testing.T) {
	d := newDocuments(t)
	alice := cookie(d.login("alice", "alice-pw"))
	const warning = "Any program on your computer can pretend to be this application"
	local, both := "http://127.0.0.1/cb", d.web.URL()+"/cb"
	for _, tt := range []struct {
		name       string
		uris       []string
		uri        string
		has, hasnt []string
	}{
		{"loopback alone", []string{local}, "http://127.0.0.1:4711/cb", []string{warning, "<strong>an application on this computer</strong>"}, nil},
		{"localhost alone", []string{"http://localhost/cb"}, "http://localhost:4711/cb", []string{warning, "<strong>localhost:4711</strong>"}, nil},
		{"both", []string{local, both}, both, []string{"<strong>" + d.web.Host() + "</strong>"}, []string{warning}},
	} {
		id := d.web.Client("/"+strings.ReplaceAll(tt.name, " ", "-"), `<b>"Tool"</b>`, tt.uris...)
		page := d.do("GET", authorizeURL(client{name: id}, tt.uri), alice).wants(200).body
		has := append(tt.has, d.web.Host()+" asks for access", "It describes itself at "+id, "It says that its name is “&lt;b&gt;&#34;Tool&#34;&lt;/b&gt;”")
		for _, text := range has {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the page does not say %q:\n%s", tt.name, text, page)
			}
		}
		for _, text := range append(tt.hasnt, "<b>", "Default") {
			if strings.Contains(page, text) {
				t.Errorf("%s: the page says %q:\n%s", tt.name, text, page)
			}
		}
	}
}

// A consent is for what the page showed: a document that has changed meanwhile is
// shown again. The consent of another user meanwhile does not matter.
func TestDocumentChangedMeanwhile(t *testing.T) {
	d := newDocuments(t)
	c, uri := d.client("/client.json", "Tool")
	target := authorizeURL(c, uri)
	alice, bob := d.login("alice", "alice-pw"), d.login("bob", "bob-pw")
	shown := d.do("GET", target, cookie(alice)).wants(200).field("shown")
	if _, v := d.allow(target, bob).location(); v.Get("code") == "" {
		t.Fatalf("no code: %v", v)
	}
	answer := func() reply { return d.allow(target+"&shown="+url.QueryEscape(shown), alice) }
	if _, v := answer().location(); v.Get("code") == "" {
		t.Errorf("the consent of another user came between: %v", v)
	}
	d.web.Client("/client.json", "Tool", uri, "http://127.0.0.1/cb")
	o := d.oauth
	o.Documents = &oauth.DocumentOptions{Fetcher: d.web.Fetcher(nil)}
	d.serve(auth.Must(oauth.NewServer(d.tokens, d.db, d.db, &o)))
	if r := answer().wants(200); !strings.Contains(r.body, "This page was out of date") {
		t.Errorf("a changed document was agreed to: %s", r.body)
	}
}

// Programs that use tokens make no fetch, whatever they send, and neither do people
// without a login.
func TestDocumentFloods(t *testing.T) {
	d := newDocuments(t)
	_, uri := d.client("/client.json", "Tool")
	for i := range 20 {
		id := d.web.Client(fmt.Sprint("/", i), "", uri)
		d.do("GET", authorizeURL(client{name: id}, uri)).wants(302)
		d.do("HEAD", authorizeURL(client{name: id}, uri)).wants(302)
		d.allow(authorizeURL(client{name: id}, uri), &http.Cookie{Name: "session", Value: "x"}).wants(302)
		d.do("GET", "/api/v2/me/", bearer(id)).wants(401)
		if i < 6 { // 30 failures, and then the limit
			d.do("POST", "/api/o/device_authorization/", form("client_id", id)).fails(401, "invalid_client")
			for _, grant := range []string{"authorization_code", "refresh_token"} {
				d.do("POST", "/api/o/token/", form("client_id", id, "grant_type", grant, "code", "x", "refresh_token", "x")).fails(401, "invalid_client")
			}
			d.do("POST", "/api/o/introspect/", form("client_id", id, "token", "x")).fails(401, "invalid_client")
			d.do("POST", "/api/o/revoke_token/", form("client_id", id, "token", "x")).fails(401, "invalid_client")
		}
	}
	if n := d.web.Requests(); n != 0 {
		t.Errorf("%d fetches", n)
	}
	if n := d.do("GET", "/api/v2/applications/", basic("admin", "admin-pw")).wants(200).json()["count"]; n != 4.0 {
		t.Errorf("%v applications, want the 4 that are registered", n)
	}
}

// Administrators see and delete the application by AWX's API, which has no field for
// disabled applications.
func TestDocumentInLists(t *testing.T) {
	d := newDocuments(t)
	c, uri := d.client("/client.json", "Tool")
	target, alice := authorizeURL(c, uri), d.login("alice", "alice-pw")
	d.allow(target, alice).location()
	list := d.do("GET", "/api/v2/applications/?order_by=-id", basic("orgadmin", "orgadmin-pw")).wants(200).json()["results"].([]any)
	app := list[0].(map[string]any)
	if app["client_id"] != c.name {
		t.Fatalf("the newest application is %v", app)
	}
	path := app["url"].(string)
	d.do("PATCH", path, basic("orgadmin", "orgadmin-pw"), jsonBody(`{"redirect_uris":"https://evil.example/"}`)).wants(400)
	// What was read can be sent back.
	d.do("PUT", path, basic("orgadmin", "orgadmin-pw"), body("application/json", d.do("GET", path, basic("orgadmin", "orgadmin-pw")).body)).wants(200)
	off := true
	by := &auth.Principal{ID: d.orgadmin.ID, Scopes: auth.Unrestricted, Credential: auth.CredentialSession}
	if _, err := d.server.ChangeApplication(t.Context(), by, int64(app["id"].(float64)), oauth.ApplicationChange{Disabled: &off}); err != nil {
		t.Fatal(err)
	}
	d.do("GET", target, cookie(alice)).wants(400)
	d.do("DELETE", path, basic("orgadmin", "orgadmin-pw")).wants(204)
	d.do("GET", target, cookie(alice)).wants(200)
}
