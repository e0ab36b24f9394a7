package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// needs reports whether u is asked for consent although the request asks not to.
func (s *oauthSystem) needs(app oauth.IssuedApplication, u store.User, pairs ...string) bool {
	s.t.Helper()
	a, err := s.server.ParseAuthorization(s.t.Context(), authorization(app, pairs...))
	if err != nil {
		s.t.Fatal(err)
	}
	needed, err := s.server.NeedsConsent(s.t.Context(), by(u), a, true)
	if err != nil {
		s.t.Fatal(err)
	}
	return needed
}

// A1, decision 28: a consent is to the content of the page. Each change of the
// application that matters makes the page ask again; a change of its name or
// description does not.
func TestConsentIsToWhatWasShown(t *testing.T) {
	other := "https://other.example/cb"
	for name, tt := range map[string]struct {
		change oauth.ApplicationChange
		asks   bool
	}{
		"redirect URI added":    {oauth.ApplicationChange{RedirectURIs: &[]string{redirectURI, "https://evil.example/"}}, true},
		"redirect URI taken":    {oauth.ApplicationChange{RedirectURIs: &[]string{redirectURI}}, true},
		"redirect URIs in turn": {oauth.ApplicationChange{RedirectURIs: &[]string{other, redirectURI}}, true},
		"another organization":  {oauth.ApplicationChange{OrganizationID: new(int64(2))}, true},
		"renamed":               {oauth.ApplicationChange{Name: new("renamed")}, false},
		"described":             {oauth.ApplicationChange{Description: new("d")}, false},
		"nothing":               {oauth.ApplicationChange{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newOAuth(t, nil)
			app := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, other)
			s.code(app, s.alice)
			if s.needs(app, s.alice) {
				t.Fatal("asked again")
			}
			if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, tt.change); err != nil {
				t.Fatal(err)
			}
			if got := s.needs(app, s.alice); got != tt.asks {
				t.Errorf("asked: %v, want %v", got, tt.asks)
			}
		})
	}
	t.Run("a new secret", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		s.code(app, s.alice)
		if _, err := s.server.RotateSecret(t.Context(), by(s.orgadmin), app.ID, time.Hour); err != nil {
			t.Fatal(err)
		}
		if !s.needs(app, s.alice) {
			t.Error("not asked")
		}
	})
	t.Run("public, then confidential", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		s.code(app, s.alice)
		if _, err := s.server.ChangeApplication(t.Context(), by(s.orgadmin), app.ID, oauth.ApplicationChange{ClientType: new(oauth.ClientConfidential)}); err != nil {
			t.Fatal(err)
		}
		if !s.needs(app, s.alice) {
			t.Error("not asked")
		}
	})
	t.Run("deleted and registered anew under the same name", func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		s.code(app, s.alice)
		if err := s.server.DeleteApplication(t.Context(), by(s.admin), app.ID); err != nil {
			t.Fatal(err)
		}
		if app = s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential); !s.needs(app, s.alice) {
			t.Error("not asked")
		}
	})
}

