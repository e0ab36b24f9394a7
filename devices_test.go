package auth_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

func (s *oauthSystem) start(app auth.IssuedApplication) auth.DeviceAuthorization {
	s.t.Helper()
	d, err := s.devices.Start(s.t.Context(), app.Application, new("read"), nil)
	if err != nil {
		s.t.Fatalf("start a device: %v", err)
	}
	return d
}

func (s *oauthSystem) decide(d auth.DeviceAuthorization, u store.User, approve bool) {
	s.t.Helper()
	req, err := s.devices.Find(s.t.Context(), by(u), d.UserCode)
	if err == nil {
		err = s.devices.Decide(s.t.Context(), by(u), req, approve)
	}
	if err != nil {
		s.t.Fatalf("decide about a device: %v", err)
	}
}

// the whole device flow, with all answers of RFC 8628 section 3.5.
func TestDeviceFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantDeviceCode, auth.ClientPublic)
		d := s.start(app)
		poll := func() (auth.IssuedToken, error) {
			return s.devices.Exchange(t.Context(), app.Application, d.DeviceCode.Reveal())
		}
		_, err := poll()
		refuses(t, err, "authorization_pending")
		_, err = poll()
		refuses(t, err, "slow_down")
		wait(5 * time.Second) // it is ten now
		_, err = poll()
		refuses(t, err, "slow_down")
		wait(15 * time.Second)
		_, err = poll()
		refuses(t, err, "authorization_pending")

		req, err := s.devices.Find(t.Context(), by(s.alice), strings.ToLower(d.UserCode))
		if err != nil || req.Scopes != "read" || req.Application.ID != app.ID {
			t.Fatalf("the user is asked %+v, %v", req, err)
		}
		if err := s.devices.Decide(t.Context(), by(s.alice), req, true); err != nil {
			t.Fatal(err)
		}
		refusesStatus(t, s.devices.Decide(t.Context(), by(s.bob), req, true), http.StatusBadRequest, "user_code")
		_, err = s.devices.Find(t.Context(), by(s.alice), d.UserCode)
		refusesStatus(t, err, http.StatusBadRequest, "user_code")

		issued, err := poll() // at once: there is nothing to wait for
		if err != nil || issued.UserID != "3" || issued.Scopes != "read" {
			t.Fatalf("issued %+v, %v", issued.Token, err)
		}
		s.wantLive("the tokens", issued)
		s.wantUnlogged(d.DeviceCode.Reveal(), d.UserCode)

		wait(10 * time.Minute) // the code has expired, and the replay still counts
		_, err = poll()
		refuses(t, err, "invalid_grant")
		s.wantDead("after the code was used twice", issued)
	})
}

func TestDeviceRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantDeviceCode, auth.ClientPublic)
		other := s.appAt(auth.GrantDeviceCode, auth.ClientPublic)
		code := s.app(auth.GrantAuthorizationCode, auth.ClientConfidential)

		_, err := s.devices.Start(t.Context(), code.Application, nil, nil)
		refuses(t, err, "unauthorized_client")
		_, err = s.devices.Start(t.Context(), app.Application, new(""), nil)
		refuses(t, err, "invalid_scope")

		denied := s.start(app)
		s.decide(denied, s.alice, false)
		_, err = s.devices.Exchange(t.Context(), app.Application, denied.DeviceCode.Reveal())
		refuses(t, err, "access_denied")

		d := s.start(app)
		_, err = s.devices.Exchange(t.Context(), other.Application, d.DeviceCode.Reveal())
		refuses(t, err, "invalid_grant")
		_, err = s.devices.Exchange(t.Context(), app.Application, "")
		refuses(t, err, "invalid_request")
		_, err = s.devices.Exchange(t.Context(), app.Application, d.UserCode)
		refuses(t, err, "invalid_grant")

		token := by(s.alice)
		token.TokenID = 1
		_, err = s.devices.Find(t.Context(), token, d.UserCode)
		refusesStatus(t, err, http.StatusForbidden, "")

		wait(10 * time.Minute)
		_, err = s.devices.Find(t.Context(), by(s.alice), d.UserCode)
		refusesStatus(t, err, http.StatusBadRequest, "user_code")
		_, err = s.devices.Exchange(t.Context(), app.Application, d.DeviceCode.Reveal())
		refuses(t, err, "expired_token")
	})
}

// user codes cannot be guessed in numbers, also not by mixing in one's
// own.
func TestDeviceGuessesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantDeviceCode, auth.ClientPublic)
		own := s.start(app)
		for i := range 20 {
			guess := "BBBB-BBBB"
			if i%2 == 0 {
				guess = own.UserCode
			}
			_, _ = s.devices.Find(t.Context(), by(s.alice), guess)
		}
		_, err := s.devices.Find(t.Context(), by(s.alice), own.UserCode)
		refusesStatus(t, err, http.StatusTooManyRequests, "")
		wait(10 * time.Minute)
		_, err = s.devices.Find(t.Context(), by(s.alice), own.UserCode)
		refusesStatus(t, err, http.StatusBadRequest, "user_code")
	})
}
