package auth

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/ostiary/auth/internal/client"
)

// unread is the context of a request whose session is not read, because it has
// an Authorization field. Without it, scs would panic in a handler that asks
// for values. With it, the handler finds none, and values that it puts are
// lost.
type unread struct {
	context.Context
	session *Session
	peer    string       // RemoteAddr
	request http.Request // with this context
	load    sync.Once
	values  context.Context
	over    bool // the session is read after all, further in
	lentCarrier
}

// A frame is the context of a request whose session is not read, as unread is. It is
// for a request whose next handler is a gate, which puts its carrier into the frame:
// one allocation and one copy of the request do for both.
type frame struct {
	context.Context
	session *Session
	peer    string                 // RemoteAddr
	skipped atomic.Pointer[unread] // nil until somebody asks for the session
	lentCarrier
}

// unread returns what the rest of this package knows of a session that is not read.
func (f *frame) unread() *unread {
	if u := f.skipped.Load(); u != nil {
		return u
	}
	f.skipped.CompareAndSwap(nil, &unread{Context: f.Context, session: f.session, peer: f.peer})
	return f.skipped.Load()
}

func (f *frame) Value(key any) any {
	if key == (sessionKey{}) || key == f.session.values.key {
		return f.unread().Value(key)
	}
	return client.Value(f.Context, key, f.peer)
}

// Format keeps the credentials of the request out of logs that print contexts.
func (f *frame) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "auth.frame") }

// withoutSession returns r for the handlers behind [Session.Handler].
func (s *Session) withoutSession(r *http.Request) *http.Request {
	c := &unread{Context: r.Context(), session: s, peer: r.RemoteAddr}
	c.request = *r.WithContext(c)
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
	case *frame:
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
// allocates none.
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
		c.load.Do(func() { c.values = c.session.values.none(c.Context) })
		return c.values.Value(key)
	}
	return client.Value(c.Context, key, c.peer)
}

// serveInside is serve for a request that has passed other handlers of sessions. A
// later look-up finds this session also if it was skipped further out, because
// of an Authorization field that somebody has removed, such as a login.
func (s *Session) serveInside(w http.ResponseWriter, r *http.Request, next http.Handler) {
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
	s.serve(w, r, next)
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
			c.session.serveInside(w, r, after)
		})
	}
	return next
}
