package memory

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// A3: to mint takes the same time however many tokens the tree has had. Those that
// have expired are looked at once, end like all others, and are counted again if
// they live longer.
func TestExpiredTokensAreCountedOnce(t *testing.T) {
	s, ctx := New(), t.Context()
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	limits := store.InsertLimits{Depth: store.MaxDepth, Live: 10}
	insert := func(parent int64, created time.Time, lifetime time.Duration, independent bool) (store.Token, error) {
		return s.InsertToken(ctx, store.Token{
			Digest: store.DigestOf(fmt.Sprint(s.lastToken)), UserID: "3", Scopes: "write", ParentID: parent, Independent: independent,
			Created: created, Expires: created.Add(lifetime),
		}, limits)
	}
	root, err := insert(0, start, time.Hour, false)
	if err != nil {
		t.Fatal(err)
	}
	f := s.family(root.Family)
	var list []store.Token
	for i := range 3000 {
		tok, err := insert(root.Family, start.Add(time.Duration(i)*time.Millisecond), time.Millisecond, i%2 == 0)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, tok)
		if n := s.minted(f).below.n; n > limits.Live {
			t.Fatalf("%d tokens are looked at to mint the next one", n)
		}
	}
	at := start.Add(time.Minute)
	for i := range limits.Live {
		tok := list[i]
		tok.Expires = at.Add(time.Hour / 2)
		if err := s.UpdateToken(ctx, tok, store.KeepMinted); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := insert(root.Family, at, time.Minute, false); !errors.Is(err, store.ErrLimit) {
		t.Errorf("above the limit: %v", err)
	}
	// One by one, those of a user, and the rest by the purge.
	for _, tok := range list[5:10] {
		if n, err := s.RevokeTokens(ctx, store.Selection{TokenID: tok.ID}, at); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if n, err := s.RevokeTokens(ctx, store.Selection{UserID: "3", MintedBy: root.Family}, at); n != len(list)-5 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if m := s.minted(f); m.below.n != 0 || m.lapsed.n != 0 {
		t.Errorf("%d and %d are left in the lists of the root", m.below.n, m.lapsed.n)
	}
	if _, err := s.RevokeTokens(ctx, store.Selection{TokenID: root.ID}, at); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Purge(ctx, at.Add(time.Hour), 10000); n != len(list)+1 || err != nil || s.familyByID.held != 0 {
		t.Errorf("purged %d, %v; %d families are left", n, err, s.familyByID.held)
	}
}
