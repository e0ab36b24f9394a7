package gateway_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// questions has what ForwardAuth needs: the proxy in front of it and the gate
// that it asks.
type questions struct {
	proxy *auth.Proxy
	gate  *auth.Gate
}

// newQuestions returns questions by a proxy at 10.0.0.0/8. The Authorization field
// is the name of a user who may read; root may do anything.
func newQuestions() questions {
	reader := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		switch name := r.Header.Get("Authorization"); name {
		case "":
			return nil, auth.ErrNoCredentials
		case "outage":
			return nil, errors.New("down")
		case "root":
			return &auth.Principal{ID: "2", Name: name, Scopes: auth.Unrestricted}, nil
		case "dead":
			return nil, &auth.Error{Status: 401, Code: "invalid_token", Detail: "The access token has ended."}
		default:
			return &auth.Principal{ID: "1", Name: name, Scopes: "read"}, nil
		}
	})
	return questions{
		proxy: auth.Must(auth.NewProxy(&auth.ProxyOptions{
			Peers: peers("10.0.0.0/8"), ForwardedHost: true, Logger: quiet,
			Protected: []string{"X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Upgrade"},
		})),
		gate: auth.NewGate(reader, &auth.GateOptions{Logger: quiet}),
	}
}

func (q questions) handler(opts *gateway.ForwardAuthOptions) http.Handler {
	return q.proxy.Handler(auth.Must(gateway.NewForwardAuth(q.proxy, q.gate, opts)))
}

func reply(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestForwardAuth(t *testing.T) {
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true}))
	h := newQuestions().handler(&gateway.ForwardAuthOptions{Signer: signer})
	const proxy, anybody = "10.0.0.1:1", "192.0.2.1:1"
	for _, tt := range []struct {
		name string
		peer string
		line []string
		want string
	}{
		{"may read", proxy, []string{"Authorization: alice", "X-Forwarded-Method: GET"}, "200 alice"},
		{"may not write", proxy, []string{"Authorization: alice", "X-Forwarded-Method: DELETE"}, "403 "},
		{"method not told", proxy, []string{"Authorization: alice"}, "403 "},
		{"method told twice", proxy, []string{"Authorization: alice", "X-Forwarded-Method: GET", "X-Forwarded-Method: GET"}, "403 "},
		{"may write", proxy, []string{"Authorization: root"}, "200 root"},
		{"method told in two spellings", proxy, []string{"Authorization: alice", "X-Forwarded-Method: DELETE", "X_Forwarded_Method: GET"}, "403 "},
		{"nobody", proxy, []string{"X-Forwarded-Method: GET"}, "401 "},
		{"outage", proxy, []string{"Authorization: outage", "X-Forwarded-Method: GET"}, "503 "},
		{"name that a field cannot convey", proxy, []string{"Authorization: a, b", "X-Forwarded-Method: GET"}, "403 "},
		{"a browser without a Login", proxy, []string{"X-Forwarded-Method: GET", "X-Forwarded-Uri: /x", "Accept: text/html"}, "401 "},
		{"a preflight without Preflights", proxy, []string{"X-Forwarded-Method: OPTIONS", "Origin: https://x.example", "Access-Control-Request-Method: PUT"}, "401 "},

		// A10: the answer is for a proxy that is believed.
		{"anybody who is logged in", anybody, []string{"Authorization: root"}, "403 "},
		{"anybody who says which method", anybody, []string{"Authorization: alice", "X-Forwarded-Method: GET"}, "403 "},
		{"anybody who says that it comes from a proxy", anybody, []string{"Authorization: alice", "X-Forwarded-Method: GET", "X-Forwarded-For: 10.0.0.1"}, "403 "},
		{"a peer without an address", "@", []string{"Authorization: alice", "X-Forwarded-Method: GET"}, "403 "},
		{"anybody who is not logged in", anybody, []string{"X-Forwarded-Method: GET"}, "403 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := reply(h, from(tt.peer, tt.line...))
			if got := fmt.Sprint(w.Code, " ", w.Header().Get("X-Remote-User")); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if signed := w.Header().Get("X-Trusted-Proxy") != ""; signed != (w.Code == 200) {
				t.Errorf("signed is %v", signed)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("may be stored")
			}
		})
	}
}

