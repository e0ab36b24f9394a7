package oauth_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// R-084, case 208.
func TestRefreshRotates(t *testing.T) {
	s := newOAuth(t, nil)
	for _, clientType := range []string{oauth.ClientConfidential, oauth.ClientPublic} {
		app := s.app(oauth.GrantAuthorizationCode, clientType)
		first := s.issue(app, s.alice)
		second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
		if err != nil {
			t.Fatal(err)
		}
		s.wantDead("the tokens before", first)
		s.wantLive("the tokens after", second)
		if second.Scopes != first.Scopes || second.ApplicationID != app.ID || second.UserID != "3" || second.Family != first.Family {
			t.Errorf("refreshed %+v", second.Token)
		}
		s.wantUnlogged(second.AccessToken.Reveal(), second.RefreshToken.Reveal())
	}
}

// R-085, case 209, 210: a replay ends the family, whatever else is wrong with it.
func TestRefreshReplay(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	for _, tt := range []struct {
		name   string
		change func(*oauth.RefreshExchange)
	}{
		{"the same request", func(*oauth.RefreshExchange) {}},
		{"with a wider scope", func(x *oauth.RefreshExchange) { x.Scope = "write" }},
		{"with an unknown scope", func(x *oauth.RefreshExchange) { x.Scope = "admin" }},
		{"with an unknown resource", func(x *oauth.RefreshExchange) { x.Resources = []string{"https://b.example"} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first := s.issue(app, s.alice, "scope", "read")
			second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
			if err != nil {
				t.Fatal(err)
			}
			third, err := s.server.Refresh(t.Context(), app.Application, refresh(second))
			if err != nil {
				t.Fatal(err)
			}
			bystander := s.issue(app, s.alice)
			x := refresh(first)
			tt.change(&x)
			_, err = s.server.Refresh(t.Context(), app.Application, x)
			refuses(t, err, "invalid_grant")
			s.wantDead("the newest tokens", third)
			s.wantLive("another grant", bystander)
		})
	}
	s.wantEvent("level=WARN", "auth: grant used twice", "user_id=3")

	t.Run("after the user was disabled", func(t *testing.T) {
		first := s.issue(app, s.bob)
		second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
		if err != nil {
			t.Fatal(err)
		}
		s.bob.Active = false
		if err := s.db.UpdateUser(t.Context(), s.bob); err != nil {
			t.Fatal(err)
		}
		_, err = s.server.Refresh(t.Context(), app.Application, refresh(first))
		refuses(t, err, "invalid_grant")
		s.wantDead("the newest tokens", second)
	})
}

// R-087, case 214, corpus token_endpoint: refusals that leave the token to its
// owner.
func TestRefreshRefused(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.Resources = []string{"https://a.example", "https://b.example"} })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientPublic, redirectURI, "https://other.example/")
	for _, tt := range []struct {
		name   string
		code   string
		change func(x *oauth.RefreshExchange, issued auth.IssuedToken, app *store.Application)
	}{
		{"another client", "invalid_grant", func(_ *oauth.RefreshExchange, _ auth.IssuedToken, a *store.Application) { *a = other.Application }},
		{"missing", "invalid_request", func(x *oauth.RefreshExchange, _ auth.IssuedToken, _ *store.Application) { x.RefreshToken = "" }},
		{"access token, R-040", "invalid_grant", func(x *oauth.RefreshExchange, i auth.IssuedToken, _ *store.Application) {
			x.RefreshToken = i.AccessToken.Reveal()
		}},
		{"with NUL", "invalid_grant", func(x *oauth.RefreshExchange, _ auth.IssuedToken, _ *store.Application) { x.RefreshToken += "\x00" }},
		{"cut short", "invalid_grant", func(x *oauth.RefreshExchange, _ auth.IssuedToken, _ *store.Application) {
			x.RefreshToken = x.RefreshToken[:50]
		}},
		{"wider scope, R-089", "invalid_scope", func(x *oauth.RefreshExchange, _ auth.IssuedToken, _ *store.Application) { x.Scope = "write" }},
		{"blank scope", "invalid_scope", func(x *oauth.RefreshExchange, _ auth.IssuedToken, _ *store.Application) { x.Scope = " " }},
		{"resource that was not granted", "invalid_target", func(x *oauth.RefreshExchange, _ auth.IssuedToken, _ *store.Application) {
			x.Resources = []string{"https://b.example"}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			issued := s.issue(app, s.alice, "scope", "read", "resource", "https://a.example")
			x, a := refresh(issued), app.Application
			tt.change(&x, issued, &a)
			_, err := s.server.Refresh(t.Context(), a, x)
			refuses(t, err, tt.code)
			if _, err := s.server.Refresh(t.Context(), app.Application, refresh(issued)); err != nil {
				t.Errorf("the owner cannot use it any more: %v", err)
			}
		})
	}
}

