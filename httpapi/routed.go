package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"

	"github.com/ostiary/auth"
	clients "github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/stores"
)

// A routed is the context of a request: it carries the client's address and the user
// that the look-up of the credential reads. The request is in the same allocation.
type routed struct {
	context.Context
	addr    netip.Addr
	seen    stores.Seen
	request http.Request
}

// newRouted returns a copy of r, because the caller's request must not change. The
// path of the copy is that of the audit events.
func newRouted(r *http.Request) *http.Request {
	v := &routed{Context: r.Context(), addr: auth.ClientAddr(r)}
	v.request = *r.WithContext(v)
	return &v.request
}

func (v *routed) Value(key any) any {
	switch key.(type) {
	case clients.Key:
		return &v.addr
	case stores.SeenKey:
		return &v.seen
	}
	return v.Context.Value(key)
}

// Format keeps the credentials of the request out of logs that print contexts.
func (v *routed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "httpapi.routed") }