// A10: whoever the question comes from is decided by the Proxy of this handler,
// whatever stands around it.
func TestForwardAuthBelievesItsOwnProxyOnly(t *testing.T) {
	q := newQuestions()
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true}))
	alone := auth.Must(gateway.NewForwardAuth(q.proxy, q.gate, &gateway.ForwardAuthOptions{Signer: signer}))
	wide := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("0.0.0.0/8", "192.0.0.0/8"), Protected: []string{"X-Forwarded-Method"}}))
	signed := gatewayOf(&auth.ProofOptions{Keys: anyKey()}, "X-Forwarded-Method")
	line := []string{"Authorization: root", "X-Forwarded-Method: GET"}
	for _, tt := range []struct {
		name string
		h    http.Handler
		peer string
		want int
	}{
		{"without the handler of a proxy", alone, "10.0.0.1:1", 403},
		{"behind another proxy", wide.Handler(alone), "192.0.2.1:1", 403},
		{"behind both", wide.Handler(q.proxy.Handler(alone)), "192.0.2.1:1", 403},
		{"behind its own", q.proxy.Handler(alone), "10.0.0.1:1", 200},
		{"a proxy without its proof", signed.Handler(auth.Must(gateway.NewForwardAuth(signed, q.gate, nil))), "10.0.0.1:1", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := reply(tt.h, from(tt.peer, line...))
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if w.Code != 200 && (w.Header().Get("X-Trusted-Proxy") != "" || w.Header().Get("X-Remote-User") != "") {
				t.Errorf("header %v", w.Header())
			}
		})
	}
}

// A9: a page of another origin opens no WebSocket, whatever the proxy has removed
// from the question.
func TestForwardAuthKnowsUpgrades(t *testing.T) {
	db := memory.New()
	alice, err := db.InsertUser(t.Context(), store.User{Name: "alice", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	q := newQuestions()
	q.gate = auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	w := reply(session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := session.Login(r, alice); err != nil {
			t.Error(err)
		}
	})), httptest.NewRequest("POST", "https://app.example/", nil))
	cookie := w.Result().Cookies()[0]
	h := q.proxy.Handler(session.Handler(auth.Must(gateway.NewForwardAuth(q.proxy, q.gate, nil))))

	const (
		evil  = "Origin: https://evil.example"
		own   = "Origin: https://app.example"
		cross = "Sec-Fetch-Site: cross-site"
	)
	for _, tt := range []struct {
		name string
		line []string
		want int
	}{
		{"Upgrade", []string{evil, cross, "Upgrade: websocket", "Sec-Fetch-Mode: websocket"}, 403},
		{"Upgrade removed", []string{evil, cross, "Sec-Fetch-Mode: websocket", "Sec-Websocket-Key: x", "Sec-Websocket-Version: 13"}, 403},
		{"the mode is left", []string{evil, cross, "Sec-Fetch-Mode: websocket"}, 403},
		{"the key is left", []string{evil, cross, "Sec-Websocket-Key: x"}, 403},
		{"the version is left", []string{evil, cross, "Sec-Websocket-Version: 13"}, 403},
		{"the protocol is left", []string{evil, cross, "Sec-Fetch-Mode: no-cors", "Sec-Websocket-Protocol: graphql-ws"}, 403},
		{"Connection is left", []string{evil, cross, "Sec-Fetch-Mode: cors", "Connection: keep-alive, Upgrade"}, 403},
		{"the proxy says so", []string{evil, cross, "Sec-Fetch-Mode: cors", "X-Forwarded-Upgrade: websocket"}, 403},
		{"the proxy calls the scheme wss", []string{evil, cross, "Sec-Fetch-Mode: cors", "X-Forwarded-Proto: wss"}, 403},
		{"nothing but the origin is left", []string{evil}, 403},
		{"nothing but the site and the origin are left", []string{evil, cross}, 403},
		{"a page without an origin", []string{"Origin: null", "Sec-Websocket-Key: x"}, 403},
		{"a page of a site beside", []string{"Origin: https://other.app.example", "Sec-Fetch-Site: same-site", "Sec-Websocket-Key: x"}, 403},
		{"the same host in clear", []string{"Origin: http://app.example", "Sec-Websocket-Key: x"}, 403},

		{"own page", []string{own, "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: websocket", "Sec-Websocket-Key: x"}, 200},
		{"own page, old browser", []string{own, "Sec-Websocket-Key: x"}, 200},
		{"a program", []string{"Sec-Websocket-Key: x"}, 200},
		{"a link on another page", []string{cross, "Sec-Fetch-Mode: navigate"}, 200},
		{"an image on another page", []string{cross, "Sec-Fetch-Mode: no-cors"}, 200},
		{"a script that cannot read the answer", []string{evil, cross, "Sec-Fetch-Mode: cors"}, 200},
		{"no upgrade, says nginx", []string{cross, "Sec-Fetch-Mode: navigate", "X-Forwarded-Upgrade: "}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := from("10.0.0.1:1", append([]string{"X-Forwarded-Method: GET"}, tt.line...)...)
			if r.Header.Get("X-Forwarded-Proto") == "" {
				r.Header.Set("X-Forwarded-Proto", "https")
			}
			r.AddCookie(cookie)
			before := r.Header.Clone()
			w := reply(h, r)
			if w.Code != tt.want || (w.Header().Get("X-Remote-User") != "") != (tt.want == 200) {
				t.Errorf("status %d, want %d, user %q", w.Code, tt.want, w.Header().Get("X-Remote-User"))
			}
			if diff := cmp.Diff(before, r.Header); diff != "" {
				t.Errorf("the caller's header changed (-want +got):\n%s", diff)
			}
		})
	}
}

