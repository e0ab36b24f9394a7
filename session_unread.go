package auth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/incontext"
)

// unread is the context of a request whose session is not read, because it has
// an Authorization field. Without it, scs would panic in a handler that asks
// for values. With it, the handler finds none, and values that it puts are
// lost.
type unread struct {
	context.Context
	session *Session
	peer    string                        // RemoteAddr
	values  atomic.Pointer[requestValues] // those that are lost; nil until somebody asks
	over    bool                          // the session is read after all, further in
	lentCarrier
}

// withoutSession returns r for the handlers behind [Session.Handler]. It is not for a
// gate, which makes a copy of the request itself.
func (s *Session) withoutSession(r *http.Request) *http.Request {
	c := &struct { // one allocation
		unread
		request http.Request
	}{unread: unread{Context: r.Context(), session: s, peer: r.RemoteAddr}}
	c.request = *r.WithContext(&c.unread)
	return &c.request
}

// skipped reports whether a request of ctx has passed [Session.Handler] of s, which did
// not read its session.
func (s *Session) skipped(ctx context.Context) bool {
	for c, outer := innermost(ctx); c != nil; c, outer = innermost(outer) {
		if c, ok := c.(*unread); ok && c.session == s {
			return true
		}
	}
	return false
}

// carrying returns a copy of r that carries p.
func carrying(r incoming, p *Principal) *http.Request {
	ctx := r.Context()
	var c *carrier
	switch outer := ctx.(type) {
	case *gatedState:
		c = outer.lend()
	case *unread:
		c = outer.lend()
	}
	if c == nil {
		c = new(carrier)
	}
	// One by one: a list of assignments would copy the principal twice.
	c.Context, c.peer = ctx, r.RemoteAddr
	c.principal = *p
	// WithContext is inlined and its copy stays on the stack: only the carrier
	// is allocated. TestBearerAllocations holds this.
	c.request = *r.WithContext(c)
	return &c.request
}

// A lentCarrier is room for the carrier of the first gate behind a context, which then
// allocates none: one allocation and one copy of the request do for both.
type lentCarrier struct {
	lent  atomic.Bool // inner is in use
	inner carrier
}

// lend returns the carrier once, and then nil.
func (l *lentCarrier) lend() *carrier {
	if l.lent.Swap(true) {
		return nil
	}
	return &l.inner
}

// Format keeps the credentials of the request out of logs that print contexts.
func (c *unread) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.unread") }

// Value makes the values of scs when a handler asks for them, which is rare.
func (c *unread) Value(key any) any {
	switch {
	case key == (sessionKey{}):
		return c
	case key == c.session.values.key && !c.over:
		if c.values.Load() == nil {
			c.values.CompareAndSwap(nil, new(requestValues))
		}
		return c.session.values.lost(c.values.Load(), c.Context)
	}
	return client.Value(c.Context, key, c.peer)
}

// serveInside is serve for a request that has passed other handlers of sessions. A
// later look-up finds this session also if it was skipped further out, because
// of an Authorization field that somebody has removed, such as a login.
func (s *Session) serveInside(w http.ResponseWriter, r *http.Request, next http.Handler, gate incontext.Handler) {
	for c, outer := innermost(r.Context()); c != nil; c, outer = innermost(outer) {
		other := s
		switch c := c.(type) {
		case *sessionState:
			other = c.session
		case *unread:
			other = c.session
			c.over = c.over || other == s
		}
		if other != s && other.values.key == s.values.key {
			s.deny(w, r, errTwoSessions)
			return
		}
	}
	s.serve(w, r, next, gate)
}

// resumeSessions returns a handler that reads the sessions that were skipped
// because of an Authorization field, and then calls next.
func resumeSessions(ctx context.Context, next http.Handler) http.Handler {
	for c, outer := innermost(ctx); c != nil; c, outer = innermost(outer) {
		c, ok := c.(*unread)
		if !ok || c.over {
			continue
		}
		after := next
		next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.session.state(r.Context()) != nil { // its Handler was passed twice
				after.ServeHTTP(w, r)
				return
			}
			c.session.serveInside(w, r, after, nil)
		})
	}
	return next
}
