package auth_test

import (
	"crypto/rsa"
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/internal/clocktest"
)

// what began in the future is as good as what began in the past, and what
// ended in the future has ended.
func TestClockSetBack(t *testing.T) {
	t.Run("session", func(t *testing.T) {
		s := newSystem(t, nil)
		var cookie, ended string
		clocktest.SetBack(t, func(t *testing.T) {
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
		clocktest.SetBack(t, func(t *testing.T) {
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
		clocktest.SetBack(t, func(*testing.T) {
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
		clocktest.SetBack(t, func(t *testing.T) {
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
	t.Run("limit of sessions", func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.session.PerUser = 1 })
		var before string
		clocktest.SetBack(t, func(*testing.T) { before = s.login(s.alice) }, func(t *testing.T) {
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

// a credential that has expired on a clock that is an hour ahead is
// refused, and as it was when the clock is right again.
func TestClockAhead(t *testing.T) {
	const ahead = time.Hour
	t.Run("session", func(t *testing.T) {
		s := newSystem(t, nil)
		var cookie, late string
		clocktest.On(t, 0, func(*testing.T) { cookie = s.login(s.alice) })
		clocktest.On(t, ahead, func(t *testing.T) {
			late = s.login(s.bob)
			if got := s.me(cookie); got != "401" {
				t.Errorf("an idle session: %s", got)
			}
			if got := s.me(late); got != "bob by session" {
				t.Errorf("a new session: %s", got)
			}
		})
		clocktest.On(t, time.Minute, func(t *testing.T) {
			if got := s.me(cookie); got != "alice by session" {
				t.Errorf("the session from before: %s", got)
			}
			if got := s.me(late); got != "bob by session" {
				t.Errorf("the session from meanwhile: %s", got)
			}
		})
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
		clocktest.On(t, 0, func(t *testing.T) { guesses(t, 10) })
		clocktest.On(t, ahead, func(*testing.T) { s.me(basicLine("alice", "wrong")) })
		clocktest.On(t, time.Minute, func(t *testing.T) {
			guesses(t, 9)
			time.Sleep(time.Minute)
			guesses(t, 10)
		})
	})
	t.Run("proof", func(t *testing.T) {
		signer := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true, Reuse: -1}))
		p := gatewayOf(&auth.ProofOptions{Keys: []*rsa.PublicKey{&gatewayKey().PublicKey}, RefuseReplay: true})
		sign := func() string { return auth.Must(signer.Proof(time.Now())) }
		var used, unused string
		clocktest.On(t, 0, func(t *testing.T) {
			used, unused = sign(), sign()
			if !proven(p, "10.0.0.1:1", used) {
				t.Error("a proof is refused")
			}
		})
		var future string
		clocktest.On(t, ahead, func(t *testing.T) {
			future = sign()
			if proven(p, "10.0.0.1:1", unused) {
				t.Error("a stale proof is accepted")
			}
			for range 2 { // with room for the earlier ones
				if !proven(p, "10.0.0.1:1", sign()) {
					t.Error("a new proof is refused")
				}
			}
		})
		clocktest.On(t, time.Minute, func(t *testing.T) {
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
