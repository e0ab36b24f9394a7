package httpapi

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// acceptsJSON reports whether the client can read the answer (RFC 9110 section
// 12.5.1).
func acceptsJSON(r *http.Request) bool {
	return accepts(r, "application/json", "application/*", "*/*")
}

// acceptsHTML reports whether the client can read a page. A request without
// Accept can.
func acceptsHTML(r *http.Request) bool { return accepts(r, "text/html", "text/*", "*/*") }

// wants reports whether Accept has the media type itself.
func wants(r *http.Request, mediaType string) bool {
	return len(r.Header["Accept"]) > 0 && accepts(r, mediaType)
}

func accepts(r *http.Request, ranges ...string) bool {
	values := r.Header["Accept"]
	if len(values) == 0 {
		return true
	}
	if len(values) == 1 && slices.Contains(ranges, values[0]) { // as most clients send it
		return true
	}
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		mediaRange, params, _ := strings.Cut(strings.ToLower(part), ";")
		for _, want := range ranges {
			if strings.TrimSpace(mediaRange) == want && !zeroQuality(params) {
				return true
			}
		}
	}
	return false
}

// zeroQuality reports whether the parameters exclude their media type.
func zeroQuality(params string) bool {
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if q, err := strconv.ParseFloat(value, 64); name == "q" && (err != nil || q <= 0) {
			return true
		}
	}
	return false
}

// mediaType returns the type of the body, or "" if the request has none or an
// unclear one.
func mediaType(r *http.Request) string {
	values := r.Header["Content-Type"]
	if len(values) != 1 {
		return ""
	}
	t, _, err := mime.ParseMediaType(values[0])
	if err != nil {
		return ""
	}
	return t
}

// browses reports whether a browser sends r to show a page. The request accepts
// text/html by name and not application/json, and it is no request of a script
// (Fetch Metadata section 2.2). A client with an Authorization field or with a body
// of JSON is no browser.
func browses(r *http.Request) bool {
	if len(r.Header["Authorization"]) > 0 { // first, because most clients have one
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost {
		return false
	}
	mode := r.Header["Sec-Fetch-Mode"]
	return wants(r, "text/html") && !wants(r, "application/json") && mediaType(r) != "application/json" &&
		(len(mode) == 0 || len(mode) == 1 && mode[0] == "navigate")
}

// clicked reports whether a GET with this header opens a page, after a click on
// a link or a typed address. Browsers mark a GET for a prefetch, a picture, a
// frame or a script (Fetch Metadata sections 2.1 and 2.2, Fetch section 2.2.5);
// older ones have other fields for it. Over plain HTTP and in browsers before 2023 a
// page is what the request asks for, or what may be upgraded to HTTPS (Upgrade
// Insecure Requests section 3.2.1). Other clients send none of the fields.
func clicked(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if len(h[name]) > 0 {
			return false
		}
	}
	mode, dest := h["Sec-Fetch-Mode"], h["Sec-Fetch-Dest"]
	if len(mode) == 0 && len(dest) == 0 && strings.HasPrefix(h.Get("User-Agent"), "Mozilla/") {
		return len(h["Upgrade-Insecure-Requests"]) > 0 || strings.Contains(strings.Join(h["Accept"], ","), "text/html")
	}
	return (len(mode) == 0 || len(mode) == 1 && mode[0] == "navigate") &&
		(len(dest) == 0 || len(dest) == 1 && dest[0] == "document")
}
