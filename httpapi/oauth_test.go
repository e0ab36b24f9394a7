package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
)

// Case 180.
func TestOAuthRoot(t *testing.T) {
	o := newOAuth(t)
	want := map[string]any{"authorize": "/api/o/authorize/", "token": "/api/o/token/", "revoke_token": "/api/o/revoke_token/"}
	if diff := cmp.Diff(want, o.do("GET", "/api/o/").wants(200).json()); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if got := o.do("GET", "/api/").wants(200).json()["oauth2"]; got != "/api/o/" {
		t.Errorf("oauth2 is %v in /api/", got)
	}
}

// Cases 181 and 182.
func TestTokenByPassword(t *testing.T) {
	o := newOAuth(t)
	for name, r := range map[string]reply{
		"Basic":  o.pc.token(o, "grant_type", "password", "username", "alice", "password", "alice-pw", "scope", "read"),
		"body":   o.do("POST", "/api/o/token/", form("grant_type", "password", "username", "alice", "password", "alice-pw", "scope", "read", "client_id", o.pc.name, "client_secret", o.pc.secret)),
		"public": o.pp.token(o, "grant_type", "password", "username", "alice", "password", "alice-pw", "scope", "read"),
		"foreign origin, case 194": o.do("POST", "/api/o/token/", form("grant_type", "password", "username", "alice", "password", "alice-pw", "scope", "read"),
			basic(o.pc.name, o.pc.secret), header("Origin", "https://evil.example"), header("Sec-Fetch-Site", "cross-site")),
	} {
		t.Run(name, func(t *testing.T) {
			doc := r.wants(200).json()
			if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Pragma") != "no-cache" || r.header.Get("WWW-Authenticate") != "" {
				t.Errorf("header %v", r.header)
			}
			// pages of other origins may read the answer, but not with cookies.
			if r.header.Get("Access-Control-Allow-Origin") != "*" || r.header["Access-Control-Allow-Credentials"] != nil {
				t.Errorf("header %v", r.header)
			}
			access, _ := doc["access_token"].(string)
			refresh, _ := doc["refresh_token"].(string)
			want := map[string]any{"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 3600.0, "scope": "read"}
			if diff := cmp.Diff(want, doc); diff != "" || refresh == "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if o.whoami(bearer(access)) != "alice" {
				t.Error("the token is not alice's")
			}
		})
	}
}

