package auth_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// ambient has a gate for each credential that browsers, or a gateway for them,
// add by themselves, and the header lines that prove somebody by it.
type ambient struct {
	name    string
	handler http.Handler
	lines   []string
}

func ambientGates(t *testing.T) []ambient {
	t.Helper()
	s := newSystem(t, nil)
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, InsecureAddressAlone: true, UserField: "X-Remote-User", Logger: quiet,
	}))
	behind := func(a auth.Authenticator) http.Handler {
		return proxy.Handler(s.session.Handler(auth.NewGate(a, &auth.GateOptions{Logger: quiet}).Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
	}
	basic := auth.NewBasic(s.passwords, nil)
	users := auth.Must(auth.NewProxyUsers(proxy, s.db, nil))
	return []ambient{
		{"session", behind(s.session), []string{s.login(s.alice)}},
		{"session in a chain", behind(auth.FirstOf(basic, s.session)), []string{s.login(s.alice)}},
		{"basic", behind(basic), []string{basicLine("alice", goodPassword)}},
		{"proxy users", behind(users), []string{"X-Remote-User: alice"}},
	}
}

// A request as a browser, or no browser, may send it.
var originCases = []struct {
	name, method, target string
	lines                []string
	want                 int
}{
	{"no browser", "POST", "http://api.example/", nil, 200},
	{"safe methods are free", "GET", "http://api.example/", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 200},
	{"navigations are free", "GET", "http://api.example/", []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site"}, 200},
	{"unsafe methods are not", "POST", "http://api.example/", []string{"Sec-Fetch-Site: cross-site"}, 403},

	// A9: WebSockets of other sites.
	{"upgrade, cross-site", "GET", "http://api.example/", []string{"Upgrade: websocket", "Connection: Upgrade", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 403},
	{"upgrade, other origin, old browser", "GET", "http://api.example/", []string{"Upgrade: websocket", "Origin: https://evil.example"}, 403},
	{"upgrade in another case", "GET", "http://api.example/", []string{"Upgrade: WebSocket", "Origin: https://evil.example"}, 403},
	{"empty upgrade", "GET", "http://api.example/", []string{"Upgrade: ", "Origin: https://evil.example"}, 403},
	{"a proxy removed Upgrade", "GET", "http://api.example/", []string{"Sec-Websocket-Key: x", "Origin: https://evil.example"}, 403},
	{"a proxy removed all but the mode", "GET", "http://api.example/", []string{"Sec-Fetch-Mode: websocket", "Origin: https://evil.example"}, 403},
	{"mode in another case", "GET", "http://api.example/", []string{"Sec-Fetch-Mode: WebSocket", "Sec-Fetch-Site: same-site"}, 403},
	{"second mode", "GET", "http://api.example/", []string{"Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Site: cross-site"}, 403},
	{"upgrade by HEAD", "HEAD", "http://api.example/", []string{"Upgrade: websocket", "Origin: https://evil.example"}, 403},
	{"upgrade by OPTIONS", "OPTIONS", "http://api.example/", []string{"Sec-Websocket-Key: x", "Origin: https://evil.example"}, 403},
	{"upgrade to h2c", "GET", "http://api.example/", []string{"Upgrade: h2c", "Origin: https://evil.example"}, 403},
	{"null", "GET", "http://api.example/", []string{"Sec-Websocket-Key: x", "Origin: null"}, 403},
	{"upgrade, two origins", "GET", "http://api.example/", []string{"Sec-Websocket-Key: x", "Origin: http://api.example", "Origin: http://api.example"}, 403},
	{"upgrade, own page", "GET", "http://api.example/", []string{"Upgrade: websocket", "Sec-Websocket-Key: x", "Origin: http://api.example"}, 200},
	{"upgrade, own page, new browser", "GET", "http://api.example/", []string{"Sec-Fetch-Mode: websocket", "Origin: http://api.example", "Sec-Fetch-Site: same-origin"}, 200},
	{"upgrade, no browser", "GET", "http://api.example/", []string{"Upgrade: websocket", "Sec-Websocket-Key: x"}, 200},

	// C5: origins compare without case, default ports and spellings of addresses.
	{"default port of the host", "POST", "https://api.example:443/", []string{"Origin: https://api.example"}, 200},
	{"default port of the origin", "POST", "https://api.example/", []string{"Origin: https://api.example:443"}, 200},
	{"default port of http", "POST", "http://awx.lan:80/", []string{"Origin: http://awx.lan"}, 200},
	{"host in upper case", "POST", "http://AWX.lan/", []string{"Origin: http://awx.lan"}, 200},
	{"origin in upper case", "POST", "http://awx.lan/", []string{"Origin: HTTP://AWX.LAN"}, 200},
	{"no port after the colon", "POST", "http://awx.lan:/", []string{"Origin: http://awx.lan"}, 200},
	{"port with zeros", "POST", "http://awx.lan:08080/", []string{"Origin: http://awx.lan:8080"}, 200},
	{"long IPv6 address", "POST", "http://[2001:DB8:0:0::1]:8080/", []string{"Origin: http://[2001:db8::1]:8080"}, 200},
	{"IPv6, default port", "POST", "http://[::1]:80/", []string{"Origin: http://[0:0:0:0:0:0:0:1]"}, 200},
	{"the port of the other scheme", "POST", "http://api.example:443/", []string{"Origin: http://api.example"}, 403},
	{"the default port of http is none of https", "POST", "https://api.example/", []string{"Origin: https://api.example:80"}, 403},
	{"another scheme, the same port", "POST", "http://api.example:443/", []string{"Origin: https://api.example"}, 403},
	{"another IPv6 address", "POST", "http://[::1]/", []string{"Origin: http://[::2]"}, 403},
	{"an IPv4 address in IPv6", "POST", "http://192.0.2.9/", []string{"Origin: http://[::ffff:192.0.2.9]"}, 403},
	{"a dot at the end", "POST", "http://awx.lan/", []string{"Origin: http://awx.lan."}, 403},
	{"port zero", "POST", "http://awx.lan/", []string{"Origin: http://awx.lan:0"}, 403},
	{"port beyond 65535", "POST", "http://awx.lan/", []string{"Origin: http://awx.lan:65616"}, 403},
	{"user", "POST", "http://awx.lan/", []string{"Origin: http://x@awx.lan"}, 403},
	{"path", "POST", "http://awx.lan/", []string{"Origin: http://awx.lan/"}, 403},
	{"blank", "POST", "http://awx.lan/", []string{"Origin: http://awx.lan "}, 403},
	{"beyond ASCII", "POST", "http://awx.lan/", []string{"Origin: http://aẅx.lan"}, 403},
	{"Unicode folds to it", "POST", "http://task.lan/", []string{"Origin: http://taſk.lan"}, 403},
	{"zone", "POST", "http://[fe80::1]/", []string{"Origin: http://[fe80::1%25eth0]"}, 403},
	{"no host", "POST", "http://awx.lan/", []string{"Origin: http://"}, 403},
	{"a scheme alone", "POST", "http://awx.lan/", []string{"Origin: awx.lan"}, 403},
	{"another kind of scheme", "POST", "http://awx.lan/", []string{"Origin: moz-extension://awx.lan"}, 403},
	{"two in one line", "POST", "http://awx.lan/", []string{"Origin: http://awx.lan http://awx.lan"}, 403},
}

// Decision 25: there is one rule, whatever the credential.
func TestOneOriginRule(t *testing.T) {
	gates := ambientGates(t)
	for _, tt := range originCases {
		t.Run(tt.name, func(t *testing.T) {
			for _, g := range gates {
				if got := send(g.handler, tt.method, tt.target, append(g.lines, tt.lines...)...).Code; got != tt.want {
					t.Errorf("%s: status %d, want %d", g.name, got, tt.want)
				}
			}
		})
	}
	// A Host field that is no host matches nothing.
	for _, host := range []string{"", "awx.lan:http", "awx.lan:80:80", "[::1", "[::1]x", "::1", "a b", "[fe80::1%25lo]", "awx.lan/"} {
		for _, g := range gates {
			r := httptest.NewRequest("POST", "http://awx.lan/", nil)
			r.RemoteAddr = "192.0.2.1:4711"
			r.Host = host
			for _, line := range append(g.lines, "Origin: http://"+host) {
				name, value, _ := strings.Cut(line, ": ")
				r.Header.Add(name, value)
			}
			w := httptest.NewRecorder()
			if g.handler.ServeHTTP(w, r); w.Code != http.StatusForbidden {
				t.Errorf("%s: host %q: status %d", g.name, host, w.Code)
			}
		}
	}
	// Extended CONNECT (RFC 8441) opens WebSockets, too, and no gate lets it in.
	for _, g := range gates {
		if got := send(g.handler, "CONNECT", "/", g.lines...).Code; got != http.StatusMethodNotAllowed {
			t.Errorf("%s: CONNECT is answered %d", g.name, got)
		}
	}
}

// E9: a trusted origin is compared in its canonical form, or refused at
// construction.
func TestTrustedOrigins(t *testing.T) {
	for _, tt := range []struct {
		trusted, origin string
		want            string // of the one from the other; "" is refused at construction
	}{
		{"https://a.example", "https://a.example", "trusted"},
		{"https://a.example:443", "https://a.example", "trusted"},
		{"https://a.example", "https://a.example:443", "trusted"},
		{"https://a.example:0443", "https://A.example", "trusted"},
		{"https://a.example:8443", "https://a.example:8443", "trusted"},
		{"https://[2001:db8:0::1]", "https://[2001:db8::1]", "trusted"},
		{"http://localhost:3000", "http://localhost:3000", "trusted"},
		{"http://127.0.0.1:80", "http://127.0.0.1", "trusted"},
		{"http://[::1]:8080", "http://[0::1]:8080", "trusted"},
		{"https://a.example:80", "https://a.example", "foreign"},
		{"https://a.example", "http://a.example", "foreign"},
		{"https://a.example", "https://b.a.example", "foreign"},
		{"https://a.example", "null", "foreign"},
		{"http://a.example", "", ""},
		{"http://localhost.example", "", ""},
		{"http://128.0.0.1", "", ""},
		{"https://A.example", "", ""},
		{"HTTPS://a.example", "", ""},
		{"https://a.example/", "", ""},
		{"https://*.example", "", ""},
		{"https://a.example:x", "", ""},
		{"https://a.example:0", "", ""},
		{"https://u@a.example", "", ""},
		// Browsers send none of these, so that they would never match.
		{"https://127.1", "", ""},
		{"https://2130706433", "", ""},
		{"https://0x7f000001:8443", "", ""},
		{"https://10.0.0.0x1", "", ""},
		{"https://010.0.0.1", "", ""},
		{"https://10.0.0.1.", "", ""},
		{"https://a.example.1", "", ""},
		{"https://bücher.example", "", ""},
		{"https://10.0.0.1:8443", "https://10.0.0.1:8443", "trusted"},
		{"https://[::ffff:10.0.0.1]", "https://[::ffff:a00:1]", "trusted"},
		{"https://1a.example.1x", "https://1a.example.1x", "trusted"},
		{"https://0xyz", "https://0xyz", "trusted"},
		{"https://a.example.", "https://a.example.", "trusted"},
		{"https://", "", ""},
		{"https://[::1", "", ""},
		{"a.example", "", ""},
		{"null", "", ""},
		{"*", "", ""},
		{"", "", ""},
	} {
		o, err := auth.NewOrigins(tt.trusted)
		if (err == nil) != (tt.want != "") {
			t.Errorf("NewOrigins(%q): %v", tt.trusted, err)
			continue
		}
		s := newSystem(t, func(s *settings) { s.session.TrustedOrigins = nil })
		if _, sessionErr := auth.NewSession(s.db, s.db, &auth.SessionOptions{TrustedOrigins: []string{tt.trusted}}); (sessionErr == nil) != (err == nil) {
			t.Errorf("NewSession with %q: %v", tt.trusted, sessionErr)
		}
		if err != nil {
			if !strings.Contains(err.Error(), `"`+tt.trusted+`"`) {
				t.Errorf("the error does not name %q: %v", tt.trusted, err)
			}
			continue
		}
		r := httptest.NewRequest("POST", "https://own.example/", nil)
		r.Header.Set("Origin", tt.origin)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if got := o.Check(r); (got == nil) != (tt.want == "trusted") {
			t.Errorf("%q is trusted, %q sends: %v", tt.trusted, tt.origin, got)
		}
		// Every Origins trusts the request's own origin, and the zero value
		// only that.
		for origin, own := range map[string]bool{"https://own.example": true, "https://other.example": false} {
			r := httptest.NewRequest("POST", "https://own.example/", nil)
			r.Header.Set("Origin", origin)
			for _, o := range []*auth.Origins{o, {}, nil} {
				if err := o.Check(r); (err == nil) != own {
					t.Errorf("%q sends: %v", origin, err)
				}
			}
		}
	}
	// Plain HTTP is for hosts that said so.
	s := newSystem(t, nil)
	if _, err := auth.NewSession(s.db, s.db, &auth.SessionOptions{InsecureCookie: true, TrustedOrigins: []string{"http://a.example"}}); err != nil {
		t.Error(err)
	}
}
