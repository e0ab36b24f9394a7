package auth_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Decision 11, R-051: a minted token lies within its parent and ends with it.
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
			{"a later expiry", auth.TokenRequest{Expires: parent.Expires.Add(time.Microsecond)}, 400, "Expires"},
			{"part of the addresses", auth.TokenRequest{Addresses: []netip.Prefix{net("10.1.0.0/16"), net("2001:db8:1::/48")}}, 0, ""},
			{"more addresses", auth.TokenRequest{Addresses: []netip.Prefix{net("0.0.0.0/0")}}, 400, "Addresses"},
			{"one address more", auth.TokenRequest{Addresses: []netip.Prefix{net("10.0.0.0/8"), net("11.0.0.1/32")}}, 400, "Addresses"},
			{"all of IPv6", auth.TokenRequest{Addresses: []netip.Prefix{net("::/0")}}, 400, "Addresses"},
			{"IPv4 mapped", auth.TokenRequest{Addresses: []netip.Prefix{net("::ffff:11.0.0.1/128")}}, 400, "Addresses"},
			{"no prefix at all", auth.TokenRequest{Addresses: []netip.Prefix{{}}}, 400, "Addresses"},
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

// Decision 27: with InsecureMintIndependent a minted token outlives its parent,
// and stays within its scopes, addresses and expiry all the same. It says what
// it comes from, and a tree can be ended as one.
func TestMintIndependent(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.Minting = auth.InsecureMintIndependent })
	ctx := t.Context()
	net := netip.MustParsePrefix
	bound, err := s.tokens.Issue(ctx, by(s.alice), auth.TokenRequest{Addresses: []netip.Prefix{net("192.0.2.0/24")}, Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	p := s.of(bound)
	_, err = s.tokens.Issue(ctx, s.of(s.issue(s.alice, "read")), auth.TokenRequest{Scopes: "write"})
	refusesStatus(t, err, 403, "")
	_, err = s.tokens.Issue(ctx, p, auth.TokenRequest{Expires: bound.Expires.Add(time.Second)})
	refusesStatus(t, err, 400, "Expires")
	_, err = s.tokens.Issue(ctx, p, auth.TokenRequest{Addresses: []netip.Prefix{net("0.0.0.0/0")}})
	refusesStatus(t, err, 400, "Addresses")
	child, err := s.tokens.Issue(ctx, p, auth.TokenRequest{})
	if err != nil || child.ParentID != bound.ID || !child.Expires.Equal(bound.Expires) || len(child.Addresses) != 1 {
		t.Fatalf("%+v, %v", child.Token, err)
	}
	grandchild, err := s.tokens.Issue(ctx, s.of(child), auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	alive := func(want bool, tokens ...auth.IssuedToken) {
		t.Helper()
		for _, tok := range tokens {
			if _, err := s.tokens.Verify(ctx, tok.AccessToken.Reveal()); (err == nil) != want {
				t.Errorf("token %d: alive: %v, want %v", tok.ID, err == nil, want)
			}
		}
	}
	if _, err := s.tokens.Rotate(ctx, by(s.alice), bound.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.tokens.Change(ctx, by(s.alice), bound.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))}); err != nil {
		t.Fatal(err)
	}
	alive(true, child, grandchild)
	if err := s.tokens.End(ctx, by(s.alice), bound.ID); err != nil {
		t.Fatal(err)
	}
	alive(false, bound)
	alive(true, child, grandchild)
	refusesStatus(t, s.tokens.EndTree(ctx, by(s.bob), bound.ID), 404, "")
	alive(true, child, grandchild)
	if err := s.tokens.EndTree(ctx, by(s.alice), bound.ID); err != nil {
		t.Fatal(err)
	}
	alive(false, bound, child, grandchild)
}

