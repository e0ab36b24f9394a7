package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"

	clients "github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/incontext"
	"github.com/ostiary/auth/internal/stores"
)

// A routed is the context of a request: it carries the client's address and the user
// that the look-up of the credential reads.
type routed struct {
	context.Context
	peer string // RemoteAddr
	seen stores.Seen
	path *pathValues // nil if the route has no variable segment
}

// pathValues are the variable segments of a path. Those of [http.Request] would mix
// with the ones of a mux of the host, whose patterns may use the same names.
type pathValues struct {
	n    int
	list [2]struct{ name, value string } // no route has more
}

// add adds the value of a segment like {user}.
func (p *pathValues) add(segment, value string) {
	p.list[p.n].name, p.list[p.n].value = segment[1:len(segment)-1], value
	p.n++
}

type routedKey struct{}

// pathValue returns the segment of the path to which the route gives that name, ""
// if there is none.
func pathValue(r *http.Request, name string) string {
	v, ok := r.Context().Value(routedKey{}).(*routed)
	if !ok || v.path == nil {
		return ""
	}
	for _, p := range v.path.list {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// newRouted returns a copy of r, because the caller's request must not change. The
// path of the copy is that of the audit events.
func newRouted(r *http.Request, path *pathValues) *http.Request {
	v := &struct { // one allocation
		routed
		request http.Request
	}{routed: routed{Context: r.Context(), peer: r.RemoteAddr, path: path}}
	v.request = *r.WithContext(&v.routed)
	return &v.request
}

// serveRouted calls h with r as newRouted returns it. A request with an Authorization
// field, which few browsers send, goes to the gate without a copy where the handlers in
// front of the gate take a context.
func serveRouted(h http.Handler, w http.ResponseWriter, r *http.Request, path *pathValues) {
	if in, ok := h.(incontext.Handler); ok && len(r.Header["Authorization"]) > 0 {
		in.ServeIn(&routed{Context: r.Context(), peer: r.RemoteAddr, path: path}, w, r)
		return
	}
	h.ServeHTTP(w, newRouted(r, path))
}

func (v *routed) Value(key any) any {
	switch key.(type) {
	case routedKey:
		return v
	case stores.SeenKey:
		return &v.seen
	}
	return clients.Value(v.Context, key, v.peer)
}

// Format keeps the credentials of the request out of logs that print contexts.
func (v *routed) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "httpapi.routed") }
