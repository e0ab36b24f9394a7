package auth_test

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

// Decision 11, R-051: what a token issues lies within it and ends with it.
func TestChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		ctx := t.Context()
		net := netip.MustParsePrefix
		mint := func(by auth.IssuedToken, req auth.TokenRequest) (auth.IssuedToken, error) {
			return s.tokens.Issue(ctx, s.of(by), req)
		}
		parent, err := s.tokens.Issue(ctx, by(s.alice), auth.TokenRequest{
			Scopes: "write", Expires: time.Now().Add(time.Hour), Addresses: []netip.Prefix{net("10.0.0.0/8"), net("2001:db8::/32")},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name   string
			req    auth.TokenRequest
			status int
			field  string
		}{
			{"nothing said", auth.TokenRequest{}, 0, ""},
			{"fewer rights", auth.TokenRequest{Scopes: "read"}, 0, ""},
			{"other rights", auth.TokenRequest{Scopes: "jobs"}, 403, ""},
			{"the same expiry", auth.TokenRequest{Expires: parent.Expires}, 0, ""},
			{"a later expiry", auth.TokenRequest{Expires: parent.Expires.Add(time.Microsecond)}, 400, "expires"},
			{"part of the addresses", auth.TokenRequest{Addresses: []netip.Prefix{net("10.1.0.0/16"), net("2001:db8:1::/48")}}, 0, ""},
			{"more addresses", auth.TokenRequest{Addresses: []netip.Prefix{net("0.0.0.0/0")}}, 400, "addresses"},
			{"one address more", auth.TokenRequest{Addresses: []netip.Prefix{net("10.0.0.0/8"), net("11.0.0.1/32")}}, 400, "addresses"},
			{"all of IPv6", auth.TokenRequest{Addresses: []netip.Prefix{net("::/0")}}, 400, "addresses"},
			{"IPv4 mapped", auth.TokenRequest{Addresses: []netip.Prefix{net("::ffff:11.0.0.1/128")}}, 400, "addresses"},
			{"no prefix at all", auth.TokenRequest{Addresses: []netip.Prefix{{}}}, 400, "addresses"},
		} {
			child, err := mint(parent, tt.req)
			if tt.status != 0 {
				refusesStatus(t, err, tt.status, tt.field)
				if err == nil {
					t.Errorf("%s: issued %+v", tt.name, child)
				}
				continue
			}
			if err != nil || child.ParentID != parent.ID || child.Expires.After(parent.Expires) || !auth.Scopes(child.Scopes).Within(auth.Scopes(parent.Scopes)) || len(child.Addresses) == 0 {
				t.Errorf("%s: %+v, %v", tt.name, child.Token, err)
			}
		}

		// The whole tree ends at once, and with it the right to add to it.
		child, err := mint(parent, auth.TokenRequest{})
		if err != nil {
			t.Fatal(err)
		}
		grandchild, err := mint(child, auth.TokenRequest{Scopes: "read"})
		if err != nil {
			t.Fatal(err)
		}
		principal := s.of(child)
		if err := s.tokens.End(ctx, by(s.alice), parent.ID); err != nil {
			t.Fatal(err)
		}
		for _, dead := range []auth.IssuedToken{parent, child, grandchild} {
			if _, err := s.tokens.Verify(ctx, dead.AccessToken.Reveal()); err == nil {
				t.Errorf("token %d lives on", dead.ID)
			}
		}
		_, err = s.tokens.Issue(ctx, principal, auth.TokenRequest{})
		refusesStatus(t, err, 401, "")
	})
}

