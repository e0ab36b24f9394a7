package httpapi

import (
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
)

// The paths of the pages of the Ansible platform's gateway.
const (
	platformLogin  = "/?next="
	platformLogout = "/api/gateway/v1/logout/?__gateway_no_rewrite__=1&next=/"
)

var errPlatformLogin = &auth.Error{Status: http.StatusUnauthorized, Detail: "Please log in via Platform Authentication."}

// atPlatform reports whether the gateway handles login and logout for r.
func (a *api) atPlatform(r *http.Request) bool {
	return a.Platform && auth.ProvenProxy(r.Context())
}

// refuseLogin refuses a login with a reference to the gateway. AWX crashes
// here.
func (a *api) refuseLogin(w http.ResponseWriter, r *http.Request) {
	a.Gate.DenyWith(w, r, errPlatformLogin, func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		// An error means that the client has gone.
		_ = writeJSON(w, r, e.Status, map[string]string{"detail": errPlatformLogin.Detail})
	})
}

// loginAtPlatform redirects a browser to the login of the gateway, with the way
// back.
func loginAtPlatform(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, platformLogin+url.QueryEscape(queryNext(r)), http.StatusFound)
}
