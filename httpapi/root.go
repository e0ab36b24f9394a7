package httpapi

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
)

// getRoot lists the versions. AWX's own client looks for a cookie named
// csrftoken afterwards and sends it back; it has no meaning here, where the
// origin of a request decides.
func (a *api) getRoot(w http.ResponseWriter, r *http.Request) error {
	if _, err := r.Cookie("csrftoken"); err != nil {
		http.SetCookie(w, &http.Cookie{
			Name:     "csrftoken",
			Value:    rand.Text(),
			Path:     "/",
			Secure:   a.Session == nil || a.Session.Secure(),
			SameSite: http.SameSiteLaxMode,
		})
	}
	root := struct {
		Description           string            `json:"description"`
		CurrentVersion        string            `json:"current_version"`
		AvailableVersions     map[string]string `json:"available_versions"`
		OAuth2                string            `json:"oauth2,omitempty"`
		CustomLogo            string            `json:"custom_logo"`
		CustomLoginInfo       string            `json:"custom_login_info"`
		LoginRedirectOverride string            `json:"login_redirect_override"`
	}{
		Description:       "AWX REST API",
		CurrentVersion:    "/api/v2/",
		AvailableVersions: map[string]string{"v2": "/api/v2/"},
	}
	if a.Applications != nil {
		root.OAuth2 = "/api/o/"
	}
	return writeJSON(w, r, http.StatusOK, root)
}

// link puts the links of /api/v2/ together.
func (a *api) link() error {
	a.links = map[string]string{"me": "/api/v2/me/"}
	if a.Tokens != nil {
		a.links["tokens"] = "/api/v2/tokens/"
	}
	if a.Applications != nil {
		a.links["applications"] = "/api/v2/applications/"
	}
	for name, path := range a.Config.Links {
		if _, taken := a.links[name]; taken || name == "" || !strings.HasPrefix(path, "/") {
			return fmt.Errorf("httpapi: Config.Links: %q cannot be a link to %q", name, path)
		}
		a.links[name] = path
	}
	return nil
}

// getVersion lists the resources.
func (a *api) getVersion(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, r, http.StatusOK, a.links)
}
