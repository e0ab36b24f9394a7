package auth_test

import (
	"crypto/rsa"
	"crypto/x509"
	"log/slog"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/store/memory"
)

// E7: options that have no effect are warned of, with the remedy, once.
func TestProxyWarnings(t *testing.T) {
	const nobody, noProof = "ProxyOptions.Peers", "ProxyOptions.Proof"
	keys := &auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}}
	for _, tt := range []struct {
		name string
		opts auth.ProxyOptions
		want string // in the one warning, "" for none
	}{
		{"nothing", auth.ProxyOptions{}, ""},
		{"AWX's defaults", auth.ProxyOptions{AddressFields: []string{"REMOTE_ADDR", "REMOTE_HOST"}}, ""},
		{"fields of nobody", auth.ProxyOptions{AddressFields: []string{"HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"}}, nobody},
		{"host of nobody", auth.ProxyOptions{ForwardedHost: true}, nobody},
		{"protected from everybody", auth.ProxyOptions{Protected: []string{"X-Forwarded-Prefix"}}, nobody},
		{"users of nobody", auth.ProxyOptions{UserField: "X-Remote-User"}, nobody},
		{"users without proof", auth.ProxyOptions{Peers: peers("10.0.0.1"), UserField: "X-Remote-User"}, noProof},
		{"users with a proof", auth.ProxyOptions{Peers: peers("10.0.0.1"), UserField: "X-Remote-User", Proof: keys}, ""},
		{"users over a socket", auth.ProxyOptions{UnixSocket: true, UserField: "X-Remote-User"}, ""},
		{"users by certificate", auth.ProxyOptions{PeerCertificate: func(*x509.Certificate) bool { return true }, UserField: "X-Remote-User"}, ""},
		{"fields of a proxy", auth.ProxyOptions{Peers: peers("10.0.0.1"), Protected: []string{"X-Forwarded-Prefix"}, ForwardedHost: true}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log := &logtest.Buffer{}
			tt.opts.Logger = slog.New(slog.NewTextHandler(log, nil))
			p := auth.Must(auth.NewProxy(&tt.opts))
			seenBy(p, from("10.0.0.1:1", "X-Forwarded-For: 203.0.113.7"))
			got := log.String()
			if want := min(len(tt.want), 1); strings.Count(got, "level=WARN") != want || !strings.Contains(got, tt.want) {
				t.Errorf("logged %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("users without the handler", func(t *testing.T) {
		log := &logtest.Buffer{}
		p := auth.Must(auth.NewProxy(&auth.ProxyOptions{UnixSocket: true, UserField: "X-Remote-User", Logger: slog.New(slog.NewTextHandler(log, nil))}))
		users := auth.Must(auth.NewProxyUsers(p, memory.New(), nil))
		for range 3 {
			if _, err := users.Authenticate(from("10.0.0.1:1", "X-Remote-User: alice")); err == nil {
				t.Error("believed")
			}
			if _, err := users.Authenticate(seenBy(p, from("10.0.0.1:1", "X-Remote-User: alice"))); err == nil {
				t.Error("believed")
			}
		}
		if got := log.String(); strings.Count(got, "level=WARN") != 1 || !strings.Contains(got, "Proxy.Handler") {
			t.Errorf("logged %q", got)
		}
	})
}