// A consent covers its scopes, its resources and its redirect URI, of its user.
func TestConsentCovers(t *testing.T) {
	const a, b = "https://a.example", "https://b.example"
	s := newOAuth(t, func(o *settings) { o.Resources = []string{a, b} })
	other := "https://other.example/cb"
	app := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, other)
	s.code(app, s.alice, "scope", "read", "resource", a)
	for _, tt := range []struct {
		name  string
		user  store.User
		pairs []string
		asks  bool
	}{
		{"the same", s.alice, []string{"scope", "read", "resource", a}, false},
		{"another user", s.bob, []string{"scope", "read", "resource", a}, true},
		{"another scope", s.alice, []string{"scope", "write", "resource", a}, true},
		{"another resource", s.alice, []string{"scope", "read", "resource", b}, true},
		{"any resource", s.alice, []string{"scope", "read"}, true},
		{"another redirect URI", s.alice, []string{"scope", "read", "resource", a, "redirect_uri", other}, true},
	} {
		if got := s.needs(app, tt.user, tt.pairs...); got != tt.asks {
			t.Errorf("%s: asked: %v, want %v", tt.name, got, tt.asks)
		}
	}
	// What is agreed to later comes on top, but not in combinations that nobody
	// was shown.
	for i, tt := range []struct {
		first, then   []string
		agreed, never [][]string
	}{
		{
			[]string{"scope", "read", "resource", a}, []string{"scope", "write", "resource", b},
			[][]string{{"scope", "write", "resource", b}, {"scope", "read", "resource", b}},
			[][]string{{"scope", "write", "resource", a}, {"scope", "write"}},
		}, {
			[]string{"scope", "read"}, []string{"scope", "write", "resource", b},
			[][]string{{"scope", "write", "resource", b}},
			[][]string{{"scope", "write", "resource", a}, {"scope", "write"}},
		}, {
			[]string{"scope", "write", "resource", a}, []string{"scope", "read"},
			[][]string{{"scope", "read"}, {"scope", "read", "resource", b}},
			[][]string{{"scope", "write", "resource", b}, {"scope", "write"}},
		}, {
			[]string{"scope", "write", "resource", a}, []string{"scope", "read", "resource", b},
			[][]string{{"scope", "read", "resource", b}},
			[][]string{{"scope", "write", "resource", b}},
		}, {
			[]string{"scope", "read", "resource", a}, []string{"scope", "write", "resource", a},
			[][]string{{"scope", "read", "resource", a}, {"scope", "write", "resource", a}},
			[][]string{{"scope", "write", "resource", b}, {"scope", "read"}},
		}, {
			[]string{"scope", "read", "resource", a}, []string{"scope", "read", "resource", b},
			[][]string{{"scope", "read", "resource", a}, {"scope", "read", "resource", b}},
			[][]string{{"scope", "write", "resource", b}, {"scope", "read"}},
		},
	} {
		app := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, "https://x.example/"+strconv.Itoa(i))
		s.code(app, s.alice, tt.first...)
		s.code(app, s.alice, tt.then...)
		for _, pairs := range tt.agreed {
			if s.needs(app, s.alice, pairs...) {
				t.Errorf("%v and %v: asked again for %v", tt.first, tt.then, pairs)
			}
		}
		for _, pairs := range tt.never {
			if !s.needs(app, s.alice, pairs...) {
				t.Errorf("%v and %v: not asked for %v", tt.first, tt.then, pairs)
			}
		}
	}
}

// Users see what they agreed to and take it back, by themselves or by a token of
// their own; no application does that.
func TestConsentsAreTheUsers(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	kept := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, redirectURI+"2")
	issued := s.issue(app, s.alice, "scope", "write")
	pending := s.code(app, s.alice)
	bobs := s.issue(app, s.bob)
	other := s.issue(kept, s.alice)
	list := func(p *auth.Principal) int {
		t.Helper()
		consents, total, err := s.server.ListConsents(t.Context(), p, store.Page{Limit: 10})
		if err != nil || len(consents) != total {
			t.Fatalf("%d of %d, %v", len(consents), total, err)
		}
		return total
	}
	if n := list(by(s.alice)); n != 2 {
		t.Errorf("%d consents, want 2", n)
	}
	ofApplication, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*auth.Principal{"a token of an application": ofApplication, "nobody": {Scopes: auth.Unrestricted}} {
		_, _, err := s.server.ListConsents(t.Context(), p, store.Page{Limit: 10})
		refusesStatus(t, err, http.StatusForbidden, "")
		if err := s.server.WithdrawConsent(t.Context(), p, app.ID); err == nil {
			t.Errorf("%s withdraws a consent", name)
		}
	}
	s.wantLive("the tokens", issued)
	if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
		t.Fatal(err)
	}
	s.wantDead("the tokens", issued)
	s.wantLive("those of another user", bobs)
	s.wantLive("those of another application", other)
	_, err = s.server.Exchange(t.Context(), app.Application, exchange(pending))
	refuses(t, err, "invalid_grant")
	if n := list(by(s.alice)); n != 1 {
		t.Errorf("%d consents are left, want 1", n)
	}
	for range 2 { // again, and for one that does not exist: harmless
		if err := s.server.WithdrawConsent(t.Context(), by(s.alice), 999); err != nil {
			t.Error(err)
		}
	}
	again := s.issue(app, s.alice)
	s.wantLive("what is issued after a new consent", again)
}

