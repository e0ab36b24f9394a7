package httpapi_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const hostileCallback = "https://client.example/cb"

// hostileWords fills in the credentials that the rows of the corpus name, fresh
// for each row: most of them can be used once.
func hostileWords(o *oauthSystem) *strings.Replacer {
	first := o.register("client", "confidential", "authorization-code", hostileCallback)
	second := o.register("client2", "confidential", "authorization-code", hostileCallback)
	deleted := o.register("deleted", "confidential", "authorization-code", hostileCallback)
	exchange := func(c client, redirect, code string) (access, refresh string) {
		doc := c.token(o, "grant_type", "authorization_code", "code", code, "redirect_uri", redirect, "code_verifier", verifier).wants(200).json()
		return doc["access_token"].(string), doc["refresh_token"].(string)
	}
	pair := func(c client, scope string) (access, refresh string) {
		return exchange(c, hostileCallback, o.code(c, hostileCallback, "scope", scope))
	}
	_, expired := pair(first, "read write")
	time.Sleep(31 * 24 * time.Hour)
	token, refresh := pair(first, "read write")
	token2, refresh2 := pair(second, "read write")
	_, read := pair(first, "read")
	_, used := pair(first, "read")
	first.token(o, "grant_type", "refresh_token", "refresh_token", used).wants(200)
	usedCode := o.code(first, hostileCallback)
	exchange(first, hostileCallback, usedCode)
	_, orphan := pair(deleted, "read")
	o.do("DELETE", deleted.path(), basic("admin", "admin-pw")).wants(204)
	const loopback = "http://127.0.0.1/cb"
	_, public := exchange(o.cp, loopback, o.code(o.cp, loopback))
	return strings.NewReplacer(
		"{TOKEN}", token, "{TOKEN2}", token2, "{REFRESH}", refresh, "{REFRESH2}", refresh2, "{READ_REFRESH}", read,
		"{USED_REFRESH}", used, "{EXPIRED_REFRESH}", expired, "{DELETED_APP_REFRESH}", orphan, "{PUB_REFRESH}", public,
		"{CODE}", o.code(first, hostileCallback), "{USED_CODE}", usedCode, "{VERIFIER}", verifier,
		"{CLIENT_ID}", first.name, "{CLIENT_SECRET}", first.secret, "{CLIENT2_ID}", second.name, "{CLIENT2_SECRET}", second.secret,
		"{CLIENT_BASIC64}", base64.StdEncoding.EncodeToString([]byte(first.name+":"+first.secret)),
		"{DELETED_APP_ID}", deleted.name, "{PUB_CLIENT_ID}", o.cp.name, "{CLIENT2_TOKEN}", token2,
		"{USER}", "alice", "{PASS}", "alice-pw",
	)
}

func TestHostileTokenRequests(t *testing.T) {
	for parser, path := range map[string]string{"token_endpoint": "/api/o/token/", "revoke_endpoint": "/api/o/revoke_token/"} {
		for _, row := range hostileInputs(t, parser) {
			synctest.Test(t, func(t *testing.T) {
				o := newOAuth(t)
				fill := hostileWords(o)
				method, target := row.Method, path
				if method == "" {
					method = "POST"
				}
				if _, query, ok := strings.Cut(row.Path, "?"); ok {
					target += "?" + fill.Replace(query)
				}
				parts := []with{body("application/x-www-form-urlencoded", fill.Replace(row.text(t)))}
				for name, value := range row.Headers {
					parts = append(parts, header(name, fill.Replace(value)))
				}
				r := o.do(method, target, parts...)
				row.check(t, r)
				if r.status == 400 || r.status == 401 {
					if r.json()["error"] == "" {
						t.Errorf("%s: %s", row.Name, r.body)
					}
				}
				switch alive := o.alive(fill.Replace("{TOKEN}")); row.Name {
				case "valid", "valid-refresh", "wrong-hint":
					if alive {
						t.Errorf("%s: the access token lives on", row.Name)
					}
				default:
					if !alive {
						t.Errorf("%s: the access token is dead", row.Name)
					}
				}
				if row.Name == "other-client" && !o.alive(fill.Replace("{CLIENT2_TOKEN}")) {
					t.Error("a client revoked the token of another")
				}
			})
		}
	}
}

// TestHostileRedirectURIs asks for codes: an unregistered URI gets no redirect.
func TestHostileRedirectURIs(t *testing.T) {
	o := newOAuth(t)
	c := o.register("redirects", "public", "authorization-code", hostileCallback+" http://127.0.0.1/cb com.example.app:/cb")
	session := o.login("alice", "alice-pw")
	for _, row := range hostileInputs(t, "redirect_uri") {
		uri := row.text(t)
		r := o.do("GET", authorizeURL(c, uri), cookie(session), header("Accept", "text/html"))
		accepted := r.status == 200
		if accepted != (row.Expect == "accept") || !accepted && (r.status != 400 || r.header.Get("Location") != "") {
			t.Errorf("%s: %q: status %d, Location %q, want %s: %s", row.Name, uri, r.status, r.header.Get("Location"), row.Expect, row.Why)
		}
		if accepted {
			to, _ := o.allow(authorizeURL(c, uri), session).location()
			if to != uri {
				t.Errorf("%s: the code goes to %q", row.Name, to)
			}
		}
	}
	// Hostile URIs cannot be registered either.
	for _, uri := range []string{"https://client.example/cb#x", "https://client.example@evil.example/cb", `https://client.example\@evil.example/cb`,
		"//client.example/cb", "data:text/html,x", "javascript:alert(1)", "https://*.example/cb", "http://client.example/cb", "http://127.1/cb", "/cb"} {
		r := o.do("POST", "/api/v2/applications/", basic("admin", "admin-pw"), jsonBody(
			`{"name":"x","client_type":"public","authorization_grant_type":"authorization-code","organization":1,"redirect_uris":`+strconv.Quote(uri)+`}`))
		if r.status != 400 {
			t.Errorf("%q can be registered: %d %s", uri, r.status, r.body)
		}
	}
}
