// Package httpapi serves login, token and user endpoints that speak the wire
// format of AWX, so that its clients and scripts work unchanged.
//
// [New] returns one [http.Handler] for everything below /api/. Mount it on
// [http.ServeMux], on chi, or alone, always at the root of the host: the clients
// recognise links by the literal /api/.
//
//	GET                  /api/                                              links; public
//	GET                  /api/v2/                                           links; public
//	GET                  /api/v2/schema/                                    this API in the form of OpenAPI 3.1; a page for browsers
//	GET                  /api/v2/me/                                        the user of the request
//	GET                  /api/v2/users/{user}/                              a user
//
// With Config.GatewayPaths:
//
//	GET                  /api/gateway/v1/                                   links to these below it; public
//
// With Config.Accounts:
//
//	GET POST             /api/v2/users/                                     users
//	PUT PATCH DELETE     /api/v2/users/{user}/                              changes of one of them
//
// With Config.Session and Passwords:
//
//	GET POST             /api/login/                                        page, and start of a session
//
// With Config.Session:
//
//	GET POST             /api/logout/                                       end of a session
//	GET DELETE           /api/v2/users/{user}/sessions/                     sessions of a user; DELETE ends all others
//	GET DELETE           /api/v2/users/{user}/sessions/{id}/                one of them
//
// With Config.Tokens:
//
//	GET POST             /api/v2/tokens/                                    all tokens the caller may see
//	GET PATCH DELETE     /api/v2/tokens/self/                               the token that asks
//	POST                 /api/v2/tokens/self/rotate/                        a new secret for it
//	POST                 /api/v2/tokens/reported/                           end of tokens that leaked, for scanners
//	GET PUT PATCH DELETE /api/v2/tokens/{id}/                               one of them
//	POST                 /api/v2/tokens/{id}/rotate/                        a new secret for it
//	GET POST             /api/v2/users/{user}/personal_tokens/              personal access tokens of a user
//	GET PUT PATCH DELETE /api/v2/users/{user}/personal_tokens/{id}/         one of them
//
// With Config.OAuth:
//
//	GET POST             /api/v2/applications/                              OAuth clients
//	GET PUT PATCH DELETE /api/v2/applications/{app}/                        one of them
//	POST                 /api/v2/applications/{app}/rotate_secret/          a new client secret
//	GET POST             /api/v2/applications/{app}/tokens/                 tokens of an application
//	GET POST             /api/v2/organizations/{organization}/applications/ applications of an organization
//	GET POST             /api/v2/users/{user}/applications/                 the same as all applications, as in AWX
//	GET POST             /api/v2/users/{user}/tokens/                       all tokens of a user
//	GET POST             /api/v2/users/{user}/authorized_tokens/            those of applications
//	GET                  /api/o/                                            links; public
//	POST                 /api/o/token/                                      tokens for grants (RFC 6749 section 3.2)
//	POST                 /api/o/revoke_token/                               RFC 7009
//	POST                 /api/o/introspect/                                 RFC 7662
//
// With Config.OAuth and Session:
//
//	GET POST             /api/o/authorize/                                  consent page (RFC 6749 section 3.1)
//
// With Config.OAuth that has Devices:
//
//	POST                 /api/o/device_authorization/                       RFC 8628
//	GET POST             /api/o/device/                                     page where users enter the code
//
// With Config.Account:
//
//	GET POST             /api/account/                                      page: name and e-mail address
//	GET                  /api/account/logged_out/                           page behind the logout
//	GET POST             /api/account/sessions/                             page: where the visitor is logged in
//
// With Config.Account and Accounts:
//
//	GET POST             /api/account/password/                             page: a new password
//
// With Config.Account and Tokens:
//
//	GET                  /api/account/tokens/                               page: personal access tokens
//	GET POST             /api/account/tokens/new/                           page: a new one
//	GET POST             /api/account/tokens/{id}/                          page: change it, a new secret
//	GET POST             /api/account/tokens/{id}/revoke/                   page: its end
//
// With Config.Account and OAuth:
//
//	GET                  /api/account/connections/                          page: applications that act for the visitor
//	GET POST             /api/account/connections/{id}/                     page: the end of its access
//	GET                  /api/account/applications/                         page: applications that the visitor manages
//	GET POST             /api/account/applications/new/                     page: a new one
//	GET POST             /api/account/applications/{id}/                    page: change it, a new secret
//	GET POST             /api/account/applications/{id}/delete/             page: its end
//
// With Config.OAuth that has an Issuer, outside /api/:
//
//	GET                  /.well-known/oauth-authorization-server            RFC 8414
//
// With that and TokensOptions.Resource, and for each of Config.Resources, outside /api/:
//
//	GET                  /.well-known/oauth-protected-resource              RFC 9728
//
// With Config.Activity:
//
//	GET                  /api/v2/activity_stream/                           who did what to users, tokens and applications
//	GET                  /api/v2/activity_stream/{id}/                      one entry
//	GET                  /api/v2/users/{user}/activity_stream/              entries that concern a user or the user's tokens
//
// With Config.Activity and Tokens:
//
//	GET                  /api/v2/tokens/{id}/activity_stream/               entries about a token
//
// With Config.Activity and OAuth:
//
//	GET                  /api/v2/applications/{app}/activity_stream/        entries about an application and its tokens
//
// With Config.EmptyResources, unless Config.Links has the name:
//
//	GET                  /api/v2/credentials/                               an empty list
//	GET                  /api/v2/instance_groups/                           an empty list
//	GET                  /api/v2/inventories/                               an empty list
//	GET                  /api/v2/job_templates/                             an empty list
//	GET                  /api/v2/jobs/                                      an empty list
//	GET                  /api/v2/organizations/                             an empty list
//	GET                  /api/v2/projects/                                  an empty list
//	GET                  /api/v2/teams/                                     an empty list
//	GET                  /api/v2/workflow_job_templates/                    an empty list
//
// With Config.GatewayPaths the routes of me, users, tokens, applications, login
// and logout are below /api/gateway/v1/, too.
//
// A user is an ID or a name. An app is the ID of an application, or its name,
// "++" and the name of its organization. Bodies are JSON, except those of pages
// and forms. A path that is not listed is 404 with every credential. A path
// without its trailing slash is redirected to the path with it.
package httpapi

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/options"
)

