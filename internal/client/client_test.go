package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/ostiary/auth/internal/client"
)

// One client has one address and one network, however the address is written.
func TestOneClientOneNetwork(t *testing.T) {
	for _, tt := range []struct{ addr, text, network string }{
		{"192.0.2.1", "192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1/32"},
		{"::ffff:192.0.2.2", "192.0.2.2", "192.0.2.2/32"},
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::1", "fe80::/64"},
		// B6: a translator gives each IPv4 client one.
		{"64:ff9b::192.0.2.1", "64:ff9b::c000:201", "64:ff9b::c000:201/128"},
		{"64:ff9b:1:2::192.0.2.1", "64:ff9b:1:2::c000:201", "64:ff9b:1:2::c000:201/128"},
		{"64:ff9b:0:0:0:1:0:1", "64:ff9b::1:0:1", "64:ff9b::/64"},
		{"64:ff9b:2::1", "64:ff9b:2::1", "64:ff9b:2::/64"},
	} {
		addr := netip.MustParseAddr(tt.addr)
		ctx := client.With(context.Background(), addr)
		if got := client.Text(ctx); got != tt.text {
			t.Errorf("%s: text %q, want %q", tt.addr, got, tt.text)
		}
		if got := client.Network(addr).String(); got != tt.network {
			t.Errorf("%s: network %s, want %s", tt.addr, got, tt.network)
		}
		if !client.In([]netip.Prefix{netip.MustParsePrefix(tt.network)}, addr) {
			t.Errorf("%s is not in %s", tt.addr, tt.network)
		}
	}
}

// An address that is not known is neither an address nor the text of one.
func TestUnknownClient(t *testing.T) {
	for _, remote := range []string{"", "@", "pipe", "192.0.2.1", "[::1]", "host:80"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		if addr := client.Of(r); addr.IsValid() || client.String(addr) != "" || client.Text(client.Context(r)) != "" || client.Network(addr).IsValid() {
			t.Errorf("%q: address %v", remote, addr)
		}
	}
	if addr, ok := client.From(context.Background()); ok || addr.IsValid() {
		t.Error("an empty context has an address")
	}
	// A proxy that says the client cannot be known is not overruled by the peer.
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(client.With(r.Context(), netip.Addr{}))
	if addr := client.Of(r); addr.IsValid() {
		t.Errorf("address %v", addr)
	}
}

func TestSite(t *testing.T) {
	for network, want := range map[string]string{
		"192.0.2.1/32": "192.0.2.1/32", "2001:db8:1:2::/64": "2001:db8:1::/48", "2001:db8:1:ffff::/64": "2001:db8:1::/48", "2001:db8:2::/64": "2001:db8:2::/48",
		"64:ff9b::c000:201/128": "64:ff9b::c000:201/128", "64:ff9b:1:2::c000:201/128": "64:ff9b:1:2::c000:201/128",
	} {
		if got := client.Site(netip.MustParsePrefix(network)).String(); got != want {
			t.Errorf("Site(%s) = %s, want %s", network, got, want)
		}
	}
	if got := client.Site(netip.Prefix{}); got != (netip.Prefix{}) {
		t.Errorf("no network: %v", got)
	}
}

// FuzzTextAt holds that TextAt is the text of Of.
func FuzzTextAt(f *testing.F) {
	for _, s := range []string{"", ":", "127.0.0.1:1", "127.0.0.1", "[::1]:1", "[::ffff:127.0.0.1]:1", "[127.0.0.1]:1", "127.0.0.01:1", "[fe80::1%eth0]:1", "@", "127.0.0.1:1:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, peer string) {
		r := &http.Request{RemoteAddr: peer}
		if got, want := client.TextAt(r.Context(), r.RemoteAddr), client.String(client.Of(r)); got != want {
			t.Errorf("%q: %q, want %q", peer, got, want)
		}
	})
}

// A context that carries a request tells the peer where nothing outside tells a client,
// and all else is that of outside.
func TestValue(t *testing.T) {
	type key struct{}
	outside := context.WithValue(t.Context(), key{}, "outside")
	known := netip.MustParseAddr("198.51.100.9")
	for _, tt := range []struct {
		name  string
		outer context.Context
		want  netip.Addr
	}{
		{"nothing is known outside", outside, netip.MustParseAddr("192.0.2.7")},
		{"the client is known", client.With(outside, known), known},
		{"it is known that the client is not", client.With(outside, netip.Addr{}), netip.Addr{}},
	} {
		const peer = "192.0.2.7:4711"
		if addr, ok := client.Value(tt.outer, client.Key{}, peer).(*netip.Addr); !ok || *addr != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, addr, tt.want)
		}
		if got := client.Value(tt.outer, key{}, peer); got != "outside" {
			t.Errorf("%s: another value is %v", tt.name, got)
		}
		if got := client.Value(tt.outer, "other", peer); got != nil {
			t.Errorf("%s: a value that nobody has is %v", tt.name, got)
		}
	}
}
