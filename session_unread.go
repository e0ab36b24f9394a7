package auth

import (
	"context"
	"net/http"
	"sync"
)

// unread is the context of a request whose session is not read, because it has
// an Authorization field. A handler that asks scs for values of the host finds
// none, where it would panic without this, and what it puts is not kept.
type unread struct {
	context.Context
	session *Session
	request http.Request // with this context
	load    sync.Once
	values  context.Context
	over    bool // the session is read after all, further in
}

type unreadKey struct{}

// withoutSession returns r for the handlers behind [Session.Handler].
func (s *Session) withoutSession(r *http.Request) *http.Request {
	c := &unread{Context: r.Context(), session: s}
	c.request = *r.WithContext(c)
	return &c.request
}

// Value makes the values of scs when somebody wants them, which is rare.
func (c *unread) Value(key any) any {
	switch {
	case key == (unreadKey{}):
		return c
	case key == c.session.scsKey && !c.over:
		c.load.Do(func() { c.values, _ = c.session.manager.Load(c.Context, "") }) // reads nothing, so it cannot fail
		return c.values.Value(key)
	}
	return c.Context.Value(key)
}

// readAfterAll makes way for the session of a handler that took the
// Authorization field away, such as one that logs in.
func (s *Session) readAfterAll(ctx context.Context) {
	for c, _ := ctx.Value(unreadKey{}).(*unread); c != nil; c, _ = c.Context.Value(unreadKey{}).(*unread) {
		if c.session == s {
			c.over = true
		}
	}
}

// keyProbe finds out under which key scs looks for its values in a context.
type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}
