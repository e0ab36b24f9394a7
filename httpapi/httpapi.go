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
// With Config.Applications:
//
//	GET POST     /api/v2/applications/                   OAuth clients
//	GET DELETE … /api/v2/applications/A/                 one of them; PATCH and PUT, too
//	POST         /api/v2/applications/A/rotate_secret/   a new client secret
//	GET POST     /api/v2/applications/A/tokens/          tokens of an application
//	GET POST     /api/v2/organizations/O/applications/   applications of an organization
//	GET POST     /api/v2/users/N/applications/           the same as all applications, as in AWX
//	GET POST     /api/v2/users/N/tokens/                 all tokens of a user
//	GET POST     /api/v2/users/N/authorized_tokens/      those of applications
//	GET          /api/o/                                 links; public
//	GET POST     /api/o/authorize/                       consent page (RFC 6749 section 3.1)
//	POST         /api/o/token/                           tokens for grants (section 3.2)
//	POST         /api/o/revoke_token/                    RFC 7009
//	POST         /api/o/introspect/                      RFC 7662
//	POST         /api/o/device_authorization/            RFC 8628, with Config.Devices
//	GET POST     /api/o/device/                          page where users type in the code
//
// With TokensOptions.Issuer, and TokensOptions.Resource for the second one, these
// lie outside /api/ and have to be mounted as well:
//
//	GET          /.well-known/oauth-authorization-server RFC 8414
//	GET          /.well-known/oauth-protected-resource   RFC 9728
//
// N is the ID of a user, or the name; A the ID of an application, or its name,
// "++" and the name of its organization. Everything is JSON but the pages and
// the forms. Paths that are not listed are 404 whatever credentials come along; a
// path without its last slash is redirected.
package httpapi

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"reflect"
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

	// Applications serves OAuth clients and the endpoints for them; it needs
	// Tokens. Without Session nobody can be asked for consent, and without
	// Passwords there is no password grant.
	Applications *auth.Applications
	// Devices serves the device grant; it needs Applications, Session and
	// TokensOptions.Issuer.
	Devices *auth.Devices

	// Platform leaves logging in and out to the gateway of the Ansible platform
	// where a request has passed it, see [auth.ProvenProxy]: the login page
	// leads there, a login is 401, and a logout goes on to the gateway's.
	Platform bool

	// Links are resources of the host's own that /api/v2/ lists, too: a path for
	// each name. AWX's own client makes a subcommand of each.
	Links map[string]string

	// Pages has files that replace those of the pages: layout.html, login.html,
	// consent.html, device.html, message.html and style.css. What it does not
	// have stays as it is.
	Pages fs.FS
}

type api struct {
	Config
	routes   []route
	links    map[string]string // of /api/v2/
	login    *page
	visitors *auth.Gate // asks Session alone

	consent, device, message *page
}

// New returns the handler. It returns an error if Gate or Users is missing, if a
// part is given without what it needs, if a link has the name of another or no
// absolute path, or if a page is malformed.
func New(c Config) (http.Handler, error) {
	switch {
	case c.Gate == nil:
		return nil, errors.New("httpapi: Config.Gate is nil")
	case isNil(c.Users):
		return nil, errors.New("httpapi: Config.Users is nil")
	case c.Passwords != nil && c.Session == nil:
		return nil, errors.New("httpapi: Config.Passwords needs Config.Session: a login starts a session")
	case c.Applications != nil && c.Tokens == nil:
		return nil, errors.New("httpapi: Config.Applications needs Config.Tokens")
	case c.Devices != nil && (c.Applications == nil || c.Session == nil || c.Tokens.Issuer() == ""):
		return nil, errors.New("httpapi: Config.Devices needs Config.Applications, Config.Session and TokensOptions.Issuer")
	}
	a := &api{Config: c}
	if err := a.link(); err != nil {
		return nil, err
	}
	for name, p := range map[string]**page{"login.html": &a.login, "consent.html": &a.consent, "device.html": &a.device, "message.html": &a.message} {
		var err error
		if *p, err = newPage(c.Pages, name); err != nil {
			return nil, err
		}
	}
	a.add("/api/", public, methods{"GET": a.getRoot})
	a.add("/api/v2/", public, methods{"GET": a.getVersion})
	a.add("/api/v2/me/", protected, methods{"GET": a.getMe})
	a.add("/api/v2/users/{user}/", protected, methods{"GET": a.getUser})
	if c.Session != nil {
		a.visitors = auth.NewGate(c.Session, nil)
		if c.Passwords != nil {
			a.add("/api/login/", session, methods{"GET": a.getLogin, "POST": a.postLogin})
		}
		a.add("/api/logout/", session, methods{"GET": a.logout, "POST": a.logout})
	}
	if c.Tokens != nil {
		a.addTokens()
	}
	if c.Applications != nil {
		a.addApplications()
		a.addOAuth()
	}
	return a, nil
}

// isNil reports whether there are no users, or a nil pointer to some.
func isNil(users store.Users) bool {
	v := reflect.ValueOf(users)
	return users == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// access says who may use a route.
type access uint8

const (
	protected access = iota // whoever has a good credential with the scope for the method
	public                  // anyone, but not with a bad credential
	session                 // anyone; only the session counts, an Authorization field is ignored
	open                    // anyone; users' credentials are not looked at
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
	if a.Session != nil && who != open {
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
		if (who == protected || who == public) && !acceptsJSON(r) {
			return errNotAcceptable
		}
		if who == protected {
			var err error
			if r, err = a.readAhead(w, r); err != nil {
				return err
			}
		}
		return f(w, r)
	}
	h.Set("Allow", m.allow())
	if method == http.MethodOptions {
		return a.options(w, r, m)
	}
	return methodNotAllowed(r.Method)
}

// readAhead reads the body, so that nothing is decided or given away while it is
// under way, and makes sure that what let the request in is still good then.
func (a *api) readAhead(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	hasBody := r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch
	if !hasBody || r.Body == nil || r.Body == http.NoBody {
		return r, nil
	}
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	switch principal(r).Credential {
	case auth.CredentialSession, auth.CredentialBasic, auth.CredentialBearer: // the host's may be good only once
		if err := a.Gate.Recheck(r); err != nil {
			return nil, err
		}
	}
	r = r.WithContext(r.Context()) // a copy
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r, nil
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
