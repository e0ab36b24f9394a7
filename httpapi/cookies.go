package httpapi

import (
	"crypto/rand"
	"net/http"
)

// csrfCookie is the cookie that AWX's clients look for in the answers of /api/
// and /api/login/, and send back in a field. It has no meaning here, because
// the origin of a request is checked instead.
const csrfCookie = "csrftoken"

func (a *api) setCSRFToken(w http.ResponseWriter) { a.setCookie(w, csrfCookie, rand.Text()) }

// setLoggedIn sets the cookie in which AWX's pages look for a login. It proves
// nothing.
func (a *api) setLoggedIn(w http.ResponseWriter, value string) {
	a.setCookie(w, "userLoggedIn", value)
}

// setCookie sets a cookie that scripts can read.
func (a *api) setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     "/",
		Secure:   a.Session == nil || a.Session.Secure(),
		SameSite: http.SameSiteLaxMode,
	})
}
