package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// Case 195.
func TestCodeFlow(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	a, err := s.server.ParseAuthorization(t.Context(), authorization(app, "scope", "read"))
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.server.Authorize(t.Context(), by(s.alice), a)
	if err != nil {
		t.Fatal(err)
	}
	v := query(t, to)
	if !strings.HasPrefix(to, redirectURI+"?") || v.Get("state") != "xyz" || v.Get("iss") != "https://api.example" {
		t.Errorf("the browser is sent to %s", to)
	}
	issued, err := s.server.Exchange(t.Context(), app.Application, exchange(v.Get("code")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	want := &auth.Principal{ID: "3", Name: "alice", Scopes: "read", TokenID: issued.ID, TokenDigest: issued.Digest, ApplicationID: app.ID, ViaApplicationID: app.ID,
		Credential: auth.CredentialBearer, HasEpoch: true, Expires: issued.Expires}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}
	if issued.Expires.Sub(issued.Created) != time.Hour || issued.Refresh.Expires.Sub(issued.Created) != 30*24*time.Hour {
		t.Errorf("the access token lives %v, the refresh token %v", issued.Expires.Sub(issued.Created), issued.Refresh.Expires.Sub(issued.Created))
	}
	s.wantEvent("auth: user consented", "user_id=3")
	s.wantEvent("auth: token issued", "user_id=3")
	s.wantUnlogged(v.Get("code"), issued.AccessToken.Reveal(), issued.RefreshToken.Reveal(), verifier)
}

// R-078, case 198: without a proven redirect URI there is nowhere to send the
// browser.
func TestAuthorizationRefusedLocally(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	two := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, redirectURI+"2")
	twice := authorization(app)
	twice.Add("redirect_uri", redirectURI)
	clients := authorization(app)
	clients.Add("client_id", app.ClientID)
	for name, v := range map[string]map[string][]string{
		"unknown client":                   authorization(app, "client_id", "nobody"),
		"no client":                        authorization(app, "client_id", ""),
		"two clients":                      clients,
		"client that cannot be stored":     authorization(app, "client_id", "a\x00b"),
		"very long client":                 authorization(app, "client_id", strings.Repeat("a", 5000)),
		"another redirect URI":             authorization(app, "redirect_uri", "https://evil.example/cb"),
		"redirect URI with a query":        authorization(app, "redirect_uri", redirectURI+"?x=1"),
		"two redirect URIs":                twice,
		"none given, more than one exists": authorization(two, "redirect_uri", ""),
	} {
		t.Run(name, func(t *testing.T) {
			a, err := s.server.ParseAuthorization(t.Context(), v)
			refuses(t, err, "invalid_request")
			if a.RedirectURI != "" {
				t.Errorf("the browser could be sent to %q", a.RedirectURI)
			}
		})
	}
	t.Run("a redirect without a proven URI panics", func(t *testing.T) {
		defer func() { _ = recover() }()
		_ = oauth.Authorization{}.Deny()
		t.Error("it went somewhere")
	})
}