// Cases 183 to 192.
func TestTokenRefused(t *testing.T) {
	o := newOAuth(t)
	password := []string{"grant_type", "password", "username", "alice", "password", "alice-pw"}
	withClient := func(pairs ...string) with { return form(append(append([]string{}, password...), pairs...)...) }
	good := basic(o.pc.name, o.pc.secret)
	for _, tt := range []struct {
		name   string
		parts  []with
		status int
		code   string
		basic  bool // the challenge
	}{
		{"wrong secret by Basic", []with{withClient(), basic(o.pc.name, "x")}, 401, "invalid_client", true},
		{"wrong secret in the body", []with{withClient("client_id", o.pc.name, "client_secret", "x")}, 401, "invalid_client", false},
		{"unknown client", []with{withClient(), basic("nobody", "x")}, 401, "invalid_client", true},
		{"no client", []with{withClient()}, 401, "invalid_client", false},
		{"confidential without a secret", []with{withClient("client_id", o.pc.name)}, 401, "invalid_client", false},
		{"public with a wrong secret", []with{withClient("client_id", o.pp.name, "client_secret", "x")}, 401, "invalid_client", false},
		{"two ways to authenticate", []with{withClient("client_id", o.pc.name, "client_secret", o.pc.secret), good}, 400, "invalid_request", false},
		{"wrong password", []with{form("grant_type", "password", "username", "alice", "password", "x"), good}, 400, "invalid_grant", false},
		{"disabled user", []with{form("grant_type", "password", "username", "dora", "password", "dora-pw"), good}, 400, "invalid_grant", false},
		{"missing password", []with{form("grant_type", "password", "username", "alice"), good}, 400, "invalid_request", false},
		{"parameter twice", []with{form("grant_type", "password", "username", "alice", "username", "bob", "password", "x"), good}, 400, "invalid_request", false},
		{"wrong grant type before a wrong password", []with{form("grant_type", "password", "username", "alice", "password", "x"), basic(o.cc.name, o.cc.secret)}, 400, "unauthorized_client", false},
		{"bad scope", []with{withClient("scope", "admin"), good}, 400, "invalid_scope", false},
		{"blank scope", []with{withClient("scope", " "), good}, 400, "invalid_scope", false},
		{"unknown grant", []with{form("grant_type", "magic"), good}, 400, "unsupported_grant_type", false},
		{"missing grant", []with{form("x", "y"), good}, 400, "invalid_request", false},
		{"JSON", []with{jsonBody(`{"grant_type":"password"}`), good}, 400, "invalid_request", false},
		{"no content type", []with{body("", "grant_type=password"), good}, 400, "invalid_request", false},
		{"malformed escape", []with{body("application/x-www-form-urlencoded", "grant_type=%zz"), good}, 400, "invalid_request", false},
		{"client credentials of a stock application", []with{form("grant_type", "client_credentials"), good}, 400, "unauthorized_client", false},
		{"too large", []with{form("grant_type", strings.Repeat("a", 100_000)), good}, 413, "invalid_request", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := o.do("POST", "/api/o/token/", tt.parts...).fails(tt.status, tt.code)
			if got := r.header.Get("WWW-Authenticate"); (got != "") != tt.basic || tt.basic && !strings.HasPrefix(got, "Basic ") {
				t.Errorf("challenge %q", got)
			}
		})
	}
	t.Run("parameters in the URL", func(t *testing.T) {
		o.do("POST", "/api/o/token/?grant_type=password", withClient(), good).fails(400, "invalid_request")
	})
	t.Run("GET", func(t *testing.T) {
		for _, path := range []string{"token", "revoke_token", "introspect", "device_authorization"} { // cases 191, 224
			r := o.do("GET", "/api/o/"+path+"/?grant_type=password").wants(405)
			if r.header.Get("Allow") != "POST, OPTIONS" {
				t.Errorf("Allow: %s", r.header.Get("Allow"))
			}
		}
	})
	t.Run("identical bytes whatever is wrong with a login, case 184", func(t *testing.T) {
		a := o.pc.token(o, "grant_type", "password", "username", "alice", "password", "x")
		b := o.pc.token(o, "grant_type", "password", "username", "nobody", "password", "x")
		if a.body != b.body {
			t.Errorf("%s and %s", a.body, b.body)
		}
	})
	t.Run("throttled, case 193", func(t *testing.T) {
		var r reply
		for range 40 {
			r = o.do("POST", "/api/o/token/", withClient(), basic("nobody", "x"), from("198.51.100.9:1"))
		}
		r.fails(429, "temporarily_unavailable")
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
	if !strings.Contains(o.logs.String(), "client refused") || strings.Contains(o.logs.String(), o.pc.secret) {
		t.Error("the log has no refusals, or a secret")
	}
}

// Cases 195, 200, 202, 203, 208 to 210.
func TestCodeFlow(t *testing.T) {
	o := newOAuth(t)
	alice := o.login("alice", "alice-pw")
	target := authorizeURL(o.cc, callback)
	page := o.do("GET", target, cookie(alice), header("Accept", "text/html")).wants(200)
	for _, want := range []string{"<strong>cc</strong>", "alice", "Default", "read everything that you can read", "app.example", `name="allow"`} {
		if !strings.Contains(page.body, want) {
			t.Errorf("the consent page has no %s", want)
		}
	}
	to, v := o.allow(target, alice).location()
	if to != callback || v.Get("state") != "x y&z" || v.Get("iss") != issuer { // case 206, R-080
		t.Errorf("sent to %s with %v", to, v)
	}
	exchange := func(c client, code string, pairs ...string) reply {
		return c.token(o, append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier}, pairs...)...)
	}
	doc := exchange(o.cc, v.Get("code")).wants(200).json()
	access, refresh := doc["access_token"].(string), doc["refresh_token"].(string)
	if o.whoami(bearer(access)) != "alice" {
		t.Error("the token is not alice's")
	}
	next := o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).wants(200).json()
	if o.alive(access) || !o.alive(next["access_token"].(string)) || next["scope"] != "read" {
		t.Error("refresh")
	}
	exchange(o.cc, v.Get("code")).fails(400, "invalid_grant")
	if o.alive(next["access_token"].(string)) {
		t.Error("a replayed code left tokens alive")
	}
	if !strings.Contains(o.logs.String(), "used twice") {
		t.Error("the replay is not in the log")
	}

	code := o.code(o.cc, callback)
	o.cp.token(o, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier).fails(400, "invalid_grant")
	o.cc.token(o, "grant_type", "authorization_code", "code", code, "redirect_uri", callback+"x", "code_verifier", verifier).fails(400, "invalid_grant")
	o.cc.token(o, "grant_type", "authorization_code", "code", code, "redirect_uri", callback).fails(400, "invalid_request")
	o.do("POST", "/api/o/token/", form("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier), basic(o.cc.name, "x")).fails(401, "invalid_client")
	exchange(o.cc, code).wants(200) // still good after all of that
	code = o.code(o.cc, callback)
	o.cc.token(o, "grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", strings.Repeat("w", 43)).fails(400, "invalid_grant")
	exchange(o.cc, code).fails(400, "invalid_grant")
}

// Case 201, 211 over HTTP.
func TestRacesOverHTTP(t *testing.T) {
	o := newOAuth(t)
	code := o.code(o.cc, callback)
	_, refresh := o.pair()
	for name, pairs := range map[string][]string{
		"code":    {"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier},
		"refresh": {"grant_type", "refresh_token", "refresh_token", refresh},
	} {
		won := 0
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				r := o.cc.token(o, pairs...)
				mu.Lock()
				defer mu.Unlock()
				if r.status == 200 {
					won++
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("%s: %d of 20 succeeded", name, won)
		}
	}
}

// Cases 196 to 199, 204, 205, 207.
func TestAuthorize(t *testing.T) {
	o := newOAuth(t)
	alice := o.login("alice", "alice-pw")
	good := authorizeURL(o.cc, callback)

	t.Run("deny", func(t *testing.T) {
		u := good[strings.Index(good, "?")+1:]
		_, v := o.do("POST", "/api/o/authorize/", body("application/x-www-form-urlencoded", u), cookie(alice)).location()
		if v.Get("error") != "access_denied" || v.Get("state") != "x y&z" || v.Has("code") {
			t.Errorf("the client is told %v", v)
		}
	})
	t.Run("anonymous comes back after the login", func(t *testing.T) {
		to, v := o.do("GET", good).location()
		if to != "/api/login/" || v.Get("next") != good {
			t.Fatalf("sent to %s with %v", to, v)
		}
		r := o.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw", "next", v.Get("next"))).wants(302)
		if r.header.Get("Location") != good {
			t.Errorf("after the login: %s", r.header.Get("Location"))
		}
	})
	t.Run("a bearer token is nobody here", func(t *testing.T) {
		to, _ := o.do("GET", good, bearer(o.token(o.alice, "write"))).location()
		if to != "/api/login/" {
			t.Errorf("sent to %s", to)
		}
	})
	for name, target := range map[string]string{
		"unknown client":          authorizeURL(o.cc, callback, "client_id", "nobody"),
		"unregistered redirect":   authorizeURL(o.cc, "https://evil.example/"),
		"redirect with a query":   authorizeURL(o.cc, callback+"?x=1"),
		"no client":               authorizeURL(o.cc, callback, "client_id", ""),
		"redirect of another app": authorizeURL(o.cp, callback),
	} {
		t.Run(name+" stays here", func(t *testing.T) {
			r := o.do("GET", target, cookie(alice), header("Accept", "text/html")).wants(400)
			if r.header.Get("Location") != "" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || strings.Contains(r.body, "evil.example") {
				t.Errorf("%v\n%s", r.header, r.body)
			}
			if r := o.allow(target, alice); r.status != 400 || r.header.Get("Location") != "" {
				t.Errorf("posted: status %d, %s", r.status, r.header.Get("Location"))
			}
		})
	}
	for _, tt := range []struct{ name, target, code string }{
		{"bad scope", authorizeURL(o.cc, callback, "scope", "admin"), "invalid_scope"},
		{"implicit", authorizeURL(o.cc, callback, "response_type", "token"), "unsupported_response_type"},
		{"no response type", authorizeURL(o.cc, callback, "response_type", ""), "invalid_request"},
		{"plain", authorizeURL(o.cc, callback, "code_challenge_method", "plain"), "invalid_request"},
		{"public without PKCE", authorizeURL(o.cp, "http://127.0.0.1:51004/cb", "code_challenge", "", "code_challenge_method", ""), "invalid_request"},
	} {
		t.Run(tt.name+" is told the client", func(t *testing.T) {
			for _, r := range []reply{o.do("GET", tt.target, cookie(alice)), o.allow(tt.target, alice)} {
				if _, v := r.location(); v.Get("error") != tt.code || v.Get("state") != "x y&z" || v.Get("iss") != issuer {
					t.Errorf("the client is told %v", v)
				}
			}
		})
	}
	t.Run("loopback redirect with any port", func(t *testing.T) {
		to, v := o.allow(authorizeURL(o.cp, "http://127.0.0.1:51004/cb"), alice).location()
		if to != "http://127.0.0.1:51004/cb" || v.Get("code") == "" {
			t.Errorf("sent to %s with %v", to, v)
		}
		o.cp.token(o, "grant_type", "authorization_code", "code", v.Get("code"), "redirect_uri", "http://127.0.0.1:51004/cb", "code_verifier", verifier).wants(200)
	})
	t.Run("a page of another origin cannot agree", func(t *testing.T) {
		for _, evil := range []with{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example"), header("Origin", "null")} {
			if r := o.allow(good, alice, evil); r.status != 403 || r.header.Get("Location") != "" {
				t.Errorf("status %d, %s", r.status, r.header.Get("Location"))
			}
		}
	})
	t.Run("the page cannot be framed and is nobody's referrer", func(t *testing.T) {
		for _, target := range []string{good, authorizeURL(o.cp, "http://127.0.0.1:51004/cb")} {
			h := o.do("GET", target, cookie(alice)).wants(200).header
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "form-action") || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "same-origin" {
				t.Errorf("%v", h)
			}
		}
	})
	t.Run("nothing that a client named itself is markup", func(t *testing.T) {
		c := o.register("<script>x</script>", "confidential", "authorization-code", callback)
		r := o.do("GET", authorizeURL(c, callback, "state", `"><script>y</script>`), cookie(alice)).wants(200)
		if strings.Contains(r.body, "<script>") {
			t.Error(r.body)
		}
	})
	t.Run("approval_prompt=auto, decision 21", func(t *testing.T) {
		o.pair()
		auto := authorizeURL(o.cc, callback, "approval_prompt", "auto")
		if _, v := o.do("GET", auto, cookie(alice)).location(); v.Get("code") == "" {
			t.Errorf("the client is told %v", v)
		}
		o.do("GET", authorizeURL(o.cc, callback, "approval_prompt", "auto", "scope", "write"), cookie(alice)).wants(200)
		o.do("GET", auto, cookie(o.login("bob", "bob-pw"))).wants(200)
	})
	t.Run("skip_authorization", func(t *testing.T) {
		o.do("PATCH", o.cc.path(), basic("admin", "admin-pw"), jsonBody(`{"skip_authorization":true}`)).wants(200)
		if _, v := o.do("GET", good, cookie(alice)).location(); v.Get("code") == "" {
			t.Errorf("the client is told %v", v)
		}
	})
}

// Cases 212 to 217.
func TestRefresh(t *testing.T) {
	o := newOAuth(t)
	_, refresh := o.pair("scope", "read write")
	token := func(c client, pairs ...string) reply {
		return c.token(o, append([]string{"grant_type", "refresh_token"}, pairs...)...)
	}
	doc := token(o.cc, "refresh_token", refresh, "scope", "read").wants(200).json()
	if doc["scope"] != "read" {
		t.Errorf("narrowed: %v", doc)
	}
	doc = token(o.cc, "refresh_token", doc["refresh_token"].(string)).wants(200).json()
	if doc["scope"] != "read write" {
		t.Errorf("the grant shrank: %v", doc)
	}
	refresh = doc["refresh_token"].(string)
	token(o.pp, "refresh_token", refresh).fails(400, "invalid_grant")
	token(o.cc, "refresh_token", "unknown").fails(400, "invalid_grant")
	token(o.cc).fails(400, "invalid_request")
	o.do("POST", "/api/o/token/", form("grant_type", "refresh_token", "refresh_token", refresh)).fails(401, "invalid_client")
	o.setActive(o.alice, false)
	token(o.cc, "refresh_token", refresh).fails(400, "invalid_grant")

	t.Run("widening", func(t *testing.T) {
		o := newOAuth(t)
		_, refresh := o.pair()
		o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh, "scope", "write").fails(400, "invalid_scope")
	})
	t.Run("expiry, case 215", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := newOAuth(t)
			_, refresh := o.pair()
			wait(30 * 24 * time.Hour)
			o.do("POST", "/api/o/token/", form("grant_type", "refresh_token", "refresh_token", refresh)).fails(401, "invalid_client")
			o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).fails(400, "invalid_grant")
		})
	})
	t.Run("retry within the grace period", func(t *testing.T) {
		o := newOAuth(t, func(c *options) { c.oauth.RefreshGrace = time.Minute })
		_, refresh := o.pair()
		a := o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).wants(200)
		b := o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).wants(200)
		if diff := cmp.Diff(a.json(), b.json()); diff != "" {
			t.Errorf("the retry differs:\n%s", diff)
		}
	})
}

