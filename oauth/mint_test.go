package oauth_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A slowStore lets something happen before a token is stored.
type slowStore struct {
	*memory.Store
	meanwhile func()
}

func (s *slowStore) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if f := s.meanwhile; f != nil {
		s.meanwhile = nil
		f()
	}
	return s.Store.InsertToken(ctx, t, limits)
}

func (s *oauthSystem) principal(issued auth.IssuedToken) *auth.Principal {
	s.t.Helper()
	p, err := s.tokens.Verify(s.t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// A6, A8: a token that is narrowed, shortened, rotated or refreshed while it asks for tokens
// of an application gets none.
func TestMintingForApplicationRaces(t *testing.T) {
	s := newOAuth(t, nil)
	app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
	slow := &slowStore{Store: s.db}
	server := s.serverOn(slow, s.db, nil)
	personal := func() auth.IssuedToken {
		issued, err := s.tokens.Issue(t.Context(), by(s.member), auth.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	ofApplication := func() auth.IssuedToken { return s.issue(app, s.member, "scope", "write") }
	for name, tt := range map[string]struct {
		issue func() auth.IssuedToken
		do    func(auth.IssuedToken) error
	}{
		"narrowed": {personal, func(tok auth.IssuedToken) error {
			_, err := s.tokens.Change(t.Context(), by(s.member), tok.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))})
			return err
		}},
		"shortened": {personal, func(tok auth.IssuedToken) error {
			// The access token that is asked for ends before, and its grant would not.
			_, err := s.tokens.Change(t.Context(), by(s.member), tok.ID, auth.TokenChange{Expires: new(time.Now().Add(2 * time.Hour))})
			return err
		}},
		"rotated": {personal, func(tok auth.IssuedToken) error {
			_, err := s.tokens.Rotate(t.Context(), by(s.member), tok.ID)
			return err
		}},
		"of an application, narrowed": {ofApplication, func(tok auth.IssuedToken) error {
			_, err := s.tokens.Change(t.Context(), by(s.orgadmin), tok.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))})
			return err
		}},
		"of an application, refreshed": {ofApplication, func(tok auth.IssuedToken) error {
			_, err := s.server.Refresh(t.Context(), app.Application, refresh(tok))
			return err
		}},
	} {
		tok := tt.issue()
		p := s.principal(tok)
		slow.meanwhile = func() {
			if err := tt.do(tok); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		issued, err := server.IssueFor(t.Context(), p, app.ID, auth.TokenRequest{})
		if err == nil {
			t.Errorf("%s: issued %+v", name, issued.Token)
		}
		list, _, err := s.tokens.List(t.Context(), by(s.admin), store.TokenFilter{OwnerID: s.member.ID}, store.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, left := range list {
			if left.ParentID != 0 {
				t.Errorf("%s: left is %+v", name, left)
			}
		}
	}
}

// An application that is deleted or disabled while a token asks for tokens of it is
// gone, and the token is as good as before.
func TestApplicationEndsDuringMinting(t *testing.T) {
	for name, end := range map[string]func(s *oauthSystem, id int64) error{
		"deleted": func(s *oauthSystem, id int64) error {
			return s.server.DeleteApplication(t.Context(), by(s.orgadmin), id)
		},
		"disabled": func(s *oauthSystem, id int64) error {
			_, err := s.server.ChangeApplication(t.Context(), by(s.orgadmin), id, oauth.ApplicationChange{Disabled: new(true)})
			return err
		},
	} {
		for _, withToken := range []bool{true, false} {
			s := newOAuth(t, nil)
			slow := &slowStore{Store: s.db}
			app, asking := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic), by(s.member)
			if withToken {
				personal, err := s.tokens.Issue(t.Context(), asking, auth.TokenRequest{})
				if err != nil {
					t.Fatal(err)
				}
				asking = s.principal(personal)
			}
			slow.meanwhile = func() {
				if err := end(s, app.ID); err != nil {
					t.Errorf("%s, %v: %v", name, withToken, err)
				}
			}
			_, err := s.serverOn(slow, s.db, nil).IssueFor(t.Context(), asking, app.ID, auth.TokenRequest{})
			refusesStatus(t, err, http.StatusBadRequest, "ApplicationID")
		}
	}
}

// A6: narrowing takes the grant, too, and with it what was minted while the
// access token could do more than the one that is there now.
func TestNarrowingTheGrantReachesChildren(t *testing.T) {
	for name, scope := range map[string]string{"as it is": "read", "as it was": "write"} {
		s := newOAuth(t, nil)
		app := s.app(oauth.GrantAuthorizationCode, oauth.ClientPublic)
		first := s.issue(app, s.member, "scope", "write")
		child, err := s.tokens.Issue(t.Context(), s.principal(first), auth.TokenRequest{Scopes: "write"})
		if err != nil {
			t.Fatal(err)
		}
		x := refresh(first)
		x.Scope = scope
		second, err := s.server.Refresh(t.Context(), app.Application, x)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.tokens.Change(t.Context(), by(s.member), second.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))}); err != nil {
			t.Fatal(err)
		}
		if p, err := s.tokens.Verify(t.Context(), child.AccessToken.Reveal()); err == nil {
			t.Errorf("%s: a child with %s outlives the grant's narrowing", name, p.Scopes)
		}
	}
}
