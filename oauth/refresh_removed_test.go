package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// chain returns issued and n tokens that follow it.
func (s *oauthSystem) chain(app oauth.IssuedApplication, issued auth.IssuedToken, n int) []auth.IssuedToken {
	s.t.Helper()
	all := []auth.IssuedToken{issued}
	for i := range n {
		next, err := s.server.Refresh(s.t.Context(), app.Application, refresh(all[i]))
		if err != nil {
			s.t.Fatalf("refresh %d: %v", i+1, err)
		}
		all = append(all, next)
	}
	return all
}

// records returns how many of the tokens the store has.
func (s *oauthSystem) records(all []auth.IssuedToken) (n int) {
	s.t.Helper()
	for _, issued := range all {
		_, err := s.db.TokenByID(s.t.Context(), issued.ID)
		if err == nil {
			n++
		} else if !errors.Is(err, store.ErrNotFound) {
			s.t.Fatal(err)
		}
	}
	return n
}

// a grant leaves two records, however often it is refreshed, and the use of
// any older refresh token ends it.
func TestRefreshReplayOfRemoved(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(fmt.Sprintf("grace %v", grace), func(t *testing.T) {
			s := newOAuth(t, func(o *settings) { o.RefreshGrace = grace })
			app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
			bystander := s.issue(app, s.alice)
			for _, presented := range []int{0, 1, 30, 48} {
				all := s.chain(app, s.issue(app, s.alice), 50)
				if n := s.records(all); n != 2 {
					t.Errorf("50 refreshes leave %d records", n)
				}
				used := strings.Count(s.log.String(), "auth: grant used twice")
				x := refresh(all[presented])
				if presented == 1 {
					x.Scope = "admin" // whatever else is wrong with it
				}
				_, err := s.server.Refresh(t.Context(), app.Application, x)
				refuses(t, err, "invalid_grant")
				s.wantDead(fmt.Sprintf("the newest after the use of token %d", presented), all[50])
				if got := strings.Count(s.log.String(), "auth: grant used twice") - used; got != 1 {
					t.Errorf("%d events", got)
				}
				s.wantEvent("level=WARN", "auth: grant used twice", "user_id=3")
				_, err = s.server.Refresh(t.Context(), app.Application, refresh(all[50]))
				refuses(t, err, "invalid_grant")
			}
			s.wantLive("another grant", bystander)
		})
	}
}

// Texts that lead to no grant of the client change nothing.
func TestRefreshOfNoGrant(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	other := s.appAt(oauth.GrantAuthorizationCode, oauth.ClientPublic, "https://other.example/")
	all := s.chain(app, s.issue(app, s.alice), 3)
	for name, tt := range map[string]struct {
		app  oauth.IssuedApplication
		text string
	}{
		"removed, of another application":  {other, all[0].RefreshToken.Reveal()},
		"made up":                          {app, secret.New("ost", secret.Refresh)},
		"made up, with another prefix":     {app, secret.Succeed("osx", all[0].RefreshToken.Reveal())},
		"the grant's, with a typing error": {app, secret.Succeed("ost", all[0].RefreshToken.Reveal())[:54] + "!"},
	} {
		_, err := s.server.Refresh(t.Context(), tt.app.Application, oauth.RefreshExchange{RefreshToken: tt.text})
		refuses(t, err, "invalid_grant")
		if err := s.server.Revoke(t.Context(), tt.app.Application, tt.text); err != nil {
			t.Error(err)
		}
		s.wantLive(name, all[3])
	}
	// Nobody can have this one who had none of the grant.
	_, err := s.server.Refresh(t.Context(), app.Application, oauth.RefreshExchange{RefreshToken: secret.Succeed("ost", all[0].RefreshToken.Reveal())})
	refuses(t, err, "invalid_grant")
	s.wantDead("after a text with the locator of the grant", all[3])
}

