package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/incontext"
)

// A route is one line of the table of routes.
type route struct {
	// pattern is the path. A segment in braces matches any text but none.
	pattern string
	// below returns the paths that the configuration adds to pattern, each of
	// which is a route; nil adds nothing.
	below   func(*api) []string
	access  access
	methods methods
	fields  fields    // what OPTIONS describes
	speaks  exchanges // what the document of OpenAPI describes
	// anyOrigin allows scripts of every origin to read the answers. It is for
	// routes that read no cookie.
	anyOrigin bool
	when      condition
	link      string // under which the index above lists it; "" is not listed
	about     string // for the package documentation
}

// access is the authentication that a route needs.
type access uint8

const (
	protected access = iota // a good credential with the scope for the method
	public                  // none, but a bad credential is refused
	session                 // none; only the session counts, an Authorization field is ignored
	open                    // none; credentials of users are ignored
	anyScope                // a good credential; the handlers check its scopes
)

// A handler serves one method of a route. Its error is answered by fail.
type handler func(a *api, w http.ResponseWriter, r *http.Request) error

type methods map[string]handler

// A condition reports whether [Config] has the parts for a route.
type condition struct {
	about string // the heading in the package documentation
	holds func(*Config) bool
}

// list returns the methods in AWX's order.
func (m methods) list() []string {
	var list []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if m[method] != nil {
			list = append(list, method)
		}
	}
	return list
}

// allow returns the value of the field Allow.
func (m methods) allow() string {
	list := m.list()
	if m["GET"] != nil {
		list = append(list, "HEAD")
	}
	return strings.Join(append(list, "OPTIONS"), ", ")
}

// handler returns the handler of the route, with its authentication.
func (rt *route) handler(a *api) http.Handler {
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := rt.serve(a, w, r); err != nil {
			a.fail(w, r, err)
		}
	}))
	switch rt.access {
	case protected:
		h = a.forBrowsers(a.Gate.Require(h), h)
	case anyScope:
		h = a.Gate.RequireAnyScope(h)
	case public:
		h = a.Gate.Identify(h)
	}
	if a.Session != nil && rt.access != open {
		h = a.Session.Handler(h)
	}
	if rt.access == session {
		h = withoutAuthorization(h)
	}
	return h
}

// forBrowsers returns a handler that refuses browsers with a page. Other clients
// get the answer of gated, which is inner behind the gate.
func (a *api) forBrowsers(gated, inner http.Handler) http.Handler {
	return &browserHandler{a, gated, inner}
}

// A browserHandler is a handler of forBrowsers. It implements [incontext.Handler].
type browserHandler struct {
	api          *api
	gated, inner http.Handler
}

// ServeIn implements [incontext.Handler].
func (h *browserHandler) ServeIn(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	if browses(r) {
		h.serveBrowser(w, r.WithContext(ctx))
		return
	}
	incontext.Serve(ctx, h.gated, w, r)
}

// ServeHTTP implements [http.Handler].
func (h *browserHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if browses(r) {
		h.serveBrowser(w, r)
		return
	}
	h.gated.ServeHTTP(w, r)
}

func (h *browserHandler) serveBrowser(w http.ResponseWriter, r *http.Request) {
	p, err := h.api.Gate.Check(r)
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		h.api.fail(w, r, err)
		return
	}
	h.inner.ServeHTTP(w, r.WithContext(auth.NewContext(r.Context(), p)))
}

// withoutAuthorization removes the Authorization field, because a client that
// logs in to replace a dead token may send it.
func withoutAuthorization(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header["Authorization"]) > 0 {
			r = r.WithContext(r.Context())
			r.Header = r.Header.Clone()
			delete(r.Header, "Authorization")
		}
		next.ServeHTTP(w, r)
	})
}

// Fields of every answer. Nobody changes a value in place.
var (
	noStore = []string{"no-store"}
	noSniff = []string{"nosniff"}
)

// serve calls the handler of the method.
func (rt *route) serve(a *api, w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h["Cache-Control"] = noStore // it depends on the caller, or has a secret
	h["X-Content-Type-Options"] = noSniff
	if rt.anyOrigin {
		allowAnyOrigin(h)
		if preflight(r) {
			answerPreflight(w, rt.methods.list())
			return nil
		}
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if f := rt.methods[method]; f != nil {
		authenticated := rt.access == protected || rt.access == anyScope
		if (authenticated || rt.access == public) && !acceptsJSON(r) {
			return errNotAcceptable
		}
		if authenticated {
			var err error
			if r, err = rt.readAhead(a, w, r); err != nil {
				return err
			}
		}
		return f(a, w, r)
	}
	h.Set("Allow", rt.methods.allow())
	if method == http.MethodOptions {
		return writeJSON(w, r, http.StatusOK, describe(r.URL.Path, rt.fields, rt.methods.list()))
	}
	return methodNotAllowed(r.Method)
}

// readAhead reads the body and then checks the credential again, because the
// client decides how long the body takes. The principal of the request that it
// returns has the rights and scopes of after that.
func (rt *route) readAhead(a *api, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	hasBody := r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
	if !hasBody || r.Body == nil || r.Body == http.NoBody {
		return r, nil
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	p := principal(r)
	if p.Credential != auth.CredentialNone { // that is one of the host, which may be good only once
		if p, err = a.Gate.Recheck(r); err != nil {
			return nil, err
		}
		if rt.access == protected && !p.Scopes.Permit(r.Method) {
			return nil, errWrite
		}
	}
	r = r.WithContext(auth.NewContext(r.Context(), p))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
}

// principal returns the principal of a protected route.
func principal(r *http.Request) *auth.Principal {
	p, ok := auth.FromContext(r.Context())
	if !ok {
		return &auth.Principal{} // permits nothing
	}
	return p
}