// Cases 218 to 223; R-090.
func TestRevoke(t *testing.T) {
	o := newOAuth(t)
	for _, tt := range []struct {
		name    string
		refresh bool
		pairs   []string
	}{
		{"access token", false, nil},
		{"refresh token", true, nil},
		{"right hint", false, []string{"token_type_hint", "access_token"}},
		{"wrong hint", true, []string{"token_type_hint", "access_token"}},
		{"unknown hint", false, []string{"token_type_hint", "x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			access, refresh := o.pair()
			token := access
			if tt.refresh {
				token = refresh
			}
			foreign := o.pc.post(o, "/api/o/revoke_token/", "token", token).wants(200)
			if !o.alive(access) {
				t.Fatal("another client revoked it")
			}
			r := o.cc.post(o, "/api/o/revoke_token/", append([]string{"token", token}, tt.pairs...)...).wants(200)
			if len(r.json()) != 0 || foreign.body != r.body {
				t.Errorf("body %s, and of another client %s", r.body, foreign.body)
			}
			if o.alive(access) {
				t.Error("the access token works")
			}
			o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).fails(400, "invalid_grant")
		})
	}
	o.cc.post(o, "/api/o/revoke_token/", "token", "unknown").wants(200)
	o.cc.post(o, "/api/o/revoke_token/").fails(400, "invalid_request")
	o.do("POST", "/api/o/revoke_token/", form("token", "x"), basic(o.cc.name, "x")).fails(401, "invalid_client")

	personal := o.token(o.alice, "read")
	o.pc.post(o, "/api/o/revoke_token/", "token", personal).wants(200)
	if !o.alive(personal) {
		t.Error("a client revoked a personal token")
	}
	o.do("POST", "/api/o/revoke_token/", form("token", o.token(o.alice, "read")), bearer(personal)).fails(400, "invalid_request")
	for _, scheme := range []string{"bearer ", "BEARER   "} { // as everywhere, case 87
		spelt := o.token(o.alice, "read")
		o.do("POST", "/api/o/revoke_token/", form("token", spelt), header("Authorization", scheme+spelt)).wants(200)
		if o.alive(spelt) {
			t.Errorf("%q: the personal token works", scheme)
		}
	}
	o.do("POST", "/api/o/revoke_token/", form("token", personal), bearer(personal)).wants(200)
	if o.alive(personal) {
		t.Error("the owner could not revoke a personal token")
	}
	o.do("POST", "/api/o/revoke_token/", form("token", personal), bearer(personal)).fails(401, "invalid_token")
	access, _ := o.pair()
	o.do("POST", "/api/o/revoke_token/", form("token", access), bearer(access)).fails(401, "invalid_client")
}