// E7: a handler that nothing proves a peer to says in the log what is missing.
func TestForwardAuthWithoutItsHandler(t *testing.T) {
	q := newQuestions()
	log := &logtest.Buffer{}
	gate := auth.NewGate(auth.AuthenticatorFunc(func(*http.Request) (*auth.Principal, error) { return nil, auth.ErrNoCredentials }),
		&auth.GateOptions{Logger: slog.New(slog.NewTextHandler(log, nil))})
	alone := auth.Must(gateway.NewForwardAuth(q.proxy, gate, nil))
	reply(q.proxy.Handler(alone), from("192.0.2.1:1", "X-Forwarded-Method: GET"))
	if got := log.String(); strings.Contains(got, "Proxy.Handler") || !strings.Contains(got, "status=403") {
		t.Errorf("a stranger: logged %q", got)
	}
	reply(alone, from("10.0.0.1:1", "X-Forwarded-Method: GET"))
	if got := log.String(); !strings.Contains(got, "Proxy.Handler") {
		t.Errorf("without the handler: logged %q", got)
	}
}

func TestForwardAuthPreflights(t *testing.T) {
	signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true}))
	h := newQuestions().handler(&gateway.ForwardAuthOptions{Preflights: true, Signer: signer})
	const options, origin, method = "X-Forwarded-Method: OPTIONS", "Origin: https://x.example", "Access-Control-Request-Method: PUT"
	for _, tt := range []struct {
		name string
		peer string
		line []string
		want string
	}{
		{"preflight", "10.0.0.1:1", []string{options, origin, method}, "200 "},
		{"by anybody", "192.0.2.1:1", []string{options, origin, method}, "403 "},
		{"no origin", "10.0.0.1:1", []string{options, method}, "401 "},
		{"two origins", "10.0.0.1:1", []string{options, origin, origin, method}, "401 "},
		{"no method to ask for", "10.0.0.1:1", []string{options, origin}, "401 "},
		{"another method", "10.0.0.1:1", []string{"X-Forwarded-Method: GET", origin, method}, "401 "},
		{"two methods", "10.0.0.1:1", []string{options, "X-Forwarded-Method: PUT", origin, method}, "401 "},
		{"method not told", "10.0.0.1:1", []string{origin, method}, "401 "},
		{"with credentials it is like any other", "10.0.0.1:1", []string{options, origin, method, "Authorization: alice"}, "200 alice"},
		{"with bad credentials, too", "10.0.0.1:1", []string{options, origin, method, "Authorization: dead"}, "401 "},
		{"with a cookie, too", "10.0.0.1:1", []string{options, origin, method, "Cookie: a=b"}, "401 "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := reply(h, from(tt.peer, tt.line...))
			if got := fmt.Sprint(w.Code, " ", w.Header().Get("X-Remote-User")); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if signed := w.Header().Get("X-Trusted-Proxy") != ""; signed != strings.HasSuffix(tt.want, "alice") {
				t.Errorf("signed is %v", signed)
			}
		})
	}
}

