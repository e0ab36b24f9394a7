package httpapi_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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
