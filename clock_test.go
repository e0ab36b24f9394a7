package auth_test

import (
	"crypto/rsa"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

// on runs f on a clock that is that much ahead of the one on which tests begin.
// The next call can set it back.
func on(t *testing.T, ahead time.Duration, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(ahead)
		f(t)
	})
}

// setBack runs two functions on clocks that begin at the same instant, the first
// of them an hour later: for the second the clock was set back.
func setBack(t *testing.T, before, after func(t *testing.T)) {
	t.Helper()
	on(t, time.Hour, before)
	on(t, 0, after)
}

// what began in the future is as good as what began in the past, and what
// ended in the future has ended.
func TestClockSetBack(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		s := newSystem(t, nil)
		var cookie, ended string
		setBack(t, func(t *testing.T) {
			cookie, ended = s.login(s.alice), s.login(s.bob)
			s.send("POST", "/logout", ended)
		}, func(t *testing.T) {
			w := s.send("GET", "/probe/", cookie)
			if got := who(t, w); got != "alice by session" || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("a session from the future: %s, %v", got, w.Header())
			}
			if got := s.me(ended); got != "401" {
				t.Errorf("a session that ended in the future: %s", got)
			}
			time.Sleep(time.Hour + 29*time.Minute) // what it has, and not more
			if got := s.me(cookie); got != "alice by session" {
				t.Errorf("just before it expires: %s", got)
			}
			time.Sleep(29 * time.Minute)
			if got := s.me(cookie); got != "alice by session" {
				t.Errorf("a session in use: %s", got)
			}
			time.Sleep(31 * time.Minute)
			if got := s.me(cookie); got != "401" {
				t.Errorf("an idle session: %s", got)
			}
		})
	})
	t.Run("token", func(t *testing.T) {
		s := newSystem(t, nil)
		var issued, ended auth.IssuedToken
		lastUsed := func(t *testing.T) time.Time {
			tok, err := s.db.Store.TokenByID(t.Context(), issued.ID)
			if err != nil {
				t.Fatal(err)
			}
			return tok.LastUsed
		}
		setBack(t, func(t *testing.T) {
			issued, ended = s.issue(s.alice, auth.ScopeRead), s.issue(s.alice, auth.ScopeRead)
			s.me(bearer(issued))
			if err := s.tokens.End(t.Context(), by(s.alice), ended.ID); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T) {
			future := lastUsed(t)
			if got := s.me(bearer(issued)); got != "alice by bearer" || !lastUsed(t).Equal(future) {
				t.Errorf("a token from the future: %s, used %v, then %v", got, future, lastUsed(t))
			}
			if got := s.me(bearer(ended)); got != "401" {
				t.Errorf("a token that was revoked in the future: %s", got)
			}
			time.Sleep(2 * time.Hour)
			if got := s.me(bearer(issued)); got != "alice by bearer" || !lastUsed(t).Equal(time.Now()) {
				t.Errorf("when the clock has caught up: %s, last used %v", got, lastUsed(t))
			}
		})
	})
	t.Run("throttle", func(t *testing.T) {
		s := newSystem(t, nil)
		guess := func() (status int, retryAfter string) {
			w := s.send("GET", "/probe/", basicLine("alice", "wrong"))
			return w.Code, w.Header().Get("Retry-After")
		}
		setBack(t, func(*testing.T) {
			for range 10 {
				guess()
			}
		}, func(t *testing.T) {
			for _, want := range []string{"60", "30"} {
				if status, retryAfter := guess(); status != http.StatusTooManyRequests || retryAfter != want {
					t.Errorf("got %d, Retry-After %s, want 429 and %s", status, retryAfter, want)
				}
				time.Sleep(30 * time.Second)
			}
			if got := s.me(basicLine("alice", goodPassword)); got != "alice by basic" {
				t.Errorf("after a window: %s", got)
			}
		})
	})
	t.Run("remembered password", func(t *testing.T) {
		s := newSystem(t, nil)
		setBack(t, func(t *testing.T) {
			if got := s.me(basicLine("alice", goodPassword)); got != "alice by basic" {
				t.Error(got)
			}
		}, func(t *testing.T) {
			if err := s.db.SetPasswordHash(t.Context(), s.alice.ID, cheapHash(0, "another one")); err != nil {
				t.Fatal(err)
			}
			if got := s.me(basicLine("alice", goodPassword)); got != "401" {
				t.Errorf("the password before: %s", got)
			}
		})
	})
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run("refresh token with "+strconv.Itoa(int(grace.Seconds()))+" seconds of grace", func(t *testing.T) {
			s := newOAuth(t, func(o *auth.TokensOptions) { o.RefreshGrace = grace })
			app := s.app(auth.GrantAuthorizationCode, auth.ClientPublic)
			var first, second, other auth.IssuedToken
			setBack(t, func(t *testing.T) {
				first, other = s.issue(app, s.alice), s.issue(app, s.alice)
				var err error
				if second, err = s.tokens.Refresh(t.Context(), app.Application, refresh(first)); err != nil {
					t.Fatal(err)
				}
			}, func(t *testing.T) {
				_, err := s.tokens.Refresh(t.Context(), app.Application, refresh(first))
				refuses(t, err, "invalid_grant")
				s.wantDead("the successor of what was spent in the future", second)
				next, err := s.tokens.Refresh(t.Context(), app.Application, refresh(other))
				if err != nil {
					t.Fatalf("a refresh token from the future: %v", err)
				}
				s.wantLive("its successor", next)
			})
		})
	}
	t.Run("code", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantAuthorizationCode, auth.ClientPublic)
		var used, unused string
		var issued auth.IssuedToken
		setBack(t, func(t *testing.T) {
			used, unused = s.code(app, s.alice), s.code(app, s.alice)
			var err error
			if issued, err = s.tokens.Exchange(t.Context(), app.Application, exchange(used)); err != nil {
				t.Fatal(err)
			}
		}, func(t *testing.T) {
			_, err := s.tokens.Exchange(t.Context(), app.Application, exchange(used))
			refuses(t, err, "invalid_grant")
			s.wantDead("what a code was spent for in the future", issued)
			issued, err := s.tokens.Exchange(t.Context(), app.Application, exchange(unused))
			if err != nil {
				t.Fatalf("a code from the future: %v", err)
			}
			s.wantLive("its tokens", issued)
		})
	})
	t.Run("device", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantDeviceCode, auth.ClientPublic)
		var d auth.DeviceAuthorization
		poll := func(t *testing.T, want string) {
			t.Helper()
			_, err := s.devices.Exchange(t.Context(), app.Application, d.DeviceCode.Reveal())
			refuses(t, err, want)
		}
		setBack(t, func(t *testing.T) {
			d = s.start(app)
			poll(t, "authorization_pending")
		}, func(t *testing.T) {
			poll(t, "slow_down")
			time.Sleep(10 * time.Second)
			poll(t, "authorization_pending")
			poll(t, "slow_down")
			s.decide(d, s.alice, true)
			issued, err := s.devices.Exchange(t.Context(), app.Application, d.DeviceCode.Reveal())
			if err != nil {
				t.Fatalf("a device from the future: %v", err)
			}
			s.wantLive("its tokens", issued)
		})
	})
	t.Run("limit of sessions", func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.session.PerUser = 1 })
		var before string
		setBack(t, func(*testing.T) { before = s.login(s.alice) }, func(t *testing.T) {
			after := s.login(s.alice)
			if got := s.me(after); got != "alice by session" {
				t.Errorf("the session that was let in: %s", got)
			}
			if got := s.me(before); got != "401" {
				t.Errorf("the session from the future: %s", got)
			}
		})
	})
}

