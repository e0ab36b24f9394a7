package httpapi

import (
	"encoding/json"
	"fmt"
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

// encodeIndexes makes the answers of the indexes, which are the same for everybody.
func (a *api) encodeIndexes() error {
	a.indexes = make(map[string][]byte)
	for path, links := range a.links {
		var index any = links
		if path == "/api/" {
			index = rootIndex{
				Description:       "AWX REST API",
				CurrentVersion:    links["v2"],
				AvailableVersions: map[string]string{"v2": links["v2"]},
				OAuth2:            links["oauth2"],

				LoginRedirectOverride: a.LoginPage,
			}
		}
		var err error
		if a.indexes[path], err = json.Marshal(index); err != nil {
			return fmt.Errorf("httpapi: encode the index %s: %w", path, err)
		}
	}
	return nil
}

// getRoot lists the versions. AWX's own client expects a cookie named csrftoken
// in the answer.
func (a *api) getRoot(w http.ResponseWriter, r *http.Request) error {
	if _, err := r.Cookie(csrfCookie); err != nil {
		a.setCSRFToken(w)
	}
	return a.getLinks(w, r)
}

// getLinks lists the routes below the path.
func (a *api) getLinks(w http.ResponseWriter, r *http.Request) error {
	writeEncoded(w, r, http.StatusOK, a.indexes[r.URL.Path])
	return nil
}
