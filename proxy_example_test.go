package auth_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/ostiary/auth"
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
