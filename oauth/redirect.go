package oauth

import (
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

const (
	maxRedirectURI  = 2048 // bytes
	maxRedirectURIs = 50   // of one application
)

// redirectRules are the exceptions that a host allows.
type redirectRules struct {
	anyHTTP bool     // http to every host
	schemes []string // private-use schemes without a dot
}

// CheckRedirectURI returns an error that says why an application cannot register
// the redirect URI. It uses PrivateSchemes and InsecureHTTPRedirects of o; nil
// means the defaults. [Server.CreateApplication] checks by itself. Programs that
// store applications without it must call CheckRedirectURI.
func CheckRedirectURI(uri string, o *Options) error {
	if o == nil {
		o = &Options{}
	}
	if why := checkRedirectURI(uri, redirectRules{o.InsecureHTTPRedirects, o.PrivateSchemes}); why != "" {
		return errors.New(why)
	}
	return nil
}

// checkRedirectURI returns the fault of a redirect URI before it is registered,
// "" for none. Accepted are https, private-use schemes in the form of a
// reversed domain name (RFC 8252 section 7.1), and http on a loopback address
// (section 7.3) or localhost.
//
// A registered URI is compared byte by byte. A URI with several spellings, or
// with different readings in browsers, is therefore refused.
func checkRedirectURI(s string, rules redirectRules) string {
	switch {
	case len(s) > maxRedirectURI:
		return "Redirect URIs must not be longer than " + strconv.Itoa(maxRedirectURI) + " bytes"
	case !ascii.Visible(s) || strings.ContainsAny(s, "\\*\"<>^`{|}"):
		return "Redirect URIs must be visible ASCII without wildcards, quotes and backslashes"
	case strings.Contains(s, "#"):
		return "Redirect URIs must not contain fragments"
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !validScheme(scheme) {
		return "Redirect URIs must be absolute and begin with a scheme in lower case"
	}
	u, err := url.Parse(s)
	if err != nil {
		return "Redirect URIs must be valid URIs"
	}
	if scheme != "https" && scheme != "http" {
		return checkPrivateURI(u, rest, rules)
	}
	authority, ok := strings.CutPrefix(rest, "//")
	if !ok {
		return "Redirect URIs must be absolute"
	}
	if i := strings.IndexAny(authority, "/?"); i >= 0 {
		authority = authority[:i]
	}
	switch {
	case u.User != nil || strings.Contains(authority, "@"):
		return "Redirect URIs must not contain user information"
	case !validHost(u.Hostname()) || u.Host != authority || strings.HasSuffix(authority, ":") || u.Port() != "" && !validPort(u.Port()):
		return "Redirect URIs must name a host, in ASCII and lower case"
	case dotSegments(u.Path):
		return "Redirect URIs must not contain dot segments"
	case scheme == "http" && !rules.anyHTTP && !isLoopback(u.Hostname()):
		return "Unauthorized redirect scheme: http is only for 127.0.0.1, [::1] and localhost"
	}
	return ""
}

// checkPrivateURI is checkRedirectURI for a private-use scheme; rest is the
// part after the colon. A scheme with a dot belongs to the owner of the domain.
// Other schemes belong to nobody, or to the browser, like javascript.
func checkPrivateURI(u *url.URL, rest string, rules redirectRules) string {
	authority, hasAuthority := strings.CutPrefix(rest, "//")
	if i := strings.IndexAny(authority, "/?"); i >= 0 {
		authority = authority[:i]
	}
	switch {
	case !strings.Contains(u.Scheme, ".") && !slices.Contains(rules.schemes, u.Scheme):
		return "Unauthorized redirect scheme: " + u.Scheme
	case !strings.HasPrefix(rest, "/") || hasAuthority && (u.User != nil || !validHost(authority)):
		return "Redirect URIs of a private-use scheme must have the form " + u.Scheme + ":/path or " + u.Scheme + "://host/path"
	case dotSegments(u.Path):
		return "Redirect URIs must not contain dot segments"
	}
	return ""
}

// takenSchemes have a meaning in browsers or operating systems.
var takenSchemes = []string{
	"about", "blob", "cid", "content", "data", "dav", "file", "filesystem", "ftp", "ftps", "geo", "git", "http", "https",
	"imap", "intent", "jar", "javascript", "ldap", "livescript", "mailto", "mid", "mocha", "news", "nfs", "res", "resource",
	"rtsp", "sftp", "shell", "sip", "sips", "sms", "smb", "ssh", "tel", "telnet", "urn", "vbscript", "view-source", "ws", "wss",
	"chrome", "edge", "moz-extension", "chrome-extension", "ms-settings", "ms-msdt", "search-ms",
}

// validScheme reports whether s is a scheme of RFC 3986 section 3.1 in lower
// case.
func validScheme(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (i == 0 || c != '+' && c != '-' && c != '.' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// validHost reports whether s is a host name in lower case or an IP address in
// its one canonical spelling.
func validHost(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.String() == s && a.Zone() == ""
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	// Browsers read a last label of digits as an address in one of its many
	// spellings, such as 127.1.
	last := s[strings.LastIndexByte(s, '.')+1:]
	return last != "" && (last[0] < '0' || last[0] > '9') && !strings.HasPrefix(s, ".") && !strings.Contains(s, "..")
}

func validPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n <= 65535 && s[0] >= '1' // neither 0 nor a sign
}

// dotSegments reports whether the decoded path has segments that browsers
// resolve.
func dotSegments(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

func isLoopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}

// isLocalhost reports whether the host of a redirect URI is localhost, which
// may resolve to another computer (RFC 8252 section 8.3).
func isLocalhost(uri string) bool {
	host, _, ok := cutLoopback(uri)
	return ok && host == "http://localhost"
}

// redirectRegistered reports whether uri is one of the registered ones, byte by
// byte. The port of an http URI on a loopback address may differ, because a
// native application does not know it beforehand (RFC 8252 section 7.3).
func redirectRegistered(registered []string, uri string) bool {
	if len(uri) > maxRedirectURI {
		return false
	}
	if slices.Contains(registered, uri) {
		return true
	}
	host, rest, ok := cutLoopback(uri)
	if !ok {
		return false
	}
	for _, r := range registered {
		if h, want, ok := cutLoopback(r); ok && h == host && want == rest {
			return true
		}
	}
	return false
}

// cutLoopback splits an http URI on a loopback address into the address and the
// part after the port.
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, host)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			end := strings.IndexAny(port, "/?")
			if end < 0 {
				end = len(port)
			}
			if !validPort(port[:end]) {
				return "", "", false
			}
			rest = port[end:]
		}
		return host, rest, rest == "" || rest[0] == '/' || rest[0] == '?'
	}
	return "", "", false
}

// withParameters adds parameters, given as names and values, to the query of a
// redirect URI and keeps its own (RFC 6749 section 3.1.2). Empty values are
// left out.
func withParameters(uri string, pairs ...string) string {
	var b strings.Builder
	b.WriteString(uri)
	separator := byte('?')
	if strings.Contains(uri, "?") {
		separator = '&'
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			continue
		}
		b.WriteByte(separator)
		// All parsers decode %20 to a blank, but not all decode a plus to one.
		b.WriteString(pairs[i] + "=" + strings.ReplaceAll(url.QueryEscape(pairs[i+1]), "+", "%20"))
		separator = '&'
	}
	return b.String()
}
