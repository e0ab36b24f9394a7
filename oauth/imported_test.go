package oauth_test

import (
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// Texts as AWX issues them: neither kind nor checksum.
const (
	oldAccess  = "abcdefghijABCDEFGHIJ0123456789"
	oldRefresh = "9876543210JIHGFEDCBAjihgfedcba"
)

// addImported stores a token with the digests of the old texts.
func (s *oauthSystem) addImported(app oauth.IssuedApplication) store.Token {
	s.t.Helper()
	now := time.Now()
	tok, err := s.db.InsertToken(s.t.Context(), store.Token{
		Digest: store.DigestOf(oldAccess), UserID: s.alice.ID, Epoch: s.alice.Epoch, ApplicationID: app.ID, Scopes: "write",
		Created: now, Modified: now, Expires: now.Add(time.Hour),
		Refresh: store.Refresh{Digest: store.DigestOf(oldRefresh), Scopes: "write", Expires: now.Add(time.Hour), GrantExpires: now.Add(24 * time.Hour)},
	}, store.InsertLimits{})
	if err != nil {
		s.t.Fatal(err)
	}
	return tok
}

// Case 146: a refresh token of AWX is good once, where tokens were imported.
func TestImportedRefresh(t *testing.T) {
	for _, imported := range []bool{true, false} {
		s := newOAuth(t, func(o *settings) { o.TokensOptions.Imported = imported })
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientPublic, "https://other.example/")
		s.addImported(app)
		x := oauth.RefreshExchange{RefreshToken: oldRefresh}
		if !imported {
			_, err := s.server.Refresh(t.Context(), app.Application, x)
			refuses(t, err, "invalid_grant")
			continue
		}
		for name, wrong := range map[string]oauth.RefreshExchange{
			"the access token": {RefreshToken: oldAccess}, "unknown": {RefreshToken: oldRefresh[:29] + "x"}, "short": {RefreshToken: oldRefresh[:29]},
			"long": {RefreshToken: oldRefresh + "x"}, "another character": {RefreshToken: oldRefresh[:29] + "_"},
		} {
			if _, err := s.server.Refresh(t.Context(), app.Application, wrong); err == nil {
				t.Errorf("%s is a refresh token", name)
			}
		}
		_, err := s.server.Refresh(t.Context(), other.Application, x)
		refuses(t, err, "invalid_grant")
		issued, err := s.server.Refresh(t.Context(), app.Application, x)
		if err != nil {
			t.Fatal(err)
		}
		s.wantLive("the successor", issued)
		if _, err := s.tokens.Verify(t.Context(), oldAccess); err == nil {
			t.Error("the old access token lives beside its successor")
		}
		_, err = s.server.Refresh(t.Context(), app.Application, x)
		refuses(t, err, "invalid_grant")
		s.wantDead("after the old one was used again, the successor", issued)
	}
}

// A client ends the grant of an imported token by either of its texts, and is told
// about both.
func TestImportedRevoke(t *testing.T) {
	for _, text := range []string{oldAccess, oldRefresh} {
		s := newOAuth(t, func(o *settings) { o.TokensOptions.Imported = true })
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		s.addImported(app)
		if in, err := s.server.Introspect(t.Context(), app.Application, text); err != nil || !in.Active || in.Refresh != (text == oldRefresh) {
			t.Errorf("%s: %+v, %v", text, in, err)
		}
		if err := s.server.Revoke(t.Context(), app.Application, text); err != nil {
			t.Fatal(err)
		}
		if _, err := s.tokens.Verify(t.Context(), oldAccess); err == nil {
			t.Errorf("the access token lives after %s was revoked", text)
		}
		_, err := s.server.Refresh(t.Context(), app.Application, oauth.RefreshExchange{RefreshToken: oldRefresh})
		refuses(t, err, "invalid_grant")
	}
	s := newOAuth(t, func(o *settings) { o.TokensOptions.Imported = true })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	tok := s.addImported(app)
	if err := s.server.EndReported(t.Context(), by(s.admin), auth.Secret(oldRefresh)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.db.TokenByID(t.Context(), tok.ID); err != nil || got.Revoked.IsZero() {
		t.Errorf("a refresh token that leaked lives: %+v, %v", got, err)
	}
}

func TestCheckRedirectURI(t *testing.T) {
	for _, tt := range []struct {
		uri  string
		opts *oauth.Options
		want bool
	}{
		{"https://app.example/cb", nil, true},
		{"http://app.example/cb", nil, false},
		{"http://app.example/cb", &oauth.Options{InsecureHTTPRedirects: true}, true},
		{"myapp:/cb", nil, false},
		{"myapp:/cb", &oauth.Options{PrivateSchemes: []string{"myapp"}}, true},
		{"javascript:alert(1)", &oauth.Options{InsecureHTTPRedirects: true}, false},
		{"", nil, false},
	} {
		if err := oauth.CheckRedirectURI(tt.uri, tt.opts); (err == nil) != tt.want {
			t.Errorf("%q with %+v: %v", tt.uri, tt.opts, err)
		}
	}
}
