package auth_test

import (
	"fmt"
	"testing"

	"github.com/ostiary/auth"
)

// A6, A8: whoever holds a stolen token asks for others while its owner takes
// something from it. Whenever that happens, nothing is left that goes beyond it.
func TestMintingRacesWithTheOwner(t *testing.T) {
	narrow := func(s *system, parent auth.IssuedToken) error {
		_, err := s.tokens.Change(s.t.Context(), by(s.alice), parent.ID, auth.TokenChange{Scopes: new(auth.Scopes(auth.ScopeRead))})
		return err
	}
	rotate := func(s *system, parent auth.IssuedToken) error {
		_, err := s.tokens.Rotate(s.t.Context(), by(s.alice), parent.ID)
		return err
	}
	end := func(s *system, parent auth.IssuedToken) error {
		return s.tokens.End(s.t.Context(), by(s.alice), parent.ID)
	}
	for name, owner := range map[string]func(*system, auth.IssuedToken) error{"narrows": narrow, "rotates": rotate, "ends": end} {
		for _, mode := range []auth.Minting{auth.MintChildren, auth.InsecureMintIndependent} {
			for call := range 8 {
				t.Run(fmt.Sprint(name, " ", mode, " ", call), func(t *testing.T) {
					s := newSystem(t, func(o *settings) { o.tokens.Minting = mode })
					parent := s.issue(s.alice, "write")
					thief := s.of(parent)
					n, acted := 0, false
					s.db.on(func(string) error {
						if n++; n == call+1 {
							s.db.on(nil)
							acted = true
							return owner(s, parent)
						}
						return nil
					})
					issued, err := s.tokens.Issue(t.Context(), thief, auth.TokenRequest{Scopes: "write"})
					s.db.on(nil)
					if !acted || err != nil {
						return
					}
					if p, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal()); err == nil {
						t.Errorf("a token with the scope %s is left", p.Scopes)
					}
				})
			}
		}
	}
}

// A rotation is asked for by the secret that the token had: whoever has an older
// one gets none.
func TestRotationsRace(t *testing.T) {
	for call := range 4 {
		s := newSystem(t, nil)
		tok := s.issue(s.alice, "write")
		thief := s.of(tok)
		n := 0
		var kept auth.IssuedToken
		s.db.on(func(string) (err error) {
			if n++; n == call+1 {
				s.db.on(nil)
				kept, err = s.tokens.Rotate(t.Context(), by(s.alice), tok.ID)
			}
			return err
		})
		stolen, err := s.tokens.Rotate(t.Context(), thief, tok.ID)
		s.db.on(nil)
		if kept.ID == 0 {
			continue // there are fewer calls
		}
		if err == nil {
			t.Errorf("call %d: the thief has %v", call, stolen.Token)
		}
		if got := s.me(bearer(kept)); got == "401" {
			t.Errorf("call %d: the owner's token is dead", call)
		}
	}
}

// A session that has died rotates no token.
func TestDeadSessionRotatesNothing(t *testing.T) {
	s := newSystem(t, nil)
	tok := s.issue(s.alice, "write")
	dead := by(s.alice)
	dead.Epoch, dead.HasEpoch = s.alice.Epoch, true
	if err := s.passwords.Set(t.Context(), s.alice.ID, goodPassword+" 2"); err != nil {
		t.Fatal(err)
	}
	_, err := s.tokens.Rotate(t.Context(), dead, tok.ID)
	refusesStatus(t, err, 401, "")
	if _, err := s.tokens.Verify(t.Context(), tok.AccessToken.Reveal()); err != nil {
		t.Errorf("the token is dead: %v", err)
	}
}
