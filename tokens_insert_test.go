package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// A host that calls Insert cannot leave out what a token must keep: a child is one of
// the token that asks, which is compared, and the limits are those of the options.
func TestInsertKeepsTheRules(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.MaxPerUser = 3 })
	ctx := t.Context()
	issue := func(u store.User, scopes auth.Scopes) auth.IssuedToken {
		t.Helper()
		issued, err := s.tokens.Issue(ctx, by(u), auth.TokenRequest{Scopes: scopes, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		if err != nil {
			t.Fatal(err)
		}
		return issued
	}
	parent, others := issue(s.alice, auth.ScopeWrite), issue(s.bob, auth.ScopeWrite)
	asking := s.of(parent)
	_, err := s.tokens.Issue(ctx, &auth.Principal{ID: s.alice.ID, TokenID: others.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{})
	refusesStatus(t, err, 403, "") // a token of another user mints nothing for this one
	n := byte(0)
	for _, tt := range []struct {
		name   string
		by     *auth.Principal
		change func(*store.Token)
		then   func()
		status int
	}{
		{"as prepared", asking, func(*store.Token) {}, nil, 0},
		{"of nobody", asking, func(tok *store.Token) { tok.UserID = "" }, nil, 403},
		{"of another user", asking, func(tok *store.Token) { tok.UserID = s.bob.ID }, nil, 403},
		{"without the parent", asking, func(tok *store.Token) { tok.ParentID = 0 }, nil, 403},
		{"below the parent of another user", asking, func(tok *store.Token) { tok.ParentID = others.Family }, nil, 403},
		{"with a parent and no token", by(s.alice), func(tok *store.Token) { tok.ParentID = parent.Family }, nil, 403},
		{"with more scopes than the parent", asking, func(tok *store.Token) { tok.Scopes = "admin" }, nil, 403},
		{"from anywhere", asking, func(tok *store.Token) { tok.Addresses = nil }, nil, 403},
		{"from one more network", asking, func(tok *store.Token) {
			tok.Addresses = append(slices.Clone(tok.Addresses), netip.MustParsePrefix("0.0.0.0/0"))
		}, nil, 403},
		{"from a part of the network", asking, func(tok *store.Token) {
			tok.Addresses = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
		}, nil, 0},
		{"for another resource", asking, func(tok *store.Token) { tok.Audience = "https://other.example" }, nil, 403},
		{"that outlives the parent", asking, func(tok *store.Token) { tok.Independent = true }, nil, 403},
		{"with a grant", asking, func(tok *store.Token) {
			tok.Refresh = store.Refresh{Digest: store.Digest{31: n + 1}, Scopes: tok.Scopes, Expires: tok.Expires, GrantExpires: tok.Expires}
		}, nil, 0},
		{"with more scopes in the grant", asking, func(tok *store.Token) {
			tok.Refresh = store.Refresh{Digest: store.Digest{31: n + 1}, Scopes: "admin", Expires: tok.Expires, GrantExpires: tok.Expires}
		}, nil, 403},
		{"with an endless grant", asking, func(tok *store.Token) {
			tok.Refresh = store.Refresh{Digest: store.Digest{31: n + 1}, Scopes: tok.Scopes, Expires: tok.Expires}
		}, nil, 403},
		{"the third", asking, func(*store.Token) {}, func() { issue(s.alice, auth.ScopeRead) }, 0},
		{"the fourth", asking, func(*store.Token) {}, func() { issue(s.alice, auth.ScopeRead) }, 409},
		{"of a parent that was narrowed", asking, func(*store.Token) {}, func() {
			if _, err := s.tokens.Change(ctx, by(s.alice), parent.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))}); err != nil {
				t.Fatal(err)
			}
		}, 403},
	} {
		tok, parent, err := s.tokens.Prepare(ctx, asking, auth.TokenRequest{}, time.Hour, time.Hour)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		tt.change(&tok)
		if tt.then != nil {
			tt.then()
		}
		n++
		tok.Digest = store.Digest{n}
		unknown := parent
		unknown.Digest = store.Digest{} // the store would compare nothing
		_, err = s.tokens.Insert(ctx, s.db, asking, tok, unknown)
		refusesStatus(t, err, 403, "")
		stored, err := s.tokens.Insert(ctx, s.db, tt.by, tok, parent)
		switch {
		case tt.status != 0 && err == nil:
			t.Errorf("%s: stored %+v", tt.name, stored)
		case tt.status != 0:
			refusesStatus(t, err, tt.status, "")
		case err != nil:
			t.Errorf("%s: %v", tt.name, err)
		default:
			if _, err := s.db.RevokeTokens(ctx, store.Selection{TokenID: stored.ID}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// losing is a store that loses that many races of an insert.
type losing struct {
	store.Tokens
	races int
}

func (l *losing) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	if l.races > 0 {
		l.races--
		return store.Token{}, store.ErrConflict
	}
	return l.Tokens.InsertToken(ctx, t, limits)
}

// A token of the user that ends while another one is counted is no reason to take a
// credential for invalid.
func TestInsertAfterALostRace(t *testing.T) {
	s := newSystem(t, nil)
	issued, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Scopes: auth.ScopeWrite})
	if err != nil {
		t.Fatal(err)
	}
	for _, asking := range []*auth.Principal{by(s.alice), s.of(issued)} {
		for races, want := range []error{nil, nil, 4: store.ErrConflict} {
			tok, parent, err := s.tokens.Prepare(t.Context(), asking, auth.TokenRequest{}, time.Hour, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			tok.Digest = store.DigestOf(fmt.Sprint(asking.TokenID, races))
			if _, err := s.tokens.Insert(t.Context(), &losing{s.db, races}, asking, tok, parent); !errors.Is(err, want) {
				t.Errorf("token %d, %d races: %v, want %v", asking.TokenID, races, err, want)
			}
		}
	}
}

// A parent that is narrowed meanwhile bounds the grant of its child, too.
func TestInsertGrantOfNarrowedParent(t *testing.T) {
	s := newSystem(t, nil)
	ctx := t.Context()
	issued, err := s.tokens.Issue(ctx, by(s.alice), auth.TokenRequest{Scopes: auth.ScopeWrite})
	if err != nil {
		t.Fatal(err)
	}
	asking := s.of(issued)
	tok, parent, err := s.tokens.Prepare(ctx, asking, auth.TokenRequest{Scopes: auth.ScopeRead}, time.Hour, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	tok.Digest = store.Digest{1}
	tok.Refresh = store.Refresh{Digest: store.Digest{2}, Scopes: auth.ScopeWrite, Expires: tok.Expires, GrantExpires: tok.Expires}
	if _, err := s.tokens.Change(ctx, by(s.alice), issued.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))}); err != nil {
		t.Fatal(err)
	}
	stored, err := s.tokens.Insert(ctx, s.db, asking, tok, parent)
	if err == nil {
		t.Fatalf("stored %+v", stored)
	}
	refusesStatus(t, err, 403, "")
}
