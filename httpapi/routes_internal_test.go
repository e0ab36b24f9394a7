package httpapi

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// everything is the API with all its routes, and tokens of one user.
func everything(t *testing.T) (*api, http.Handler, map[string]string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet, Issuer: "https://app.example", Resource: "https://app.example/api"}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	h := auth.Must(New(Config{
		Gate:  auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet}),
		Users: db, Passwords: auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet})),
		Session: session, Tokens: tokens,
		Applications: auth.Must(auth.NewApplications(tokens, db, nil)),
		Devices:      auth.Must(auth.NewDevices(tokens, db, nil)),
	}))
	secrets := map[string]string{"nothing": "", "a dead token": "dead"}
	for name, scopes := range map[string]string{"read": "read", "write": "write", "no scope": "", "an unknown scope": "admin"} {
		secrets[name] = authtest.AddToken(t, tokens, alice, auth.ScopeWrite)
		stored, err := db.TokenByDigest(t.Context(), store.DigestOf(secrets[name]))
		if err != nil {
			t.Fatal(err)
		}
		stored.Scopes = scopes
		if err := db.UpdateToken(t.Context(), stored); err != nil {
			t.Fatal(err)
		}
	}
	return h.(*api), session.Handler(h), secrets
}

// TestRoutes tries every route, whatever is added to the table, with every kind
// of credential and method.
func TestRoutes(t *testing.T) {
	a, h, secrets := everything(t)
	// Who may use which. What is not here is protected.
	others := map[string]access{
		"/api/": public, "/api/v2/": public, "/api/o/": public,
		"/api/login/": session, "/api/logout/": session, "/api/o/authorize/": session, "/api/o/device/": session,
		"/api/o/token/": open, "/api/o/revoke_token/": open, "/api/o/introspect/": open, "/api/o/device_authorization/": open,
		"/.well-known/oauth-authorization-server":   open,
		"/.well-known/oauth-protected-resource/api": open,
	}
	fill := strings.NewReplacer("{user}", "alice", "{id}", "999", "{app}", "1", "{organization}", "1")
	var paths []string
	for _, rt := range a.routes {
		path := strings.Join(rt.segments, "/")
		paths = append(paths, path)
		for who, secret := range secrets {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "QUERY", "get", "TRACE", "CONNECT"} {
				r := httptest.NewRequest(method, "http://app.example"+fill.Replace(path), nil)
				r.URL.Path = fill.Replace(path) // which CONNECT has no use for
				if secret != "" {
					r.Header.Set("Authorization", "Bearer "+secret)
				}
				// None of these changes anything.
				r.Header.Set("X-HTTP-Method-Override", "GET")
				r.Header.Set("Connection", "Authorization")
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				checkRoute(t, others[path], who, r, w)
			}
		}
	}
	for path := range others {
		if !slices.Contains(paths, path) {
			t.Errorf("%s is not there", path)
		}
	}
}

func checkRoute(t *testing.T, is access, who string, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	safe := slices.Contains([]string{"GET", "HEAD", "OPTIONS"}, r.Method)
	proxies := r.Method == "TRACE" || r.Method == "CONNECT"
	challenge := w.Header().Get("WWW-Authenticate")
	refused := strings.Contains(challenge, "insufficient_scope")
	want := 0 // any answer that is not about the user's credentials
	switch {
	case proxies:
		want = 405
	case is == session || is == open: // the field is not a user's credential there
	case who == "a dead token", who == "nothing" && is == protected:
		want = 401
	case who == "no scope", who == "an unknown scope", who == "read" && !safe:
		want = 403
	}
	switch {
	case want != 0 && w.Code != want,
		want == 0 && (is == protected || is == public) && (w.Code == 401 || refused),
		want == 403 && !refused,
		want == 401 && !strings.HasPrefix(challenge, `Bearer realm="api"`),
		w.Code >= 500:
		t.Errorf("%s %s with %s: %d %q, want %d\n%s", r.Method, r.URL.Path, who, w.Code, challenge, want, w.Body)
	}
	if is == public && safe && who != "nothing" && want == 0 && w.Code != 200 {
		t.Errorf("%s %s with %s: %d", r.Method, r.URL.Path, who, w.Code)
	}
	if w.Code == 405 && !proxies && (w.Header().Get("Allow") == "" || strings.Contains(w.Header().Get("Allow"), r.Method)) {
		t.Errorf("%s %s: 405, but allowed is %q", r.Method, r.URL.Path, w.Header().Get("Allow"))
	}
}

// TestHeadMirrorsGet is R-028 for every route but the logout, where HEAD does
// nothing. (The bodies of refusals are cut off by net/http.)
func TestHeadMirrorsGet(t *testing.T) {
	a, h, secrets := everything(t)
	fill := strings.NewReplacer("{user}", "alice", "{id}", "1", "{app}", "1", "{organization}", "1")
	for _, rt := range a.routes {
		path := fill.Replace(strings.Join(rt.segments, "/"))
		if path == "/api/logout/" {
			continue
		}
		for who, secret := range secrets {
			var replies [3]*httptest.ResponseRecorder
			for i, method := range []string{"GET", "GET", "HEAD"} { // the first one notes the token's use
				r := httptest.NewRequest(method, path, nil)
				if secret != "" {
					r.Header.Set("Authorization", "Bearer "+secret)
				}
				replies[i] = httptest.NewRecorder()
				h.ServeHTTP(replies[i], r)
			}
			get, head := replies[1], replies[2]
			if get.Code == 405 && head.Code == 405 { // which name the method
				continue
			}
			get.Header().Del("Set-Cookie") // csrftoken is another one each time
			head.Header().Del("Set-Cookie")
			if head.Code != get.Code || head.Code < 400 && head.Body.Len() > 0 || !maps.EqualFunc(get.Header(), head.Header(), slices.Equal) {
				t.Errorf("%s with %s: %d %v\nHEAD: %d %v %q", path, who, get.Code, get.Header(), head.Code, head.Header(), head.Body)
			}
		}
	}
}
