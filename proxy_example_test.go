package auth_test

import (
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
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
