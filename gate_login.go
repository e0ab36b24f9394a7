package auth

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ostiary/auth/internal/ascii"
)

// maxNext is the length of the longest parameter next, in bytes.
const maxNext = 2048

// RequireLogin is [Gate.Require] for pages. A browser that opens a page without
// a login is redirected to loginURL, with the page in the query parameter next,
// which is a path on this host. A browser that sends a form is redirected
// without next. All other requests are answered as by Require: those that do
// not accept HTML, those of scripts, those with an Authorization field, and
// those of users without the right.
//
// LoginURL must be a path, such as "/login/" or "/login/?theme=dark", of a page
// outside RequireLogin. RequireLogin panics if it is not a path or has a
// parameter next.
func (g *Gate) RequireLogin(loginURL string) func(http.Handler) http.Handler {
	login, err := url.Parse(loginURL)
	if err != nil || localPath(loginURL) == "" || login.Fragment != "" || login.Query().Has("next") {
		panic("auth: RequireLogin: " + strconv.Quote(loginURL) + " is not a path on this host, or has a parameter next")
	}
	return func(next http.Handler) http.Handler {
		mustHandle("Gate.RequireLogin", next)
		return g.handler(func(w http.ResponseWriter, r incoming, field authorization) {
			var p Principal
			err := g.check(&r, field, "", &p)
			if err == nil {
				vary(w.Header())
				g.warn(w.Header(), &p)
				next.ServeHTTP(w, carrying(r, &p))
				return
			}
			switch {
			case (noCredentials(err) || sessionEnded(err)) && navigation(r.Request) && r.URL.Path != login.Path:
				g.report(r, &p, err)
				sendToLogin(w, r.Request, *login)
			default:
				g.refuse(w, &r, &p, err, g.deny)
			}
		})
	}
}

func sendToLogin(w http.ResponseWriter, r *http.Request, login url.URL) {
	status := http.StatusSeeOther // the form is gone
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		status = http.StatusFound
		q := login.Query()
		q.Set("next", wayBack(r))
		login.RawQuery = q.Encode()
	}
	h := w.Header()
	vary(h)
	h.Add("Vary", "Accept")
	h["Cache-Control"] = noStore
	h.Set("Location", login.String())
	w.WriteHeader(status)
}

// wayBack returns the path and the query of r as the client sent them, because
// [http.StripPrefix] changes the URL. It returns "/" if a login page could not
// redirect to them.
func wayBack(r *http.Request) string {
	u := r.URL
	if sent, err := url.ParseRequestURI(r.RequestURI); err == nil {
		u = sent
	}
	next := u.EscapedPath()
	if u.RawQuery != "" {
		next += "?" + u.RawQuery
	}
	if next = localPath(next); next == "" || len(next) > maxNext {
		return "/"
	}
	return next
}

// localPath returns s if it is a path on the same host, and "" if a browser
// could take it for another host.
func localPath(s string) string {
	if !strings.HasPrefix(s, "/") || len(s) > 1 && (s[1] == '/' || s[1] == '\\') || !ascii.Visible(s) {
		return ""
	}
	return s
}

// navigation reports whether a browser sends r to open a page.
func navigation(r *http.Request) bool {
	for _, mode := range r.Header["Sec-Fetch-Mode"] {
		if mode != "navigate" {
			return false
		}
	}
	return !upgrade(r.Header) && acceptsHTML(r.Header)
}
