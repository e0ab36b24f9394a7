package httpapi_test

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// A credential may end during the body of its request. An attacker with a
// stolen credential could keep a request waiting for that, to get one that
// lives on.
func TestCredentialEndsBeforeTheBody(t *testing.T) {
	const tokens, authorize = "/api/v2/tokens/", "/api/o/authorize/"
	session := func(o *oauthSystem) with { return cookie(o.login("alice", "alice-pw")) }
	password := func(o *oauthSystem) with { return basic("alice", "alice-pw") }
	token := func(o *oauthSystem) with { return bearer(o.token(o.alice, auth.ScopeWrite)) }
	nothing := func(*oauthSystem, with) {}
	logOut := func(o *oauthSystem, c with) { o.do("POST", "/api/logout/", c).wants(302) }
	change := func(o *oauthSystem, _ with) {
		if err := o.db.SetPasswordHash(t.Context(), o.alice.ID, "cheap$another"); err != nil {
			t.Fatal(err)
		}
	}
	revoke := func(o *oauthSystem, c with) { o.do("POST", "/api/o/revoke_token/", form(), c).wants(200) }
	for _, tt := range []struct {
		name, target string
		credential   func(*oauthSystem) with
		end          func(*oauthSystem, with)
		status       int
		location     string
	}{
		{"a token by session", tokens, session, nothing, 201, tokens},
		{"logged out", tokens, session, logOut, 401, ""},
		{"password changed, session", tokens, session, change, 401, ""},
		{"a token by Basic", tokens, password, nothing, 201, tokens},
		{"password changed, Basic", tokens, password, change, 401, ""},
		{"a token by token", tokens, token, nothing, 201, tokens},
		{"token revoked", tokens, token, revoke, 401, ""},
		{"consent", authorize, session, nothing, 302, callback + "?code="},
		{"consent, logged out", authorize, session, logOut, 302, "/api/login/?next="},
		{"consent, password changed", authorize, session, change, 302, "/api/login/?next="},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := newOAuth(t, func(opts *options) { opts.tokens.Minting = auth.InsecureMintIndependent })
			contentType, content := "application/json", "{}"
			if tt.target == authorize {
				_, query, _ := strings.Cut(authorizeURL(o.cc, callback), "?")
				contentType, content = "application/x-www-form-urlencoded", query+"&allow=1"
			}
			credential := tt.credential(o)
			body, send := io.Pipe()
			r := httptest.NewRequest("POST", "http://app.example"+tt.target, body)
			r.Header.Set("Content-Type", contentType)
			credential(r)
			w, done := httptest.NewRecorder(), make(chan struct{})
			go func() { defer close(done); o.handler.ServeHTTP(w, r) }()
			_, _ = io.WriteString(send, content[:1]) // somebody reads: the request was let in
			tt.end(o, credential)
			_, _ = io.WriteString(send, content[1:])
			_ = send.Close()
			<-done
			if to := w.Header().Get("Location"); w.Code != tt.status || !strings.HasPrefix(to, tt.location) {
				t.Errorf("status %d, Location %q; want %d, %q: %s", w.Code, to, tt.status, tt.location, w.Body)
			}
		})
	}
}
