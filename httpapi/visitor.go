package httpapi

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ostiary/auth"
)

// visitor returns the principal of the session. Without a login it redirects
// the browser to the login, with next as the way back, and returns nil.
func (a *api) visitor(w http.ResponseWriter, r *http.Request, next string) (*auth.Principal, error) {
	p, err := a.Session.Authenticate(r)
	if err == nil && r.Method == http.MethodPost {
		p, err = a.visitors.Recheck(r) // the session was read before the form
	}
	if err == nil {
		return p, nil
	}
	if errors.Is(err, auth.ErrNoCredentials) || isStatus(err, http.StatusUnauthorized) {
		sendTo(w, a.loginAddress(next))
		return nil, nil
	}
	return nil, err
}

// loginAddress returns the address of the login page with next as the way back.
func (a *api) loginAddress(next string) string {
	page := cmp.Or(a.LoginPage, "/api/login/")
	if strings.Contains(page, "?") {
		return page + "&next=" + url.QueryEscape(next)
	}
	return page + "?next=" + url.QueryEscape(next)
}

// sendTo redirects. Unlike [http.Redirect] it writes no body, which would
// repeat the code. 302 turns a POST into a GET (RFC 9700 section 4.12).
func sendTo(w http.ResponseWriter, uri string) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", uri)
	w.WriteHeader(http.StatusFound)
}
