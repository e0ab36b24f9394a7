package auth

import (
	"net/http"
	"net/netip"
	"testing"
)

// BenchmarkResolution is what the forwarding fields of a request cost alone,
// without the copy of the request that carries the result; see BenchmarkProxy
// for the whole.
func BenchmarkResolution(b *testing.B) {
	p := Must(NewProxy(&ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}))
	peer := netip.MustParseAddr("10.0.0.1")
	for name, value := range map[string]string{
		"one hop":    "203.0.113.7",
		"three hops": "192.0.2.1, 203.0.113.7, 10.0.0.2",
	} {
		h := http.Header{"X-Forwarded-For": {value}, "X-Forwarded-Proto": {"https"}, "Accept": {"*/*"}}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if addr, scheme, _ := p.client(peer, h, false); !addr.IsValid() || scheme != "https" {
					b.Fatal(addr, scheme)
				}
			}
		})
	}
}