// A disabled application gets nothing and has nothing, and what it had stays dead.
func TestDisabledApplication(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued, code := s.issue(app, s.member), s.code(app, s.member)
	minter, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	child, err := s.tokens.Issue(t.Context(), minter, auth.TokenRequest{Scopes: "read"})
	if err != nil {
		t.Fatal(err)
	}
	set := func(disabled bool) {
		t.Helper()
		if _, err := s.server.ChangeApplication(t.Context(), by(s.admin), app.ID, oauth.ApplicationChange{Disabled: &disabled}); err != nil {
			t.Fatal(err)
		}
	}
	set(true)
	s.wantDead("its tokens", issued)
	if _, err := s.tokens.Verify(t.Context(), child.AccessToken.Reveal()); err == nil {
		t.Error("what its token minted lives")
	}
	_, err = s.server.Authenticate(t.Context(), basic(app.ClientID+":"+app.ClientSecret.Reveal()), nil)
	refuses(t, err, "invalid_client")
	if a, err := s.server.ParseAuthorization(t.Context(), authorization(app)); err == nil || a.RedirectURI != "" {
		t.Errorf("authorization: %+v, %v", a, err)
	}
	_, err = s.server.Exchange(t.Context(), app.Application, exchange(code))
	refuses(t, err, "invalid_grant")
	_, err = s.server.IssueFor(t.Context(), by(s.member), app.ID, auth.TokenRequest{})
	refusesStatus(t, err, http.StatusBadRequest, "ApplicationID")
	set(false)
	s.wantDead("its old tokens", issued)
	s.wantLive("its new tokens", s.issue(app, s.member))
}

// A5: a client cannot fill the store by refreshing: after a burst it waits, its
// refresh token stays good meanwhile, and an ordinary client never notices.
func TestRefreshRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		issued := s.issue(app, s.alice)
		again := func() (err error) {
			next, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
			if err == nil {
				issued = next
			}
			return err
		}
		n := 0
		for ; n < 1000; n++ {
			if err := again(); err != nil {
				e, ok := errors.AsType[*auth.Error](err)
				if !ok || e.Status != http.StatusTooManyRequests || e.RetryAfter <= 0 || e.RetryAfter > time.Minute {
					t.Fatalf("refresh %d: %+v", n, err)
				}
				break
			}
		}
		if n != 100 {
			t.Errorf("%d refreshes at once, want 100", n)
		}
		s.wantLive("the last tokens", issued)
		for range 60 {
			time.Sleep(time.Minute)
			if err := again(); err != nil {
				t.Fatalf("after a minute: %v", err)
			}
			if err := again(); err == nil {
				t.Fatal("twice in a minute")
			}
		}
		time.Sleep(29 * 24 * time.Hour)
		if err := again(); err != nil {
			t.Errorf("after a month: %v", err)
		}
	})
	for _, interval := range []time.Duration{-1, 2 * time.Hour} {
		s := newOAuth(t, nil)
		if _, err := oauth.NewServer(s.tokens, s.db, s.db, &oauth.Options{RefreshInterval: interval}); err == nil {
			t.Errorf("RefreshInterval %v constructs", interval)
		}
	}
}

// A native application gets another port each time it runs. That makes one record
// for all ports, and none of them is agreed to beforehand.
func TestConsentAtAnyPort(t *testing.T) {
	const atPort = "http://127.0.0.1:%d/cb"
	for name, tt := range map[string]struct{ registered, asked string }{
		"address":   {"http://127.0.0.1/cb", atPort},
		"localhost": {"http://localhost:1/cb?x", "http://localhost:%d/cb?x"},
		"IPv6":      {"http://[::1]:65535", "http://[::1]:%d"},
	} {
		for _, kind := range []string{oauth.ClientPublic, oauth.ClientConfidential} {
			t.Run(name+" "+kind, func(t *testing.T) {
				s := newOAuth(t, nil)
				app := s.appAt(oauth.GrantAuthorizationCode, kind, tt.registered)
				for port := 2000; port < 2050; port++ {
					s.code(app, s.alice, "redirect_uri", fmt.Sprintf(tt.asked, port))
				}
				consents, total, err := s.server.ListConsents(t.Context(), by(s.alice), store.Page{Limit: 100})
				if err != nil || total != 1 {
					t.Fatalf("%d records, %v", total, err)
				}
				for _, uri := range []string{fmt.Sprintf(tt.asked, 2000), fmt.Sprintf(tt.asked, 3000), tt.registered} {
					if !s.needs(app, s.alice, "redirect_uri", uri) {
						t.Errorf("not asked at %s after %+v", uri, consents)
					}
				}
				s.code(app, s.alice, "redirect_uri", tt.registered)
				if got := s.needs(app, s.alice, "redirect_uri", tt.registered); got != (kind == oauth.ClientPublic) {
					t.Errorf("asked at the registered port: %v", got)
				}
				if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
					t.Fatal(err)
				}
				if _, total, err := s.server.ListConsents(t.Context(), by(s.alice), store.Page{Limit: 100}); total != 0 || err != nil {
					t.Errorf("%d records after the withdrawal, %v", total, err)
				}
			})
		}
	}
}

