package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

// withGatewayPaths serves the system below /api/gateway/v1/, too.
func withGatewayPaths(t *testing.T) *system {
	s := newSystem(t)
	s.document.Store(nil)
	s.handler = s.session.Handler(auth.Must(httpapi.New(httpapi.Config{
		Gate: s.gate, Users: s.db, Passwords: s.passwords, Session: s.session, Tokens: s.tokens, GatewayPaths: true,
	})))
	return s
}

func TestGatewayPaths(t *testing.T) {
	s := withGatewayPaths(t)
	const prefix = "/api/gateway/v1/"
	admin := basic("admin", "admin-pw")
	// A token as the collection and the command of later versions ask for it.
	created := s.do("POST", prefix+"tokens/", admin, jsonBody(`{"description":"x","application":null,"scope":"write"}`)).wants(201).json()
	token := bearer(fmt.Sprint(created["token"]))
	if created["url"] != fmt.Sprintf("/api/v2/tokens/%v/", created["id"]) {
		t.Errorf("url %v", created["url"])
	}
	s.do("GET", prefix+"me/", token).wants(200)
	s.do("GET", prefix+"users/alice/", token).wants(200)
	s.do("POST", prefix+"users/1/personal_tokens/", token, jsonBody(`{"scope":"read"}`)).wants(201)
	if r := s.do("GET", prefix+"tokens/?page_size=1", token).wants(200); !strings.Contains(r.body, `"next":"`+prefix+`tokens/?page=2`) {
		t.Errorf("the next page is elsewhere: %s", r.body)
	}
	if r := s.do("GET", prefix+"me?x=1", token).wants(301); r.header.Get("Location") != prefix+"me/?x=1" {
		t.Errorf("without the last slash: %v", r.header)
	}
	// The rules are the same: who, scopes, methods, origins.
	s.do("GET", prefix+"me/").is401()
	s.do("GET", prefix+"me/", bearer("dead")).wants(401)
	s.do("POST", prefix+"tokens/", bearer(s.token(s.admin, auth.ScopeRead)), jsonBody("{}")).wants(403)
	s.do("DELETE", prefix+"me/", token).wants(405)
	s.do("GET", prefix+"tokens/", basic("admin", "wrong")).is401()

	c := s.do("POST", prefix+"login/", form("username", "alice", "password", "alice-pw")).wants(302).cookies()
	if c["session"] == nil || c["csrftoken"] == nil || c["session"].Path != "/" {
		t.Fatalf("cookies %v", c)
	}
	s.do("POST", prefix+"login/", form("username", "alice", "password", "alice-pw"), header("Sec-Fetch-Site", "cross-site")).wants(403)
	s.do("GET", prefix+"me/", cookie(c["session"])).wants(200)
	s.do("GET", "/api/v2/me/", cookie(c["session"])).wants(200)
	s.do("POST", prefix+"tokens/", cookie(c["session"]), header("Origin", "https://evil.example"), jsonBody("{}")).wants(403)
	s.do("GET", prefix+"logout/", cookie(c["session"]), header("Sec-Purpose", "prefetch")).wants(403)
	s.do("GET", prefix+"logout/", cookie(c["session"])).wants(302)
	s.do("GET", "/api/v2/me/", cookie(c["session"])).is401()

	s.do("DELETE", fmt.Sprintf("%stokens/%v/", prefix, created["id"]), admin).wants(204)
	s.do("GET", prefix+"me/", token).wants(401)
}

// The index of the gateway's paths is an object of links, to everybody. Each link
// leads somewhere.
func TestGatewayLinks(t *testing.T) {
	s := withGatewayPaths(t)
	index := s.do("GET", "/api/gateway/v1/").wants(200).json()
	if diff := cmp.Diff(map[string]any{"me": "/api/gateway/v1/me/", "tokens": "/api/gateway/v1/tokens/"}, index); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	for _, link := range index {
		s.do("GET", link.(string), basic("alice", "alice-pw")).wants(200)
	}
	if r := s.do("GET", "/api/gateway/v1").wants(301); r.header.Get("Location") != "/api/gateway/v1/" {
		t.Errorf("without the last slash: %v", r.header)
	}
	s.do("POST", "/api/gateway/v1/", basic("alice", "alice-pw"), jsonBody("{}")).wants(405)
	s.do("OPTIONS", "/api/gateway/v1/").wants(200)
	if v2 := s.do("GET", "/api/v2/").wants(200).json(); v2["me"] != "/api/v2/me/" {
		t.Errorf("the other index is %v", v2)
	}
	newSystem(t).do("GET", "/api/gateway/v1/").wants(404)
}

// TestNoGatewayPaths holds that these paths are 404 with every credential, unless
// the host asks for them: clients go on to /api/v2/ after exactly that.
func TestNoGatewayPaths(t *testing.T) {
	s := newSystem(t)
	for _, path := range []string{"/api/gateway/v1/tokens/", "/api/gateway/v1/me/", "/api/gateway/v1/login/"} {
		for name, credential := range map[string]with{
			"Basic": basic("admin", "admin-pw"), "a wrong password": basic("admin", "wrong"), "a dead token": bearer("dead"),
			"another site": header("Sec-Fetch-Site", "cross-site"), "nothing": func(*http.Request) {},
		} {
			if r := s.do("POST", path, credential, jsonBody("{}")); r.status != 404 {
				t.Errorf("%s with %s: %d", path, name, r.status)
			}
		}
	}
}

// TestGatewayScopes has the scopes that clients of the Ansible platform ask for.
// They are good where the host lists them, and let nobody do anything by themselves.
func TestGatewayScopes(t *testing.T) {
	listed := newOAuth(t, func(o *options) { o.tokens.Scopes = []string{"openid", "roles"} })
	for scope, permits := range map[string]int{
		"openid roles read": 200, "roles openid write": 200, "openid": 403, "openid roles": 403,
	} {
		doc := listed.cc.token(listed, "grant_type", "authorization_code", "code", listed.code(listed.cc, callback, "scope", scope),
			"redirect_uri", callback, "code_verifier", verifier).wants(200).json()
		if doc["scope"] != scope || doc["id_token"] != nil {
			t.Errorf("%s: %v", scope, doc)
		}
		access := bearer(fmt.Sprint(doc["access_token"]))
		listed.do("GET", "/api/v2/me/", access).wants(permits)
		if !strings.Contains(scope, "write") {
			listed.do("POST", "/api/v2/tokens/", access, jsonBody("{}")).wants(403)
		}
	}
	other := newOAuth(t)
	_, v := other.do("GET", authorizeURL(other.cc, callback, "scope", "openid read"), cookie(other.login("alice", "alice-pw"))).location()
	if v.Get("error") != "invalid_scope" {
		t.Errorf("scopes that nobody listed: %v", v)
	}
}
