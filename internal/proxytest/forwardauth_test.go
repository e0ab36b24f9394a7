package proxytest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
)

// asking returns the address of a ForwardAuth that the proxies ask. The credential
// "Test alice" stands for one that browsers add by themselves, and may read.
func asking(t *testing.T, key *rsa.PrivateKey, loginStatus int) string {
	t.Helper()
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers:     []netip.Prefix{netip.MustParsePrefix(proxyAddr + "/32")},
		Protected: []string{"X-Forwarded-Method", "X-Forwarded-Uri"}, Logger: quiet,
	}))
	var own auth.Origins
	gate := auth.NewGate(auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		switch r.Header.Get("Authorization") {
		case "":
			return nil, auth.ErrNoCredentials
		case "Test alice":
			if err := own.Check(r); err != nil {
				return nil, err
			}
			return &auth.Principal{ID: "1", Name: "alice", Scopes: "read"}, nil
		}
		return nil, errors.New("down")
	}), &auth.GateOptions{Logger: quiet})
	signer := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true}))
	h := auth.Must(gateway.NewForwardAuth(p, gate, &gateway.ForwardAuthOptions{
		Signer: signer, Login: "/api/login/", LoginStatus: loginStatus, Preflights: true,
	}))
	srv := httptest.NewServer(p.Handler(h))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// TestForwardAuth asks for each request whose it is, and lets the answer sign it.
func TestForwardAuth(t *testing.T) {
	key := auth.Must(rsa.GenerateKey(rand.Reader, 2048))
	for _, p := range proxies {
		if !strings.Contains(p.config, "/question") {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			status := 0
			if p.program == "nginx" {
				status = http.StatusUnauthorized
			}
			questions := asking(t, key, status)
			service := newService(t, &auth.ProxyOptions{UserField: "X-Remote-User", Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}}})
			at := p.start(t, service, questions)

			code, got := send(t, at.Plain, false, "/asked/x", "Authorization: Test alice", "X-Remote-User: root", "X_Remote_User: root", "X-Trusted-Proxy: 1-00", "X-Forwarded-Method: POST",
				"X-Forwarded-For: "+forged, "X-Envoy-External-Address: "+forged, "X_Envoy_External_Address: "+forged)
			if user := got.Header["X-Remote-User"]; code != 200 || !got.Proven || got.Client != clientAddr || len(user) != 1 || user[0] != "alice" {
				t.Errorf("status %d, %v", code, got)
			}
			const (
				alice, html = "Authorization: Test alice", "Accept: text/html,*/*;q=0.8"
				evil, cross = "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"
				preflight   = "Access-Control-Request-Method: PUT"
			)
			handshake := []string{alice, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
			ask := func(lines ...string) []string { return append(append([]string(nil), handshake...), lines...) }
			for _, tt := range []struct {
				name, method, path string
				lines              []string
				want               string // the status and where it leads
			}{
				{"nobody", "GET", "/asked/x", []string{"X-Remote-User: root"}, "401 "},
				{"may not write", "DELETE", "/asked/x", []string{alice}, "403 "},
				{"may not pretend to read", "DELETE", "/asked/x", []string{alice, "X-Forwarded-Method: GET"}, "403 "},

				// C8
				{"a person", "GET", "/asked/x?a=1&b=%2F", []string{html}, "302 /api/login/?next=%2Fasked%2Fx%3Fa%3D1%26b%3D%252F"},
				{"a person who says where", "GET", "/asked/x", []string{html, "X-Forwarded-Uri: //evil.example/"}, "302 /api/login/?next=%2Fasked%2Fx"},
				{"a person who says how", "POST", "/asked/x", []string{html, "Content-Length: 0", "X-Forwarded-Method: GET"}, "401 "},
				{"a script of a person", "GET", "/asked/x", []string{html, "Sec-Fetch-Mode: cors"}, "401 "},
				{"a person who is logged in", "GET", "/asked/x", []string{html, alice}, "200 "},
				{"a preflight", "OPTIONS", "/asked/x", []string{evil, preflight, "X-Remote-User: root", "X-Trusted-Proxy: 1-00"}, "200 "},
				{"half a preflight", "OPTIONS", "/asked/x", []string{evil, "X-Remote-User: root"}, "401 "},

				// A9
				{"a WebSocket of another origin", "GET", "/asked/x", ask(evil, cross, "Sec-Fetch-Mode: websocket"), "403 "},
				{"by an old browser", "GET", "/asked/x", ask(evil), "403 "},
				{"an upgrade that is no WebSocket", "GET", "/asked/x", []string{alice, evil, "Connection: Upgrade", "Upgrade: x"}, "403 "},
				{"a link on another page", "GET", "/asked/x", []string{alice, cross, "Sec-Fetch-Mode: navigate"}, "200 "},
			} {
				res, body, err := request(t, at.Plain, false, tt.method, tt.path, tt.lines...)
				if err != nil {
					t.Errorf("%s: %v", tt.name, err)
					continue
				}
				location := res.Header.Get("Location")
				if i := strings.Index(location, "/api/"); i > 0 { // nginx makes it absolute
					location = location[i:]
				}
				if got := fmt.Sprint(res.StatusCode, " ", location); got != tt.want {
					t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
				}
				if tt.name == "a preflight" && (strings.Contains(string(body), "root") || !strings.Contains(string(body), `"Proven":false`)) {
					t.Errorf("%s: %s", tt.name, body)
				}
				for name := range res.Header {
					if name == "X-Trusted-Proxy" || name == "X-Remote-User" {
						t.Errorf("%s: the client sees %s", tt.name, name)
					}
				}
			}
			// Past the question nothing is signed.
			if code, got := send(t, at.Plain, false, "/x", "X-Remote-User: root", "X-Trusted-Proxy: 1-00"); code != 200 || got.Proven || len(got.Header["X-Remote-User"]) > 0 {
				t.Errorf("status %d, %v", code, got)
			}
			// A10: whoever asks without being a proxy is told nothing.
			res, _, err := request(t, questions, false, "GET", "/question", alice, "X-Forwarded-Method: GET", "X-Forwarded-For: "+proxyAddr)
			if err != nil || res.StatusCode != 403 || res.Header.Get("X-Trusted-Proxy") != "" || res.Header.Get("X-Remote-User") != "" {
				t.Errorf("asked by a client: %v, %v", res, err)
			}
		})
	}
}
