package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/ostiary/auth"
)

// addMetadata adds the documents by which clients find the endpoints. They are
// made of the configured issuer and resource, never of a request (RFC 8414
// section 3.3), and do not exist without.
func (a *api) addMetadata() {
	if a.Tokens.Issuer() == "" {
		return
	}
	a.addDocument("oauth-authorization-server", a.Tokens.Issuer(), a.serverMetadata())
	if resource := a.Tokens.Resource(); resource != "" {
		a.addDocument("oauth-protected-resource", resource, struct {
			Resource string   `json:"resource"`
			Servers  []string `json:"authorization_servers"`
			Scopes   []string `json:"scopes_supported"`
			Methods  []string `json:"bearer_methods_supported"`
		}{resource, []string{a.Tokens.Issuer()}, a.Tokens.ScopeNames(), []string{"header"}})
	}
}

// addDocument serves a document at its well-known address: the path of the URI
// that it describes comes behind (RFC 8414 section 3.1, RFC 9728 section 3.1).
func (a *api) addDocument(name, of string, doc any) {
	path := ""
	if u, err := url.Parse(of); err == nil && u.Path != "/" {
		path = u.Path
	}
	a.add("/.well-known/"+name+path, open, methods{"GET": func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		return writeJSON(w, r, http.StatusOK, doc)
	}})
}

// base returns scheme and host of the issuer: this API is at the root of it.
func (a *api) base() string {
	u, err := url.Parse(a.Tokens.Issuer())
	if err != nil { // NewTokens has parsed it
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// serverMetadata: RFC 8414 section 2.
func (a *api) serverMetadata() map[string]any {
	base := a.base()
	grants := []string{"refresh_token", "client_credentials"}
	methods := []string{"client_secret_basic", "client_secret_post", "none"}
	doc := map[string]any{
		"issuer":                                        a.Tokens.Issuer(),
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
	}
	if a.Passwords != nil {
		grants = append(grants, "password")
	}
	if a.Devices != nil {
		grants = append(grants, auth.GrantDeviceCode)
		doc["device_authorization_endpoint"] = base + "/api/o/device_authorization/"
	}
	doc["grant_types_supported"] = grants
	return doc
}

// words splits a list that is separated by spaces.
func words(s string) []string { return strings.Fields(s) }