//
func TestIntrospect(t *testing.T) {
	o := newOAuth(t)
	access, refresh := o.pair("resource", issuer+"/api")
	doc := o.cc.post(o, "/api/o/introspect/", "token", access).wants(200).json()
	exp, iat := doc["exp"].(float64), doc["iat"].(float64)
	want := map[string]any{"active": true, "scope": "read", "client_id": o.cc.name, "username": "alice", "token_type": "Bearer",
		"exp": exp, "iat": iat, "sub": o.alice.ID, "aud": []any{issuer + "/api"}, "iss": issuer}
	if diff := cmp.Diff(want, doc); diff != "" || exp-iat != 3600 {
		t.Errorf("access token (-want +got):\n%s", diff)
	}
	if doc := o.cc.post(o, "/api/o/introspect/", "token", refresh).wants(200).json(); doc["active"] != true || doc["token_type"] != nil {
		t.Errorf("refresh token: %v", doc)
	}
	for _, r := range []reply{
		o.pc.post(o, "/api/o/introspect/", "token", access),
		o.cc.post(o, "/api/o/introspect/", "token", o.token(o.alice, "read")),
		o.cc.post(o, "/api/o/introspect/", "token", "unknown"),
	} {
		if r.wants(200).body != `{"active":false}` {
			t.Errorf("body %s", r.body)
		}
	}
	o.cp.post(o, "/api/o/introspect/", "token", access).fails(400, "unauthorized_client")
	o.do("POST", "/api/o/introspect/", form("token", access)).fails(401, "invalid_client")
	o.do("POST", "/api/o/introspect/", form("token", access), bearer(access)).fails(401, "invalid_client")
}

