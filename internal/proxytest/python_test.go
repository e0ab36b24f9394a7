package proxytest_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/internal/servertest"
)

// reference signs and verifies with Python's cryptography and the parameters of
// the Ansible gateway.
const reference = `
import sys, time
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.MAX_LENGTH)
key = serialization.load_pem_private_key(open(sys.argv[2], "rb").read(), password=None)
if sys.argv[1] == "sign":
    now = str(time.time_ns())
    print(now + "-" + key.sign(("trusted_proxy-" + now).encode(), pss, hashes.SHA256()).hex())
else:
    text, _, signature = sys.stdin.read().strip().partition("-")
    key.public_key().verify(bytes.fromhex(signature), ("trusted_proxy-" + text).encode(), pss, hashes.SHA256())
    print("good")
`

func TestPython(t *testing.T) {
	python := need(t, "python3")
	if exec.Command(python, "-c", "import cryptography").Run() != nil {
		servertest.Check(t, servertest.Missing("python3-cryptography"))
	}
	for _, bits := range []int{2048, 3072} {
		key := auth.Must(rsa.GenerateKey(rand.Reader, bits))
		file := filepath.Join(t.TempDir(), "key.pem")
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err == nil {
			err = os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		run := func(what, input string) string {
			t.Helper()
			cmd := exec.Command(python, "-c", reference, what, file)
			cmd.Stdin = strings.NewReader(input)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %v\n%s", what, err, out)
			}
			return strings.TrimSpace(string(out))
		}
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{
			Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")}, Logger: quiet,
			Proof: &auth.ProofOptions{Keys: []*rsa.PublicKey{&key.PublicKey}},
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Trusted-Proxy", run("sign", ""))
		p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if !auth.ProvenProxy(r.Context()) {
				t.Errorf("%d bits: Python signs, Go does not accept", bits)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)

		first := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{FirstVersion: true}))
		if got := run("verify", auth.Must(first.Proof(time.Now()))); got != "good" {
			t.Errorf("%d bits, first version: %s", bits, got)
		}
		second := auth.Must(gateway.NewSigner(key, &gateway.SignerOptions{Audience: "svc"}))
		var sent string
		transport := second.Transport(roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = r.Header.Get("X-Trusted-Proxy")
			return nil, io.EOF
		}))
		out := httptest.NewRequest("GET", "http://service.example/", nil)
		if _, err := transport.RoundTrip(out); err != io.EOF {
			t.Fatal(err)
		}
		if got := run("verify", sent); got != "good" || strings.Count(sent, ".") != 4 {
			t.Errorf("%d bits, second version: %s", bits, got)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