// R-089, case 212, 213.
func TestRefreshNarrows(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued := s.issue(app, s.alice, "scope", "read write")
	narrow := refresh(issued)
	narrow.Scope = "read"
	issued, err := s.server.Refresh(t.Context(), app.Application, narrow)
	if err != nil || issued.Scopes != "read" {
		t.Fatalf("narrowed to %q, %v", issued.Scopes, err)
	}
	issued, err = s.server.Refresh(t.Context(), app.Application, refresh(issued))
	if err != nil || issued.Scopes != "read write" {
		t.Errorf("the grant shrank to %q, %v", issued.Scopes, err)
	}
}

// what an owner took away no refresh brings back, also not one that was
// under way.
func TestRefreshAfterTheOwnerNarrows(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued := s.issue(app, s.alice, "scope", "read write")
	change := auth.TokenChange{Scopes: new(auth.Scopes("read")), Description: new("mine")}
	if _, err := s.tokens.Change(t.Context(), by(s.alice), issued.ID, change); err != nil {
		t.Fatal(err)
	}
	wide := refresh(issued)
	wide.Scope = "write"
	_, err := s.server.Refresh(t.Context(), app.Application, wide)
	refuses(t, err, "invalid_scope")
	issued, err = s.server.Refresh(t.Context(), app.Application, refresh(issued))
	if err != nil || issued.Scopes != "read" {
		t.Errorf("refreshed with %q, %v", issued.Scopes, err)
	}

	during := &narrowing{Store: s.db}
	server := s.serverOn(during, s.db, nil)
	issued = s.issue(app, s.alice, "scope", "read write")
	during.before = func() {
		if _, err := s.tokens.Change(t.Context(), by(s.alice), issued.ID, change); err != nil {
			t.Error(err)
		}
	}
	issued, err = server.Refresh(t.Context(), app.Application, refresh(issued))
	if err != nil || issued.Scopes != "read" || issued.Description != "mine" {
		t.Errorf("refreshed, while the owner narrowed it, with %q, %q, %v", issued.Scopes, issued.Description, err)
	}
}

// narrowing calls before once, when a refresh token is about to be spent.
type narrowing struct {
	*memory.Store
	before func()
}

func (n *narrowing) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if f := n.before; f != nil {
		n.before = nil
		f()
	}
	return n.Store.Rotate(ctx, r)
}

// case 215, 217: an idle end that each refresh moves, and an
// absolute one that none does.
func TestRefreshLifetimes(t *testing.T) {
	const idle, absolute = 10 * 24 * time.Hour, 100 * 24 * time.Hour
	options := func(o *settings) { o.RefreshLifetime, o.GrantLifetime = idle, absolute }
	t.Run("idle", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newOAuth(t, options)
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			issued := s.issue(app, s.alice)
			wait(idle - time.Microsecond)
			issued, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
			if err != nil {
				t.Fatal(err)
			}
			wait(idle)
			_, err = s.server.Refresh(t.Context(), app.Application, refresh(issued))
			refuses(t, err, "invalid_grant")
		})
	})
	t.Run("absolute", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newOAuth(t, options)
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			start := time.Now()
			issued, err := s.issue(app, s.alice), error(nil)
			for err == nil {
				if issued.Expires.After(start.Add(absolute)) {
					t.Fatalf("an access token outlives its grant: %v", issued.Expires)
				}
				wait(24 * time.Hour)
				issued, err = s.server.Refresh(t.Context(), app.Application, refresh(issued))
			}
			refuses(t, err, "invalid_grant")
			if lived := time.Since(start); lived != absolute {
				t.Errorf("the family lived %v, want %v", lived, absolute)
			}
		})
	})
	t.Run("a replay after the end still ends the family", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newOAuth(t, options)
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			first := s.issue(app, s.alice)
			wait(idle - time.Hour)
			second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
			if err != nil {
				t.Fatal(err)
			}
			wait(2 * time.Hour) // the first one has expired
			_, err = s.server.Refresh(t.Context(), app.Application, refresh(first))
			refuses(t, err, "invalid_grant")
			s.wantDead("the successor", second)
		})
	})
}