// Clients of the machine's own: cases of clients.md, and nothing of a user.
func TestClientCredentials(t *testing.T) {
	o := newOAuth(t, func(c *options) { c.gate.ApplicationTokens = true })
	m := o.register("machine", "confidential", "client-credentials", "")
	encoded := func(r *http.Request) { // client_secret_basic as openid-client sends it
		var b strings.Builder
		for _, c := range []byte(m.name) {
			b.WriteString("%" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
		}
		r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(b.String()+":"+m.secret)))
	}
	doc := o.do("POST", "/api/o/token/", form("grant_type", "client_credentials", "scope", "read"), encoded).wants(200).json()
	if _, ok := doc["refresh_token"]; ok {
		t.Error("there is a refresh token")
	}
	access := doc["access_token"].(string)
	if got := o.do("GET", "/probe/", bearer(access)).wants(200).body; !strings.Contains(got, `"user":""`) {
		t.Errorf("the probe sees %s", got)
	}
	o.do("GET", "/api/v2/me/", bearer(access)).is403()
	if n := o.do("GET", "/api/v2/tokens/", bearer(access)).wants(200).json()["count"]; n != 0.0 {
		t.Errorf("it sees %v tokens", n)
	}
	o.do("POST", "/api/v2/tokens/", bearer(access)).is403()
	list := o.do("GET", m.path()+"tokens/", basic("admin", "admin-pw")).wants(200).json()["results"].([]any)
	if tok := list[0].(map[string]any); len(list) != 1 || tok["user"] != nil || tok["refresh_token"] != nil || tok["application"] != float64(m.id) {
		t.Errorf("listed as %v", list)
	}
	o.do("DELETE", m.path(), basic("admin", "admin-pw")).wants(204)
	o.do("GET", "/probe/", bearer(access)).is401()
}

