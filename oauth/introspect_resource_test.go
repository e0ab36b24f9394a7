package oauth_test

import (
	"net/http"
	"net/netip"
	"reflect"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

const (
	ownResource    = "https://api.example/"
	sisterResource = "https://sister.example/"
	otherResource  = "https://other.example/"
)

// newSisters returns a system with three resources.
func newSisters(t *testing.T, unbound bool) *oauthSystem {
	return newOAuth(t, func(o *settings) {
		o.Resource, o.Resources, o.IntrospectUnbound = ownResource, []string{sisterResource, otherResource}, unbound
	})
}

// sister registers an application that stands for a resource.
func (s *oauthSystem) sister(name, resource string) oauth.IssuedApplication {
	s.t.Helper()
	app, err := s.server.CreateApplication(s.t.Context(), by(s.admin), sisterRequest(name, resource))
	if err != nil {
		s.t.Fatal(err)
	}
	return app
}

func sisterRequest(name, resource string) oauth.ApplicationRequest {
	return oauth.ApplicationRequest{Name: name, OrganizationID: 1, ClientType: oauth.ClientConfidential, GrantType: oauth.GrantClientCredentials, Resource: resource}
}

func TestOnlySuperusersLetAnApplicationStandForAResource(t *testing.T) {
	s := newSisters(t, false)
	for name, tt := range map[string]struct {
		by     *auth.Principal
		change func(*oauth.ApplicationRequest)
	}{
		"an administrator of the organization": {by(s.orgadmin), func(*oauth.ApplicationRequest) {}},
		"a superuser's token":                  {&auth.Principal{ID: "1", Admin: true, Scopes: "write", TokenID: 9}, func(r *oauth.ApplicationRequest) { r.GrantType = oauth.GrantPassword }},
		"a public client":                      {by(s.admin), func(r *oauth.ApplicationRequest) { r.ClientType, r.GrantType = oauth.ClientPublic, oauth.GrantPassword }},
		"an unknown resource":                  {by(s.admin), func(r *oauth.ApplicationRequest) { r.Resource = "https://unknown.example/" }},
		"two resources":                        {by(s.admin), func(r *oauth.ApplicationRequest) { r.Resource = sisterResource + " " + otherResource }},
		"a resource with a space":              {by(s.admin), func(r *oauth.ApplicationRequest) { r.Resource = " " }},
	} {
		req := sisterRequest(name, sisterResource)
		tt.change(&req)
		_, err := s.server.CreateApplication(t.Context(), tt.by, req)
		t.Run(name, func(t *testing.T) { refusesStatus(t, err, http.StatusBadRequest, "Resource") })
	}
	app := s.sister("sister", sisterResource)
	// Whoever has the secret of such an application sees the tokens of others.
	_, err := s.server.RotateSecret(t.Context(), by(s.orgadmin), app.ID, 0)
	refusesStatus(t, err, http.StatusForbidden, "")
	for name, c := range map[string]oauth.ApplicationChange{
		"rename": {Name: new("x")}, "leave": {Resource: new("")}, "another": {Resource: new(otherResource)},
	} {
		_, err := s.server.ChangeApplication(t.Context(), by(s.orgadmin), app.ID, c)
		t.Run(name, func(t *testing.T) { refusesStatus(t, err, http.StatusForbidden, "") })
	}
	_, err = s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{Resource: new("https://unknown.example/")})
	refusesStatus(t, err, http.StatusBadRequest, "Resource")
	changed, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{Resource: new(otherResource)})
	if err != nil || changed.Resource != otherResource {
		t.Errorf("by a superuser: %q, %v", changed.Resource, err)
	}
	plain := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	_, err = s.server.ChangeApplication(t.Context(), by(s.orgadmin), plain.ID, oauth.ApplicationChange{Resource: new(sisterResource)})
	refusesStatus(t, err, http.StatusBadRequest, "Resource")
	if _, err = s.server.ChangeApplication(t.Context(), by(s.orgadmin), plain.ID, oauth.ApplicationChange{Resource: new("")}); err != nil {
		t.Errorf("what was read and is sent back: %v", err)
	}
}

