package httpapi

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// everything is the API with all its routes, and tokens of one user.
func everything(t *testing.T) (*router, http.Handler, map[string]string) {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet, Resource: "https://app.example/api"}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	h := auth.Must(New(Config{
		Gate:  auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet}),
		Users: db, Passwords: passwords, Session: session, Tokens: tokens, EmptyResources: true, Account: true, GatewayPaths: true,
		Accounts: auth.Must(auth.NewAccounts(db, passwords, &auth.AccountsOptions{Logger: quiet})),
		Activity: auth.Must(activity.NewStream(db, nil)),
		OAuth: auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{
			Issuer: "https://app.example", Devices: &oauth.DeviceOptions{}, Logger: quiet, Resources: []string{"https://app.example/mcp"},
		})),
		Resources: []Resource{{URI: "https://app.example/mcp", Scopes: []string{"read"}}},
	}))
	secrets := map[string]string{"nothing": "", "a dead token": "dead"}
	for name, scopes := range map[string]string{"read": "read", "write": "write", "no scope": "", "an unknown scope": "admin"} {
		secrets[name] = authtest.AddToken(t, tokens, alice, auth.ScopeWrite)
		stored, err := db.TokenByDigest(t.Context(), store.DigestOf(secrets[name]))
		if err != nil {
			t.Fatal(err)
		}
		stored.Scopes = scopes
		if err := db.UpdateToken(t.Context(), stored, store.KeepMinted); err != nil {
			t.Fatal(err)
		}
	}
	return h.(*router), session.Handler(h), secrets
}

// documentation is the table of routes as the package documentation has it.
func documentation() string {
	var b strings.Builder
	heading := ""
	for i, rt := range routes {
		if i == 0 || rt.when.about != heading {
			heading = rt.when.about
			if heading != "" {
				fmt.Fprintf(&b, "//\n// %s\n", heading)
			}
			b.WriteString("//\n")
		}
		fmt.Fprintf(&b, "//\t%-20s %-50s %s\n", strings.Join(rt.methods.list(), " "), rt.pattern, rt.about)
	}
	return b.String()
}

func TestDocumentationHasTheRoutes(t *testing.T) {
	source, err := os.ReadFile("httpapi.go")
	if err != nil {
		t.Fatal(err)
	}
	comment, _, _ := strings.Cut(string(source), "\npackage httpapi\n")
	if want := documentation(); !strings.Contains(comment, want) {
		t.Errorf("the package documentation should have:\n%s", want)
	}
}

// TestOptionsDescribeTheRoute holds that what a resource is called makes no
// difference to what OPTIONS says about it.
func TestOptionsDescribeTheRoute(t *testing.T) { // E10
	a, h, secrets := everything(t)
	fill := strings.NewReplacer("{id}", "1", "{organization}", "1")
	for _, rt := range a.routes {
		if rt.access != protected {
			continue
		}
		for _, name := range []string{"alice", "tokens", "applications", "rotate", "me", "a%2Ftokens%2F", "rotate_secret"} {
			r := httptest.NewRequest("OPTIONS", fill.Replace(strings.NewReplacer("{user}", name, "{app}", name).Replace(rt.pattern)), nil)
			r.Header.Set("Authorization", "Bearer "+secrets["write"])
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			var got description
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
				t.Fatalf("%s: %d %s", r.URL, w.Code, w.Body)
			}
			want := describe(r.URL.Path, rt.fields, rt.methods.list())
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", r.URL, diff)
			}
		}
	}
}

