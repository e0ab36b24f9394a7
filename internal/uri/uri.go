// Package uri has the rules for URIs that both tokens and the authorization
// server obey.
package uri

import (
	"net/url"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// MaxLen is the length of the longest URI that is stored, in bytes.
const MaxLen = 2048

// Resource reports whether s is a resource of RFC 8707 section 2: an absolute URI
// without a fragment, of at most MaxLen visible ASCII characters. Lists of
// resources are kept with spaces in between.
func Resource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && ascii.Visible(s) && !strings.Contains(s, "#") && len(s) <= MaxLen
}

// SameResource reports whether a and b are the same resource but for the case of the
// scheme and the host, and for the path "/" in place of none (RFC 3986 sections 6.2.2.1
// and 6.2.3). It normalizes nothing else, and only URIs with http and https.
func SameResource(a, b string) bool { return Resource(a) && Resource(b) && normal(a) == normal(b) }

func normal(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" || strings.Contains(host, "@") {
		return s
	}
	if path == "/" {
		path = ""
	}
	return scheme + "://" + strings.ToLower(host) + path
}