// A removed refresh token is none that lives, and still names its grant.
func TestRemovedRefreshNamesItsGrant(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
	for name, end := range map[string]func(text auth.Secret) error{
		"Revoke":      func(text auth.Secret) error { return s.server.Revoke(t.Context(), app.Application, text.Reveal()) },
		"EndReported": func(text auth.Secret) error { return s.server.EndReported(t.Context(), by(s.admin), text) },
	} {
		all := s.chain(app, s.issue(app, s.alice), 3)
		for i, issued := range all {
			in, err := s.server.Introspect(t.Context(), app.Application, issued.RefreshToken.Reveal())
			if want := i == 3; err != nil || in.Active != want {
				t.Errorf("introspection of token %d: active %v, %v", i, in.Active, err)
			}
		}
		if err := end(all[0].RefreshToken); err != nil {
			t.Error(err)
		}
		s.wantDead(name+" of a removed refresh token", all[3])
	}
}

// Records without a grant, which older versions stored and which are imported, stay,
// and a second use of their tokens ends the grant.
func TestRefreshOfOldRecords(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"of an older version", secret.New("ost", secret.Refresh)},
		{"imported", oldRefresh},
	} {
		for presented := range 3 {
			t.Run(fmt.Sprintf("%s, token %d again", tt.name, presented), func(t *testing.T) {
				s := newOAuth(t, func(o *settings) { o.TokensOptions.Imported = true })
				app := s.app(oauth.GrantAuthorizationCode, oauth.ClientConfidential)
				now := time.Now()
				tok, err := s.db.InsertToken(t.Context(), store.Token{
					Digest: store.DigestOf("access"), UserID: s.alice.ID, Epoch: s.alice.Epoch, ApplicationID: app.ID, Scopes: "write",
					Created: now, Modified: now, Expires: now.Add(time.Hour),
					Refresh: store.Refresh{Digest: store.DigestOf(tt.text), Scopes: "write", Expires: now.Add(time.Hour), GrantExpires: now.Add(24 * time.Hour)},
				}, store.InsertLimits{})
				if err != nil {
					t.Fatal(err)
				}
				all := s.chain(app, auth.IssuedToken{Token: tok, RefreshToken: auth.Secret(tt.text)}, 5)
				if n := s.records(all); n != 3 {
					t.Errorf("%d records, want the old one, the last that was spent and the newest", n)
				}
				_, err = s.server.Refresh(t.Context(), app.Application, refresh(all[presented]))
				refuses(t, err, "invalid_grant")
				s.wantDead("the newest", all[5])
			})
		}
	}
}

// A node that does not know the newest token yet, as in a cluster, takes it for a
// removed one. The store knows better: nothing ends, and nothing of the token before
// goes into the successor.
func TestRefreshOfATokenThatAppears(t *testing.T) {
	s := newOAuth(t, func(o *settings) { o.Resources = []string{"https://a.example", "https://b.example"} })
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	first := s.issue(app, s.alice)
	x := refresh(first)
	x.Resources = []string{"https://a.example"}
	second, err := s.server.Refresh(t.Context(), app.Application, x)
	if err != nil {
		t.Fatal(err)
	}
	server := s.serverOn(&late{s.db, first.Token, second.Refresh.Digest}, s.db, nil)
	third, err := server.Refresh(t.Context(), app.Application, refresh(second))
	if err != nil {
		t.Fatal(err)
	}
	if _, alive := s.live(third); !alive {
		t.Error("the successor is dead")
	}
	if third.Audience != "https://a.example" {
		t.Errorf("the audience grew to %q", third.Audience)
	}
}

// late does not know at first that a token was replaced.
type late struct {
	*memory.Store
	before  store.Token
	unknown store.Digest
}

func (l *late) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	if d == l.unknown {
		return store.Token{}, store.ErrNotFound
	}
	return l.Store.TokenByRefresh(ctx, d)
}

func (l *late) TokenByGrant(context.Context, store.Digest) (store.Token, error) {
	l.unknown = store.Digest{}
	return l.before, nil
}
