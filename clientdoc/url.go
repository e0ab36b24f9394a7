package clientdoc

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

const (
	scheme = "https://"
	maxURL = 255 // bytes, as of every client identifier
)

// The faults of client identifiers, for people.
const (
	faultLength = "The address of the application must have at most 255 characters."
	faultScheme = "The address of the application must begin with https://."
	faultChars  = "The address of the application must be visible ASCII without quotes, backslashes and percent signs."
	faultUser   = "The address of the application must not contain a user name."
	faultPort   = "The address of the application must not contain a port."
	faultHost   = "The address of the application must have the full name of a public host, in lower case."
	faultPath   = "The address of the application must have a path without dot segments."
	faultQuery  = "The address of the application must have neither a query nor a fragment."
	faultPolicy = "Applications of this host are not accepted here."
)

// IsURL reports whether a client identifier is the URL of a document, good or not.
// Identifiers of registered clients are letters and digits; imported ones can be URLs.
func IsURL(clientID string) bool { return strings.HasPrefix(clientID, scheme) }

// parseURL returns the host of a client identifier URL, with its port if there is one
// in an insecure one, or the fault of the URL. It looks at bytes and decodes
// nothing: a URL that has more than one spelling is refused, so what is checked here
// is what is fetched.
func parseURL(s string, insecure bool) (host, fault string) {
	authority, ok := strings.CutPrefix(s, scheme)
	switch {
	case len(s) > maxURL:
		return "", faultLength
	case !ok:
		return "", faultScheme
	case !ascii.Visible(s) || strings.ContainsAny(s, "\\\"'<>^`{|}%"):
		return "", faultChars
	case strings.ContainsAny(s, "?#"):
		return "", faultQuery
	}
	authority, path, _ := strings.Cut(authority, "/")
	host, port, hasPort := cutPort(authority)
	switch {
	case strings.Contains(authority, "@"):
		return "", faultUser
	case !isHost(host) && !(insecure && isLoopbackHost(host)):
		return "", faultHost
	case hasPort && !(insecure && isPort(port)):
		return "", faultPort
	case path == "" || dotSegments(path):
		return "", faultPath
	}
	// The parser of the client must see the same.
	if u, err := url.Parse(s); err != nil || u.Host != authority || u.Path != "/"+path || u.String() != s {
		return "", faultChars
	}
	return authority, ""
}

// cutPort cuts the port off an authority.
func cutPort(authority string) (host, port string, ok bool) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.HasSuffix(authority, "]") {
		return authority, "", false
	}
	return authority[:i], authority[i+1:], true
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

func isLoopbackHost(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}

// localDomains are the top-level domains that stand for no public host: those of RFC
// 6761, RFC 6762, RFC 7686, RFC 8375 and RFC 9476, ICANN's internal, and names that
// local networks use.
var localDomains = []string{"alt", "arpa", "corp", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "onion", "private", "test"}

// isHost reports whether s is the full name of a public host (RFC 1123 section 2.1),
// in lower case, of two labels at least. A last label that begins with a digit is
// refused, because it makes an IP address in one of its spellings, such as
// 127.0.0.0x1. So are names of local networks.
func isHost(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return (last[0] < '0' || last[0] > '9') && !slices.Contains(localDomains, last)
}

// dotSegments reports whether a path has segments that browsers resolve.
func dotSegments(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}
