package oauth_test

import (
	"testing"

	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// Whatever was stored before a rule came, and whatever was imported, can be switched
// off and on.
func TestApplicationOlderThanTheRules(t *testing.T) {
	for name, old := range map[string]store.Application{
		"http to any host":        {Confidential: true, GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"http://app.example/cb"}},
		"a scheme of nobody":      {Confidential: true, GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{"myapp:/cb"}},
		"no redirect URI":         {Confidential: true, GrantType: oauth.GrantAuthorizationCode},
		"a public one skips":      {GrantType: oauth.GrantAuthorizationCode, RedirectURIs: []string{redirectURI}, SkipConsent: true},
		"an unknown organization": {Confidential: true, GrantType: oauth.GrantPassword, OrganizationID: 99},
	} {
		s := newOAuth(t, nil)
		old.Name, old.ClientID = name, "old"
		app, err := s.db.InsertApplication(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		for _, disabled := range []bool{true, false} {
			if got, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{Disabled: &disabled}); err != nil || got.Disabled != disabled {
				t.Errorf("%s: disabled %v: %v", name, disabled, err)
			}
		}
		if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{Name: new("new")}); err == nil {
			t.Errorf("%s: another change is not checked", name)
		}
	}
}

func TestDisablingIsAudited(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantPassword, oauth.ClientConfidential)
	if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{Disabled: new(true)}); err != nil {
		t.Fatal(err)
	}
	s.wantEvent("auth: application changed", "disabled=true", "before.disabled=false")
}