// R-079, case 199, R-075, case 204: everything else is told the client.
func TestAuthorizationRefusedAtTheClient(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	public := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	password := s.app(oauth.GrantPassword, oauth.ClientConfidential)
	twice := authorization(app)
	twice.Add("scope", "read")
	for _, tt := range []struct {
		name string
		v    map[string][]string
		code string
	}{
		{"unknown scope", authorization(app, "scope", "admin"), "invalid_scope"},
		{"repeated scope", authorization(app, "scope", "read read"), "invalid_scope"},
		{"missing response type", authorization(app, "response_type", ""), "invalid_request"},
		{"implicit grant, R-083", authorization(app, "response_type", "token"), "unsupported_response_type"},
		{"hybrid", authorization(app, "response_type", "code token"), "unsupported_response_type"},
		{"another response mode", authorization(app, "response_mode", "fragment"), "invalid_request"},
		{"parameter twice", twice, "invalid_request"},
		{"another grant type", authorization(password), "unauthorized_client"},
		{"public client without PKCE", authorization(public, "code_challenge", "", "code_challenge_method", ""), "invalid_request"},
		{"method plain", authorization(app, "code_challenge_method", "plain"), "invalid_request"},
		{"no method, which is plain", authorization(app, "code_challenge_method", ""), "invalid_request"},
		{"method without a challenge", authorization(app, "code_challenge", ""), "invalid_request"},
		{"malformed challenge", authorization(app, "code_challenge", "short"), "invalid_request"},
		{"unknown resource", authorization(app, "resource", "https://other.example"), "invalid_target"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := s.server.ParseAuthorization(t.Context(), tt.v)
			refuses(t, err, tt.code)
			v := query(t, a.Refuse(err))
			if v.Get("error") != tt.code || v.Get("state") != "xyz" || v.Get("iss") == "" || v.Has("code") {
				t.Errorf("the client is told %v", v)
			}
		})
	}
	t.Run("a scope without a value is the default, RFC 6749 section 3.1", func(t *testing.T) {
		v := authorization(app)
		v.Set("scope", "")
		if a, err := s.server.ParseAuthorization(t.Context(), v); err != nil || a.Scopes != auth.ScopeWrite {
			t.Errorf("scope %q, error %v", a.Scopes, err)
		}
	})
	t.Run("user says no, case 196", func(t *testing.T) {
		a, err := s.server.ParseAuthorization(t.Context(), authorization(app))
		if err != nil {
			t.Fatal(err)
		}
		if v := query(t, a.Deny()); v.Get("error") != "access_denied" || v.Get("state") != "xyz" {
			t.Errorf("the client is told %v", v)
		}
	})
	t.Run("confidential client without PKCE where it is required", func(t *testing.T) {
		s := newOAuth(t, func(o *settings) { o.RequirePKCE = true })
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		_, err := s.server.ParseAuthorization(t.Context(), authorization(app, "code_challenge", "", "code_challenge_method", ""))
		refuses(t, err, "invalid_request")
	})
}

func TestWhoMayConsent(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	a, err := s.server.ParseAuthorization(t.Context(), authorization(app))
	if err != nil {
		t.Fatal(err)
	}
	s.alice.Active = false
	if err := s.db.UpdateUser(t.Context(), s.alice); err != nil {
		t.Fatal(err)
	}
	token := by(s.bob)
	token.TokenID = 1
	narrow := by(s.bob)
	narrow.Scopes = "read"
	for name, p := range map[string]*auth.Principal{
		"a token cannot agree":              token,
		"a disabled user cannot":            by(s.alice),
		"an application alone cannot":       {Scopes: auth.Unrestricted, ApplicationID: app.ID},
		"nobody gives what they do not own": narrow,
		"a user who is gone cannot":         {ID: "99", Scopes: auth.Unrestricted},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.server.Authorize(t.Context(), p, a)
			refusesStatus(t, err, http.StatusForbidden, "")
			if v := query(t, a.Refuse(err)); v.Get("error") != "access_denied" {
				t.Errorf("the client is told %v", v)
			}
		})
	}
}

