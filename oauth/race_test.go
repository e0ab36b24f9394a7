package oauth_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

const racers = 64

// race starts n calls at the same moment and returns what succeeded.
func race(n int, call func(i int) (auth.IssuedToken, error)) (won []auth.IssuedToken, errs []error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			issued, err := call(i)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, issued)
			} else {
				errs = append(errs, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return won, errs
}

func rounds() int {
	if testing.Short() {
		return 2
	}
	return 20
}

// case 201: of 64 that exchange one code at the same time one
// succeeds, and the 63 others end what it got.
func TestCodeRace(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	for range rounds() {
		x := exchange(s.code(app, s.alice))
		won, errs := race(racers, func(int) (auth.IssuedToken, error) {
			return s.server.Exchange(t.Context(), app.Application, x)
		})
		if len(won) != 1 {
			t.Fatalf("%d of %d succeeded", len(won), racers)
		}
		for _, err := range errs {
			refuses(t, err, "invalid_grant")
		}
		s.wantDead("the winner's tokens", won[0])
	}
}

// case 211: the same for a refresh token.
func TestRefreshRace(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for range rounds() {
		issued := s.issue(app, s.alice)
		won, errs := race(racers, func(int) (auth.IssuedToken, error) {
			return s.server.Refresh(t.Context(), app.Application, refresh(issued))
		})
		if len(won) != 1 {
			t.Fatalf("%d of %d succeeded", len(won), racers)
		}
		for _, err := range errs {
			refuses(t, err, "invalid_grant")
		}
		s.wantDead("the winner's tokens", won[0])
	}
}

// with a grace period all of them get the same successor, and there is
// one.
func TestRefreshRaceWithGrace(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.RefreshGrace = time.Minute })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for range rounds() {
		issued := s.issue(app, s.alice)
		won, errs := race(racers, func(int) (auth.IssuedToken, error) {
			return s.server.Refresh(t.Context(), app.Application, refresh(issued))
		})
		if len(errs) != 0 {
			t.Fatalf("%d refusals, such as %v", len(errs), errs[0])
		}
		for _, w := range won {
			if w.ID != won[0].ID || w.AccessToken != won[0].AccessToken || w.RefreshToken != won[0].RefreshToken {
				t.Fatal("two successors")
			}
		}
		s.wantLive("the successor", won[0])
	}
}

// A wrong verifier and the right one at the same time: either the code is burnt,
// or the tokens are dead; never does the one who has the code alone keep out of
// it that the other one's tokens live on.
func TestBurnRace(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for range 10 * rounds() {
		x := exchange(s.code(app, s.alice))
		won, _ := race(2, func(i int) (auth.IssuedToken, error) {
			x := x
			if i == 0 {
				x.Verifier = challenge(verifier)
			}
			return s.server.Exchange(t.Context(), app.Application, x)
		})
		for _, w := range won {
			s.wantDead("tokens of a code that was burnt", w)
		}
	}
}

// the same for a device code.
func TestDeviceRace(t *testing.T) {
	s := newOAuth(t, func(o *settings) {
		o.Devices.Guesses = store.Limit{Max: 1 << 30, Window: time.Hour}
		o.Devices.Requests = o.Devices.Guesses
	})
	app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
	for range rounds() {
		d := s.start(app)
		req, err := s.server.FindDevice(t.Context(), by(s.alice), d.UserCode)
		if err != nil {
			t.Fatal(err)
		}
		decided, _ := race(racers, func(i int) (auth.IssuedToken, error) {
			return auth.IssuedToken{}, s.server.DecideDevice(t.Context(), by(s.alice), req, true)
		})
		if len(decided) != 1 {
			t.Fatalf("%d decisions", len(decided))
		}
		won, _ := race(racers, func(int) (auth.IssuedToken, error) {
			return s.server.ExchangeDevice(t.Context(), app.Application, d.DeviceCode.Reveal())
		})
		if len(won) != 1 {
			t.Fatalf("%d of %d succeeded", len(won), racers)
		}
		s.wantDead("the winner's tokens", won[0])
	}
}

// of a deletion of the application and something that issues tokens at
// the same time, no order leaves a live token.
func TestDeletionRace(t *testing.T) {
	s := newOAuth(t, nil)
	for range 5 * rounds() {
		app := s.appAt(oauth.GrantClientCredentials, oauth.ClientConfidential)
		won, _ := race(4, func(i int) (auth.IssuedToken, error) {
			switch i {
			case 0:
				return auth.IssuedToken{}, s.server.DeleteApplication(t.Context(), by(s.admin), app.ID)
			case 1:
				return s.server.IssueFor(t.Context(), by(s.member), app.ID, auth.TokenRequest{})
			}
			return s.server.ExchangeClient(t.Context(), app.Application, oauth.ClientExchange{})
		})
		for _, w := range won {
			if w.ID != 0 {
				s.wantDead("a token of a deleted application", w)
			}
		}
	}
}

// revocation and rotation at the same time leave nothing alive.
func TestRevocationRace(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for range 10 * rounds() {
		issued := s.issue(app, s.alice)
		won, _ := race(2, func(i int) (auth.IssuedToken, error) {
			if i == 0 {
				return issued, s.server.Revoke(t.Context(), app.Application, issued.RefreshToken.Reveal())
			}
			return s.server.Refresh(t.Context(), app.Application, refresh(issued))
		})
		for _, w := range won {
			s.wantDead("tokens of a revoked family", w)
		}
	}
}

// meanwhile is a hasher during whose comparison something else happens.
type meanwhile struct {
	plain
	do func()
}

func (m meanwhile) Verify(hash, password string) (ok, outdated bool, err error) {
	defer m.do()
	return m.plain.Verify(hash, password)
}

// A8: what a password gets does not outlive a change of its user that came while it
// was compared, as by an owner who shuts somebody out.
func TestPasswordGrantDuringAChange(t *testing.T) {
	const good = "correct horse battery"
	for _, tt := range []struct {
		name   string
		change func(*oauthSystem) error
	}{
		{"another password", func(s *oauthSystem) error {
			return s.db.SetPasswordHash(s.t.Context(), s.alice.ID, "plain:another horse battery")
		}},
		{"the same password again", func(s *oauthSystem) error {
			return s.db.SetPasswordHash(s.t.Context(), s.alice.ID, "plain:"+good)
		}},
		{"a service account, and a person again", func(s *oauthSystem) error {
			service, person := true, false
			_, err := s.db.ChangeUser(s.t.Context(), s.alice.ID, store.UserChange{Service: &service})
			if err == nil {
				_, err = s.db.ChangeUser(s.t.Context(), s.alice.ID, store.UserChange{Service: &person})
			}
			return err
		}},
	} {
		for _, endWithPassword := range []bool{true, false} { // a refresh token dies in any case
			t.Run(fmt.Sprintf("%s, EndWithPassword %v", tt.name, endWithPassword), func(t *testing.T) {
				s := newOAuth(t, func(o *settings) { o.EndWithPassword = endWithPassword })
				app := s.appAt(oauth.GrantPassword, oauth.ClientConfidential)
				if err := s.db.SetPasswordHash(t.Context(), s.alice.ID, "plain:"+good); err != nil {
					t.Fatal(err)
				}
				passwords := auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Hasher: meanwhile{do: func() {
					if err := tt.change(s); err != nil {
						t.Error(err)
					}
				}}}))
				_, err := s.server.ExchangePassword(t.Context(), app.Application, passwords, oauth.PasswordExchange{Username: "alice", Password: good})
				refuses(t, err, "invalid_grant")
			})
		}
	}
}
