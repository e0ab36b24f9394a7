package misusetest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"sync"

	"github.com/ostiary/auth"
)

var gatewayKey = sync.OnceValue(func() *rsa.PrivateKey { return auth.Must(rsa.GenerateKey(rand.Reader, 2048)) })

// signedBy returns the options of a service behind a gateway.
func signedBy(proof *auth.ProofOptions) *auth.ProxyOptions {
	proof.Keys = []*rsa.PublicKey{&gatewayKey().PublicKey}
	return &auth.ProxyOptions{Peers: peers("10.0.0.1/32"), Proof: proof}
}

func fetches(context.Context) ([]*rsa.PublicKey, error) {
	return []*rsa.PublicKey{&gatewayKey().PublicKey}, nil
}
