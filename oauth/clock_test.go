package oauth_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/clocktest"
	"github.com/ostiary/auth/oauth"
)

// what began in the future is as good as what began in the past, and what
// ended in the future has ended.
func TestClockSetBack(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run("refresh token with "+strconv.Itoa(int(grace.Seconds()))+" seconds of grace", func(t *testing.T) {
			s := newOAuth(t, func(o *settings) { o.RefreshGrace = grace })
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
			var first, second, other auth.IssuedToken
			clocktest.SetBack(t, func(t *testing.T) {
				first, other = s.issue(app, s.alice), s.issue(app, s.alice)
				var err error
				if second, err = s.server.Refresh(t.Context(), app.Application, refresh(first)); err != nil {
					t.Fatal(err)
				}
			}, func(t *testing.T) {
				_, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
				refuses(t, err, "invalid_grant")
				s.wantDead("the successor of what was spent in the future", second)
				next, err := s.server.Refresh(t.Context(), app.Application, refresh(other))
				if err != nil {
					t.Fatalf("a refresh token from the future: %v", err)
				}
				s.wantLive("its successor", next)
			})
		})
	}
	t.Run("code", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		var used, unused string
		var issued auth.IssuedToken
		clocktest.SetBack(t, func(t *testing.T) {
			used, unused = s.code(app, s.alice), s.code(app, s.alice)
			var err error
			if issued, err = s.server.Exchange(t.Context(), app.Application, exchange(used)); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T) {
			_, err := s.server.Exchange(t.Context(), app.Application, exchange(used))
			refuses(t, err, "invalid_grant")
			s.wantDead("what a code was spent for in the future", issued)
			issued, err := s.server.Exchange(t.Context(), app.Application, exchange(unused))
			if err != nil {
				t.Fatalf("a code from the future: %v", err)
			}
			s.wantLive("its tokens", issued)
		})
	})
	t.Run("device", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
		var d oauth.DeviceAuthorization
		poll := func(t *testing.T, want string) {
			t.Helper()
			_, err := s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal())
			refuses(t, err, want)
		}
		clocktest.SetBack(t, func(t *testing.T) {
			d = s.start(app)
			poll(t, "authorization_pending")
		}, func(t *testing.T) {
			poll(t, "slow_down")
			time.Sleep(10 * time.Second)
			poll(t, "authorization_pending")
			poll(t, "slow_down")
			s.decide(d, s.alice, true)
			issued, err := s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal())
			if err != nil {
				t.Fatalf("a device from the future: %v", err)
			}
			s.wantLive("its tokens", issued)
		})
	})
}

// a credential that has expired on a clock that is an hour ahead is
// refused, and as it was when the clock is right again.
func TestClockAhead(t *testing.T) {
	const ahead = time.Hour
	t.Run("tokens", func(t *testing.T) {
		s := newOAuth(t, func(o *settings) { o.RefreshLifetime = 30 * time.Minute })
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		var issued auth.IssuedToken
		var code string
		clocktest.On(t, 0, func(*testing.T) { issued, code = s.issue(app, s.alice), s.code(app, s.alice) })
		clocktest.On(t, ahead, func(t *testing.T) {
			if access, _ := s.live(issued); access {
				t.Error("an expired access token is accepted")
			}
			_, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
			refuses(t, err, "invalid_grant")
			_, err = s.server.Exchange(t.Context(), app.Application, exchange(code))
			refuses(t, err, "invalid_grant")
		})
		clocktest.On(t, 30*time.Second, func(t *testing.T) {
			s.wantLive("the tokens", issued)
			if _, err := s.server.Refresh(t.Context(), app.Application, refresh(issued)); err != nil {
				t.Errorf("refresh: %v", err)
			}
			if _, err := s.server.Exchange(t.Context(), app.Application, exchange(code)); err != nil {
				t.Errorf("exchange: %v", err)
			}
		})
	})
	t.Run("device", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
		var d oauth.DeviceAuthorization
		poll := func(t *testing.T) error {
			_, err := s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal())
			return err
		}
		clocktest.On(t, 0, func(*testing.T) { d = s.start(app) })
		clocktest.On(t, ahead, func(t *testing.T) {
			refuses(t, poll(t), "expired_token")
			if _, err := s.server.FindDevice(t.Context(), by(s.alice), d.UserCode); err == nil {
				t.Error("an expired user code is accepted")
			}
		})
		clocktest.On(t, time.Minute, func(t *testing.T) {
			refuses(t, poll(t), "slow_down") // once
			time.Sleep(10 * time.Second)
			refuses(t, poll(t), "authorization_pending")
			s.decide(d, s.alice, true)
			if err := poll(t); err != nil {
				t.Errorf("an approved device: %v", err)
			}
		})
	})
	t.Run("client secret", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantClientCredentials, oauth.ClientConfidential)
		authenticate := func(t *testing.T) error {
			_, err := s.server.Authenticate(t.Context(), basic(app.ClientID+":"+app.ClientSecret.Reveal()), nil)
			return err
		}
		clocktest.On(t, 0, func(t *testing.T) {
			if _, err := s.server.RotateSecret(t.Context(), by(s.admin), app.ID, 30*time.Minute); err != nil {
				t.Fatal(err)
			}
		})
		clocktest.On(t, ahead, func(t *testing.T) { refuses(t, authenticate(t), "invalid_client") })
		clocktest.On(t, time.Minute, func(t *testing.T) {
			if err := authenticate(t); err != nil {
				t.Errorf("within the overlap: %v", err)
			}
		})
		clocktest.On(t, 30*time.Minute, func(t *testing.T) { refuses(t, authenticate(t), "invalid_client") })
	})
}
