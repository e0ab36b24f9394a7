package client

import (
	"net/netip"
	"testing"
)

// FuzzPeer4 holds the fast parser against the one of net/netip: what it takes, that
// takes for the same address.
func FuzzPeer4(f *testing.F) {
	for _, s := range []string{
		"192.0.2.1:80", "255.255.255.255:65535", "0.0.0.0:0", "10.0.0.1:8443",
		"256.0.2.1:80", "192.0.2.1:65536", "192.0.2.1:99999", "192.0.2.1:100000", "192.0.2.1:080", "192.0.2.1:00", "192.0.02.1:80", "192.00.2.1:80",
		"192.0.2.1", "192.0.2.1:", "192.0.2:80", "192.0.2.1.5:80", "192.0.2.1:80:80", "192.0.2.1.80", ":80", "...:", "192..2.1:80", ".192.0.2.1:80",
		"192.0.2.1:+80", "192.0.2.-1:80", " 192.0.2.1:80", "192.0.2.1:80 ", "192.0.2.1:http", "192.0.2.1%eth0:80", "[::1]:80", "[::ffff:192.0.2.1]:80", "@", "",
		"4294967488.0.2.1:80", "192.0.2.1:4294967376",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		addr, ok := peer4(s)
		ap, err := netip.ParseAddrPort(s)
		if ok && (err != nil || ap.Addr() != addr) {
			t.Fatalf("%q: %v; want %v, %v", s, addr, ap.Addr(), err)
		}
		if !ok && err == nil && ap.String() == s && ap.Addr().Is4() {
			t.Fatalf("%q is left to net/netip", s) // as net/http writes it
		}
	})
}

// A network is the same whichever way it is found.
func TestNetworkOfIPv4(t *testing.T) {
	for _, s := range []string{"192.0.2.1", "::ffff:192.0.2.1", "::ffff:192.0.2.1%eth0"} {
		if got, want := Network(netip.MustParseAddr(s)), netip.MustParsePrefix("192.0.2.1/32"); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
}
