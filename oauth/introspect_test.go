package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// R-090, case 218 to 222.
func TestRevoke(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientPublic, "https://other.example/")
	for name, token := range map[string]func(auth.IssuedToken) string{
		"by the access token":  func(i auth.IssuedToken) string { return i.AccessToken.Reveal() },
		"by the refresh token": func(i auth.IssuedToken) string { return i.RefreshToken.Reveal() },
	} {
		t.Run(name, func(t *testing.T) {
			issued := s.issue(app, s.alice)
			if err := s.server.Revoke(t.Context(), other.Application, token(issued)); err != nil {
				t.Errorf("by another client: %v", err)
			}
			s.wantLive("after another client tried", issued)
			for range 2 {
				if err := s.server.Revoke(t.Context(), app.Application, token(issued)); err != nil {
					t.Error(err)
				}
				s.wantDead("after it was revoked", issued)
			}
			_, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
			refuses(t, err, "invalid_grant")
		})
	}
	t.Run("by a spent refresh token", func(t *testing.T) {
		first := s.issue(app, s.alice)
		second, err := s.server.Refresh(t.Context(), app.Application, refresh(first))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.server.Revoke(t.Context(), app.Application, first.RefreshToken.Reveal()); err != nil {
			t.Fatal(err)
		}
		s.wantDead("the successor", second)
	})
	t.Run("personal tokens are none of a client's business", func(t *testing.T) {
		personal, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.server.Revoke(t.Context(), app.Application, personal.AccessToken.Reveal()); err != nil {
			t.Error(err)
		}
		if access, _ := s.live(personal); !access {
			t.Error("the personal token is dead")
		}
	})
	for _, token := range []string{"unknown", strings.Repeat("a", 100_000), "\x00"} {
		if err := s.server.Revoke(t.Context(), app.Application, token); err != nil {
			t.Errorf("unknown token: %v", err)
		}
	}
	refuses(t, s.server.Revoke(t.Context(), app.Application, ""), "invalid_request")
}

// Case 223: to have a personal token is to be allowed to end it.
func TestRevokePersonal(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	personal, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Scopes: "read"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.tokens.RevokePersonal(t.Context(), personal.AccessToken.Reveal()); err != nil {
		t.Fatal(err)
	}
	s.wantDead("the personal token", personal)
	refusesStatus(t, s.tokens.RevokePersonal(t.Context(), personal.AccessToken.Reveal()), http.StatusUnauthorized, "")
	issued := s.issue(app, s.alice)
	refuses(t, s.tokens.RevokePersonal(t.Context(), issued.AccessToken.Reveal()), "invalid_client")
	s.wantLive("the token of an application", issued)
}

// broken is a store that can be asked and cannot write.
type broken struct {
	store.OAuth
	err error
}

func (b *broken) ApplicationByClientID(context.Context, string) (store.Application, error) {
	return store.Application{}, b.err
}

func (b *broken) RevokeTokens(context.Context, store.Selection, time.Time) (int, error) {
	return 0, b.err
}

func (b *broken) Redeem(context.Context, store.Redemption) (store.Token, error) {
	return store.Token{}, b.err
}

func (b *broken) Rotate(context.Context, store.Rotation) (store.RotateOutcome, error) {
	return store.RotateOutcome{}, b.err
}

func (b *broken) SpendCode(context.Context, store.Digest, time.Time) error { return b.err }

