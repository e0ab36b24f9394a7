package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store/memory"
)

// metadataConfig is an API with that issuer, that resource of its own and the resources
// of the authorization server.
func metadataConfig(issuer, own string, resources ...string) httpapi.Config {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Resource: own, Scopes: []string{"tools"}}))
	return httpapi.Config{
		Gate: auth.NewGate(auth.NewBearer(tokens), nil), Users: db, Tokens: tokens,
		OAuth: auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: issuer, Resources: resources})),
	}
}

// Clients of the Model Context Protocol look for metadata at the path of the resource,
// and at that of the issuer (RFC 9728 section 3.1, RFC 8414 section 3.1).
func TestResources(t *testing.T) {
	const issuer, tools, root = "https://api.example/tenant", "https://api.example/mcp", "https://tools.example"
	for name, own := range map[string]string{"an API that is a resource": "https://api.example/api/", "tools alone": ""} {
		c := metadataConfig(issuer, own, tools, root)
		c.Resources = []httpapi.Resource{
			{URI: tools, Scopes: []string{"tools"}, Name: "Tools"},
			{URI: root, Scopes: []string{"read", "tools"}},
		}
		s := &system{t: t, handler: auth.Must(httpapi.New(c))}
		const path = "/.well-known/oauth-protected-resource"
		want := map[string]map[string]any{
			path + "/mcp": {"resource": tools, "authorization_servers": []any{issuer}, "scopes_supported": []any{"tools"}, "bearer_methods_supported": []any{"header"}, "resource_name": "Tools"},
			path:          {"resource": root, "authorization_servers": []any{issuer}, "scopes_supported": []any{"read", "tools"}, "bearer_methods_supported": []any{"header"}},
		}
		if own != "" {
			want[path+"/api/"] = map[string]any{"resource": own, "authorization_servers": []any{issuer}, "scopes_supported": []any{"read", "write", "tools"}, "bearer_methods_supported": []any{"header"}}
		} else {
			s.do("GET", path+"/api/").wants(404)
		}
		for path, doc := range want {
			if diff := cmp.Diff(doc, s.do("GET", path).wants(200).json()); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", name, path, diff)
			}
		}
		s.do("GET", path+"/other").wants(404)
		server := s.do("GET", "/.well-known/oauth-authorization-server/tenant").wants(200).json()
		if server["issuer"] != issuer || server["token_endpoint"] != "https://api.example/api/o/token/" {
			t.Errorf("%s: %v", name, server)
		}
	}
}

func TestResourcesRefused(t *testing.T) {
	const issuer, own, tools = "https://api.example", "https://api.example/api/", "https://api.example/mcp"
	scopes := []string{"tools"}
	for name, tt := range map[string]struct {
		issuer string
		list   []httpapi.Resource
	}{
		"no issuer":                 {"", []httpapi.Resource{{URI: tools, Scopes: scopes}}},
		"no tokens for it":          {issuer, []httpapi.Resource{{URI: tools + "/", Scopes: scopes}}},
		"no scopes":                 {issuer, []httpapi.Resource{{URI: tools}}},
		"an unknown scope":          {issuer, []httpapi.Resource{{URI: tools, Scopes: []string{"tools", "offline_access"}}}},
		"two at one path":           {issuer, []httpapi.Resource{{URI: tools, Scopes: scopes}, {URI: "https://b.example/mcp", Scopes: scopes}}},
		"the path of the API":       {issuer, []httpapi.Resource{{URI: "https://b.example/api/", Scopes: scopes}}},
		"the API again":             {issuer, []httpapi.Resource{{URI: own, Scopes: scopes}}},
		"a query":                   {issuer, []httpapi.Resource{{URI: tools + "?x", Scopes: scopes}}},
		"a URI that has no address": {issuer, []httpapi.Resource{{URI: "urn:tools", Scopes: scopes}}},
	} {
		c := metadataConfig(tt.issuer, own, tools, "https://b.example/mcp", "https://b.example/api/", tools+"?x", "urn:tools")
		c.Resources = tt.list
		if _, err := httpapi.New(c); err == nil || !strings.Contains(err.Error(), "Config.Resources") {
			t.Errorf("%s: error is %v", name, err)
		}
	}
	c := metadataConfig(issuer, own, tools)
	c.OAuth, c.Resources = nil, []httpapi.Resource{{URI: tools, Scopes: scopes}}
	if _, err := httpapi.New(c); err == nil || !strings.Contains(err.Error(), "Config.Resources") {
		t.Errorf("no authorization server: error is %v", err)
	}
}
