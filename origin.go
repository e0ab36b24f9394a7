package auth

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/forwarded"
)

// Origins is the list of origins whose pages may send requests with ambient
// credentials, which a browser adds by itself: a cookie, remembered Basic
// credentials, the user field of a gateway. Session, Basic and ProxyUsers use
// it. An [Authenticator] of a host must use it if its credential is ambient.
//
// An origin is a scheme, a host and a port (RFC 6454). Hosts compare without
// case, a default port equals no port, and IPv6 addresses compare in their
// canonical form. A nil or zero Origins trusts the origin of the request's own
// URL only.
type Origins struct {
	trusted map[string]bool
}

// ownOrigin trusts the request's own origin alone.
var ownOrigin *Origins

// NewOrigins returns Origins that trust further origins beside the request's
// own. Each has the form https://host or https://host:port. The scheme http is
// accepted for loopback hosts only. The list is copied.
func NewOrigins(trusted ...string) (*Origins, error) {
	o, err := parseOrigins(trusted, false)
	if err != nil {
		return nil, fmt.Errorf("auth: NewOrigins: %w", err)
	}
	return o, nil
}

// Check returns an [*Error] with status 403 if a browser sends r for a page of
// another origin that is not trusted. Requests by GET, HEAD and OPTIONS pass
// unless they are upgrades, because they change nothing and the browser hides
// the answer from the page. An upgrade has the field Upgrade or
// Sec-WebSocket-Key, or "Sec-Fetch-Mode: websocket". A request with neither
// Sec-Fetch-Site nor Origin does not come from a browser and passes.
//
// Check is stricter than [http.CrossOriginProtection]: the scheme counts, and
// an unknown, malformed or doubled field refuses the request.
func (o *Origins) Check(r *http.Request) error { return o.check(&incoming{Request: r}) }

// check is Check, which settles the request only if its own origin matters.
func (o *Origins) check(r *incoming) error {
	if safeMethod(r.Method) && !upgrade(r.Header) {
		return nil
	}
	return o.checkSource(r)
}

// checkSource is Check for requests of every method.
func (o *Origins) checkSource(r *incoming) error {
	origins, sites := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if len(origins) > 1 || len(sites) > 1 {
		return csrfError("the request has more than one origin")
	}
	origin, known := "", false
	if len(origins) == 1 {
		origin, known = canonicalOrigin(origins[0])
		if known && o != nil && o.trusted[origin] {
			return nil
		}
	}
	if len(sites) == 1 {
		// Pages cannot set this field. "none" means that the user typed the
		// address.
		if sites[0] == "same-origin" || sites[0] == "none" {
			return nil
		}
		return csrfError("the request does not come from a page of this origin")
	}
	if len(origins) == 0 {
		return nil
	}
	if own, ok := requestOrigin(r.settle()); !known || !ok || origin != own {
		return csrfError("Origin checking failed - " + audit.Clip(origins[0]) + " does not match any trusted origins")
	}
	return nil
}

// upgrade reports whether a request asks for another protocol, whose answers no
// browser hides from the page. One field is enough, because a proxy may have
// removed the others.
func upgrade(h http.Header) bool {
	if len(h["Upgrade"]) > 0 || len(h["Sec-Websocket-Key"]) > 0 {
		return true
	}
	for _, mode := range h["Sec-Fetch-Mode"] {
		if ascii.EqualFold(ascii.TrimOWS(mode), "websocket") {
			return true
		}
	}
	return false
}

// csrfFailed begins the detail of each refusal of a request from elsewhere, as in
// Django.
const csrfFailed = "CSRF Failed: "

// errForeign tells the host what to do where the page is a good one.
var errForeign = errors.New("if the page may do that, put its origin into TrustedOrigins; if a proxy changes scheme or host, see Proxy.Handler and ProxyOptions.ForwardedHost; " +
	"the origin null is that of a page with Referrer-Policy no-referrer, too")

func csrfError(why string) error {
	return &Error{Status: http.StatusForbidden, Detail: csrfFailed + why + ".", Err: errForeign}
}