// what could not be stored is an outage, never a success and never a
// refusal that the client could mistake for an answer.
func TestOutagesAreNotAnswers(t *testing.T) {
	s := newOAuth(t, nil)
	outage := errors.New("disk full")
	down := s.serverOn(&broken{s.db, outage}, s.db, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	issued := s.issue(app, s.alice)
	x := exchange(s.code(app, s.alice))
	wrong := x
	wrong.Verifier = strings.Repeat("w", 43)
	for name, call := range map[string]func() error{
		"revoke": func() error {
			return down.Revoke(t.Context(), app.Application, issued.AccessToken.Reveal())
		},
		"exchange": func() error { _, err := down.Exchange(t.Context(), app.Application, x); return err },
		"burn":     func() error { _, err := down.Exchange(t.Context(), app.Application, wrong); return err },
		"refresh":  func() error { _, err := down.Refresh(t.Context(), app.Application, refresh(issued)); return err },
	} {
		err := call()
		if _, refused := errors.AsType[*auth.Error](err); refused || !errors.Is(err, outage) {
			t.Errorf("%s: error is %v, want the outage", name, err)
		}
	}
	s.wantLive("the tokens", issued)
}

//
func TestIntrospect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
		other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientConfidential, "https://other.example/")
		public := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		active := func(app oauth.IssuedApplication, token auth.Secret) bool {
			t.Helper()
			got, err := s.server.Introspect(t.Context(), app.Application, token.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			if !got.Active && got.Token.ID+got.Token.ApplicationID != 0 {
				t.Errorf("a token that is not active is described: %+v", got)
			}
			return got.Active
		}
		issued := s.issue(app, s.alice, "scope", "read")
		got, err := s.server.Introspect(t.Context(), app.Application, issued.AccessToken.Reveal())
		if err != nil || !got.Active || got.Refresh || got.Username != "alice" || got.ClientID != app.ClientID || got.Token.Scopes != "read" {
			t.Errorf("access token: %+v, %v", got, err)
		}
		got, err = s.server.Introspect(t.Context(), app.Application, issued.RefreshToken.Reveal())
		if err != nil || !got.Active || !got.Refresh || got.Token.Expires.Sub(issued.Created) < 29*24*time.Hour {
			t.Errorf("refresh token: %+v, %v", got, err)
		}
		if active(other, issued.AccessToken) || active(other, issued.RefreshToken) {
			t.Error("another client sees the tokens")
		}
		_, err = s.server.Introspect(t.Context(), public.Application, issued.AccessToken.Reveal())
		refuses(t, err, "unauthorized_client")
		_, err = s.server.Introspect(t.Context(), app.Application, "")
		refuses(t, err, "invalid_request")
		personal, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if active(app, personal.AccessToken) || active(app, "unknown") {
			t.Error("a token of another client is active")
		}
		wait(time.Hour)
		if active(app, issued.AccessToken) || !active(app, issued.RefreshToken) {
			t.Error("after an hour the access token is active, or the refresh token is not")
		}
		next, err := s.server.Refresh(t.Context(), app.Application, refresh(issued))
		if err != nil {
			t.Fatal(err)
		}
		if active(app, issued.RefreshToken) {
			t.Error("a spent refresh token is active")
		}
		s.alice.Active = false
		if err := s.db.UpdateUser(t.Context(), s.alice); err != nil {
			t.Fatal(err)
		}
		if active(app, next.AccessToken) || active(app, next.RefreshToken) {
			t.Error("the tokens of a disabled user are active")
		}
	})
}

// a token for one resource is good there and nowhere else.
func TestAudience(t *testing.T) {
	s := newOAuth(t, func(o *settings) {
		o.Resource, o.Resources = "https://a.example", []string{"https://b.example", "https://c.example"}
	})
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	at := func(b *auth.Bearer, issued auth.IssuedToken) bool {
		_, err := b.Authenticate(&http.Request{Header: http.Header{"Authorization": {"Bearer " + issued.AccessToken.Reveal()}}, URL: &url.URL{Path: "/"}})
		return err == nil
	}
	a := auth.NewBearer(s.tokens)
	b, none, onlyB := a.For("https://b.example"), a.For(""), a.Only("https://b.example")
	any := s.issue(app, s.alice)
	forA := s.issue(app, s.alice, "resource", "https://a.example")
	forB := s.issue(app, s.alice, "resource", "https://b.example")
	for _, tt := range []struct {
		name  string
		token auth.IssuedToken
		good  []bool // at a, at b, at a nameless one, and where b must be named
	}{
		{"for any resource", any, []bool{true, true, true, false}},
		{"for a", forA, []bool{true, false, false, false}},
		{"for b", forB, []bool{false, true, false, true}},
	} {
		good := []bool{at(a, tt.token), at(b, tt.token), at(none, tt.token), at(onlyB, tt.token)}
		if diff := cmp.Diff(tt.good, good); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	personal, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{})
	if err != nil || !at(b, personal) || at(onlyB, personal) {
		t.Errorf("a personal token where b must be named: %v", err)
	}

	v := authorization(app)
	v["resource"] = []string{"https://a.example", "https://b.example"}
	parsed, err := s.server.ParseAuthorization(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.server.Authorize(t.Context(), by(s.alice), parsed)
	if err != nil {
		t.Fatal(err)
	}
	x := exchange(query(t, to).Get("code"))
	both, err := s.server.Exchange(t.Context(), app.Application, x)
	if err != nil || !at(a, both) || !at(b, both) || at(a.For("https://c.example"), both) {
		t.Errorf("for a and b: %q, %v", both.Audience, err)
	}
	r := refresh(both)
	r.Resources = []string{"https://b.example"}
	narrowed, err := s.server.Refresh(t.Context(), app.Application, r)
	if err != nil || at(a, narrowed) || !at(b, narrowed) {
		t.Errorf("narrowed to b: %q, %v", narrowed.Audience, err)
	}
	narrowed, err = s.server.Refresh(t.Context(), app.Application, refresh(narrowed))
	if err != nil || at(a, narrowed) || !at(b, narrowed) {
		t.Errorf("refreshed after that: %q, %v", narrowed.Audience, err)
	}
	r = refresh(narrowed)
	r.Resources = []string{"https://a.example"}
	_, err = s.server.Refresh(t.Context(), app.Application, r)
	refuses(t, err, "invalid_target")
	for _, resources := range [][]string{{" "}, {"https://b.example", "https://b.example"}, {"https://b.example https://a.example"}} {
		v["resource"] = resources
		_, err = s.server.ParseAuthorization(t.Context(), v)
		refuses(t, err, "invalid_target")
	}
}