func TestForwardAuthSettings(t *testing.T) {
	q := newQuestions()
	bare := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Logger: quiet}))
	noURI := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Protected: []string{"X-Forwarded-Method"}, Logger: quiet}))
	nobody := auth.Must(auth.NewProxy(&auth.ProxyOptions{Protected: []string{"X-Forwarded-Method"}, Logger: quiet}))
	second := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{Audience: "svc"}))
	for _, tt := range []struct {
		name  string
		proxy *auth.Proxy
		opts  *gateway.ForwardAuthOptions
		want  string // in the error, "" for none
	}{
		{"defaults", q.proxy, nil, ""},
		{"method by anybody", bare, nil, "ProxyOptions.Protected"},
		{"a proxy that believes nobody", nobody, nil, "Peers"},
		{"a signer that signs requests", q.proxy, &gateway.ForwardAuthOptions{Signer: second}, "FirstVersion"},
		{"the user where the method is", q.proxy, &gateway.ForwardAuthOptions{UserField: "X-Forwarded-Method"}, "UserField"},
		{"the user where the address is", q.proxy, &gateway.ForwardAuthOptions{UserField: "HTTP_X_FORWARDED_FOR"}, "UserField"},
		{"no field", q.proxy, &gateway.ForwardAuthOptions{UserField: "a b"}, "UserField"},
		{"credential as method", q.proxy, &gateway.ForwardAuthOptions{MethodField: "Authorization"}, "MethodField"},

		{"login", q.proxy, &gateway.ForwardAuthOptions{Login: "/api/login/"}, ""},
		{"login with a query", q.proxy, &gateway.ForwardAuthOptions{Login: "/login?theme=dark"}, ""},
		{"login for nginx", q.proxy, &gateway.ForwardAuthOptions{Login: "/api/login/", LoginStatus: 401}, ""},
		{"login elsewhere", q.proxy, &gateway.ForwardAuthOptions{Login: "https://sso.example/", ReturnHosts: []string{"app.example", "app.example:8443"}}, ""},
		{"login on this machine", q.proxy, &gateway.ForwardAuthOptions{Login: "http://localhost:8080/", ReturnHosts: []string{"localhost:8081"}}, ""},
		{"address by anybody", noURI, &gateway.ForwardAuthOptions{Login: "/api/login/"}, "ProxyOptions.Protected"},
		{"status of a page", q.proxy, &gateway.ForwardAuthOptions{Login: "/api/login/", LoginStatus: 200}, "LoginStatus"},
		{"status without login", q.proxy, &gateway.ForwardAuthOptions{LoginStatus: 401}, "Login"},
		{"hosts without login", q.proxy, &gateway.ForwardAuthOptions{ReturnHosts: []string{"app.example"}}, "Login"},
		{"hosts for a path", q.proxy, &gateway.ForwardAuthOptions{Login: "/login", ReturnHosts: []string{"app.example"}}, "ReturnHosts"},
		{"login elsewhere without hosts", q.proxy, &gateway.ForwardAuthOptions{Login: "https://sso.example/"}, "ReturnHosts"},
		{"every host", q.proxy, &gateway.ForwardAuthOptions{Login: "https://sso.example/", ReturnHosts: []string{"*.example"}}, "ReturnHosts"},
		{"an origin for a host", q.proxy, &gateway.ForwardAuthOptions{Login: "https://sso.example/", ReturnHosts: []string{"https://app.example"}}, "ReturnHosts"},
		{"no host", q.proxy, &gateway.ForwardAuthOptions{Login: "https://sso.example/", ReturnHosts: []string{""}}, "ReturnHosts"},
		{"login in clear", q.proxy, &gateway.ForwardAuthOptions{Login: "http://sso.example/", ReturnHosts: []string{"app.example"}}, "Login"},
		{"login without a scheme", q.proxy, &gateway.ForwardAuthOptions{Login: "//sso.example/"}, "Login"},
		{"login by name", q.proxy, &gateway.ForwardAuthOptions{Login: "login"}, "Login"},
		{"login as a script", q.proxy, &gateway.ForwardAuthOptions{Login: "javascript:alert(1)"}, "Login"},
		{"login with a user", q.proxy, &gateway.ForwardAuthOptions{Login: "https://a:b@sso.example/", ReturnHosts: []string{"app.example"}}, "Login"},
		{"login that knows the way back", q.proxy, &gateway.ForwardAuthOptions{Login: "/login?next=/x"}, "Login"},
		{"login with a fragment", q.proxy, &gateway.ForwardAuthOptions{Login: "/login#x"}, "Login"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := gateway.NewForwardAuth(tt.proxy, q.gate, tt.opts)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
