package gateway

import (
	"net/http"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/forwarded"
)

// asked returns the request that the proxy asks about: r with its method, and
// with the fields of an upgrade that proxies remove.
func (f *ForwardAuth) asked(r *http.Request) *http.Request {
	asked := r.WithContext(r.Context())
	asked.Method = http.MethodPost
	if methods := r.Header[f.opts.MethodField]; len(methods) == 1 {
		// An unknown or odd method is as unsafe as POST to auth.Scopes.Permit.
		asked.Method = methods[0]
	}
	if len(r.Header["Upgrade"]) == 0 && upgrade(asked) {
		asked.Header = r.Header.Clone()
		asked.Header["Upgrade"] = []string{"websocket"}
	}
	return asked
}

// upgrade reports whether r asks for another protocol, or may do so. Proxies
// remove Upgrade and Connection, which are for one hop only (RFC 9110 section
// 7.6.1). Most keep the other fields.
func upgrade(r *http.Request) bool {
	h := r.Header
	for _, name := range [...]string{
		"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
		"X-Forwarded-Upgrade", // for nginx; see the package documentation
	} {
		for _, v := range h[name] {
			if v != "" { // nginx sends variables without a value
				return true
			}
		}
	}
	if has(h["Sec-Fetch-Mode"], "websocket") || has(h["Connection"], "upgrade") ||
		has(h[forwarded.FieldProto], "ws") || has(h[forwarded.FieldProto], "wss") { // as Traefik has it
		return true
	}
	// Browsers send Origin with a GET for a WebSocket or for a script of
	// another origin. Without Sec-Fetch-Mode the two cannot be told apart.
	return r.Method == http.MethodGet && len(h["Origin"]) > 0 && len(h["Sec-Fetch-Mode"]) == 0
}

// has reports whether value, in lower case, is an element of the lines of a list
// field.
func has(lines []string, value string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if ascii.EqualFold(ascii.TrimOWS(element), value) {
				return true
			}
		}
	}
	return false
}

// preflight reports whether r is a CORS preflight (Fetch, section 4.8), which has
// no credentials.
func preflight(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodOptions &&
		len(h["Origin"]) == 1 && len(h["Access-Control-Request-Method"]) == 1 &&
		len(h["Authorization"]) == 0 && len(h["Cookie"]) == 0
}

// navigation reports whether a browser sends r to open a page in a window, and
// not for a script, an image or a frame.
func navigation(r *http.Request) bool {
	h := r.Header
	if r.Method != http.MethodGet || len(h["Upgrade"]) > 0 || len(h["X-Requested-With"]) > 0 {
		return false
	}
	// Old browsers do not send these fields, and no browser sends them over
	// plain HTTP.
	if mode := h["Sec-Fetch-Mode"]; len(mode) > 0 && (len(mode) > 1 || mode[0] != "navigate") {
		return false
	}
	if dest := h["Sec-Fetch-Dest"]; len(dest) > 0 && (len(dest) > 1 || dest[0] != "document") {
		return false
	}
	for _, line := range h["Accept"] {
		for element := range strings.SplitSeq(line, ",") {
			mediaType, _, _ := strings.Cut(element, ";")
			if ascii.EqualFold(ascii.TrimOWS(mediaType), "text/html") {
				return true
			}
		}
	}
	return false
}
