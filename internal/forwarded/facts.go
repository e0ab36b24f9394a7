// Package forwarded parses the fields of proxies: Forwarded (RFC 7239),
// X-Forwarded-For and their like. It does not decide which proxies are trusted.
// [Facts] are the statements of a trusted proxy.
package forwarded

import (
	"context"
	"net/http"
	"net/netip"

	"github.com/ostiary/auth/internal/client"
)

// Facts are the statements of a trusted proxy about a request.
type Facts struct {
	By           any        // the proxy handler that believed it
	Client       netip.Addr // zero if it cannot be known
	Scheme, Host string     // "" if the proxy does not say
	Proven       bool       // the proxy has proved itself
}

// Context holds facts, the context that carries them and the request that has
// this context, in one allocation. Without By it carries the address alone.
type Context struct {
	context.Context
	Facts
	Request http.Request
}

type factsKey struct{}

// Value implements [context.Context].
func (c *Context) Value(key any) any {
	switch key.(type) {
	case factsKey:
		if c.By != nil {
			return &c.Facts
		}
	case client.Key:
		return &c.Client
	}
	return c.Context.Value(key)
}

// Of returns the facts about the request with this context, or nil.
func Of(ctx context.Context) *Facts {
	f, _ := ctx.Value(factsKey{}).(*Facts)
	return f
}

// OverTLS reports whether the client sent r over TLS, as far as anybody knows.
func OverTLS(r *http.Request) bool {
	if f := Of(r.Context()); f != nil && f.Scheme != "" {
		return f.Scheme == "https"
	}
	return r.TLS != nil
}

// Host returns the host to which the client sent r.
func Host(r *http.Request) string {
	if f := Of(r.Context()); f != nil && f.Host != "" {
		return f.Host
	}
	return r.Host
}