// New returns a handler for the parts of c. It returns an error if Gate or
// Users is missing, if parts contradict each other, if a link has a name that
// is taken or no absolute path, or if a page cannot be rendered. The handler is
// safe for concurrent use.
func New(c Config) (http.Handler, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	a := &api{Config: c, links: map[string]map[string]string{}, log: options.Logger(c.Logger)}
	var err error
	a.PageOptions.Language = cmp.Or(c.PageOptions.Language, "en")
	a.PageOptions.Texts = maps.Clone(c.PageOptions.Texts)
	if a.pages, err = newPages(c.Pages, a.PageOptions, c.Account); err != nil {
		return nil, err
	}
	if err := a.pages.try(c.Account); err != nil {
		return nil, err
	}
	if c.Session != nil {
		a.visitors = auth.NewGate(c.Session, nil)
	}
	rt := &router{api: a}
	a.describedAs = rt.describe()
	for i := range routes {
		if routes[i].when.holds(&c) {
			rt.add(&routes[i])
		}
	}
	rt.fix()
	a.addGatewayLinks() // the host's links lead elsewhere
	if err := a.addHostLinks(); err != nil {
		return nil, err
	}
	return rt, a.encodeIndexes()
}

// addLink adds a route to the index above its path.
func (a *api) addLink(rt *route) {
	if rt.link == "" {
		return
	}
	index := rt.pattern[:strings.LastIndexByte(strings.TrimSuffix(rt.pattern, "/"), '/')+1]
	if a.links[index] == nil {
		a.links[index] = make(map[string]string)
	}
	a.links[index][rt.link] = rt.pattern
}

// addHostLinks adds Config.Links to the index.
func (a *api) addHostLinks() error {
	list := maps.Clone(a.links["/api/v2/"])
	for name, path := range a.Config.Links {
		if _, taken := list[name]; taken || name == "" || !strings.HasPrefix(path, "/") {
			return fmt.Errorf("httpapi: Config.Links: %q cannot be a link to %q", name, path)
		}
		list[name] = path
	}
	a.links["/api/v2/"] = list
	return nil
}

// A router finds the route of a request.
//
// [http.ServeMux] matches the same patterns, but it breaks three promises. It
// redirects an untidy path, such as one with two slashes, which is 404 here. It
// adds the last slash to the decoded path, so that "al%2Fice" becomes two
// segments. Its redirects have a status that AWX's clients do not expect.
type router struct {
	api     *api
	routes  []served
	fixed   map[string]*served // the routes whose paths have no variable segment, by path
	mounted sync.Once
}

// fix makes the index of the routes without variables, once all routes are added.
func (rt *router) fix() {
	rt.fixed = make(map[string]*served)
	for i := range rt.routes {
		s := &rt.routes[i]
		if rt.find(s.segments) == s && !slices.ContainsFunc(s.segments, variable) {
			rt.fixed[strings.Join(s.segments, "/")] = s
		}
	}
}

