package httpapi_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/leaktest"
)

// no request to the API starts a goroutine, nor does a whole flow of them.
func TestRequestsStartNoGoroutine(t *testing.T) {
	o := newOAuth(t)
	ctx, cancel := context.WithCancel(t.Context()) // as requests of a server have
	defer cancel()
	handler := o.handler
	o.document.Store(nil)
	o.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.ServeHTTP(w, r.WithContext(ctx)) })
	token, session := o.token(o.alice, auth.ScopeWrite), o.login("alice", "alice-pw")
	for name, flow := range map[string]func(){
		"a token":          func() { o.do("GET", "/api/v2/me/", bearer(token)).wants(200) },
		"a session":        func() { o.do("GET", "/api/v2/me/", cookie(session)).wants(200) },
		"a password":       func() { o.do("GET", "/api/v2/me/", basic("alice", "alice-pw")).wants(200) },
		"a wrong password": func() { o.do("GET", "/api/v2/me/", basic("nobody", "alice-pw")).is401() },
		"nothing":          func() { o.do("GET", "/api/v2/me/").is401() },
		"a personal token": func() { o.do("POST", "/api/v2/tokens/", bearer(token), jsonBody(`{"scope":"read"}`)).wants(201) },
		"a list":           func() { o.do("GET", "/api/v2/tokens/", cookie(session)).wants(200) },
		"login and logout": func() { o.do("POST", "/api/logout/", cookie(o.login("alice", "alice-pw"))).wants(302) },
		"the consent page": func() { o.do("GET", authorizeURL(o.cc, callback), cookie(session)).wants(200) },
		"the password grant": func() {
			o.pc.token(o, "grant_type", "password", "username", "alice", "password", "alice-pw").wants(200)
		},
		"code, tokens, refresh, revocation": func() {
			_, refresh := o.pair()
			access := o.cc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).wants(200).json()["access_token"].(string)
			o.cc.post(o, "/api/o/introspect/", "token", access).wants(200)
			o.cc.post(o, "/api/o/revoke_token/", "token", access).wants(200)
		},
	} {
		const times = 3 // thrice, and the throttle has 10
		started := times
		for range 3 {
			started = min(started, leaktest.Started(func() {
				for range times {
					flow()
				}
			}))
		}
		if started > 0 {
			t.Errorf("%s: %d goroutines for %d times", name, started, times)
		}
	}
}
