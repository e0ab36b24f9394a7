package httpapi

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// home is the default target of logins and logouts.
const home = "/api/"

// The paths of the account, where people manage their own access.
const (
	accountRoot      = "/api/account/"
	loggedOutPage    = accountRoot + "logged_out/"
	passwordPage     = accountRoot + "password/"
	sessionsPage     = accountRoot + "sessions/"
	tokensPage       = accountRoot + "tokens/"
	connectionsPage  = accountRoot + "connections/"
	applicationsPage = accountRoot + "applications/"
)

// queryNext returns the parameter next of the query if it is allowed, or home.
func queryNext(r *http.Request) string {
	next := r.URL.Query()["next"]
	if len(next) != 1 {
		return home
	}
	return localPath(next[0])
}

// maxNext is the length of the longest target of a login, in bytes. It can be
// an authorization request with the state of its client.
const maxNext = 8192

// logsOut reports whether a path is one of the logout after it is cleaned. A
// login must not redirect there.
func logsOut(p string) bool {
	p = path.Clean(p) + "/"
	return strings.HasPrefix(p, "/api/logout/") || strings.HasPrefix(p, "/api/gateway/v1/logout/")
}

// localPath returns next if it is a path on this host, and home otherwise. It
// refuses paths that browsers read as a host: they take a backslash for a
// slash, drop tabs and line breaks, and read two leading slashes as a host.
func localPath(next string) string {
	if u := parsePath(next); u == nil || logsOut(u.Path) {
		return home
	}
	return next
}

// isPath reports whether s is a path on this host, and stays one in a browser.
func isPath(s string) bool { return parsePath(s) != nil }

// parsePath returns the URL of a path on this host, nil if s is anything else.
func parsePath(s string) *url.URL {
	if len(s) > maxNext || !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
		return nil
	}
	for _, c := range s {
		if c < ' ' || c == 0x7f || c == '\uFFFD' {
			return nil
		}
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return nil
	}
	return u
}

// landing is where a login leads that does not say where to go: people find their
// account, and API clients what they always did.
func (a *api) landing(r *http.Request) string {
	if a.Account && browses(r) {
		return accountRoot
	}
	return home
}