// served is a route of the configuration with its handler.
type served struct {
	*route
	segments []string
	handler  http.Handler
}

func (rt *router) add(r *route) {
	rt.api.addLink(r)
	if r.below == nil {
		rt.addAt(r.pattern, r)
		return
	}
	for _, path := range r.below(rt.api) {
		rt.addAt(r.pattern+path, r)
	}
}

func (rt *router) addAt(path string, r *route) {
	for i := range rt.routes {
		if have := &rt.routes[i]; strings.Join(have.segments, "/") == path {
			merged := *have.route
			merged.methods = maps.Clone(have.methods)
			maps.Copy(merged.methods, r.methods)
			have.route, have.handler = &merged, merged.handler(rt.api)
			return
		}
	}
	rt.routes = append(rt.routes, served{r, strings.Split(path, "/"), r.handler(rt.api)})
}

// ServeHTTP implements [http.Handler].
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s := rt.fixed[r.URL.Path]; s != nil && r.URL.RawPath == "" {
		rt.serve(w, r, s, nil)
		return
	}
	var room [12]string // on the stack; no route has as many segments
	segments := room[:0]
	for s := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		s, err := url.PathUnescape(s)
		if err != nil {
			rt.api.fail(w, r, errNoRoute)
			return
		}
		segments = append(segments, s)
	}
	segments = rt.api.fromGateway(segments)
	if s := rt.find(segments); s != nil {
		rt.serve(w, r, s, segments)
		return
	}
	if rt.find(append(segments, "")) != nil {
		rt.addSlash(w, r)
		return
	}
	if rt.below(segments) {
		rt.noteMount(r)
	}
	rt.api.fail(w, r, errNoRoute)
}

// serve calls the handler of a route that has no variable segment, or whose path
// has these segments.
func (rt *router) serve(w http.ResponseWriter, r *http.Request, s *served, segments []string) {
	if stripped(r) {
		rt.noteMount(r)
	}
	var vars *pathValues
	for i, value := range segments {
		if name := s.segments[i]; variable(name) {
			if vars == nil {
				vars = new(pathValues)
			}
			vars.add(name, value)
		}
	}
	serveRouted(s.handler, w, r, vars)
}

// below reports whether a route is asked for below a prefix.
func (rt *router) below(segments []string) bool {
	for i := 2; i < len(segments); i++ {
		if segments[i] == "api" && rt.find(append([]string{""}, segments[i:]...)) != nil {
			return true
		}
	}
	return false
}

// stripped reports whether a handler in front took the start of the path away, as
// [http.StripPrefix] does. A proxy that does so leaves no trace.
func stripped(r *http.Request) bool {
	sent, _, _ := strings.Cut(r.RequestURI, "?")
	if len(sent) <= len(r.URL.Path) { // as nearly always; an escaped path is not shorter
		return false
	}
	path := r.URL.EscapedPath()
	return len(sent) > len(path) && strings.HasPrefix(sent, "/") && strings.HasSuffix(sent, path)
}

// noteMount logs, once, that the handler is below a prefix. The query and the user
// of an absolute address can have secrets.
func (rt *router) noteMount(r *http.Request) {
	rt.mounted.Do(func() {
		path := r.URL.Path
		if sent, err := url.ParseRequestURI(r.RequestURI); err == nil {
			path = sent.Path
		}
		rt.api.log.WarnContext(r.Context(), "httpapi: the handler is mounted below a prefix, where its links lead nowhere and clients do not recognise them: "+
			"mount it at the root of the host, with the pattern /api/", audit.KeyPath, audit.Clip(path))
	})
}

func (rt *router) find(segments []string) *served {
	for i := range rt.routes {
		if rt.routes[i].matches(segments) {
			return &rt.routes[i]
		}
	}
	return nil
}

func (s *served) matches(segments []string) bool {
	if len(segments) != len(s.segments) {
		return false
	}
	for i, want := range s.segments {
		if !variable(want) && segments[i] != want || variable(want) && segments[i] == "" {
			return false
		}
	}
	return true
}

// variable reports whether a segment of a pattern matches any text.
func variable(segment string) bool { return strings.HasPrefix(segment, "{") }

// addSlash redirects to the path with its last slash. Only 308 keeps the method
// and the body of an unsafe request (RFC 9110 section 15.4.9).
func (rt *router) addSlash(w http.ResponseWriter, r *http.Request) {
	to := r.URL.EscapedPath() + "/"
	if strings.HasPrefix(to, "//") { // would name a host
		rt.api.fail(w, r, errNoRoute)
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