// Decision 21.
func TestConsentIsAskedFor(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	public := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	needs := func(app oauth.IssuedApplication, scope string, auto bool) bool {
		t.Helper()
		a, err := s.server.ParseAuthorization(t.Context(), authorization(app, "scope", scope))
		if err != nil {
			t.Fatal(err)
		}
		needed, err := s.server.NeedsConsent(t.Context(), by(s.alice), a, auto)
		if err != nil {
			t.Fatal(err)
		}
		return needed
	}
	if !needs(app, "read", true) {
		t.Error("nobody was asked before the first token")
	}
	issued := s.issue(app, s.alice, "scope", "read")
	s.issue(public, s.alice, "scope", "read")
	s.issue(app, s.bob, "scope", "write")
	for _, tt := range []struct {
		name  string
		app   oauth.IssuedApplication
		scope string
		auto  bool
		want  bool
	}{
		{"each time", app, "read", false, true},
		{"not with approval_prompt=auto and a consent to as much", app, "read", true, false},
		{"when more is asked for", app, "write", true, true},
		{"always for public clients", public, "read", true, true},
	} {
		if got := needs(tt.app, tt.scope, tt.auto); got != tt.want {
			t.Errorf("%s: asked: %v, want %v", tt.name, got, tt.want)
		}
	}
	if err := s.server.WithdrawConsent(t.Context(), by(s.alice), app.ID); err != nil {
		t.Fatal(err)
	}
	if !needs(app, "read", true) {
		t.Error("a consent that was withdrawn counts")
	}
	s.wantDead("the tokens of a consent that was withdrawn", issued)
	s.wantEvent("auth: consent withdrawn", "actor_id=3")
}

// case 202, 203: the bindings of a code, each on its own.
func TestExchangeRefused(t *testing.T) {
	s := newOAuth(t, func(o *settings) {
		o.Resource, o.Resources = "https://api.example", []string{"https://b.example"}
	})
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, "https://other.example/")
	password := s.app(oauth.GrantPassword, oauth.ClientConfidential)
	for _, tt := range []struct {
		name   string
		code   string
		change func(x *oauth.CodeExchange, app *store.Application)
		burnt  bool
	}{
		{"code of another client", "invalid_grant", func(_ *oauth.CodeExchange, a *store.Application) { *a = other.Application }, false},
		{"code of another client and a wrong verifier", "invalid_grant", func(x *oauth.CodeExchange, a *store.Application) {
			x.Verifier, *a = strings.Repeat("w", 43), other.Application
		}, false},
		{"client of another grant type", "unauthorized_client", func(_ *oauth.CodeExchange, a *store.Application) { *a = password.Application }, false},
		{"another redirect URI", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.RedirectURI = "https://app.example/other" }, false},
		{"missing redirect URI", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.RedirectURI = "" }, false},
		{"missing code", "invalid_request", func(x *oauth.CodeExchange, _ *store.Application) { x.Code = "" }, false},
		{"code cut short", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.Code = x.Code[:40] }, false},
		{"code with NUL", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.Code += "\x00" }, false},
		{"missing verifier", "invalid_request", func(x *oauth.CodeExchange, _ *store.Application) { x.Verifier = "" }, false},
		{"unknown resource", "invalid_target", func(x *oauth.CodeExchange, _ *store.Application) { x.Resources = []string{"https://c.example"} }, false},
		{"wrong verifier burns the code", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.Verifier = strings.Repeat("w", 43) }, true},
		{"short verifier burns the code", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.Verifier = "short" }, true},
		{"challenge as verifier burns the code", "invalid_grant", func(x *oauth.CodeExchange, _ *store.Application) { x.Verifier = challenge(verifier) }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x, a := exchange(s.code(app, s.alice)), app.Application
			good := x
			tt.change(&x, &a)
			_, err := s.server.Exchange(t.Context(), a, x)
			refuses(t, err, tt.code)
			_, err = s.server.Exchange(t.Context(), app.Application, good)
			if tt.burnt {
				refuses(t, err, "invalid_grant")
			} else if err != nil {
				t.Errorf("the code is gone: %v", err)
			}
		})
	}
	t.Run("verifier without a challenge burns the code", func(t *testing.T) {
		x := exchange(s.code(app, s.alice, "code_challenge", "", "code_challenge_method", ""))
		_, err := s.server.Exchange(t.Context(), app.Application, x)
		refuses(t, err, "invalid_grant")
		x.Verifier = ""
		_, err = s.server.Exchange(t.Context(), app.Application, x)
		refuses(t, err, "invalid_grant")
	})
	t.Run("confidential client without PKCE", func(t *testing.T) {
		x := exchange(s.code(app, s.alice, "code_challenge", "", "code_challenge_method", ""))
		x.Verifier = ""
		if _, err := s.server.Exchange(t.Context(), app.Application, x); err != nil {
			t.Error(err)
		}
	})
	t.Run("redirect URI left out in both requests", func(t *testing.T) {
		x := exchange(s.code(app, s.alice, "redirect_uri", ""))
		x.RedirectURI = ""
		if _, err := s.server.Exchange(t.Context(), app.Application, x); err != nil {
			t.Error(err)
		}
	})
	t.Run("redirect URI left out only in the first request", func(t *testing.T) {
		x := exchange(s.code(app, s.alice, "redirect_uri", ""))
		x.RedirectURI = "https://evil.example/"
		_, err := s.server.Exchange(t.Context(), app.Application, x)
		refuses(t, err, "invalid_grant")
	})
}