// Decision 32: a gate is for users unless it says otherwise.
func TestApplicationAlone(t *testing.T) {
	o := newOAuth(t)
	m := o.register("machine", "confidential", "client-credentials", "")
	doc := o.do("POST", "/api/o/token/", form("grant_type", "client_credentials", "scope", "read write"), basic(m.name, m.secret)).wants(200).json()
	access := bearer(doc["access_token"].(string))
	for _, target := range []string{"/probe/", "/api/v2/me/", "/api/v2/tokens/"} {
		o.do("GET", target, access).is403()
		o.do("POST", target, access).is403()
	}
}

// the device flow with its page.
func TestDeviceFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOAuth(t)
		c := o.register("tv", "public", oauth.GrantDeviceCode, "")
		start := func() (device, user string) {
			doc := c.post(o, "/api/o/device_authorization/", "scope", "read").wants(200).json()
			if doc["verification_uri"] != issuer+"/api/o/device/" || doc["interval"] != 5.0 || doc["expires_in"] != 600.0 ||
				doc["verification_uri_complete"] != issuer+"/api/o/device/?user_code="+doc["user_code"].(string) {
				t.Errorf("the device gets %v", doc)
			}
			return doc["device_code"].(string), doc["user_code"].(string)
		}
		poll := func(device string) reply {
			return c.token(o, "grant_type", oauth.GrantDeviceCode, "device_code", device)
		}
		device, user := start()
		poll(device).fails(400, "authorization_pending")
		poll(device).fails(400, "slow_down")

		page := "/api/o/device/?user_code=" + user
		if to, v := o.do("GET", page).location(); to != "/api/login/" || v.Get("next") != page {
			t.Errorf("sent to %s with %v", to, v)
		}
		alice := cookie(o.login("alice", "alice-pw"))
		if r := o.do("GET", page, alice).wants(200); !strings.Contains(r.body, `value="`+user+`"`) || strings.Contains(r.body, "allow") {
			t.Errorf("the first page:\n%s", r.body)
		}
		post := func(pairs ...string) reply { return o.do("POST", "/api/o/device/", form(pairs...), alice) }
		if r := post("user_code", strings.ToLower(user)).wants(200); !strings.Contains(r.body, "<strong>tv</strong>") || !strings.Contains(r.body, user) {
			t.Errorf("the second page:\n%s", r.body)
		}
		if r := post("user_code", "BBBB-BBBB").wants(400); !strings.Contains(r.body, `role="alert"`) {
			t.Errorf("a wrong code:\n%s", r.body)
		}
		o.do("POST", "/api/o/device/", form("user_code", user, "allow", "x"), alice, header("Sec-Fetch-Site", "cross-site")).wants(403)
		if r := post("user_code", user, "allow", "Authorize").wants(200); !strings.Contains(r.body, "Device connected") {
			t.Errorf("the last page:\n%s", r.body)
		}
		doc := poll(device).wants(200).json()
		if o.whoami(bearer(doc["access_token"].(string))) != "alice" || doc["refresh_token"] == nil {
			t.Errorf("the device gets %v", doc)
		}
		post("user_code", user, "allow", "Authorize").wants(400)

		device, user = start()
		post("user_code", user, "deny", "Deny").wants(200)
		poll(device).fails(400, "access_denied")
		device, _ = start()
		wait(10 * time.Minute)
		poll(device).fails(400, "expired_token")
		o.cc.post(o, "/api/o/device_authorization/").fails(400, "unauthorized_client")
	})
}

