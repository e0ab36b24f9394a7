package oauth_test

import (
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
)

// A reported access token ends, a reported refresh token ends its grant, spent or
// not, and what is not there changes nothing.
func TestEndReported(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	kept := s.issue(app, s.alice)
	report := func(secrets ...auth.Secret) {
		t.Helper()
		if err := s.server.EndReported(t.Context(), by(s.admin), secrets...); err != nil {
			t.Error(err)
		}
	}
	byAccess, byRefresh, first := s.issue(app, s.alice), s.issue(app, s.alice), s.issue(app, s.alice)
	second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		report("", "x", "ostr_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG", byAccess.AccessToken, byRefresh.RefreshToken, first.RefreshToken)
		s.wantDead("by the access token", byAccess)
		s.wantDead("by the refresh token", byRefresh)
		s.wantDead("by a spent refresh token", second)
		for _, issued := range []auth.IssuedToken{byAccess, byRefresh, second} {
			_, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
			refuses(t, err, "invalid_grant")
		}
	}
	s.wantLive("another token", kept)
	refusesStatus(t, s.server.EndReported(t.Context(), by(s.admin), make([]auth.Secret, 101)...), 400, "Tokens")
}
