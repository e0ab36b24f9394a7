package oauth_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

func (s *oauthSystem) start(app oauth.IssuedApplication) oauth.DeviceAuthorization {
	s.t.Helper()
	d, err := s.server.StartDevice(s.t.Context(), app.Application, "read", nil)
	if err != nil {
		s.t.Fatalf("start a device: %v", err)
	}
	return d
}

func (s *oauthSystem) decide(d oauth.DeviceAuthorization, u store.User, approve bool) {
	s.t.Helper()
	req, err := s.server.FindDevice(s.t.Context(), by(u), d.UserCode)
	if err == nil {
		err = s.server.DecideDevice(s.t.Context(), by(u), req, approve)
	}
	if err != nil {
		s.t.Fatalf("decide about a device: %v", err)
	}
}

// the whole device flow, with all answers of RFC 8628 section 3.5.
func TestDeviceFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
		d := s.start(app)
		poll := func() (auth.IssuedToken, error) {
			return s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal())
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

		req, err := s.server.FindDevice(t.Context(), by(s.alice), strings.ToLower(d.UserCode))
		if err != nil || req.Scopes != "read" || req.Application.ID != app.ID {
			t.Fatalf("the user is asked %+v, %v", req, err)
		}
		if err := s.server.DecideDevice(t.Context(), by(s.alice), req, true); err != nil {
			t.Fatal(err)
		}
		refusesStatus(t, s.server.DecideDevice(t.Context(), by(s.bob), req, true), http.StatusBadRequest, "UserCode")
		_, err = s.server.FindDevice(t.Context(), by(s.alice), d.UserCode)
		refusesStatus(t, err, http.StatusBadRequest, "UserCode")

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
		app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
		other := s.appAt(oauth.GrantDeviceCode, oauth.ClientPublic)
		code := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)

		_, err := s.server.StartDevice(t.Context(), code.Application, "", nil)
		refuses(t, err, "unauthorized_client")
		_, err = s.server.StartDevice(t.Context(), app.Application, "x", nil)
		refuses(t, err, "invalid_scope")

		denied := s.start(app)
		s.decide(denied, s.alice, false)
		_, err = s.server.ExchangeDevice(t.Context(), app.Application, denied.DeviceCode.Reveal())
		refuses(t, err, "access_denied")

		d := s.start(app)
		_, err = s.server.ExchangeDevice(t.Context(), other.Application, d.DeviceCode.Reveal())
		refuses(t, err, "invalid_grant")
		_, err = s.server.ExchangeDevice(t.Context(), app.Application, "")
		refuses(t, err, "invalid_request")
		_, err = s.server.ExchangeDevice(t.Context(), app.Application, d.UserCode)
		refuses(t, err, "invalid_grant")

		token := by(s.alice)
		token.TokenID = 1
		_, err = s.server.FindDevice(t.Context(), token, d.UserCode)
		refusesStatus(t, err, http.StatusForbidden, "")

		wait(10 * time.Minute)
		_, err = s.server.FindDevice(t.Context(), by(s.alice), d.UserCode)
		refusesStatus(t, err, http.StatusBadRequest, "UserCode")
		_, err = s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal())
		refuses(t, err, "expired_token")
	})
}

// R-094, B8: user codes cannot be guessed in numbers, nor many at once. Right ones
// neither count nor make up for wrong ones, and users do not count for each other.
func TestDeviceGuessesAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
		own := s.start(app)
		ctx := auth.WithClientAddr(t.Context(), netip.MustParseAddr("192.0.2.1"))
		for range 20 {
			_, err := s.server.FindDevice(ctx, by(s.alice), "BBBB-BBBB")
			refusesStatus(t, err, http.StatusBadRequest, "UserCode")
			_, err = s.server.FindDevice(ctx, by(s.alice), "no code")
			refusesStatus(t, err, http.StatusBadRequest, "UserCode")
			if _, err = s.server.FindDevice(ctx, by(s.bob), own.UserCode); err != nil {
				t.Fatalf("a right code in the same network: %v", err)
			}
		}
		_, err := s.server.FindDevice(ctx, by(s.alice), own.UserCode)
		refusesStatus(t, err, http.StatusTooManyRequests, "")
		_, err = s.server.FindDevice(t.Context(), by(s.alice), own.UserCode)
		refusesStatus(t, err, http.StatusTooManyRequests, "")
		wait(10 * time.Minute)

		own = s.start(app)
		var limited atomic.Int32
		var guesses sync.WaitGroup
		for range 64 {
			guesses.Go(func() {
				_, err := s.server.FindDevice(ctx, by(s.alice), "BBBB-BBBB")
				if e, ok := errors.AsType[*auth.Error](err); ok && e.Status == http.StatusTooManyRequests {
					limited.Add(1)
				}
			})
		}
		guesses.Wait()
		if n := limited.Load(); n != 64-20 {
			t.Errorf("of 64 guesses at once %d were refused, want 44", n)
		}
		if _, err := s.server.FindDevice(ctx, by(s.bob), own.UserCode); err != nil {
			t.Errorf("another user in the network of somebody who guesses: %v", err)
		}
	})
}