// metadata has the configured issuer, for every request.
func TestMetadata(t *testing.T) {
	o := newOAuth(t)
	spoofed := []with{func(r *http.Request) { r.Host = "evil.example" }, header("X-Forwarded-Host", "evil.example"), header("Authorization", "Bearer dead")}
	doc := o.do("GET", "/.well-known/oauth-authorization-server", spoofed...).wants(200).json()
	want := map[string]any{
		"issuer":                                         issuer,
		"authorization_endpoint":                         issuer + "/api/o/authorize/",
		"token_endpoint":                                 issuer + "/api/o/token/",
		"revocation_endpoint":                            issuer + "/api/o/revoke_token/",
		"introspection_endpoint":                         issuer + "/api/o/introspect/",
		"device_authorization_endpoint":                  issuer + "/api/o/device_authorization/",
		"scopes_supported":                               []any{"read", "write", "offline_access"},
		"response_types_supported":                       []any{"code"},
		"response_modes_supported":                       []any{"query"},
		"grant_types_supported":                          []any{"refresh_token", "client_credentials", "authorization_code", "password", oauth.GrantDeviceCode},
		"token_endpoint_auth_methods_supported":          []any{"client_secret_basic", "client_secret_post", "none"},
		"revocation_endpoint_auth_methods_supported":     []any{"client_secret_basic", "client_secret_post", "none"},
		"introspection_endpoint_auth_methods_supported":  []any{"client_secret_basic", "client_secret_post"},
		"code_challenge_methods_supported":               []any{"S256"},
		"authorization_response_iss_parameter_supported": true,
	}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("server metadata (-want +got):\n%s", diff)
	}
	doc = o.do("GET", "/.well-known/oauth-protected-resource/api", spoofed...).wants(200).json()
	want = map[string]any{"resource": issuer + "/api", "authorization_servers": []any{issuer}, "scopes_supported": []any{"read", "write"}, "bearer_methods_supported": []any{"header"}}
	if diff := cmp.Diff(want, doc); diff != "" {
		t.Errorf("resource metadata (-want +got):\n%s", diff)
	}
	o.do("GET", "/.well-known/oauth-protected-resource").wants(404)
	o.do("POST", "/.well-known/oauth-authorization-server").wants(405)
}