// R-086, decision 23.
func TestRefreshGrace(t *testing.T) {
	const grace = 10 * time.Second
	setup := func(t *testing.T) (*oauthSystem, oauth.IssuedApplication, auth.IssuedToken, auth.IssuedToken) {
		s := newOAuth(t, func(o *settings) { o.RefreshGrace = grace })
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		first := s.issue(app, s.alice)
		second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
		if err != nil {
			t.Fatal(err)
		}
		return s, app, first, second
	}
	t.Run("a retry gets the very same successor", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, app, first, second := setup(t)
			for range 2 {
				wait(grace/2 - time.Microsecond)
				again, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
				if err != nil {
					t.Fatal(err)
				}
				if again.AccessToken != second.AccessToken || again.RefreshToken != second.RefreshToken {
					t.Error("the retry got other tokens")
				}
				if diff := cmp.Diff(second.Token, again.Token, cmp.Comparer(func(a, b time.Time) bool { return a.Sub(b).Abs() < time.Microsecond })); diff != "" {
					t.Errorf("token of the retry (-want +got):\n%s", diff)
				}
			}
			s.wantLive("the successor", second)
		})
	})
	t.Run("successors of successors have the usual form", func(t *testing.T) {
		s, app, _, issued := setup(t)
		for range 3 {
			var err error
			if issued, err = s.server.Refresh(t.Context(), app.Application, refresh(issued)); err != nil {
				t.Fatal(err)
			}
			s.wantLive("the successor", issued)
		}
	})
	dies := func(name string, between func(s *oauthSystem, app oauth.IssuedApplication, second auth.IssuedToken) auth.IssuedToken) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, app, first, second := setup(t)
				newest := between(s, app, second)
				_, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
				refuses(t, err, "invalid_grant")
				s.wantDead("the newest tokens", newest)
			})
		})
	}
	dies("not after the grace period", func(_ *oauthSystem, _ oauth.IssuedApplication, second auth.IssuedToken) auth.IssuedToken {
		wait(grace)
		return second
	})
	dies("not once the successor was used", func(s *oauthSystem, app oauth.IssuedApplication, second auth.IssuedToken) auth.IssuedToken {
		third, err := s.server.Refresh(s.t.Context(), app.Application, refresh(second))
		if err != nil {
			s.t.Fatal(err)
		}
		return third
	})
	dies("not once it was revoked", func(s *oauthSystem, app oauth.IssuedApplication, second auth.IssuedToken) auth.IssuedToken {
		if err := s.server.Revoke(s.t.Context(), app.Application, second.RefreshToken.Reveal()); err != nil {
			s.t.Fatal(err)
		}
		return second
	})
	dies("not for a user who was disabled", func(s *oauthSystem, _ oauth.IssuedApplication, second auth.IssuedToken) auth.IssuedToken {
		s.alice.Active = false
		if err := s.db.UpdateUser(s.t.Context(), s.alice); err != nil {
			s.t.Fatal(err)
		}
		return second
	})
	t.Run("not for another client", func(t *testing.T) {
		s, _, first, second := setup(t)
		other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientPublic, "https://other.example/")
		_, err := s.server.Refresh(t.Context(), other.Application, refresh(first))
		refuses(t, err, "invalid_grant")
		s.wantLive("the tokens", second)
	})
	t.Run("not where the rotation knew no grace period", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		first := s.issue(app, s.alice)
		second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
		if err != nil {
			t.Fatal(err)
		}
		s.opts.RefreshGrace = grace
		_, err = s.serverOn(s.db, s.db, nil).Refresh(t.Context(), app.Application, refresh(first))
		refuses(t, err, "invalid_grant")
		s.wantDead("the successor", second)
	})
}

