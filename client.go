package auth

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/ostiary/auth/internal/client"
)

// WithClientAddr returns a context with the address of the client, for
// [ClientAddr], the throttle and the audit events. An IPv4 address that is
// mapped into IPv6 counts as the IPv4 address. The caller must have proof of
// the address; a header is none.
func WithClientAddr(ctx context.Context, addr netip.Addr) context.Context {
	return client.With(ctx, addr)
}

// ClientAddr returns the address of the client: the one in the request's
// context, see [Proxy] and [WithClientAddr], or else the peer. It reads no
// header. It returns the zero Addr if the address is not known, as over a Unix
// socket.
func ClientAddr(r *http.Request) netip.Addr { return client.Of(r) }

// withClient returns r with the address of its client in its context.
func withClient(r *http.Request) *http.Request {
	if ctx := client.Context(r); ctx != r.Context() {
		return r.WithContext(ctx)
	}
	return r
}
