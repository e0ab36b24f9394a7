package oauth_test

import (
	"net/http"
	"testing"

	"github.com/ostiary/auth/oauth"
)

// TestRequirePKCE has applications that need PKCE by their own setting, by their
// type and by the option of the server.
func TestRequirePKCE(t *testing.T) {
	s := newOAuth(t, nil)
	create := func(clientType string, want *bool) (oauth.IssuedApplication, error) {
		return s.server.CreateApplication(t.Context(), by(s.admin), request1(func(r *oauth.ApplicationRequest) {
			r.Name, r.ClientType, r.GrantType, r.RequirePKCE = t.Name()+clientType, clientType, oauth.GrantAuthorizationCode, want
			r.RedirectURIs = []string{"https://client.example/cb"}
		}))
	}
	_, err := create(oauth.ClientPublic, new(false))
	refusesStatus(t, err, http.StatusBadRequest, "RequirePKCE")
	app, err := create(oauth.ClientConfidential, new(false))
	if err != nil || s.server.RequiresPKCE(app.Application) {
		t.Fatalf("%+v, %v", app, err)
	}
	change := func(c oauth.ApplicationChange) error {
		_, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, c)
		return err
	}
	required := func() bool {
		t.Helper()
		got, err := s.server.Application(t.Context(), by(s.admin), app.ID)
		if err != nil {
			t.Fatal(err)
		}
		return s.server.RequiresPKCE(got)
	}
	for _, step := range []struct {
		name   string
		change oauth.ApplicationChange
		want   bool
	}{
		{"on", oauth.ApplicationChange{RequirePKCE: new(true)}, true},
		{"untouched", oauth.ApplicationChange{Description: new("x")}, true},
		{"off", oauth.ApplicationChange{RequirePKCE: new(false)}, false},
		{"public", oauth.ApplicationChange{ClientType: new(oauth.ClientPublic)}, true},
		{"confidential and off", oauth.ApplicationChange{ClientType: new(oauth.ClientConfidential), RequirePKCE: new(false)}, false},
		{"public and on", oauth.ApplicationChange{ClientType: new(oauth.ClientPublic), RequirePKCE: new(true)}, true},
		{"confidential, still on", oauth.ApplicationChange{ClientType: new(oauth.ClientConfidential)}, true},
	} {
		if err := change(step.change); err != nil || required() != step.want {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	refusesStatus(t, change(oauth.ApplicationChange{ClientType: new(oauth.ClientPublic), RequirePKCE: new(false)}), http.StatusBadRequest, "RequirePKCE")
}
