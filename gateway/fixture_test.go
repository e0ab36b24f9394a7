package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/peertest"
)

// gatewayKey is made once: it takes a while.
var gatewayKey = sync.OnceValue(func() *rsa.PrivateKey { return auth.Must(rsa.GenerateKey(rand.Reader, 2048)) })

var quiet = slog.New(slog.DiscardHandler)

var (
	from   = peertest.From
	seenBy = peertest.SeenBy
)

func peers(list ...string) []netip.Prefix { return auth.Must(auth.ParsePeers(list)) }

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
