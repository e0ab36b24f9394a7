package httpapi

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/ostiary/auth"
	clients "github.com/ostiary/auth/internal/client"
)

// The context of a request tells the address of the peer to what has no request, such
// as a throttle. It tells none where somebody outside knows better, or knows that it
// cannot be known.
func TestRoutedClient(t *testing.T) {
	peer, other := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.9")
	for _, outside := range []netip.Addr{peer, other, {}} {
		r := httptest.NewRequest("GET", "/api/", nil)
		r.RemoteAddr = "192.0.2.7:4711"
		if outside != peer {
			r = r.WithContext(auth.WithClientAddr(r.Context(), outside))
		}
		r = newRouted(r, nil)
		r.RemoteAddr = "" // what a handler changes later is not asked
		if got, ok := clients.From(r.Context()); !ok || got != outside {
			t.Errorf("the address is %v, %t, want %v", got, ok, outside)
		}
	}
}