// All tokens of a user end by the user or a superuser, and by nobody else.
func TestEndAll(t *testing.T) {
	s := newSystem(t, nil)
	ctx := t.Context()
	alive := func(tokens ...auth.IssuedToken) (n int) {
		for _, tok := range tokens {
			if _, err := s.tokens.Verify(ctx, tok.AccessToken.Reveal()); err == nil {
				n++
			}
		}
		return n
	}
	one, two, other := s.issue(s.alice, auth.ScopeRead), s.issue(s.alice, auth.ScopeWrite), s.issue(s.bob, auth.ScopeWrite)
	child, err := s.tokens.Issue(ctx, s.of(two), auth.TokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ofApplication := *by(s.alice)
	ofApplication.ApplicationID, ofApplication.ViaApplicationID = 1, 1
	minted := *by(s.alice)
	minted.ViaApplicationID = 1
	for _, who := range []*auth.Principal{by(s.bob), {}, &ofApplication, &minted} {
		refusesStatus(t, s.tokens.EndAll(ctx, who, s.alice.ID), 403, "")
	}
	refusesStatus(t, s.tokens.EndAll(ctx, &auth.Principal{Admin: true}, ""), 403, "")
	if n := alive(one, two, child, other); n != 4 {
		t.Fatalf("%d tokens live", n)
	}
	for range 2 {
		if err := s.tokens.EndAll(ctx, by(s.alice), s.alice.ID); err != nil {
			t.Fatal(err)
		}
	}
	if alive(one, two, child) != 0 || alive(other) != 1 {
		t.Error("not exactly the tokens of alice ended")
	}
	if later := s.issue(s.alice, auth.ScopeRead); alive(later) != 1 {
		t.Error("a later token is dead")
	}
	if err := s.tokens.EndAll(ctx, &auth.Principal{ID: "1", Admin: true}, s.bob.ID); err != nil || alive(other) != 0 {
		t.Errorf("a superuser ended nothing: %v", err)
	}
}

// A6: a minted token loses the scopes that the owner takes from its parent.
func TestNarrowingAndRotatingReachChildren(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *system, parent auth.IssuedToken) error
		ends bool
	}{
		{"narrowed", func(s *system, parent auth.IssuedToken) error {
			_, err := s.tokens.Change(s.t.Context(), by(s.alice), parent.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))})
			return err
		}, true},
		{"narrowed by itself", func(s *system, parent auth.IssuedToken) error {
			_, err := s.tokens.Change(s.t.Context(), s.of(parent), parent.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))})
			return err
		}, true},
		{"given the scopes that it has", func(s *system, parent auth.IssuedToken) error {
			_, err := s.tokens.Change(s.t.Context(), by(s.alice), parent.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeWrite))})
			return err
		}, false},
		{"described", func(s *system, parent auth.IssuedToken) error {
			_, err := s.tokens.Change(s.t.Context(), by(s.alice), parent.ID, auth.TokenChange{Description: new("d")})
			return err
		}, false},
		{"rotated by its owner", func(s *system, parent auth.IssuedToken) error {
			_, err := s.tokens.Rotate(s.t.Context(), by(s.alice), parent.ID)
			return err
		}, true},
		{"rotated by itself", func(s *system, parent auth.IssuedToken) error {
			_, err := s.tokens.Rotate(s.t.Context(), s.of(parent), parent.ID)
			return err
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSystem(t, nil)
			parent := s.issue(s.alice, "write")
			child, err := s.tokens.Issue(t.Context(), s.of(parent), auth.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			grandchild, err := s.tokens.Issue(t.Context(), s.of(child), auth.TokenRequest{})
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.do(s, parent); err != nil {
				t.Fatal(err)
			}
			for _, tok := range []auth.IssuedToken{child, grandchild} {
				if w := s.send("POST", "/probe/", bearer(tok)); (w.Code == 401) != tt.ends {
					t.Errorf("POST by token %d: status %d, want it dead: %v", tok.ID, w.Code, tt.ends)
				}
			}
		})
	}
}