// requestOrigin returns the origin of the URL that the client sent r to, as a
// trusted proxy reported it.
func requestOrigin(r *http.Request) (string, bool) {
	if forwarded.OverTLS(r) {
		return originOf("https", forwarded.Host(r))
	}
	return originOf("http", forwarded.Host(r))
}

// canonicalOrigin returns the form of an origin that is compared.
func canonicalOrigin(s string) (string, bool) {
	scheme, authority, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return "", false
	case ascii.EqualFold(scheme, "https"):
		return originOf("https", authority)
	case ascii.EqualFold(scheme, "http"):
		return originOf("http", authority)
	}
	return "", false
}

// originOf returns the canonical origin of a scheme and the host[:port] of a URI
// (RFC 3986 section 3.2) without user information.
func originOf(scheme, authority string) (string, bool) {
	host, port, ok := splitHostPort(authority)
	if !ok {
		return "", false
	}
	if port != "" && (scheme != "https" || port != "443") && (scheme != "http" || port != "80") {
		host += ":" + port
	}
	return scheme + "://" + host, true
}

// splitHostPort returns a host in lower case, or an IPv6 address in brackets in
// its canonical form, and the port as a number, "" for none.
func splitHostPort(authority string) (host, port string, ok bool) {
	if rest, bracket := strings.CutPrefix(authority, "["); bracket {
		literal, after, found := strings.Cut(rest, "]")
		addr, err := netip.ParseAddr(literal)
		if !found || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false
		}
		host, port = "["+addr.String()+"]", after
		if after != "" {
			if port, ok = strings.CutPrefix(after, ":"); !ok {
				return "", "", false
			}
		}
	} else {
		host, port, _ = strings.Cut(authority, ":")
		if !validHost(host) {
			return "", "", false
		}
		host = strings.ToLower(host)
	}
	if port == "" {
		return host, "", true // "host:" is "host" (RFC 3986 section 6.2.3)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", "", false
	}
	return host, strconv.FormatUint(n, 10), true
}

// validHost reports whether s is an IPv4 address or a registered name without
// percent-encoding (RFC 3986 section 3.2.2), as browsers write them.
func validHost(s string) bool {
	const others = "!$&'()+,;=" // sub-delims without the wildcard
	for i := range len(s) {
		if !ascii.Unreserved(s[i:i+1]) && strings.IndexByte(others, s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// parseOrigins checks a list of trusted origins. Insecure accepts origins of
// plain HTTP, whose pages can be changed in transit.
func parseOrigins(list []string, insecure bool) (*Origins, error) {
	o := &Origins{trusted: make(map[string]bool, len(list))}
	for _, s := range list {
		origin, ok := canonicalOrigin(s)
		if !ok || s != strings.ToLower(s) {
			return nil, fmt.Errorf("%q is not of the form https://host or https://host:port, in lower case, without a last slash and without wildcards; letters beyond ASCII are written as xn--", s)
		}
		if shortAddress(origin) {
			return nil, fmt.Errorf("%q is an address that browsers write in another way: write it as four decimal numbers", s)
		}
		if strings.HasPrefix(origin, "http://") && !insecure && !loopback(origin) {
			return nil, fmt.Errorf("%q is an origin of plain HTTP, whose pages anybody on the way can write: use https", s)
		}
		o.trusted[origin] = true
	}
	return o, nil
}

// shortAddress reports whether the host of a canonical origin ends in a number, so
// that browsers take it for an IPv4 address, and is not the form that they send, as
// in 127.1 or 0x7f000001 (WHATWG URL, "ends in a number checker").
func shortAddress(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return true
	}
	host := strings.TrimSuffix(u.Hostname(), ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if strings.Contains(host, ":") || last == "" || last[0] < '0' || last[0] > '9' {
		return false
	}
	digits := strings.TrimLeft(last, "0123456789") == ""
	hex := strings.HasPrefix(last, "0x") && strings.TrimLeft(last[2:], "0123456789abcdef") == ""
	addr, err := netip.ParseAddr(u.Hostname())
	return (digits || hex) && (err != nil || !addr.Is4())
}

// loopback reports whether pages of a canonical origin come from this machine.
func loopback(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if u.Hostname() == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err == nil && addr.IsLoopback()
}