// what has expired on a clock that is an hour ahead is refused, and as it
// was when the clock is right again.
func TestClockAhead(t *testing.T) {
	const ahead = time.Hour
	t.Run("session", func(t *testing.T) {
		s := newSystem(t, nil)
		var cookie, late string
		on(t, 0, func(*testing.T) { cookie = s.login(s.alice) })
		on(t, ahead, func(t *testing.T) {
			late = s.login(s.bob)
			if got := s.me(cookie); got != "401" {
				t.Errorf("an idle session: %s", got)
			}
			if got := s.me(late); got != "bob by session" {
				t.Errorf("a new session: %s", got)
			}
		})
		on(t, time.Minute, func(t *testing.T) {
			if got := s.me(cookie); got != "alice by session" {
				t.Errorf("the session from before: %s", got)
			}
			if got := s.me(late); got != "bob by session" {
				t.Errorf("the session from meanwhile: %s", got)
			}
		})
	})
	t.Run("tokens", func(t *testing.T) {
		s := newOAuth(t, func(o *auth.TokensOptions) { o.RefreshLifetime = 30 * time.Minute })
		app := s.app(auth.GrantAuthorizationCode, auth.ClientPublic)
		var issued auth.IssuedToken
		var code string
		on(t, 0, func(*testing.T) { issued, code = s.issue(app, s.alice), s.code(app, s.alice) })
		on(t, ahead, func(t *testing.T) {
			if access, _ := s.live(issued); access {
				t.Error("an expired access token is accepted")
			}
			_, err := s.tokens.Refresh(t.Context(), app.Application, refresh(issued))
			refuses(t, err, "invalid_grant")
			_, err = s.tokens.Exchange(t.Context(), app.Application, exchange(code))
			refuses(t, err, "invalid_grant")
		})
		on(t, 30*time.Second, func(t *testing.T) {
			s.wantLive("the tokens", issued)
			if _, err := s.tokens.Refresh(t.Context(), app.Application, refresh(issued)); err != nil {
				t.Errorf("refresh: %v", err)
			}
			if _, err := s.tokens.Exchange(t.Context(), app.Application, exchange(code)); err != nil {
				t.Errorf("exchange: %v", err)
			}
		})
	})
	t.Run("device", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(auth.GrantDeviceCode, auth.ClientPublic)
		var d auth.DeviceAuthorization
		poll := func(t *testing.T) error {
			_, err := s.devices.Exchange(t.Context(), app.Application, d.DeviceCode.Reveal())
			return err
		}
		on(t, 0, func(*testing.T) { d = s.start(app) })
		on(t, ahead, func(t *testing.T) {
			refuses(t, poll(t), "expired_token")
			if _, err := s.devices.Find(t.Context(), by(s.alice), d.UserCode); err == nil {
				t.Error("an expired user code is accepted")
			}
		})
		on(t, time.Minute, func(t *testing.T) {
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
		app := s.app(auth.GrantClientCredentials, auth.ClientConfidential)
		authenticate := func(t *testing.T) error {
			_, err := s.apps.Authenticate(t.Context(), basic(app.ClientID+":"+app.ClientSecret.Reveal()), nil)
			return err
		}
		on(t, 0, func(t *testing.T) {
			if _, err := s.apps.RotateSecret(t.Context(), by(s.admin), app.ID, 30*time.Minute); err != nil {
				t.Fatal(err)
			}
		})
		on(t, ahead, func(t *testing.T) { refuses(t, authenticate(t), "invalid_client") })
		on(t, time.Minute, func(t *testing.T) {
			if err := authenticate(t); err != nil {
				t.Errorf("within the overlap: %v", err)
			}
		})
		on(t, 30*time.Minute, func(t *testing.T) { refuses(t, authenticate(t), "invalid_client") })
	})
	t.Run("throttle", func(t *testing.T) {
		s := newSystem(t, nil)
		guesses := func(t *testing.T, want int) {
			t.Helper()
			for n := range 11 {
				if got := s.me(basicLine("alice", "wrong")); got == "429" {
					if n != want {
						t.Errorf("%d guesses, want %d", n, want)
					}
					return
				}
			}
			t.Error("no limit")
		}
		on(t, 0, func(t *testing.T) { guesses(t, 10) })
		on(t, ahead, func(*testing.T) { s.me(basicLine("alice", "wrong")) })
		on(t, time.Minute, func(t *testing.T) {
			guesses(t, 9)
			time.Sleep(time.Minute)
			guesses(t, 10)
		})
	})
	t.Run("proof", func(t *testing.T) {
		signer := auth.Must(auth.NewProxySigner(gatewayKey(), &auth.ProxySignerOptions{FirstVersion: true, Reuse: -1}))
		p := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}, RefuseReplay: true})
		sign := func() string { return auth.Must(signer.Proof(time.Now())) }
		var used, unused string
		on(t, 0, func(t *testing.T) {
			used, unused = sign(), sign()
			if !proven(p, "10.0.0.1:1", used) {
				t.Error("a proof is refused")
			}
		})
		var future string
		on(t, ahead, func(t *testing.T) {
			future = sign()
			if proven(p, "10.0.0.1:1", unused) {
				t.Error("a stale proof is accepted")
			}
			for range 2 { // with room for what was before
				if !proven(p, "10.0.0.1:1", sign()) {
					t.Error("a new proof is refused")
				}
			}
		})
		on(t, time.Minute, func(t *testing.T) {
			if proven(p, "10.0.0.1:1", used) {
				t.Error("a proof is accepted a second time")
			}
			if proven(p, "10.0.0.1:1", future) {
				t.Error("a proof from the future is accepted")
			}
			if !proven(p, "10.0.0.1:1", unused) || !proven(p, "10.0.0.1:1", sign()) {
				t.Error("a proof is refused that is fresh and new")
			}
		})
	})
}
