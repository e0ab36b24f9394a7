package auth

import (
	"net/http"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// acceptsHTML reports whether the client asks for HTML by name, as browsers do
// for pages and scripts do not.
func acceptsHTML(h http.Header) bool {
	for _, line := range h["Accept"] {
		for part := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			if ascii.EqualFold(ascii.TrimOWS(name), "text/html") {
				q, weighted := strings.CutPrefix(strings.ToLower(ascii.TrimOWS(parameters)), "q=")
				return !weighted || strings.Trim(q, "0.") != ""
			}
		}
	}
	return false
}