// R-072, case 200: the second use of a code ends everything.
func TestCodeReplay(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	for _, tt := range []struct {
		name   string
		change func(*oauth.CodeExchange)
	}{
		{"the same request", func(*oauth.CodeExchange) {}},
		{"with a wrong verifier", func(x *oauth.CodeExchange) { x.Verifier = strings.Repeat("w", 43) }},
		{"with another redirect URI", func(x *oauth.CodeExchange) { x.RedirectURI = "https://evil.example/" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := exchange(s.code(app, s.alice))
			first, err := s.server.Exchange(t.Context(), app.Application, x)
			if err != nil {
				t.Fatal(err)
			}
			second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
			if err != nil {
				t.Fatal(err)
			}
			bystander := s.issue(app, s.alice)
			tt.change(&x)
			_, err = s.server.Exchange(t.Context(), app.Application, x)
			refuses(t, err, "invalid_grant")
			s.wantDead("the first tokens", first)
			s.wantDead("the refreshed tokens", second)
			s.wantLive("the tokens of another grant", bystander)
		})
	}
	s.wantEvent("auth: grant used twice", "user_id=3")

	t.Run("by another client it is none of its business", func(t *testing.T) {
		other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, redirectURI, "https://other.example/")
		x := exchange(s.code(app, s.alice))
		issued, err := s.server.Exchange(t.Context(), app.Application, x)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.server.Exchange(t.Context(), other.Application, x)
		refuses(t, err, "invalid_grant")
		s.wantLive("the tokens", issued)
	})
	t.Run("after the user was disabled", func(t *testing.T) {
		x := exchange(s.code(app, s.bob))
		issued, err := s.server.Exchange(t.Context(), app.Application, x)
		if err != nil {
			t.Fatal(err)
		}
		s.bob.Active = false
		if err := s.db.UpdateUser(t.Context(), s.bob); err != nil {
			t.Fatal(err)
		}
		_, err = s.server.Exchange(t.Context(), app.Application, x)
		refuses(t, err, "invalid_grant")
		s.wantDead("the tokens", issued)
	})
}

// spendsLate is a store in which something happens just before a code is burnt.
type spendsLate struct {
	store.OAuth
	before func()
}

func (s *spendsLate) SpendCode(ctx context.Context, d store.Digest, at time.Time) error {
	s.before()
	return s.OAuth.SpendCode(ctx, d, at)
}

// a wrong verifier that comes a moment after the right one is the second
// use of the code.
func TestBurnAfterRedemption(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	x := exchange(s.code(app, s.alice))
	var issued auth.IssuedToken
	late := &spendsLate{s.db, func() {
		var err error
		if issued, err = s.server.Exchange(t.Context(), app.Application, x); err != nil {
			t.Error(err)
		}
	}}
	wrong := x
	wrong.Verifier = strings.Repeat("w", 43)
	_, err := s.serverOn(late, s.db, nil).Exchange(t.Context(), app.Application, wrong)
	refuses(t, err, "invalid_grant")
	s.wantDead("the tokens", issued)
}

