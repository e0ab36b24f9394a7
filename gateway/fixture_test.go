package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ostiary/auth"
)

// gatewayKey is made once: it takes a while.
var gatewayKey = sync.OnceValue(func() *rsa.PrivateKey { return auth.Must(rsa.GenerateKey(rand.Reader, 2048)) })

var quiet = slog.New(slog.DiscardHandler)

func peers(list ...string) []netip.Prefix { return auth.Must(auth.ParsePeers(list)) }

// seenBy returns the request that a handler behind p gets.
func seenBy(p *auth.Proxy, r *http.Request) *http.Request {
	var got *http.Request
	p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
	return got
}

// from returns a request of a peer with header lines "Name: value", which are
// taken as they are.
func from(peer string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://app.example/probe/", nil)
	r.RemoteAddr = peer
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

// spellings are ways to write one name that some server takes for the same.
func spellings(name string) []string {
	under := strings.ReplaceAll(name, "-", "_")
	list := []string{
		name, strings.ToLower(name), strings.ToUpper(name),
		under, strings.ToLower(under), strings.ToUpper(under),
		strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."), "HTTP_" + strings.ToUpper(under),
	}
	return list
}

type vectorFile struct {
	PublicKeys map[string]string `json:"public_keys"`
	Vectors    []struct {
		Name, Key, Header, Expect, Why string
		Now                            int64 `json:"now_ns"`
	}
}

func readVectors(t testing.TB) (v vectorFile) {
	t.Helper()
	text, err := os.ReadFile("../testdata/trusted-proxy-vectors.json")
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func privatePEM(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func anyKey() []*rsa.PublicKey { return []*rsa.PublicKey{&gatewayKey().PublicKey} }

// gatewayOf returns a proxy for signed requests from 10.0.0.0/8.
func gatewayOf(o *auth.ProofOptions, protected ...string) *auth.Proxy {
	return auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: peers("10.0.0.0/8"), Proof: o, Protected: protected, Logger: quiet}))
}