// introspects returns what an application sees of a token.
func (s *oauthSystem) introspects(app store.Application, token auth.Secret) oauth.Introspection {
	s.t.Helper()
	got, err := s.server.Introspect(s.t.Context(), app, token.Reveal())
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

func TestIntrospectForAResource(t *testing.T) {
	s := newSisters(t, false)
	sister, client := s.sister("sister", sisterResource), s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued := s.issue(client, s.admin, "scope", "read", "resource", sisterResource)
	got := s.introspects(sister.Application, issued.AccessToken)
	if !got.Active || !got.ForResource || got.Refresh || got.ClientID != client.ClientID || got.Username != "admin" || !got.Admin || got.Auditor ||
		got.Token.ID != issued.ID || got.Token.ApplicationID != client.ID || got.Token.Scopes != "read" {
		t.Errorf("a token for the resource: %+v", got)
	}
	if own := s.introspects(client.Application, issued.AccessToken); !own.Active || own.ForResource || own.Admin {
		t.Errorf("its own client sees %+v", own)
	}
	if got := s.introspects(sister.Application, s.issue(client, s.auditor, "resource", sisterResource).AccessToken); !got.Auditor || got.Admin {
		t.Errorf("a token of an auditor: %+v", got)
	}
	personal, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	own, err := s.server.ExchangeClient(t.Context(), sister.Application, oauth.ClientExchange{Scope: "read", Resources: []string{otherResource}})
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]auth.Secret{
		"refresh token":                     issued.RefreshToken,
		"for another resource":              s.issue(client, s.alice, "resource", otherResource).AccessToken,
		"for the authorization server":      s.issue(client, s.alice, "resource", ownResource).AccessToken,
		"unbound":                           s.issue(client, s.alice).AccessToken,
		"personal":                          personal.AccessToken,
		"its own for another resource":      own.AccessToken,
		"unknown":                           "unknown",
		"the token with a space behind it":  issued.AccessToken + " ",
		"the token in another spelling":     issued.AccessToken[:len(issued.AccessToken)-1],
		"a text that is longer than tokens": auth.Secret(make([]byte, 100_000)),
	} {
		if got := s.introspects(sister.Application, token); !reflect.DeepEqual(got, oauth.Introspection{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	other := s.sister("other", otherResource)
	if got := s.introspects(other.Application, issued.AccessToken); got.Active {
		t.Error("an application that stands for another resource sees the token")
	}
	for name, end := range map[string]func(auth.IssuedToken) error{
		"the token is revoked": func(issued auth.IssuedToken) error {
			return s.server.Revoke(t.Context(), client.Application, issued.AccessToken.Reveal())
		},
		"the application is disabled": func(auth.IssuedToken) error {
			_, err := s.server.ChangeApplication(t.Context(), by(s.admin), client.ID, oauth.ApplicationChange{Disabled: new(true)})
			return err
		},
	} {
		fresh := s.issue(client, s.alice, "resource", sisterResource)
		if !s.introspects(sister.Application, fresh.AccessToken).Active {
			t.Fatalf("before %s the token is not active", name)
		}
		if err := end(fresh); err != nil {
			t.Fatal(err)
		}
		if s.introspects(sister.Application, fresh.AccessToken).Active {
			t.Errorf("after %s the token is active", name)
		}
		if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), client.ID, oauth.ApplicationChange{Disabled: new(false)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIntrospectUnbound(t *testing.T) {
	s := newSisters(t, true)
	sister, client := s.sister("sister", sisterResource), s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	personal := func(addresses ...netip.Prefix) auth.Secret {
		issued, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Addresses: addresses})
		if err != nil {
			t.Fatal(err)
		}
		return issued.AccessToken
	}
	unbound := s.issue(client, s.alice)
	for name, tt := range map[string]struct {
		token auth.Secret
		want  bool
	}{
		"unbound":                      {unbound.AccessToken, true},
		"its refresh token":            {unbound.RefreshToken, false},
		"personal":                     {personal(), true},
		"personal, with an address":    {personal(netip.MustParsePrefix("192.0.2.1/32")), false},
		"for the resource":             {s.issue(client, s.alice, "resource", sisterResource).AccessToken, true},
		"for another resource":         {s.issue(client, s.alice, "resource", otherResource).AccessToken, false},
		"for the authorization server": {s.issue(client, s.alice, "resource", ownResource).AccessToken, false},
	} {
		if got := s.introspects(sister.Application, tt.token); got.Active != tt.want {
			t.Errorf("%s: active is %v", name, got.Active)
		}
	}
	if got := s.introspects(sister.Application, personal()); got.ClientID != "" || got.Token.ApplicationID != 0 {
		t.Errorf("a personal token has the client %q", got.ClientID)
	}
}