// A3: a tree is bounded in depth and in number, and neither bound can be got
// around by starting from another branch.
func TestMintLimits(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.MaxDepth, o.tokens.MaxMinted = 3, 5 })
	chain := []auth.IssuedToken{s.issue(s.alice, "write")}
	mint := func(from auth.IssuedToken) (auth.IssuedToken, error) {
		return s.tokens.Issue(t.Context(), s.of(from), auth.TokenRequest{})
	}
	for range 3 {
		next, err := mint(chain[len(chain)-1])
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, next)
	}
	_, err := mint(chain[3])
	refusesStatus(t, err, 409, "")
	for range 2 {
		if _, err := mint(chain[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range chain[:3] {
		_, err := mint(from)
		refusesStatus(t, err, 409, "")
	}
	if err := s.tokens.End(t.Context(), by(s.alice), chain[3].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := mint(chain[0]); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	for _, o := range []auth.TokensOptions{{MaxDepth: -1}, {MaxDepth: 9}, {MaxMinted: -1}} {
		if _, err := auth.NewTokens(s.db, s.db, &o); err == nil {
			t.Errorf("%+v constructs", o)
		}
	}
}

// A8, decision 30: a session that ends while it asks for a token gets a dead one,
// or none.
func TestDeadSessionIssuesNothing(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.tokens.EndWithPassword = true })
	p := by(s.alice)
	p.Epoch, p.HasEpoch = s.alice.Epoch, true
	if err := s.passwords.Set(t.Context(), s.alice.ID, "another long password"); err != nil {
		t.Fatal(err)
	}
	_, err := s.tokens.Issue(t.Context(), p, auth.TokenRequest{})
	refusesStatus(t, err, 401, "")

	// Between the look-up of the user and the insert of the token.
	u, err := s.db.Store.UserByID(t.Context(), s.alice.ID)
	if err != nil {
		t.Fatal(err)
	}
	p.Epoch = u.Epoch
	s.db.on(func(call string) error {
		if call == "InsertToken" {
			return s.db.Store.SetPasswordHash(t.Context(), s.alice.ID, "x")
		}
		return nil
	})
	issued, err := s.tokens.Issue(t.Context(), p, auth.TokenRequest{})
	s.db.on(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.me(bearer(issued)); got != "401" {
		t.Errorf("a token of a session that ended meanwhile: %s", got)
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

// An end of a tree that the store could not note is an outage.
func TestEndTreeWithStoreDown(t *testing.T) {
	s := newSystem(t, nil)
	issued := s.issue(s.alice, "read")
	for _, call := range []string{"TokenByID", "RevokeTokens"} {
		s.db.on(func(c string) error {
			if c == call {
				return errDown
			}
			return nil
		})
		if err := s.tokens.EndTree(t.Context(), by(s.alice), issued.ID); !errors.Is(err, errDown) {
			t.Errorf("%s is down: %v", call, err)
		}
		s.db.on(nil)
	}
}

// Who narrows a token narrows what its refresh token can bring.
func TestNarrowingReachesTheRefreshToken(t *testing.T) {
	s := newSystem(t, nil)
	now := time.Now()
	tok := auth.Must(s.db.InsertToken(t.Context(), store.Token{
		Digest: store.DigestOf("a"), UserID: s.alice.ID, Scopes: "read write", Created: now, Expires: now.Add(time.Hour),
		Refresh: store.Refresh{Digest: store.DigestOf("r"), Scopes: "read write", Expires: now.Add(time.Hour), GrantExpires: now.Add(time.Hour)},
	}, store.InsertLimits{}))
	if _, err := s.tokens.Change(t.Context(), by(s.alice), tok.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))}); err != nil {
		t.Fatal(err)
	}
	if got := auth.Must(s.db.TokenByID(t.Context(), tok.ID)); got.Scopes != "read" || got.Refresh.Scopes != "read" {
		t.Errorf("scopes %q, of the refresh token %q", got.Scopes, got.Refresh.Scopes)
	}
}
