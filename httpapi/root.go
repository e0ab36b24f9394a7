package httpapi

import (
	"net/http"
)

// rootIndex is what AWX says about its API as a whole.
type rootIndex struct {
	Description           string            `json:"description"`
	CurrentVersion        string            `json:"current_version"`
	AvailableVersions     map[string]string `json:"available_versions"`
	OAuth2                string            `json:"oauth2,omitempty"`
	CustomLogo            string            `json:"custom_logo"`
	CustomLoginInfo       string            `json:"custom_login_info"`
	LoginRedirectOverride string            `json:"login_redirect_override"`
}

// getRoot lists the versions. AWX's own client expects a cookie named csrftoken
// in the answer.
func (a *api) getRoot(w http.ResponseWriter, r *http.Request) error {
	if _, err := r.Cookie(csrfCookie); err != nil {
		a.setCSRFToken(w)
	}
	links := a.links["/api/"]
	root := rootIndex{
		Description:       "AWX REST API",
		CurrentVersion:    links["v2"],
		AvailableVersions: map[string]string{"v2": links["v2"]},
		OAuth2:            links["oauth2"],

		LoginRedirectOverride: a.LoginPage,
	}
	return writeJSON(w, r, http.StatusOK, root)
}

// getLinks lists the routes below the path.
func (a *api) getLinks(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, r, http.StatusOK, a.links[r.URL.Path])
}