// TestRoutes tries every route, whatever is added to the table, with every kind
// of credential and method.
func TestRoutes(t *testing.T) {
	a, h, secrets := everything(t)
	// Who may use which besides those with a credential. A route that is not here
	// must be protected.
	others := map[string]access{
		"/api/": public, "/api/v2/": public, "/api/gateway/v1/": public, "/api/o/": public,
		"/api/account/": session, "/api/account/logged_out/": session, "/api/account/sessions/": session, "/api/account/password/": session,
		"/api/account/tokens/": session, "/api/account/tokens/new/": session, "/api/account/tokens/{id}/": session, "/api/account/tokens/{id}/revoke/": session,
		"/api/account/connections/": session, "/api/account/connections/{id}/": session,
		"/api/account/applications/": session, "/api/account/applications/new/": session,
		"/api/account/applications/{id}/": session, "/api/account/applications/{id}/delete/": session,
		"/api/login/": session, "/api/logout/": session, "/api/o/authorize/": session, "/api/o/device/": session,
		"/api/o/token/": open, "/api/o/revoke_token/": open, "/api/o/introspect/": open, "/api/o/device_authorization/": open,
		"/.well-known/oauth-authorization-server":   open,
		"/.well-known/oauth-protected-resource/api": open,
		"/.well-known/oauth-protected-resource/mcp": open,
		"/api/v2/tokens/self/":                      anyScope,
		"/api/v2/schema/":                           open,
	}
	fill := strings.NewReplacer("{user}", "alice", "{id}", "999", "{app}", "1", "{organization}", "1")
	var paths []string
	for _, rt := range a.routes {
		path := strings.Join(rt.segments, "/")
		paths = append(paths, path)
		for who, secret := range secrets {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "QUERY", "get", "TRACE", "CONNECT"} {
				h, secret := h, secret
				if strings.HasPrefix(path, "/api/v2/tokens/self/") { // where a token ends itself
					_, again, fresh := everything(t)
					h, secret = again, fresh[who]
				}
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
	patterns, served := make(map[string]bool), make(map[string]bool)
	for _, rt := range routes {
		patterns[rt.pattern] = true
	}
	for _, rt := range a.routes { // one pattern has a route for each resource
		served[rt.pattern] = true
	}
	if len(served) != len(patterns) {
		t.Errorf("%d routes of %d are served", len(served), len(patterns))
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
	case who == "a dead token", who == "nothing" && (is == protected || is == anyScope):
		want = 401
	case is == anyScope && (r.Method != "PATCH" || who == "write"):
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

// TestOtherOrigins tries every route from a page of another origin: the scripts
// of such pages may read the answers where no cookie counts, and nowhere else.
func TestOtherOrigins(t *testing.T) { // D3
	a, h, secrets := everything(t)
	readable := map[string]string{
		"/api/o/token/": "POST", "/api/o/revoke_token/": "POST", "/api/o/device_authorization/": "POST",
		"/.well-known/oauth-authorization-server":   "GET",
		"/.well-known/oauth-protected-resource/api": "GET",
		"/.well-known/oauth-protected-resource/mcp": "GET",
	}
	fill := strings.NewReplacer("{user}", "alice", "{id}", "1", "{app}", "1", "{organization}", "1")
	for _, rt := range a.routes {
		path := fill.Replace(strings.Join(rt.segments, "/"))
		method, want := readable[path]
		if rt.anyOrigin != want || want && rt.access != open {
			t.Errorf("%s: %+v", path, rt.route)
		}
		for _, origin := range []string{"https://page.example", "null", "http://127.0.0.1:5173", "http://app.example"} {
			for _, name := range []string{"GET", "POST", "OPTIONS", "HEAD", "PUT", "preflight"} {
				r := httptest.NewRequest(strings.Replace(name, "preflight", "OPTIONS", 1), "http://app.example"+path, nil)
				r.Header.Set("Origin", origin)
				if name == "preflight" {
					r.Header.Set("Access-Control-Request-Method", "POST")
					r.Header.Set("Access-Control-Request-Headers", "authorization,mcp-protocol-version")
				} else if !want {
					r.Header.Set("Authorization", "Bearer "+secrets["write"])
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				fields := make(map[string]string)
				for field := range w.Header() {
					if strings.HasPrefix(field, "Access-Control-") {
						fields[field] = w.Header().Get(field)
					}
				}
				var expected map[string]string
				if want {
					expected = map[string]string{"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After, WWW-Authenticate"}
					if name == "preflight" {
						expected["Access-Control-Allow-Methods"] = method
						expected["Access-Control-Allow-Headers"] = "Authorization, Content-Type, *"
						expected["Access-Control-Max-Age"] = "7200"
					}
				}
				if diff := cmp.Diff(expected, fields, cmpopts.EquateEmpty()); diff != "" || want && name == "preflight" && w.Code != 204 {
					t.Errorf("%s %s from %s: %d (-want +got):\n%s", name, path, origin, w.Code, diff)
				}
				if want && len(w.Header()["Set-Cookie"]) > 0 {
					t.Errorf("%s %s sets cookies: %v", name, path, w.Header()["Set-Cookie"])
				}
			}
		}
	}
	for _, path := range []string{"/", "/api", "/api/nope/", "/.well-known/", "/api/o/token"} {
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Origin", "https://page.example")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: %q", path, got)
		}
	}
}
