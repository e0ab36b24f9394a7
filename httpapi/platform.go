package httpapi

import (
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
)

// Where the gateway of the Ansible platform has its own pages.
const (
	platformLogin  = "/?next="
	platformLogout = "/api/gateway/v1/logout/?__gateway_no_rewrite__=1&next=/"
)

var errPlatformLogin = &auth.Error{Status: http.StatusUnauthorized, Detail: "Please log in via Platform Authentication."}

// atPlatform reports whether logging in and out is the gateway's business.
func (a *api) atPlatform(r *http.Request) bool {
	return a.Platform && auth.ProvenProxy(r.Context())
}

// refuseLogin says where to log in. AWX means to, and crashes.
func (a *api) refuseLogin(w http.ResponseWriter, r *http.Request) {
	a.Gate.DenyWith(w, r, errPlatformLogin, func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		// The client may be gone; there is nobody else to tell.
		_ = writeJSON(w, r, e.Status, map[string]string{"detail": errPlatformLogin.Detail})
	})
}

// loginAtPlatform sends a browser to the gateway, and back here afterwards.
func loginAtPlatform(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, platformLogin+url.QueryEscape(queryNext(r)), http.StatusFound)
}
