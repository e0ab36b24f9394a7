// Package peertest has what tests of proxies and of gateways share: requests of peers,
// what a handler behind a proxy gets, and the vectors of proofs.
package peertest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// From returns a request of a peer with header lines "Name: value", which are
// taken as they are.
func From(peer string, lines ...string) *http.Request {
	r := httptest.NewRequest("GET", "http://app.example/probe/", nil)
	r.RemoteAddr = peer
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	return r
}

// SeenBy returns the request that a handler behind p gets.
func SeenBy(p *auth.Proxy, r *http.Request) *http.Request {
	var got *http.Request
	p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })).ServeHTTP(httptest.NewRecorder(), r)
	return got
}

// Vectors are proofs and what is expected of them.
type Vectors struct {
	PublicKeys map[string]string `json:"public_keys"`
	Vectors    []struct {
		Name, Key, Header, Expect, Why string
		Now                            int64 `json:"now_ns"`
	}
}

// ReadVectors returns the vectors in a file.
func ReadVectors(t testing.TB, file string) (v Vectors) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}
