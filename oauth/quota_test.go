package oauth_test

import (
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// a user has at most TokensOptions.MaxPerUser tokens, however they come
// about; others are not affected, refreshing is not, and who ends one may have
// another.
func TestTokenQuota(t *testing.T) {
	const most = 3
	s := newOAuth(t, func(o *settings) { o.MaxPerUser = most })
	passwords := auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Hasher: plain{}}))
	if err := passwords.Set(t.Context(), s.alice.ID, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	codes := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	paths := map[string]func(u store.User) error{
		"personal token": func(u store.User) error {
			_, err := s.tokens.Issue(t.Context(), by(u), auth.TokenRequest{})
			return err
		},
		"password": func(u store.User) error {
			if u.ID != s.alice.ID {
				return nil
			}
			app := s.appAt(oauth.GrantPassword, oauth.ClientConfidential)
			defer func() {
				if err := s.server.DeleteApplication(t.Context(), by(s.admin), app.ID); err != nil {
					t.Error(err)
				}
			}()
			_, err := s.server.ExchangePassword(t.Context(), app.Application, passwords, oauth.PasswordExchange{Username: u.Name, Password: "correct horse battery"})
			return err
		},
		"code": func(u store.User) error {
			a, err := s.server.ParseAuthorization(t.Context(), authorization(codes))
			if err == nil {
				_, err = s.server.Authorize(t.Context(), by(u), a)
			}
			return err
		},
		"device": func(u store.User) error {
			app := s.appAt(oauth.GrantDeviceCode, oauth.ClientPublic)
			defer func() {
				if err := s.server.DeleteApplication(t.Context(), by(s.admin), app.ID); err != nil {
					t.Error(err)
				}
			}()
			req, err := s.server.FindDevice(t.Context(), by(u), s.start(app).UserCode)
			if err == nil {
				err = s.server.DecideDevice(t.Context(), by(u), req, true)
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
	issued, err := s.server.Refresh(t.Context(), codes.Application, refresh(issued))
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
}

// A user at the limit can still deny a device.
func TestTokenQuotaLetsDeny(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.MaxPerUser = 1 })
	authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	req, err := s.server.FindDevice(t.Context(), by(s.alice), s.start(s.app(oauth.GrantDeviceCode, oauth.ClientPublic)).UserCode)
	if err == nil {
		err = s.server.DecideDevice(t.Context(), by(s.alice), req, false)
	}
	if err != nil {
		t.Error(err)
	}
}

// so many codes of one application wait for a user to be redeemed, and no
// more. Other users and applications are not affected, and each code that is
// redeemed or expires makes room.
func TestCodeQuota(t *testing.T) {
	for _, tt := range []struct{ option, most int }{{0, 100}, {3, 3}} {
		synctest.Test(t, func(t *testing.T) {
			s := newOAuth(t, func(o *settings) { o.MaxCodes = tt.option })
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, redirectURI+"2")
			authorize := func(app oauth.IssuedApplication, u store.User) (string, error) {
				a, err := s.server.ParseAuthorization(t.Context(), authorization(app))
				if err != nil {
					t.Fatal(err)
				}
				return s.server.Authorize(t.Context(), by(u), a)
			}
			var last string
			for n := range tt.most {
				wait(time.Millisecond)
				var err error
				if last, err = authorize(app, s.alice); err != nil {
					t.Fatalf("code %d of %d: %v", n+1, tt.most, err)
				}
			}
			full := func() {
				t.Helper()
				_, err := authorize(app, s.alice)
				if e, ok := errors.AsType[*auth.Error](err); !ok || e.Status != http.StatusTooManyRequests || e.Code != "temporarily_unavailable" || e.RetryAfter != time.Minute {
					t.Errorf("one too many: %+v", err)
				}
			}
			full()
			for what, to := range map[string]func() (string, error){
				"another user":        func() (string, error) { return authorize(app, s.bob) },
				"another application": func() (string, error) { return authorize(other, s.alice) },
			} {
				if _, err := to(); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
			if _, err := s.server.Exchange(t.Context(), app.Application, exchange(query(t, last).Get("code"))); err != nil {
				t.Fatal(err)
			}
			if _, err := authorize(app, s.alice); err != nil {
				t.Errorf("after one was redeemed: %v", err)
			}
			full()
			wait(time.Minute)
			if _, err := authorize(app, s.alice); err != nil {
				t.Errorf("after all have expired: %v", err)
			}
		})
	}
}

// so many devices of one application may ask for a code, from whatever
// network. Those of other applications are not affected.
func TestDeviceQuota(t *testing.T) {
	for _, tt := range []struct {
		option store.Limit
		most   int
		window time.Duration
	}{
		{store.Limit{}, 10_000, 10 * time.Minute},
		{store.Limit{Max: 3, Window: time.Hour}, 3, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newOAuth(t, func(o *settings) { o.Devices.PerApplication = tt.option })
			app, other := s.app(oauth.GrantDeviceCode, oauth.ClientPublic), s.appAt(oauth.GrantDeviceCode, oauth.ClientPublic)
			addr := netip.MustParseAddr("10.0.0.0")
			start := func(app oauth.IssuedApplication) error {
				addr = addr.Next()
				_, err := s.server.StartDevice(auth.WithClientAddr(t.Context(), addr), app.Application, "", nil)
				return err
			}
			for n := range tt.most {
				if err := start(app); err != nil {
					t.Fatalf("device %d of %d: %v", n+1, tt.most, err)
				}
			}
			refusesStatus(t, start(app), http.StatusTooManyRequests, "")
			if err := start(other); err != nil {
				t.Errorf("another application: %v", err)
			}
			wait(tt.window - time.Second)
			refusesStatus(t, start(app), http.StatusTooManyRequests, "")
			wait(time.Second)
			if err := start(app); err != nil {
				t.Errorf("after the window: %v", err)
			}
		})
	}
}
