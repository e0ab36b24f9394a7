package httpapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/httpapi"
)

func TestLoginBehindThePlatform(t *testing.T) { // 270, R-181
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")},
		Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}},
	}))
	signer := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true}))
	value, err := signer.Proof(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t)
	api := auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Passwords: s.passwords, Session: s.session, Tokens: s.tokens, Platform: true}))
	s.document.Store(nil)
	s.handler = proxy.Handler(s.session.Handler(api))
	proved, right := header("X-Trusted-Proxy", value), form("username", "alice", "password", "alice-pw")

	r := s.do("POST", "/api/login/", proved, right).wants(401).hasDetail("Please log in via Platform Authentication.")
	if r.cookies()["session"] != nil || r.header.Get("WWW-Authenticate") == "" {
		t.Errorf("header %v", r.header)
	}
	for _, tt := range []struct{ target, want string }{
		{"/api/login/", "/?next=%2Fapi%2F"},
		{"/api/login/?next=/jobs/%3Fx=1", "/?next=%2Fjobs%2F%3Fx%3D1"},
		{"/api/login/?next=//evil.example", "/?next=%2Fapi%2F"},
		{"/api/logout/?next=//evil.example", "/api/gateway/v1/logout/?__gateway_no_rewrite__=1&next=/"},
	} {
		if got := s.do("GET", tt.target, proved).wants(302).header.Get("Location"); got != tt.want {
			t.Errorf("%s leads to %q, want %q", tt.target, got, tt.want)
		}
	}

	// Requests that have not passed the gateway log in here.
	for _, parts := range map[string][]with{
		"directly":           {},
		"from another peer":  {proved, from("203.0.113.9:1")},
		"with a false proof": {header("X-Trusted-Proxy", "1-zz")},
	} {
		s.do("POST", "/api/login/", append(parts, right)...).wants(http.StatusFound)
		s.do("GET", "/api/login/", parts...).wants(http.StatusOK)
	}
}
