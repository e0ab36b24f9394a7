package auth

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

	"github.com/ostiary/auth/internal/forwarded"
)

// sessionNotes are warnings about the configuration of sessions. Each is logged
// once.
type sessionNotes struct{ scheme, handler sync.Once }

// noteScheme warns if a browser gets a cookie that it drops, or that could be
// safer. A request without text/html in Accept and without Origin comes from no
// browser.
func (n *sessionNotes) noteScheme(r *http.Request, log *slog.Logger, insecure bool) {
	if len(r.Header["Origin"]) == 0 && !acceptsHTML(r.Header) {
		return
	}
	origin, known := requestOrigin(r)
	switch tls := forwarded.OverTLS(r); {
	case !tls && !insecure && !(known && loopback(origin)):
		n.scheme.Do(func() {
			log.WarnContext(r.Context(), "auth: browsers drop the Secure cookie of a session over plain HTTP, so that nobody stays logged in: "+
				"serve HTTPS, put Proxy.Handler around the mux if a proxy does, or set SessionOptions.InsecureCookie for development")
		})
	case tls && insecure:
		n.scheme.Do(func() {
			log.WarnContext(r.Context(), "auth: SessionOptions.InsecureCookie is set although people log in over HTTPS, so that the cookie goes out in clear with the first http link: leave it out")
		})
	}
}

// noteHandler warns of a good session whose request did not pass Handler, so
// that its expiry does not move.
func (n *sessionNotes) noteHandler(ctx context.Context, log *slog.Logger) {
	n.handler.Do(func() {
		log.WarnContext(ctx, "auth: a request with a session has not passed Session.Handler, so that the session ends although it is used: wrap the whole mux in it")
	})
}
