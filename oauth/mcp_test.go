package oauth_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// The scope offline_access asks for the refresh token that there is anyway. No token
// has it, and alone it does not mean the default, write.
func TestOfflineAccess(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for _, tt := range []struct{ asked, granted string }{
		{"read offline_access", "read"},
		{"offline_access read", "read"},
		{"read offline_access write", "read write"},
		{"offline_access", ""},
		{"offline_access ", ""},
		{"offline_access offline_access", ""},
		{"read offline_access offline_access", ""},
		{"read  offline_access", ""},
		{"read offline_access ", ""},
		{"Offline_Access read", ""},
		{"offline_access other", ""},
	} {
		a, err := s.server.ParseAuthorization(t.Context(), authorization(app, "scope", tt.asked))
		if tt.granted == "" {
			refuses(t, err, "invalid_scope")
			continue
		}
		if err != nil || string(a.Scopes) != tt.granted {
			t.Errorf("%q: %q, %v, want %q", tt.asked, a.Scopes, err, tt.granted)
		}
	}
	issued := s.issue(app, s.alice, "scope", "read offline_access")
	x := refresh(issued)
	x.Scope = "offline_access read"
	refreshed, err := s.server.Refresh(t.Context(), app.Application, x)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []auth.IssuedToken{issued, refreshed} {
		if i.Scopes != "read" || i.Refresh.Scopes != "read" || i.RefreshToken == "" {
			t.Errorf("scopes %q, of the refresh token %q", i.Scopes, i.Refresh.Scopes)
		}
	}
	device := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
	if _, err := s.server.StartDevice(t.Context(), device.Application, "read offline_access", nil); err != nil {
		t.Errorf("a device: %v", err)
	}
	alone := s.app(oauth.GrantClientCredentials, oauth.ClientConfidential) // has no refresh token
	_, err = s.server.ExchangeClient(t.Context(), alone.Application, oauth.ClientExchange{Scope: "read offline_access"})
	refuses(t, err, "invalid_scope")
}

// A resource is known by the spelling of the options, which tokens have, and by those
// that clients make of it.
func TestSpellingOfResources(t *testing.T) {
	const own, tools = "https://api.example", "https://api.example/mcp"
	s := newOAuth(t, func(o *settings) { o.Resource, o.Resources = own, []string{tools} })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for asked, want := range map[string]string{
		own: own, own + "/": own, "HTTPS://API.example": own,
		tools: tools, "https://API.EXAMPLE/mcp": tools,
		tools + "/": "", "https://api.example/MCP": "", "https://api.example:443/mcp": "", tools + "#x": "",
	} {
		a, err := s.server.ParseAuthorization(t.Context(), authorization(app, "resource", asked))
		if want == "" {
			refuses(t, err, "invalid_target")
		} else if err != nil || a.Audience != want {
			t.Errorf("%q: %q, %v, want %q", asked, a.Audience, err, want)
		}
	}
	v := authorization(app)
	v["resource"] = []string{own, own + "/"}
	_, err := s.server.ParseAuthorization(t.Context(), v)
	refuses(t, err, "invalid_target") // the same one twice

	x := exchange(s.code(app, s.alice, "resource", tools))
	x.Resources = []string{"https://API.example/mcp"}
	issued, err := s.server.Exchange(t.Context(), app.Application, x)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tools, issued.Audience); diff != "" {
		t.Errorf("audience (-want +got):\n%s", diff)
	}
	r := refresh(issued)
	r.Resources = []string{own + "/"}
	_, err = s.server.Refresh(t.Context(), app.Application, r)
	refuses(t, err, "invalid_target") // not granted
}
