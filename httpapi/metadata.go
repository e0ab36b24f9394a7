package httpapi

import (
	"net/http"
	"net/url"

	"github.com/ostiary/auth/oauth"
)

// The metadata documents are made of the configured issuer and resource, never
// of a request (RFC 8414 section 3.3).

// serverMetadataPath and resourceMetadataPath return the path of the URI that a
// document describes. It follows the well-known path in the address of the
// document (RFC 8414 section 3.1, RFC 9728 section 3.1).
func serverMetadataPath(a *api) string   { return pathOf(a.OAuth.Issuer()) }
func resourceMetadataPath(a *api) string { return pathOf(a.Tokens.Resource()) }

func pathOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Path == "/" {
		return ""
	}
	return u.Path
}

// documentLifetime is how long caches may store what depends on the configuration
// alone.
const documentLifetime = "public, max-age=3600"

func writeDocument(w http.ResponseWriter, r *http.Request, doc any) error {
	w.Header().Set("Cache-Control", documentLifetime)
	return writeJSON(w, r, http.StatusOK, doc)
}

func (a *api) getServerMetadata(w http.ResponseWriter, r *http.Request) error {
	return writeDocument(w, r, a.serverMetadata())
}

// resourceMetadata is the document of RFC 9728 section 2.
type resourceMetadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Methods  []string `json:"bearer_methods_supported"`
}

// getResourceMetadata serves the document of RFC 9728 section 2.
func (a *api) getResourceMetadata(w http.ResponseWriter, r *http.Request) error {
	return writeDocument(w, r, resourceMetadata{a.Tokens.Resource(), []string{a.OAuth.Issuer()}, a.Tokens.ScopeNames(), []string{"header"}})
}

// base returns the scheme and host of the issuer, which has this API at its
// root.
func (a *api) base() string {
	u, err := url.Parse(a.OAuth.Issuer())
	if err != nil { // NewTokens has parsed it
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// serverMetadata returns the document of RFC 8414 section 2.
func (a *api) serverMetadata() map[string]any {
	base := a.base()
	grants := []string{"refresh_token", "client_credentials"}
	methods := []string{"client_secret_basic", "client_secret_post", "none"}
	doc := map[string]any{
		"issuer":                                        a.OAuth.Issuer(),
		"token_endpoint":                                base + "/api/o/token/",
		"token_endpoint_auth_methods_supported":         methods,
		"revocation_endpoint":                           base + "/api/o/revoke_token/",
		"revocation_endpoint_auth_methods_supported":    methods,
		"introspection_endpoint":                        base + "/api/o/introspect/",
		"introspection_endpoint_auth_methods_supported": methods[:2],
		"scopes_supported":                              a.Tokens.ScopeNames(),
		"response_types_supported":                      []string{"code"},
	}
	if a.Session != nil {
		grants = append(grants, "authorization_code")
		doc["authorization_endpoint"] = base + "/api/o/authorize/"
		doc["response_modes_supported"] = []string{"query"}
		doc["code_challenge_methods_supported"] = []string{"S256"}
		doc["authorization_response_iss_parameter_supported"] = true // RFC 9207
		if a.OAuth.HasDocuments() {
			doc["client_id_metadata_document_supported"] = true
		}
	}
	if a.Passwords != nil {
		grants = append(grants, "password")
	}
	if a.OAuth.HasDevices() {
		grants = append(grants, oauth.GrantDeviceCode)
		doc["device_authorization_endpoint"] = base + "/api/o/device_authorization/"
	}
	doc["grant_types_supported"] = grants
	return doc
}
