package gatewayjwt_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/gatewayjwt"
	"github.com/ostiary/auth/store"
)

// A service behind the gateway of the Ansible platform, whose users are known by
// the gateway's identifiers.
func ExampleNew() {
	key := auth.Must(rsa.GenerateKey(rand.Reader, 2048)) // the gateway's

	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: auth.Must(auth.ParsePeers([]string{"10.0.0.0/8"})),
		Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}},
	}))
	users := map[string]store.User{"6b6e9b2c": {ID: "1", Name: "alice", Active: true}}
	tokens := auth.Must(gatewayjwt.New(proxy, func(_ context.Context, c gatewayjwt.Claims) (store.User, error) {
		u, ok := users[c.Subject]
		if !ok {
			return store.User{}, store.ErrNotFound
		}
		return u, nil
	}, nil))
	h := proxy.Handler(auth.NewGate(tokens, nil).Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		p, _ := auth.FromContext(r.Context())
		fmt.Println(p.Name)
	})))

	// What the gateway sends.
	signer := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true}))
	jwts := auth.Must(jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, nil))
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Trusted-Proxy", auth.Must(signer.Proof(time.Now())))
	r.Header.Set("X-DAB-JW-TOKEN", auth.Must(jwt.Signed(jwts).Claims(present(nil)).Serialize()))
	h.ServeHTTP(httptest.NewRecorder(), r)
	// Output: alice
}