// A child that is born while its parent dies does not outlive it.
func TestChildrenRaceWithTheEnd(t *testing.T) {
	s := newSystem(t, nil)
	for range 50 {
		parent := s.issue(s.alice, "write")
		p := s.of(parent)
		var wg sync.WaitGroup
		children := make(chan auth.IssuedToken, 8)
		for range cap(children) {
			wg.Go(func() {
				if child, err := s.tokens.Issue(t.Context(), p, auth.TokenRequest{}); err == nil {
					children <- child
				}
			})
		}
		wg.Go(func() {
			if err := s.tokens.End(t.Context(), by(s.alice), parent.ID); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		close(children)
		for child := range children {
			if got := s.me(bearer(child)); got != "401" {
				t.Fatalf("an orphan lives: %s", got)
			}
		}
	}
}

// The other two settings of Minting.
func TestMinting(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.Minting = auth.MintRefused })
	_, err := s.tokens.Issue(t.Context(), s.of(s.issue(s.alice, "write")), auth.TokenRequest{Scopes: "read"})
	refusesStatus(t, err, 403, "")

	s = newSystem(t, func(o *settings) { o.tokens.Minting = auth.InsecureMintIndependent })
	parent := s.issue(s.alice, "write")
	child, err := s.tokens.Issue(t.Context(), s.of(parent), auth.TokenRequest{})
	if err != nil || child.ParentID != 0 {
		t.Fatalf("%+v, %v", child, err)
	}
	_, err = s.tokens.Issue(t.Context(), s.of(s.issue(s.alice, "read")), auth.TokenRequest{Scopes: "write"})
	refusesStatus(t, err, 403, "")
	if err := s.tokens.End(t.Context(), by(s.alice), parent.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.me(bearer(child)); got != "alice by bearer" {
		t.Errorf("the independent token: %s", got)
	}
}

// Property: whatever tokens do to each other, none ever comes to hold a right,
// or a day, that its forebears did not have.
func TestTokensNeverGainRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		r := rand.New(rand.NewPCG(seed, 1))
		s := newSystem(t, nil)
		ctx := t.Context()
		type holding struct {
			issued auth.IssuedToken
			scopes auth.Scopes // the most it may have
			ends   time.Time
		}
		lists := []auth.Scopes{"", "read", "write", "jobs", "read jobs", "write jobs", "read write", "*"}
		var all []holding
		for step := range 3000 {
			if len(all) == 0 || r.IntN(20) == 0 {
				scopes := lists[1+r.IntN(6)]
				all = append(all, holding{s.issue(s.alice, scopes), scopes, time.Now().Add(30 * 24 * time.Hour)})
			}
			i := r.IntN(len(all))
			h := all[i]
			p, err := s.tokens.Verify(ctx, h.issued.AccessToken.Reveal())
			if err != nil {
				all = append(all[:i], all[i+1:]...)
				continue
			}
			if !p.Scopes.Within(h.scopes) || time.Now().After(h.ends) {
				t.Fatalf("seed %d, step %d: a token of %q until %v has %q", seed, step, h.scopes, h.ends, p.Scopes)
			}
			target := all[r.IntN(len(all))]
			wish := lists[r.IntN(len(lists))]
			switch r.IntN(6) {
			case 0, 1:
				if child, err := s.tokens.Issue(ctx, p, auth.TokenRequest{Scopes: wish, Expires: time.Now().Add(time.Duration(r.IntN(60*24)) * time.Hour)}); err == nil {
					all = append(all, holding{child, h.scopes, h.ends})
				}
			case 2:
				if _, err := s.tokens.Change(ctx, p, target.issued.ID, auth.TokenChange{Scopes: &wish}); err == nil && !wish.Within(target.scopes) {
					t.Fatalf("seed %d, step %d: %q became %q", seed, step, target.scopes, wish)
				}
			case 3:
				if next, err := s.tokens.Rotate(ctx, p, target.issued.ID); err == nil {
					if target.issued.ID != h.issued.ID {
						t.Fatalf("seed %d, step %d: a token rotated another", seed, step)
					}
					all[i].issued = next
				}
			case 4:
				if r.IntN(4) == 0 {
					_ = s.tokens.End(ctx, p, target.issued.ID)
				}
			case 5:
				time.Sleep(time.Duration(r.IntN(3)) * time.Hour)
			}
		}
	})
}
