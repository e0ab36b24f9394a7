package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/forwarded"
)

// fieldURI is the field in which proxies give the path and the query of the
// request that they ask about.
const fieldURI = "X-Forwarded-Uri"

// maxReturn is the length of the longest path with its query in the parameter
// next, in bytes.
const maxReturn = 4096

// login redirects browsers to a login page.
type login struct {
	page   url.URL // with Scheme and Host, or with neither
	status int
	hosts  map[string]bool // that the page may redirect back to, if it is elsewhere
}

// newLogin returns the login of opts, or nil.
func newLogin(p *auth.Proxy, opts *ForwardAuthOptions) (*login, error) {
	if opts.Login == "" {
		if opts.LoginStatus != 0 || opts.ReturnHosts != nil {
			return nil, errors.New("gateway: ForwardAuthOptions.LoginStatus and ReturnHosts need Login")
		}
		return nil, nil
	}
	page, err := parseLogin(opts.Login)
	if err != nil {
		return nil, err
	}
	l := &login{page: *page, status: cmp.Or(opts.LoginStatus, http.StatusFound)}
	if l.status != http.StatusFound && l.status != http.StatusUnauthorized {
		return nil, fmt.Errorf("gateway: ForwardAuthOptions.LoginStatus is %d; it must be 302, or 401 for nginx", l.status)
	}
	if !p.Protects(fieldURI) {
		return nil, unprotected("Login", fieldURI)
	}
	switch {
	case page.Host == "" && len(opts.ReturnHosts) > 0:
		return nil, errors.New("gateway: ForwardAuthOptions.ReturnHosts is for a Login on another host; a path leads back to its own host only")
	case page.Host != "" && len(opts.ReturnHosts) == 0:
		return nil, errors.New("gateway: ForwardAuthOptions.Login is on another host; list in ReturnHosts the hosts that people may come back to")
	}
	l.hosts = make(map[string]bool, len(opts.ReturnHosts))
	for _, host := range opts.ReturnHosts {
		if u, err := url.Parse("https://" + host); err != nil || u.Host != host || forwarded.ParseHost(host) == "" || strings.ContainsAny(host, "*_") {
			return nil, fmt.Errorf("gateway: ForwardAuthOptions.ReturnHosts: %q is not of the form host or host:port", host)
		}
		l.hosts[canonicalHost("https", host)] = true
	}
	return l, nil
}

// parseLogin reads the address of a login page.
func parseLogin(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.User != nil || u.Fragment != "" || u.Query().Has("next"):
	case u.Scheme == "" && u.Host == "" && localURI(s):
		return u, nil
	case forwarded.ParseHost(u.Host) == "":
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return u, nil
	}
	return nil, fmt.Errorf("gateway: ForwardAuthOptions.Login: %q is neither a path, such as /api/login/, nor an https URL without user, fragment and next", s)
}

// loopback reports whether host is this machine.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// localURI reports whether s is a path, with or without a query, on the same
// host. Browsers take a backslash for a slash, drop tabs and line breaks, and
// read two leading slashes as a host.
func localURI(s string) bool {
	if len(s) > maxReturn || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f { // a request target is visible ASCII (RFC 9112 section 3.2)
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "" && u.Host == "" && u.User == nil
}

// location returns the URL of the login page for r. It returns "" if the
// requested address is not known, or is that of the login page itself, because
// such a redirect would never end.
func (l *login) location(r *http.Request) string {
	values := r.Header[fieldURI]
	if len(values) == 0 {
		return ""
	}
	scheme := "http"
	if forwarded.OverTLS(r) {
		scheme = "https"
	}
	host := forwarded.ParseHost(forwarded.Host(r))
	to, next := l.page, ""
	if uri := values[0]; len(values) == 1 && localURI(uri) {
		u, err := url.Parse(uri)
		if err != nil || path.Clean(u.Path) == path.Clean(to.Path) &&
			(to.Host == "" || canonicalHost(scheme, host) == canonicalHost(to.Scheme, to.Host)) {
			return ""
		}
		switch {
		case to.Host == "":
			next = uri
		case scheme == to.Scheme && l.hosts[canonicalHost(scheme, host)]: // not from TLS to a page in clear
			next = scheme + "://" + host + uri
		}
	}
	if next != "" {
		// To the end, so that Login keeps the query it has.
		to.RawQuery = strings.TrimPrefix(to.RawQuery+"&next="+url.QueryEscape(next), "&")
	}
	return to.String()
}

// canonicalHost returns a host and its port in lower case, without the default
// port of the scheme.
func canonicalHost(scheme, host string) string {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	return strings.ToLower(strings.TrimSuffix(host, port))
}

// send writes a redirect to location. Only DenyWith calls it.
func (l *login) send(w http.ResponseWriter, location string) {
	h := w.Header()
	h.Del("Www-Authenticate") // a browser would ask for a password by itself
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	w.WriteHeader(l.status)
}