// a client that drives the browser in circles is told to stop.
func TestTooManyCodes(t *testing.T) {
	o := newOAuth(t, func(c *options) { c.oauth.MaxCodes = 1 })
	target, alice := authorizeURL(o.cc, callback), o.login("alice", "alice-pw")
	if _, v := o.allow(target, alice).location(); v.Get("code") == "" {
		t.Fatalf("no code: %v", v)
	}
	to, v := o.allow(target, alice).location()
	if to != callback || v.Get("error") != "temporarily_unavailable" || v.Get("state") != "x y&z" || v.Get("code") != "" {
		t.Errorf("one too many: %s %v", to, v)
	}
	if _, v := o.allow(target, o.login("bob", "bob-pw")).location(); v.Get("code") == "" {
		t.Errorf("another user: %v", v)
	}
}

// A host that has no passwords offers no password grant: not to right passwords, nor to
// the application that is registered for it.
func TestPasswordGrantWithoutPasswords(t *testing.T) {
	o := newOAuth(t)
	api := auth.Must(httpapi.New(httpapi.Config{Gate: o.gate, Users: o.db, Session: o.session, LoginPage: "/sso/", Tokens: o.tokens, OAuth: o.server}))
	o.handler = api
	for _, password := range []string{"alice-pw", "x", ""} {
		o.pc.token(o, "grant_type", "password", "username", "alice", "password", password).fails(400, "unsupported_grant_type")
		o.pp.token(o, "grant_type", "password", "username", "alice", "password", password).fails(400, "unsupported_grant_type")
	}
	// Who the client is comes first.
	o.do("POST", "/api/o/token/", form("grant_type", "password"), basic(o.pc.name, "x")).fails(401, "invalid_client")
}
