package auth_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
)

// a user has at most TokensOptions.MaxPerUser tokens, however they come
// about; others are not affected, refreshing is not, and who ends one may have
// another.
func TestTokenQuota(t *testing.T) {
	const most = 3
	s := newOAuth(t, func(o *auth.TokensOptions) { o.MaxPerUser = most })
	passwords := auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Hasher: &cheap{}}))
	if err := passwords.Set(t.Context(), s.alice.ID, goodPassword); err != nil {
		t.Fatal(err)
	}
	codes := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)
	paths := map[string]func(u store.User) error{
		"personal token": func(u store.User) error {
			_, err := s.tokens.Issue(t.Context(), by(u), auth.TokenRequest{})
			return err
		},
		"password": func(u store.User) error {
			if u.ID != s.alice.ID {
				return nil
			}
			app := s.appAt(auth.GrantPassword, auth.ClientConfidential)
			defer func() {
				if err := s.apps.Delete(t.Context(), by(s.admin), app.ID); err != nil {
					t.Error(err)
				}
			}()
			_, err := s.tokens.ExchangePassword(t.Context(), app.Application, passwords, auth.PasswordExchange{Username: u.Name, Password: goodPassword})
			return err
		},
		"code": func(u store.User) error {
			a, err := s.tokens.ParseAuthorization(t.Context(), authorization(codes))
			if err == nil {
				_, err = s.tokens.Authorize(t.Context(), by(u), a)
			}
			return err
		},
		"device": func(u store.User) error {
			app := s.appAt(auth.GrantDeviceCode, auth.ClientPublic)
			defer func() {
				if err := s.apps.Delete(t.Context(), by(s.admin), app.ID); err != nil {
					t.Error(err)
				}
			}()
			req, err := s.devices.Find(t.Context(), by(u), s.start(app).UserCode)
			if err == nil {
				err = s.devices.Decide(t.Context(), by(u), req, true)
			}
			return err
		},
	}
	issued := s.issue(codes, s.alice) // one of them is an application's
	for range most - 1 {
		authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	}
	for name, try := range paths {
		want := http.StatusConflict
		if name == "password" { // RFC 6749 section 5.2 has the status
			want = http.StatusBadRequest
		}
		if e, ok := errors.AsType[*auth.Error](try(s.alice)); !ok || e.Status != want {
			t.Errorf("%s: %v, want status %d", name, e, want)
		}
		if err := try(s.bob); err != nil {
			t.Errorf("%s of another user: %v", name, err)
		}
	}
	issued, err := s.tokens.Refresh(t.Context(), codes.Application, refresh(issued))
	if err != nil {
		t.Errorf("refresh: %v", err)
	}
	if err := s.tokens.End(t.Context(), by(s.alice), issued.ID); err != nil {
		t.Fatal(err)
	}
	for name, try := range paths {
		if name == "personal token" {
			continue // fills the place
		}
		if err := try(s.alice); err != nil {
			t.Errorf("%s with a place left: %v", name, err)
		}
	}
	if _, err := auth.NewTokens(s.db, s.db, &auth.TokensOptions{MaxPerUser: -1}); err == nil {
		t.Error("a negative quota constructs")
	}
}

// Who may have no more can still say no to a device.
func TestTokenQuotaLetsDeny(t *testing.T) {
	s := newOAuth(t, func(o *auth.TokensOptions) { o.MaxPerUser = 1 })
	authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	req, err := s.devices.Find(t.Context(), by(s.alice), s.start(s.app(auth.GrantDeviceCode, auth.ClientPublic)).UserCode)
	if err == nil {
		err = s.devices.Decide(t.Context(), by(s.alice), req, false)
	}
	if err != nil {
		t.Error(err)
	}
}
