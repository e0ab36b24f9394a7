package oauth_test

import (
	"context"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// flagged is a table of users that are all service accounts, of the same epoch as
// before.
type flagged struct{ store.Users }

func (f flagged) UserByID(ctx context.Context, id string) (store.User, error) {
	u, err := f.Users.UserByID(ctx, id)
	u.Service = true
	return u, err
}

// No application acts for a service account: nothing begins, and what a person
// began ends when the person becomes one, even if the epoch stays.
func TestNoGrantOfServiceAccounts(t *testing.T) {
	s := newOAuth(t, nil)
	web, device := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential), s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
	legacy := s.app(oauth.GrantPassword, oauth.ClientConfidential)
	code, issued := s.code(web, s.member), s.issue(web, s.member)
	approved, open := s.start(device), s.start(device)
	s.decide(approved, s.member, true)
	a, err := s.server.ParseAuthorization(t.Context(), authorization(web))
	if err != nil {
		t.Fatal(err)
	}
	req, err := s.server.FindDevice(t.Context(), by(s.member), open.UserCode)
	if err != nil {
		t.Fatal(err)
	}
	passwords := auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Logger: quiet}))
	authtest.SetPassword(t, s.db, s.bob.ID, "correct horse battery")
	server := s.serverOn(s.db, flagged{s.db}, nil)

	_, err = server.Exchange(t.Context(), web.Application, exchange(code))
	refuses(t, err, "invalid_grant")
	_, err = server.Refresh(t.Context(), web.Application, refresh(issued))
	refuses(t, err, "invalid_grant")
	_, err = server.ExchangeDevice(t.Context(), device.Application, approved.DeviceCode.Reveal())
	refuses(t, err, "invalid_grant")
	_, err = server.ExchangePassword(t.Context(), legacy.Application, passwords, oauth.PasswordExchange{Username: "bob", Password: "correct horse battery"})
	refuses(t, err, "invalid_grant")
	_, err = server.Authorize(t.Context(), by(s.member), a)
	refusesStatus(t, err, 403, "")
	for _, approve := range []bool{true, false} {
		refusesStatus(t, server.DecideDevice(t.Context(), by(s.member), req, approve), 403, "")
	}
	_, err = server.IssueFor(t.Context(), by(s.member), web.ID, auth.TokenRequest{Description: "x"})
	refusesStatus(t, err, 403, "")
	s.wantLive("what a person has", issued)
	for _, token := range []auth.Secret{issued.AccessToken, issued.RefreshToken} {
		if i, err := server.Introspect(t.Context(), web.Application, token.Reveal()); err != nil || i.Active {
			t.Errorf("Introspect: %+v, %v", i, err)
		}
		if i, err := s.server.Introspect(t.Context(), web.Application, token.Reveal()); err != nil || !i.Active {
			t.Errorf("Introspect for a person: %+v, %v", i, err)
		}
	}
	kid, err := s.tokens.Issue(t.Context(), s.principal(issued), auth.TokenRequest{Description: "kid"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.ChangeUser(t.Context(), s.member.ID, store.UserChange{Service: new(true)}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []auth.Secret{issued.AccessToken, kid.AccessToken} { // kid was minted through the application
		_, err := s.tokens.Verify(t.Context(), token.Reveal())
		refusesStatus(t, err, 401, "")
	}
	_, err = s.server.Refresh(t.Context(), web.Application, refresh(issued))
	refuses(t, err, "invalid_grant")
}
