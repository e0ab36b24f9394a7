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
