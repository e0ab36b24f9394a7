package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary/auth/oauth"
)

// The metadata documents are made of the configured issuer and resource, never
// of a request (RFC 8414 section 3.3).

// serverMetadataPath and resourceMetadataPath return the path of the URI that a
// document describes. It follows the well-known path in the address of the
// document (RFC 8414 section 3.1, RFC 9728 section 3.1).
func serverMetadataPath(a *api) []string { return []string{pathOf(a.OAuth.Issuer())} }

func resourceMetadataPaths(a *api) []string {
	var paths []string
	for _, r := range a.resources() {
		paths = append(paths, pathOf(r.URI))
	}
	return paths
}

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

// A Resource is a protected resource of the host (RFC 9728 section 2). Its metadata are
// at /.well-known/oauth-protected-resource and the path of URI, which is the address
// for [auth.GateOptions].ResourceMetadata.
type Resource struct {
	// URI is the http or https address of the resource without query and fragment,
	// such as "https://api.example/mcp". It must be one of oauth.Options.Resources,
	// and no other resource can have the same path.
	URI string

	// Scopes are the scopes that clients ask for when no challenge names one. A client
	// asks for all of them, so they are those for the most common use. At least one is
	// required, because a request without a scope means write.
	Scopes []string

	// Name is the name of the resource for people. The default is none.
	Name string
}

// checkResources refuses resources that contradict the other parts.
func (c *Config) checkResources() error {
	if len(c.Resources) > 0 && (c.OAuth == nil || c.OAuth.Issuer() == "") {
		return errors.New("httpapi: Config.Resources needs Config.OAuth with an Issuer: their metadata name it")
	}
	var paths []string
	for _, r := range c.resources() {
		u, err := url.Parse(r.URI)
		switch {
		case r.URI == c.Tokens.Resource():
		case !c.OAuth.KnowsResource(r.URI):
			return fmt.Errorf("httpapi: Config.Resources: %q is not one of oauth.Options.Resources: no token can be requested for it", r.URI)
		case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "":
			return fmt.Errorf("httpapi: Config.Resources: %q is not an http or https address without a query", r.URI)
		case len(r.Scopes) == 0:
			return fmt.Errorf("httpapi: Config.Resources: %q has no Scopes: clients would ask for write", r.URI)
		}
		if slices.Contains(paths, pathOf(r.URI)) {
			return fmt.Errorf("httpapi: Config.Resources: %q has the path of another resource", r.URI)
		}
		paths = append(paths, pathOf(r.URI))
		for _, name := range r.Scopes {
			if !slices.Contains(c.Tokens.ScopeNames(), name) {
				return fmt.Errorf("httpapi: Config.Resources: no token can have the scope %q of %q: add it to TokensOptions.Scopes", name, r.URI)
			}
		}
	}
	return nil
}

// resources returns the API, if it is a resource, and those of the host.
func (c *Config) resources() []Resource {
	if c.Tokens == nil || c.Tokens.Resource() == "" {
		return c.Resources
	}
	return append([]Resource{{URI: c.Tokens.Resource(), Scopes: c.Tokens.ScopeNames()}}, c.Resources...)
}

// resourceMetadata is the document of RFC 9728 section 2.
type resourceMetadata struct {
	Resource string   `json:"resource"`
	Servers  []string `json:"authorization_servers"`
	Scopes   []string `json:"scopes_supported"`
	Methods  []string `json:"bearer_methods_supported"`
	Name     string   `json:"resource_name,omitempty"`
}

const resourceMetadataPath = "/.well-known/oauth-protected-resource"

// getResourceMetadata serves the document of RFC 9728 section 2.
func (a *api) getResourceMetadata(w http.ResponseWriter, r *http.Request) error {
	path := strings.TrimPrefix(r.URL.Path, resourceMetadataPath)
	for _, one := range a.resources() {
		if pathOf(one.URI) == path {
			return writeDocument(w, r, resourceMetadata{one.URI, []string{a.OAuth.Issuer()}, one.Scopes, []string{"header"}, one.Name})
		}
	}
	return errNoRoute
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
		"scopes_supported":                              append(a.Tokens.ScopeNames(), oauth.OfflineAccess),
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
