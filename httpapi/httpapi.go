// Package httpapi serves login, token and user endpoints that speak the wire
// format of AWX, so that its clients and scripts work unchanged.
//
// [New] returns one [http.Handler] for everything below /api/. Mount it on
// [http.ServeMux], on chi, or alone, always at the root of the host: the clients
// recognise links by the literal /api/.
//
//	GET          /api/                                   links; public
//	GET          /api/v2/                                links; public
//	GET POST     /api/login/                             page, and start of a session
//	GET POST     /api/logout/                            end of a session
//	GET          /api/v2/me/                             who is asking
//	GET          /api/v2/users/N/                        a user
//	GET POST     /api/v2/users/N/personal_tokens/        personal access tokens of a user
//	GET DELETE … /api/v2/users/N/personal_tokens/M/      one of them
//	GET POST     /api/v2/tokens/                         all tokens the caller may see
//	GET DELETE … /api/v2/tokens/M/                       one of them; PATCH and PUT, too
//	POST         /api/v2/tokens/M/rotate/                a new secret for it
//
// N is the ID of a user, or the name. Everything is JSON but the login page and
// the login form. Paths that are not listed are 404 whatever credentials come
// along; a path without its last slash is redirected.
package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Config says what to serve. Parts that are nil do not exist: their paths are
// 404.
type Config struct {
	Gate  *auth.Gate  // required
	Users store.Users // required

	Passwords *auth.Passwords // with Session: login
	Session   *auth.Session   // login and logout
	Tokens    *auth.Tokens    // token endpoints
}

type api struct {
	Config
	routes []route
	login  *page
}

// New returns the handler. It returns an error if Gate or Users is missing, or
// Passwords is given without Session.
func New(c Config) (http.Handler, error) {
	switch {
	case c.Gate == nil:
		return nil, errors.New("httpapi: Config.Gate is nil")
	case c.Users == nil:
		return nil, errors.New("httpapi: Config.Users is nil")
	case c.Passwords != nil && c.Session == nil:
		return nil, errors.New("httpapi: Config.Passwords needs Config.Session: a login starts a session")
	}
	a := &api{Config: c}
	var err error
	if a.login, err = newPage("login.html"); err != nil {
		return nil, err
	}
	a.add("/api/", public, methods{"GET": a.getRoot})
	a.add("/api/v2/", public, methods{"GET": a.getVersion})
	a.add("/api/v2/me/", protected, methods{"GET": a.getMe})
	a.add("/api/v2/users/{user}/", protected, methods{"GET": a.getUser})
	if c.Session != nil {
		if c.Passwords != nil {
			a.add("/api/login/", session, methods{"GET": a.getLogin, "POST": a.postLogin})
		}
		a.add("/api/logout/", session, methods{"GET": a.logout, "POST": a.logout})
	}
	if c.Tokens != nil {
		a.addTokens()
	}
	return a, nil
}

// access says who may use a route.
type access uint8

const (
	protected access = iota // whoever has a good credential with the scope for the method
	public                  // anyone, but not with a bad credential
	session                 // anyone; only the session counts, an Authorization field is ignored
)

// A handler serves one method of a route. What it returns is answered by fail.
type handler func(w http.ResponseWriter, r *http.Request) error

type methods map[string]handler

// A route is a path with its handlers. Segments in braces match any text.
type route struct {
	segments []string
	http.Handler
}

func (a *api) add(pattern string, who access, m methods) {
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.serve(w, r, m, who); err != nil {
			a.fail(w, r, err)
		}
	}))
	switch who {
	case protected:
		h = a.Gate.Require(h)
	case public:
		h = a.Gate.Identify(h)
	}
	if a.Session != nil {
		h = a.Session.Handler(h)
	}
	if who == session {
		h = withoutAuthorization(h)
	}
	a.routes = append(a.routes, route{strings.Split(pattern, "/"), h})
}

// withoutAuthorization hides the Authorization field: a client that logs in to
// replace a dead token may well send it.
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

// ServeHTTP implements [http.Handler].
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(r.URL.EscapedPath(), "/")
	for i := range segments {
		s, err := url.PathUnescape(segments[i])
		if err != nil {
			a.fail(w, r, errNoRoute)
			return
		}
		segments[i] = s
	}
	if rt := a.find(segments); rt != nil {
		// A copy, for the audit events: the caller's request stays as it is.
		r = r.WithContext(auth.WithClientAddr(r.Context(), auth.ClientAddr(r)))
		for i, name := range rt.segments {
			if strings.HasPrefix(name, "{") {
				r.SetPathValue(strings.Trim(name, "{}"), segments[i])
			}
		}
		rt.ServeHTTP(w, r)
		return
	}
	if a.find(append(segments, "")) != nil {
		a.addSlash(w, r)
		return
	}
	a.fail(w, r, errNoRoute)
}

func (a *api) find(segments []string) *route {
	for i := range a.routes {
		if a.routes[i].matches(segments) {
			return &a.routes[i]
		}
	}
	return nil
}

func (rt *route) matches(segments []string) bool {
	if len(segments) != len(rt.segments) {
		return false
	}
	for i, want := range rt.segments {
		variable := strings.HasPrefix(want, "{")
		if !variable && segments[i] != want || variable && segments[i] == "" {
			return false
		}
	}
	return true
}

// addSlash redirects to the path with its last slash. Only 308 keeps the method
// and the body of an unsafe request (RFC 9110 section 15.4.9).
func (a *api) addSlash(w http.ResponseWriter, r *http.Request) {
	to := r.URL.EscapedPath() + "/"
	if strings.HasPrefix(to, "//") { // would name a host
		a.fail(w, r, errNoRoute)
		return
	}
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	status := http.StatusPermanentRedirect
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusMovedPermanently
	}
	http.Redirect(w, r, to, status)
}

// serve picks the handler of the method.
func (a *api) serve(w http.ResponseWriter, r *http.Request, m methods, who access) error {
	h := w.Header()
	h.Set("Cache-Control", "no-store") // it depends on who asks, or shows a secret
	h.Set("X-Content-Type-Options", "nosniff")
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if f := m[method]; f != nil {
		if who != session && !acceptsJSON(r) {
			return errNotAcceptable
		}
		return f(w, r)
	}
	h.Set("Allow", m.allow())
	if method == http.MethodOptions && who != session {
		return a.options(w, r, m)
	}
	return methodNotAllowed(r.Method)
}

// allow lists the methods in the order in which AWX does.
func (m methods) allow() string {
	var list []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if m[method] != nil {
			list = append(list, method)
		}
	}
	if m["GET"] != nil {
		list = append(list, "HEAD")
	}
	return strings.Join(append(list, "OPTIONS"), ", ")
}

// principal returns who asks for a protected route.
func principal(r *http.Request) *auth.Principal {
	p, ok := auth.FromContext(r.Context())
	if !ok {
		return &auth.Principal{} // may nothing
	}
	return p
}