// a code is good strictly before its end.
func TestCodeExpires(t *testing.T) {
	for _, tt := range []struct {
		name     string
		after    time.Duration
		lifetime time.Duration
		good     bool
	}{
		{"just before a minute", time.Minute - time.Microsecond, 0, true},
		{"after a minute", time.Minute, 0, false},
		{"just before ten minutes", 10*time.Minute - time.Microsecond, 10 * time.Minute, true},
		{"after ten minutes", 10 * time.Minute, 10 * time.Minute, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newOAuth(t, func(o *settings) { o.CodeLifetime = tt.lifetime })
				app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
				code := s.code(app, s.alice)
				wait(tt.after)
				_, err := s.server.Exchange(t.Context(), app.Application, exchange(code))
				if tt.good != (err == nil) {
					t.Errorf("error is %v", err)
				}
				if !tt.good {
					refuses(t, err, "invalid_grant")
				}
			})
		})
	}
}

// wait moves the clock of a synctest bubble.
func wait(d time.Duration) { <-time.After(d) }

// Cases 181 to 186 and 192; R-083.
func TestPasswordGrant(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantPassword, oauth.ClientConfidential)
	cc := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	passwords := auth.Must(auth.NewPasswords(s.db, s.db, &auth.PasswordsOptions{Hasher: plain{}, PerClient: store.Limit{Max: 3, Window: time.Minute}}))
	const good = "correct horse battery"
	for _, id := range []string{"3", "4"} {
		if err := passwords.Set(t.Context(), id, good); err != nil {
			t.Fatal(err)
		}
	}
	s.bob.Active = false
	if err := s.db.UpdateUser(t.Context(), s.bob); err != nil {
		t.Fatal(err)
	}
	grant := func(app oauth.IssuedApplication, x oauth.PasswordExchange) (auth.IssuedToken, error) {
		return s.server.ExchangePassword(t.Context(), app.Application, passwords, x)
	}
	issued, err := grant(app, oauth.PasswordExchange{Username: "alice", Password: good, Scope: "read"})
	if err != nil || issued.Scopes != "read" || issued.UserID != "3" {
		t.Fatalf("issued %+v, %v", issued.Token, err)
	}
	s.wantLive("the tokens", issued)
	var refusal string
	for _, tt := range []struct {
		name string
		app  oauth.IssuedApplication
		x    oauth.PasswordExchange
		code string
	}{
		{"wrong password", app, oauth.PasswordExchange{Username: "alice", Password: "wrong"}, "invalid_grant"},
		{"unknown user", app, oauth.PasswordExchange{Username: "nobody", Password: good}, "invalid_grant"},
		{"disabled user", app, oauth.PasswordExchange{Username: "bob", Password: good}, "invalid_grant"},
		{"missing user name", app, oauth.PasswordExchange{Password: good}, "invalid_request"},
		{"missing password", app, oauth.PasswordExchange{Username: "alice"}, "invalid_request"},
		{"unknown scope", app, oauth.PasswordExchange{Username: "alice", Password: good, Scope: "admin"}, "invalid_scope"},
		{"blank scope", app, oauth.PasswordExchange{Username: "alice", Password: good, Scope: " "}, "invalid_scope"},
		{"another grant type, right password", cc, oauth.PasswordExchange{Username: "alice", Password: good}, "unauthorized_client"},
		{"another grant type, wrong password", cc, oauth.PasswordExchange{Username: "alice", Password: "wrong"}, "unauthorized_client"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := grant(tt.app, tt.x)
			refuses(t, err, tt.code)
			if e, ok := errors.AsType[*auth.Error](err); ok && tt.code == "invalid_grant" {
				if refusal != "" && e.Detail != refusal {
					t.Errorf("the refusal %q differs from %q", e.Detail, refusal)
				}
				refusal = e.Detail
			}
		})
	}
	t.Run("throttled like a login, case 193", func(t *testing.T) {
		for range 3 {
			_, _ = grant(app, oauth.PasswordExchange{Username: "alice", Password: "wrong"})
		}
		_, err := grant(app, oauth.PasswordExchange{Username: "alice", Password: good})
		refusesStatus(t, err, http.StatusTooManyRequests, "")
	})
	s.wantUnlogged(good, issued.AccessToken.Reveal())
}

