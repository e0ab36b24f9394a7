package clienttest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

func (s server) endpoint(style oauth2.AuthStyle) oauth2.Endpoint {
	return oauth2.Endpoint{
		AuthURL:       s.url + "/api/o/authorize/",
		TokenURL:      s.url + "/api/o/token/",
		DeviceAuthURL: s.url + "/api/o/device_authorization/",
		AuthStyle:     style,
	}
}

func TestXOAuth2Code(t *testing.T) {
	s := start(t)
	for name, tt := range map[string]struct {
		app      application
		redirect string
		style    oauth2.AuthStyle
	}{
		"public":                  {s.public, "http://127.0.0.1:4711/cb", oauth2.AuthStyleInParams},
		"public, detected":        {s.public, "http://127.0.0.1:4712/cb", oauth2.AuthStyleAutoDetect},
		"confidential, in header": {s.confidential, confidentialRedirect, oauth2.AuthStyleInHeader},
		"confidential, in body":   {s.confidential, confidentialRedirect, oauth2.AuthStyleInParams},
		"confidential, detected":  {s.confidential, confidentialRedirect, oauth2.AuthStyleAutoDetect},
	} {
		t.Run(name, func(t *testing.T) {
			c := oauth2.Config{ClientID: tt.app.ID, ClientSecret: tt.app.Secret, Endpoint: s.endpoint(tt.style), RedirectURL: tt.redirect, Scopes: []string{"read"}}
			verifier := oauth2.GenerateVerifier()
			to := newBrowser(t).authorize(s.url, c.AuthCodeURL("a state", oauth2.S256ChallengeOption(verifier)))
			if got := to.Query(); got.Get("state") != "a state" || got.Get("iss") != s.url || !strings.HasPrefix(to.String(), tt.redirect+"?") {
				t.Fatalf("called back at %s", to)
			}
			code := to.Query().Get("code")
			token, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			if status, body := whoami(t, t.Context(), c.Client(t.Context(), token), s.url); status != http.StatusOK || !strings.Contains(body, `"username":"alice"`) {
				t.Errorf("%d %s", status, body)
			}

			// Refresh: the tokens before are dead, and the client has new ones.
			spent := *token
			spent.Expiry = spent.Expiry.AddDate(-1, 0, 0)
			fresh, err := c.TokenSource(t.Context(), &spent).Token()
			if err != nil {
				t.Fatal(err)
			}
			if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken {
				t.Error("the tokens did not change")
			}
			if status, _ := whoami(t, t.Context(), c.Client(t.Context(), token), s.url); status != http.StatusUnauthorized {
				t.Errorf("the old access token: %d", status)
			}

			// Reuse ends them all.
			wantInvalidGrant(t, func() error { _, err := c.TokenSource(t.Context(), &spent).Token(); return err })
			if status, _ := whoami(t, t.Context(), c.Client(t.Context(), fresh), s.url); status != http.StatusUnauthorized {
				t.Errorf("the newest access token after reuse: %d", status)
			}
			wantInvalidGrant(t, func() error { _, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)); return err })
		})
	}
}

func wantInvalidGrant(t *testing.T, f func() error) {
	t.Helper()
	var refused *oauth2.RetrieveError
	if err := f(); !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
		t.Errorf("got %v, want invalid_grant", err)
	}
}

func TestXOAuth2ClientCredentials(t *testing.T) {
	s := start(t)
	for name, style := range map[string]oauth2.AuthStyle{"header": oauth2.AuthStyleInHeader, "body": oauth2.AuthStyleInParams, "detected": oauth2.AuthStyleAutoDetect} {
		c := clientcredentials.Config{ClientID: s.machine.ID, ClientSecret: s.machine.Secret, TokenURL: s.url + "/api/o/token/", Scopes: []string{"read"}, AuthStyle: style}
		if token, err := c.Token(t.Context()); err != nil || !token.Valid() || token.RefreshToken != "" {
			t.Errorf("%s: %+v, %v", name, token, err)
		}
	}
	c := clientcredentials.Config{ClientID: s.machine.ID, ClientSecret: "wrong", TokenURL: s.url + "/api/o/token/"}
	var refused *oauth2.RetrieveError
	if _, err := c.Token(t.Context()); !errors.As(err, &refused) || refused.ErrorCode != "invalid_client" || refused.Response.StatusCode != http.StatusUnauthorized {
		t.Errorf("wrong secret: %v", err)
	}
}

func TestXOAuth2Device(t *testing.T) {
	s := start(t)
	c := oauth2.Config{ClientID: s.device.ID, Endpoint: s.endpoint(oauth2.AuthStyleInParams), Scopes: []string{"read"}}
	d, err := c.DeviceAuth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if d.VerificationURI != s.url+"/api/o/device/" {
		t.Errorf("verification URI %q", d.VerificationURI)
	}
	newBrowser(t).connect(s.url, strings.ToLower(d.UserCode))
	token, err := c.DeviceAccessToken(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := whoami(t, t.Context(), c.Client(t.Context(), token), s.url); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	wantInvalidGrant(t, func() error { _, err := c.DeviceAccessToken(t.Context(), d); return err })
}
