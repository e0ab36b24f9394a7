package auth_test

import (
	"context"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A service behind nginx, with AWX's settings. What clients write into
// X-Forwarded-For does not count, and does not arrive.
func ExampleNewProxy() {
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers:         auth.Must(auth.ParsePeers([]string{"10.0.0.0/8", "fd00::1"})),  // PROXY_IP_ALLOWED_LIST
		AddressFields: []string{"HTTP_X_FORWARDED_FOR", "REMOTE_ADDR", "REMOTE_HOST"}, // REMOTE_HOST_HEADERS
	}))
	h := proxy.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(auth.ClientAddr(r), r.Header)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Forwarded-For", "6.6.6.6, 198.51.100.7, 10.0.0.2")

	r.RemoteAddr = "10.0.0.1:4711"
	h.ServeHTTP(httptest.NewRecorder(), r)
	r.RemoteAddr = "203.0.113.9:4711"
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// 198.51.100.7 map[X-Forwarded-For:[6.6.6.6, 198.51.100.7, 10.0.0.2]]
	// 203.0.113.9 map[]
}

// A gateway and a service in Go. Whoever the gateway has authenticated is the user
// at the service.
func ExampleNewProxySigner() {
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

	signer := auth.Must(auth.NewProxySigner(key, &auth.ProxySignerOptions{Audience: "jobs", UserField: "X-Remote-User"}))
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

// A gateway on the same machine, which is proved by the socket that only it can
// reach, names the user.
func ExampleNewProxyUsers() {
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{UnixSocket: true, UserField: "X-Remote-User"}))
	users := auth.Must(auth.NewProxyUsers(proxy, exampleUsers(), nil))
	gate := auth.NewGate(users, nil)
	service := httptest.NewUnstartedServer(proxy.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintln(w, p.Name, "by", p.Credential)
	}))))
	dir := auth.Must(os.MkdirTemp("", ""))
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	_ = service.Listener.Close()
	service.Listener = auth.Must(net.Listen("unix", socket))
	service.Start()
	defer service.Close()

	gateway := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	defer gateway.CloseIdleConnections()
	r := auth.Must(http.NewRequest("GET", "http://service/", nil))
	r.Header.Set("X-Remote-User", "alice")
	reply := auth.Must(gateway.Do(r))
	defer reply.Body.Close()
	fmt.Printf("%s", auth.Must(io.ReadAll(reply.Body)))
	// Output: alice by proxy
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
	check := auth.Must(auth.NewForwardAuth(proxy, auth.NewGate(auth.NewBearer(tokens), nil), nil))
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
