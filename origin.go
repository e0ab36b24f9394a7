package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// checkOrigin refuses a request that a browser sends for a page of another
// origin. It is [http.CrossOriginProtection] made stricter: the scheme counts,
// and what is unknown, malformed or doubled is refused. A request with neither
// Sec-Fetch-Site nor Origin does not come from a browser and passes.
func checkOrigin(r *http.Request, trusted map[string]bool) error {
	origins, sites := r.Header["Origin"], r.Header["Sec-Fetch-Site"]
	if len(origins) > 1 || len(sites) > 1 {
		return csrfError("the request has more than one origin")
	}
	if len(origins) == 1 && trusted[origins[0]] {
		return nil
	}
	if len(sites) == 1 {
		// The browser's own word; "none" is a user who typed the address.
		if sites[0] == "same-origin" || sites[0] == "none" {
			return nil
		}
		return csrfError("the request does not come from a page of this origin")
	}
	if len(origins) == 1 && origins[0] != requestOrigin(r) {
		return csrfError("Origin checking failed - " + clip(origins[0]) + " does not match any trusted origins")
	}
	return nil
}

// harmless reports whether another origin may send r: it changes nothing, and
// the browser keeps the answer from the page. A WebSocket it does not.
func harmless(r *http.Request) bool {
	return safeMethod(r.Method) && len(r.Header["Upgrade"]) == 0
}

// CheckOrigin refuses a request by an unsafe method that a browser sends for a
// page of another origin. An [Authenticator] outside this package calls it if its
// credential is one that browsers, or a gateway for them, add by themselves.
func CheckOrigin(r *http.Request) error {
	if safeMethod(r.Method) {
		return nil
	}
	return checkOrigin(r, nil)
}

func csrfError(why string) error {
	return &Error{Status: http.StatusForbidden, Detail: "CSRF Failed: " + why + "."}
}

// requestOrigin is the origin of the page that the client sent r to, which a
// believed proxy knows better than we do.
func requestOrigin(r *http.Request) string {
	if overTLS(r) {
		return "https://" + hostOf(r)
	}
	return "http://" + hostOf(r)
}

// parseOrigins checks a list of trusted origins.
func parseOrigins(list []string) (map[string]bool, error) {
	trusted := make(map[string]bool, len(list))
	for _, s := range list {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" ||
			s != u.Scheme+"://"+u.Host || strings.ContainsAny(u.Host, "*@") || s != strings.ToLower(s) {
			return nil, fmt.Errorf("auth: SessionOptions.TrustedOrigins: %q is not of the form https://host or https://host:port, in lower case and without wildcards", s)
		}
		trusted[s] = true
	}
	return trusted, nil
}