// every path checks the user of a grant at that
// moment, and issues nothing for a changed user.
func TestGranteeMatrix(t *testing.T) {
	outcomes := map[string]func(s *oauthSystem) error{
		"disabled": func(s *oauthSystem) error {
			s.alice.Active = false
			return s.db.UpdateUser(s.t.Context(), s.alice)
		},
		"deleted": func(s *oauthSystem) error { return s.db.DeleteUser(s.t.Context(), s.alice.ID, time.Now()) },
		"new epoch": func(s *oauthSystem) error {
			return s.db.SetPasswordHash(s.t.Context(), s.alice.ID, "plain:new")
		},
		"refused by the host": func(s *oauthSystem) error { refuseAlice = true; return nil },
	}
	paths := map[string]func(s *oauthSystem) func() error{
		"code": func(s *oauthSystem) func() error {
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			x := exchange(s.code(app, s.alice))
			return func() error {
				_, err := s.server.Exchange(s.t.Context(), app.Application, x)
				return err
			}
		},
		"refresh": func(s *oauthSystem) func() error {
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			issued := s.issue(app, s.alice)
			return func() error {
				_, err := s.server.Refresh(s.t.Context(), app.Application, refresh(issued))
				return err
			}
		},
		"device": func(s *oauthSystem) func() error {
			app := s.app(oauth.GrantDeviceCode, oauth.ClientPublic)
			d := s.start(app)
			s.decide(d, s.alice, true)
			return func() error {
				_, err := s.server.ExchangeDevice(s.t.Context(), app.Application, d.DeviceCode.Reveal())
				return err
			}
		},
	}
	for path, prepare := range paths {
		for name, change := range outcomes {
			t.Run(path+", user "+name, func(t *testing.T) {
				refuseAlice = false
				s := newOAuth(t, func(o *settings) {
					o.MayIssue = func(_ context.Context, u store.User) error {
						if refuseAlice && u.ID == "3" {
							return errors.New("logs in elsewhere")
						}
						return nil
					}
				})
				try := prepare(s)
				if err := change(s); err != nil {
					t.Fatal(err)
				}
				refuses(t, try(), "invalid_grant")
				if u, err := s.db.UserByID(t.Context(), "3"); err == nil && name == "disabled" && u.Active {
					t.Error("the user was enabled again")
				}
			})
		}
		t.Run(path+", application deleted", func(t *testing.T) {
			refuseAlice = false
			s := newOAuth(t, nil)
			try := prepare(s)
			list, _, err := s.server.ListApplications(t.Context(), by(s.admin), store.ApplicationFilter{}, store.Page{Limit: 10})
			if err != nil || len(list) != 1 {
				t.Fatalf("%d applications, %v", len(list), err)
			}
			if err := s.server.DeleteApplication(t.Context(), by(s.admin), list[0].ID); err != nil {
				t.Fatal(err)
			}
			refuses(t, try(), "invalid_grant")
		})
	}
}

// disabling is a host whose users keep their epoch when they are disabled.
type disabling struct {
	store.Users
	disabled bool
}

func (d *disabling) UserByID(ctx context.Context, id string) (store.User, error) {
	u, err := d.Users.UserByID(ctx, id)
	u.Active = u.Active && !d.disabled
	return u, err
}

// hosted is a store for the users of a host.
type hosted struct {
	store.OAuth
	users store.Users
}

func (h hosted) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	a, err := h.OAuth.AccessByDigest(ctx, d)
	if err == nil {
		a.User, err = h.users.UserByID(ctx, a.UserID)
	}
	return a, err
}

// being disabled is enough, whatever the epoch is.
func TestGranteeDisabledWithoutNewEpoch(t *testing.T) {
	s := newOAuth(t, nil)
	users := &disabling{Users: s.db}
	s.tokens = auth.Must(auth.NewTokens(hosted{s.db, users}, users, nil))
	s.server = s.serverOn(s.db, users, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued, x := s.issue(app, s.alice), exchange(s.code(app, s.alice))
	users.disabled = true
	_, err := s.server.Exchange(t.Context(), app.Application, x)
	refuses(t, err, "invalid_grant")
	_, err = s.server.Refresh(t.Context(), app.Application, refresh(issued))
	refuses(t, err, "invalid_grant")
	if access, _ := s.live(issued); access {
		t.Error("the access token works")
	}
	if got, err := s.server.Introspect(t.Context(), app.Application, issued.AccessToken.Reveal()); err != nil || got.Active {
		t.Errorf("introspection: %+v, %v", got, err)
	}
}

// refuseAlice is the answer of the host in TestGranteeMatrix, whose cases run
// one after the other.
var refuseAlice bool

// access tokens of an application or a user that is gone are dead.
func TestOwnersEndTokens(t *testing.T) {
	for name, end := range map[string]func(s *oauthSystem, app oauth.IssuedApplication) error{
		"application deleted": func(s *oauthSystem, app oauth.IssuedApplication) error {
			return s.server.DeleteApplication(s.t.Context(), by(s.admin), app.ID)
		},
		"user deleted": func(s *oauthSystem, _ oauth.IssuedApplication) error {
			return s.db.DeleteUser(s.t.Context(), s.alice.ID, time.Now())
		},
		"all revoked": func(s *oauthSystem, _ oauth.IssuedApplication) error {
			_, err := s.db.RevokeTokens(s.t.Context(), store.Selection{All: true}, time.Now())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOAuth(t, nil)
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
			issued := s.issue(app, s.alice)
			if err := end(s, app); err != nil {
				t.Fatal(err)
			}
			s.wantDead(name, issued)
		})
	}
}
