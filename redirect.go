package auth

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	maxRedirectURI  = 2048 // bytes
	maxRedirectURIs = 50   // of one application
)

// checkRedirectURI returns what is wrong with a redirect URI that is to be
// registered, "" for nothing. Only https, private-use schemes in the form of a
// reversed domain name (RFC 8252 section 7.1) and http on a loopback address
// (section 7.3) are good; anyHTTP allows http to every host.
//
// What is registered is later compared byte by byte, so what has several
// spellings, or is read differently by browsers, is refused here.
func checkRedirectURI(s string, anyHTTP bool) string {
	switch {
	case len(s) > maxRedirectURI:
		return "Redirect URIs must not be longer than " + strconv.Itoa(maxRedirectURI) + " bytes"
	case !printable(s) || strings.ContainsAny(s, "\\*\"<>^`{|}"):
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
		// A scheme with a dot belongs to whoever owns the domain. All others
		// belong to nobody, or, like javascript, to the browser.
		if !strings.Contains(scheme, ".") || u.Host != "" || strings.HasPrefix(rest, "//") || !strings.HasPrefix(rest, "/") || dotSegments(u.Path) {
			return "Unauthorized redirect scheme: " + scheme
		}
		return ""
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
	case scheme == "http" && !anyHTTP && !isLoopback(u.Hostname()):
		return "Unauthorized redirect scheme: http is only for the loopback addresses 127.0.0.1 and [::1]"
	}
	return ""
}

// validScheme: RFC 3986 section 3.1, in lower case.
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
	return err == nil && n >= 1 && n <= 65535 && s[0] >= '1' && s[0] <= '9'
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

func isLoopback(host string) bool { return host == "127.0.0.1" || host == "::1" }

// redirectRegistered reports whether uri is one of those that are registered:
// the same byte by byte, but for the port of an http URI on a loopback address,
// which a native application cannot know beforehand (RFC 8252 section 7.3).
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

// cutLoopback splits an http URI on a loopback address into that and what comes
// after the port.
func cutLoopback(uri string) (host, rest string, ok bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]"} {
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
// redirect URI, which keeps what it has (RFC 6749 section 3.1.2). Empty values
// are left out.
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
		// A blank as %20 means the same to everybody, a plus does not.
		b.WriteString(pairs[i] + "=" + strings.ReplaceAll(url.QueryEscape(pairs[i+1]), "+", "%20"))
		separator = '&'
	}
	return b.String()
}
