package auth_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
)

// RequireLogin sends people to the login and back, and nobody else.
func TestRequireLogin(t *testing.T) {
	s := newSystem(t, nil)
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprint(w, p.Name)
	})
	h := s.session.Handler(s.gate.RequireLogin("/login/?theme=dark")(page)) // no mux: it would clean the path
	cookie := s.login(s.alice)
	dead := s.login(s.alice)
	s.send("POST", "/logout", dead)
	const html = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	to := func(next string) string { return "302 /login/?next=" + next + "&theme=dark" }
	for _, tt := range []struct {
		name, method, target string
		lines                []string
		want                 string
	}{
		{"logged in", "GET", "/jobs/", []string{html, cookie}, "200"},
		{"a browser", "GET", "/jobs/", []string{html}, to("%2Fjobs%2F")},
		{"with a query", "GET", "/jobs/?page=2&q=a+b", []string{html}, to("%2Fjobs%2F%3Fpage%3D2%26q%3Da%2Bb")},
		{"HEAD", "HEAD", "/jobs/", []string{html}, to("%2Fjobs%2F")},
		{"escaped path", "GET", "/a%2Fb/%C3%A9", []string{html}, to("%2Fa%252Fb%2F%25C3%25A9")},
		{"navigation", "GET", "/", []string{html, "Sec-Fetch-Mode: navigate"}, to("%2F")},
		{"from another site", "GET", "/jobs/", []string{html, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site"}, to("%2Fjobs%2F")},
		{"dead cookie", "GET", "/jobs/", []string{html, dead}, to("%2Fjobs%2F")},
		{"unknown cookie", "GET", "/jobs/", []string{html, "Cookie: __Host-session=x"}, to("%2Fjobs%2F")},
		{"HTML in another case", "GET", "/", []string{"Accept: application/json, Text/HTML ; q=0.1"}, to("%2F")},
		{"a form whose session is dead", "POST", "/jobs/?x=1", []string{html, dead, "Sec-Fetch-Site: same-origin"}, "303 /login/?theme=dark"},
		{"a form of another site", "POST", "/jobs/", []string{html, cookie, "Sec-Fetch-Site: cross-site"}, "403"},

		{"no browser", "GET", "/jobs/", nil, "401"},
		{"curl", "GET", "/jobs/", []string{"Accept: */*"}, "401"},
		{"JSON", "GET", "/jobs/", []string{"Accept: application/json"}, "401"},
		{"HTML not wanted", "GET", "/jobs/", []string{"Accept: text/html;q=0, application/json"}, "401"},
		{"HTML not wanted at all", "GET", "/jobs/", []string{"Accept: text/html; q=0.000"}, "401"},
		{"a script of a page", "GET", "/jobs/", []string{html, "Sec-Fetch-Mode: cors"}, "401"},
		{"an image", "GET", "/jobs/", []string{html, "Sec-Fetch-Mode: no-cors"}, "401"},
		{"a WebSocket", "GET", "/jobs/", []string{html, "Upgrade: websocket"}, "401"},
		{"bad token", "GET", "/jobs/", []string{html, "Authorization: Bearer x"}, "401"},
		{"bad password", "GET", "/jobs/", []string{html, basicLine("alice", "x")}, "401"},
		{"unknown scheme", "GET", "/jobs/", []string{html, "Authorization: Token x"}, "401"},
		{"two session cookies", "GET", "/jobs/", []string{html, cookie + "; __Host-session=x"}, "401"},
		{"a token that lacks a scope", "POST", "/jobs/", []string{html, bearer(s.issue(s.alice, "read"))}, "403"},
		{"TRACE", "TRACE", "/jobs/", []string{html}, "405"},
		{"the login page itself", "GET", "/login/?x=1", []string{html}, "401"},

		// The way back never leaves this host.
		{"two slashes", "GET", "//evil.example/x", []string{html}, to("%2F")},
		{"a backslash", "GET", "/\\evil.example", []string{html}, to("%2F%255Cevil.example")},
		{"a very long one", "GET", "/" + strings.Repeat("x", 3000), []string{html}, to("%2F")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://app.example/", nil)
			r.Method, r.RequestURI = tt.method, tt.target
			if u, err := r.URL.Parse("http://app.example" + tt.target); err == nil {
				r.URL = u
				r.URL.Scheme, r.URL.Host = "", ""
			}
			for _, line := range tt.lines {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			got := fmt.Sprint(w.Code)
			if l := w.Header().Get("Location"); l != "" {
				got += " " + l
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if w.Code < 400 && w.Code >= 300 {
				if diff := cmp.Diff([]string{"no-store", "Authorization, Cookie|Accept"}, []string{w.Header().Get("Cache-Control"), strings.Join(w.Header()["Vary"], "|")}); diff != "" {
					t.Errorf("header (-want +got):\n%s", diff)
				}
			}
		})
	}
	for _, bad := range []string{"", "login", "//evil.example/", "/\\evil.example", "https://evil.example/login", "/login/?next=/x", "/login/#x", "/log in", "/%zz"} {
		func() {
			defer func() {
				if v, _ := recover().(string); !strings.HasPrefix(v, "auth: RequireLogin: ") {
					t.Errorf("%q: %v", bad, v)
				}
			}()
			s.gate.RequireLogin(bad)
			t.Errorf("%q is accepted", bad)
		}()
	}
}

// An outage is no reason to log in, and neither is a user whom a gateway names.
func TestRequireLoginIsForThoseWhoCan(t *testing.T) {
	s := newSystem(t, nil)
	for name, err := range map[string]error{
		"503": errDown, "401": &auth.Error{Status: 401, Detail: "The user of the gateway is unknown."}, "403": &auth.Error{Status: 403, Detail: "x"},
	} {
		gate := auth.NewGate(auth.FirstOf(says(nil, err), s.session), &auth.GateOptions{Logger: quiet})
		w := send(gate.RequireLogin("/login/")(http.NotFoundHandler()), "GET", "/", "Accept: text/html")
		if fmt.Sprint(w.Code) != name {
			t.Errorf("%v: %d", err, w.Code)
		}
	}
	// Behind a prefix the way back is the one that the browser knows.
	gate := auth.NewGate(s.session, &auth.GateOptions{Logger: quiet})
	w := send(http.StripPrefix("/app", gate.RequireLogin("/login/")(http.NotFoundHandler())), "GET", "/app/jobs/?x=1", "Accept: text/html")
	if got := w.Header().Get("Location"); got != "/login/?next=%2Fapp%2Fjobs%2F%3Fx%3D1" {
		t.Errorf("Location %s", got)
	}
}

// E5: the body of a refusal can say what is wrong, for one's own login page.
func TestDenyWithDetail(t *testing.T) {
	s := newSystem(t, nil)
	_, err := s.passwords.Verify(t.Context(), "alice", "wrong")
	var seen string
	w := httptest.NewRecorder()
	s.gate.DenyWith(w, httptest.NewRequest("POST", "/", nil), err, func(w http.ResponseWriter, _ *http.Request, e *auth.Error) {
		seen = e.Detail
		w.WriteHeader(e.Status)
	})
	if seen != "Incorrect user name or password." || w.Code != 401 {
		t.Errorf("the page gets %q, status %d", seen, w.Code)
	}
	w = httptest.NewRecorder()
	s.gate.Deny(w, httptest.NewRequest("POST", "/", nil), err)
	if diff := cmp.Diff(e401(""), refusalOf(w)); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
}

// Decision 32: tokens that act for an application alone pass only where the gate
// says so.
func TestApplicationTokens(t *testing.T) {
	machine := says(&auth.Principal{Scopes: auth.ScopeWrite, ApplicationID: 7, TokenID: 8, Credential: auth.CredentialBearer}, nil)
	user := says(&auth.Principal{ID: "3", Scopes: auth.ScopeWrite, ApplicationID: 7, Credential: auth.CredentialBearer}, nil)
	for _, tt := range []struct {
		name  string
		who   auth.Authenticator
		allow bool
		want  int
	}{
		{"default", machine, false, 403},
		{"allowed", machine, true, 200},
		{"for a user", user, false, 200},
		{"in a chain", auth.FirstOf(says(nil, auth.ErrNoCredentials), machine), false, 403},
	} {
		gate := auth.NewGate(tt.who, &auth.GateOptions{ApplicationTokens: tt.allow, Logger: quiet})
		ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		for way, h := range map[string]http.Handler{
			"Require": gate.Require(ok), "RequireScope": gate.RequireScope("write")(ok), "Identify": gate.Identify(ok), "RequireLogin": gate.RequireLogin("/login/")(ok),
		} {
			w := send(h, "GET", "/", "Accept: text/html")
			if w.Code != tt.want || w.Code == 403 && w.Body.String() != body403 {
				t.Errorf("%s, %s: %d %s", tt.name, way, w.Code, w.Body)
			}
		}
		if _, err := gate.Check(httptest.NewRequest("POST", "/", nil)); (err == nil) != (tt.want == 200) {
			t.Errorf("%s, Check: %v", tt.name, err)
		}
	}
}

// B7: behind Session.Handler or a gate the context knows the client, without a
// Proxy, and a Proxy knows better.
func TestContextKnowsTheClient(t *testing.T) {
	s := newSystem(t, nil)
	verify := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = s.passwords.Verify(r.Context(), "nobody", "wrong")
		r.RemoteAddr = "203.0.113.66:1" // nobody asks again
		if got := auth.ClientAddr(r); got == netip.MustParseAddr("203.0.113.66") {
			t.Error("the context is not asked")
		}
	})
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Logger: quiet}))
	token := bearer(s.issue(s.alice, "write"))
	for _, tt := range []struct {
		name string
		h    http.Handler
		line string
		want string
	}{
		{"Session.Handler", s.session.Handler(verify), "X: y", "192.0.2.1"},
		{"Session.Handler beside a token", s.session.Handler(verify), token, "192.0.2.1"},
		{"Require", s.gate.Require(verify), token, "192.0.2.1"},
		{"Identify", s.gate.Identify(verify), "X: y", "192.0.2.1"},
		{"Identify with a token", s.gate.Identify(verify), token, "192.0.2.1"},
		{"RequireLogin", s.gate.RequireLogin("/")(verify), token, "192.0.2.1"},
		{"all", s.session.Handler(s.gate.Identify(verify)), "X: y", "192.0.2.1"},
		{"behind a proxy", proxy.Handler(s.session.Handler(s.gate.Identify(verify))), "X-Forwarded-For: 198.51.100.9", "198.51.100.9"},
		{"behind a proxy, with a token", proxy.Handler(s.gate.Require(verify)), "X-Forwarded-For: 198.51.100.9", "198.51.100.9"},
	} {
		lines := []string{tt.line}
		if tt.name == "behind a proxy, with a token" {
			lines = append(lines, token)
		}
		var clients []any
		for _, e := range s.events(func() { send(tt.h, "GET", "/", lines...) }) {
			if e["msg"] == "auth: password refused" {
				clients = append(clients, e["client"])
			}
		}
		if diff := cmp.Diff([]any{tt.want}, clients); diff != "" {
			t.Errorf("%s: clients (-want +got):\n%s", tt.name, diff)
		}
	}
}

// An answer behind RequireLogin warns of the end of a token, as one behind Require does.
func TestRequireLoginWarns(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.gate.WarnBefore = 10_000 * time.Hour })
	token := bearer(s.issue(s.alice, "read"))
	for name, h := range map[string]http.Handler{
		"Require":      s.gate.Require(http.NotFoundHandler()),
		"RequireLogin": s.gate.RequireLogin("/login/")(http.NotFoundHandler()),
	} {
		if w := send(h, "GET", "/", token); w.Header().Get("X-Token-Expires") == "" {
			t.Errorf("%s: no X-Token-Expires in %v", name, w.Header())
		}
	}
}
