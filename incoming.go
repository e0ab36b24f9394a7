package auth

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/ostiary/auth/internal/client"
)

// An incoming is a request whose context may stand beside it, see
// [incontext.Handler]. Its own method Context hides that of the request.
type incoming struct {
	*http.Request
	beside context.Context // nil if the request has its context itself
}

// Context returns the context of the request.
func (r incoming) Context() context.Context {
	if r.beside != nil {
		return r.beside
	}
	return r.Request.Context()
}

// settle gives the request its context, for code of the host and all that may hand
// the request to it.
func (r *incoming) settle() *http.Request {
	if r.beside != nil {
		r.copy()
	}
	return r.Request
}

// copy is not inlined: the copy would take room on the stack of each that settles.
//
//go:noinline
func (r *incoming) copy() { r.Request, r.beside = r.Request.WithContext(r.beside), nil }

// client is [ClientAddr].
func (r incoming) client() netip.Addr { return client.At(r.Context(), r.RemoteAddr) }