// plain is a hasher for tests: it hashes nothing.
type plain struct{}

func (plain) Hash(password string) (string, error) { return "plain:" + password, nil }

func (plain) Verify(hash, password string) (ok, outdated bool, err error) {
	return hash == "plain:"+password, false, nil
}

func TestClientCredentials(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.appAt(oauth.GrantClientCredentials, oauth.ClientConfidential)
	issued, err := s.server.ExchangeClient(t.Context(), app.Application, oauth.ClientExchange{Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	if issued.RefreshToken != "" {
		t.Error("there is a refresh token (RFC 6749 section 4.4.3)")
	}
	p, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	want := &auth.Principal{Scopes: "read", TokenID: issued.ID, TokenDigest: issued.Digest, ApplicationID: app.ID, ViaApplicationID: app.ID, Credential: auth.CredentialBearer, Expires: issued.Expires}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("principal (-want +got):\n%s", diff)
	}

	// It is nobody: it owns nothing and sees nothing.
	p.Scopes = "write"
	if _, err := s.tokens.Issue(t.Context(), p, auth.TokenRequest{}); err == nil {
		t.Error("it issued itself a token")
	}
	if list, n, err := s.tokens.List(t.Context(), p, store.TokenFilter{}, store.Page{Limit: 10}); err != nil || n != 0 || len(list) != 0 {
		t.Errorf("it lists %d tokens, %v", n, err)
	}
	_, err = s.tokens.Token(t.Context(), p, issued.ID)
	refusesStatus(t, err, http.StatusNotFound, "")
	_, err = s.server.Application(t.Context(), p, app.ID)
	refusesStatus(t, err, http.StatusNotFound, "")

	for _, grant := range []string{oauth.GrantAuthorizationCode, oauth.GrantPassword, oauth.GrantDeviceCode} {
		_, err = s.server.ExchangeClient(t.Context(), s.app(grant, oauth.ClientConfidential).Application, oauth.ClientExchange{})
		refuses(t, err, "unauthorized_client")
	}
	if err := s.server.DeleteApplication(t.Context(), by(s.admin), app.ID); err != nil {
		t.Fatal(err)
	}
	s.wantDead("after its application was deleted", issued)
	_, err = s.server.ExchangeClient(t.Context(), app.Application, oauth.ClientExchange{}) // authenticated a moment earlier
	refuses(t, err, "invalid_client")
}

// Decision 35, RFC 8252 sections 7.3 and 8.3: localhost is a loopback redirect on
// any port, and a name that somebody else may answer for, so that even a
// confidential application needs PKCE.
func TestLocalhostRedirect(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, "http://localhost/callback", redirectURI)
	for _, tt := range []struct {
		name, uri string
		pkce      bool
		code      string
	}{
		{"any port", "http://localhost:51004/callback", true, ""},
		{"no port", "http://localhost/callback", true, ""},
		{"without PKCE", "http://localhost:51004/callback", false, "invalid_request"},
		{"by address, which is not registered", "http://127.0.0.1:51004/callback", true, "invalid_request"},
		{"elsewhere without PKCE", redirectURI, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := authorization(app, "redirect_uri", tt.uri)
			if !tt.pkce {
				v.Del("code_challenge")
				v.Del("code_challenge_method")
			}
			_, err := s.server.ParseAuthorization(t.Context(), v)
			if tt.code != "" {
				refuses(t, err, tt.code)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}