// Superusers see and take back the consents of others, and nobody else does.
func TestConsentsOfOthers(t *testing.T) {
	s := newOAuth(t, nil)
	status := func(err error) int {
		if e, ok := errors.AsType[*auth.Error](err); ok {
			return e.Status
		}
		return 0
	}
	app := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, "https://app.example/cb")
	s.code(app, s.alice, "redirect_uri", "https://app.example/cb")
	operator := &auth.Principal{ID: "operator:eve", Name: "operator:eve", Admin: true, Scopes: auth.Unrestricted}
	for name, stranger := range map[string]*auth.Principal{
		"another user":         {ID: "99", Scopes: auth.Unrestricted},
		"auditor":              {ID: "99", Auditor: true, Scopes: auth.Unrestricted},
		"superuser's token":    {ID: "99", Admin: true, TokenID: 7, Scopes: auth.Unrestricted},
		"token of application": {ID: "99", Admin: true, TokenID: 7, ApplicationID: app.ID, ViaApplicationID: app.ID, Scopes: auth.Unrestricted},
		"minted by one":        {ID: s.alice.ID, ViaApplicationID: app.ID, Scopes: auth.Unrestricted},
		"nameless superuser":   {Admin: true, Scopes: auth.Unrestricted},
	} {
		if _, _, err := s.server.ListConsentsOf(t.Context(), stranger, s.alice.ID, store.Page{Limit: 100}); status(err) != 403 {
			t.Errorf("%s lists: %v", name, err)
		}
		if err := s.server.WithdrawConsentOf(t.Context(), stranger, s.alice.ID, app.ID); status(err) != 403 {
			t.Errorf("%s withdraws: %v", name, err)
		}
	}
	ended := &auth.Principal{ID: s.bob.ID, Name: s.bob.Name, Admin: true, Scopes: "read write", Epoch: s.bob.Epoch - 1, HasEpoch: true}
	if _, _, err := s.server.ListConsentsOf(t.Context(), ended, s.alice.ID, store.Page{Limit: 100}); status(err) != 401 {
		t.Errorf("a login that has ended lists: %v", err)
	}
	if err := s.server.WithdrawConsentOf(t.Context(), ended, s.alice.ID, app.ID); status(err) != 401 {
		t.Errorf("a login that has ended withdraws: %v", err)
	}
	if err := s.server.WithdrawConsentOf(t.Context(), nil, s.alice.ID, app.ID); status(err) != 401 {
		t.Errorf("nobody withdraws: %v", err)
	}
	if err := s.server.WithdrawConsentOf(t.Context(), operator, "", app.ID); status(err) != 403 {
		t.Errorf("withdrawn from nobody: %v", err)
	}
	if list, total, err := s.server.ListConsentsOf(t.Context(), operator, s.alice.ID, store.Page{Limit: 100}); err != nil || total != 1 || list[0].ApplicationID != app.ID {
		t.Fatalf("the operator sees %v, %v", list, err)
	}
	if err := s.server.WithdrawConsentOf(t.Context(), operator, s.alice.ID, app.ID); err != nil {
		t.Fatal(err)
	}
	if _, total, err := s.server.ListConsents(t.Context(), by(s.alice), store.Page{Limit: 100}); err != nil || total != 0 {
		t.Errorf("%d consents are left, %v", total, err)
	}
}
