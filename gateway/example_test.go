package gateway_test

import (
	"context"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A gateway and a service in Go. The user that the gateway has authenticated is
// the user at the service.
func ExampleNewSigner() {
	key := gatewayKey() // an *rsa.PrivateKey

	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers:     auth.Must(auth.ParsePeers([]string{"127.0.0.1"})),
		UserField: "X-Remote-User",
		Proof:     &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}, RequireV2: true, Audience: "jobs"},
	}))
	users := auth.Must(auth.NewProxyUsers(proxy, exampleUsers(), nil))
	gate := auth.NewGate(users, nil)
	service := httptest.NewServer(proxy.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintln(w, p.Name, "from", auth.ClientAddr(r))
	}))))
	defer service.Close()

	signer := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{Audience: "jobs", UserField: "X-Remote-User"}))
	target := auth.Must(url.Parse(service.URL))
	gateway := &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(target)
			signer.Rewrite(pr)
		},
		Transport: signer.Transport(nil),
	}

	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "198.51.100.7:4711"
	r = authtest.WithPrincipal(r, &auth.Principal{Name: "alice"})
	w := httptest.NewRecorder()
	gateway.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output: alice from 198.51.100.7
}

// Caddy asks with forward_auth, Traefik with ForwardAuth, nginx with auth_request,
// whether a request may pass.
func ExampleNewForwardAuth() {
	db := memory.New()
	alice := auth.Must(db.InsertUser(context.Background(), store.User{Name: "alice", Active: true}))
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	issued := auth.Must(tokens.Issue(context.Background(),
		&auth.Principal{ID: alice.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{Scopes: auth.ScopeRead}))

	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers:     auth.Must(auth.ParsePeers([]string{"127.0.0.1"})),
		Protected: []string{"X-Forwarded-Method"},
	}))
	check := auth.Must(gateway.NewForwardAuth(proxy, auth.NewGate(auth.NewBearer(tokens), nil), nil))
	h := proxy.Handler(check)

	for _, method := range []string{"GET", "DELETE"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		r.Header.Set("X-Forwarded-Method", method)
		r.Header.Set("Authorization", "Bearer "+issued.AccessToken.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(method, w.Code, w.Header().Get("X-Remote-User"))
	}
	// Output:
	// GET 200 alice
	// DELETE 403
}

// Browsers without a login are redirected to the login, and from there back to
// where they wanted to go.
func ExampleForwardAuthOptions() {
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers:     auth.Must(auth.ParsePeers([]string{"127.0.0.1"})),
		Protected: []string{"X-Forwarded-Method", "X-Forwarded-Uri"},
	}))
	db := memory.New()
	gate := auth.NewGate(auth.Must(auth.NewSession(db, db, nil)), nil)
	check := auth.Must(gateway.NewForwardAuth(proxy, gate, &gateway.ForwardAuthOptions{Login: "/api/login/"}))
	h := proxy.Handler(check)

	for _, accept := range []string{"text/html", "application/json"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "127.0.0.1:4711"
		r.Header.Set("X-Forwarded-Method", "GET")
		r.Header.Set("X-Forwarded-Uri", "/jobs/?page=2")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header().Get("Location"))
	}
	// Output:
	// 302 /api/login/?next=%2Fjobs%2F%3Fpage%3D2
	// 401
}

// The key of a gateway as its administrator hands it out.
func ExampleParseKey() {
	text := auth.Must(os.ReadFile("testdata/gateway.pem"))
	key := auth.Must(gateway.ParseKey(text))
	fmt.Println(key.N.BitLen(), "bits")
	// Output: 2048 bits
}

// The key is where AWX's setting ANSIBLE_BASE_JWT_KEY says, and may change.
func ExampleFetchKeys() {
	fetch := auth.Must(gateway.FetchKeys("https://gateway.example/", nil))
	proxy, err := auth.NewProxy(&auth.ProxyOptions{
		Peers: auth.Must(auth.ParsePeers([]string{"10.0.0.0/8"})),
		Proof: &auth.ProofOptions{Refresh: fetch},
	})
	fmt.Println(proxy != nil, err) // no request is sent before the first one arrives
	// Output: true <nil>
}

func exampleUsers() store.Users {
	db := memory.New()
	auth.Must(db.InsertUser(context.Background(), store.User{Name: "alice", Active: true}))
	return db
}
