package memory

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// What ended with the tokens above it stays dead while its record is still to be marked,
// also if the family above gets a new token, or a successor that is born revoked.
func TestEndedFamilyRevivesNothing(t *testing.T) {
	ctx, now := t.Context(), time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	d := func(what string, n int) store.Digest { return store.DigestOf(fmt.Sprint(what, n)) }
	insert := func(s *Store, tok store.Token, what string, n int) store.Token {
		t.Helper()
		tok.Digest, tok.Created, tok.Expires = d(what, n), now, now.Add(time.Hour)
		tok, err := s.InsertToken(ctx, tok, store.InsertLimits{Depth: 3, Live: 10})
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	// With others that are to be marked before, and without.
	for name, end := range map[string]func(s *Store, root store.Token) error{
		"a new token": func(s *Store, root store.Token) error {
			_, err := s.RevokeTokens(ctx, store.Selection{TokenID: root.ID}, now)
			return err
		},
		"a new token after a successor": func(s *Store, root store.Token) error {
			_, err := s.Rotate(ctx, store.Rotation{Refresh: root.Refresh.Digest, ApplicationID: 1, Revision: 1, At: now, Token: store.Token{
				Digest: d("next", 0), UserID: "u", ApplicationID: 1, Created: now, Revoked: now, Expires: now.Add(time.Hour),
				Refresh: store.Refresh{Digest: d("refresh", 1), Grant: root.Refresh.Grant, Expires: now.Add(time.Hour)},
			}})
			return err
		},
	} {
		for _, pending := range []int{0, 3 * stepSize} {
			t.Run(fmt.Sprint(name, ", behind ", pending), func(t *testing.T) {
				s := New()
				if _, err := s.InsertApplication(ctx, store.Application{ClientID: "c"}); err != nil {
					t.Fatal(err)
				}
				for i := range pending { // which are marked first
					insert(s, store.Token{UserID: "many"}, "many", i)
				}
				if _, err := s.RevokeTokens(ctx, store.Selection{UserID: "many"}, now); err != nil {
					t.Fatal(err)
				}
				root := insert(s, store.Token{UserID: "u", ApplicationID: 1, Refresh: store.Refresh{Digest: d("refresh", 0), Grant: d("grant", 0), Expires: now.Add(time.Hour)}}, "root", 0)
				child := insert(s, store.Token{UserID: "u", ParentID: root.Family}, "child", 0)
				insert(s, store.Token{UserID: "u", ParentID: child.Family}, "grandchild", 0)
				free := insert(s, store.Token{UserID: "u", ParentID: root.Family, Independent: true}, "free", 0)
				if err := end(s, root); err != nil {
					t.Fatal(err)
				}
				if _, total, err := s.ListTokens(ctx, store.TokenFilter{All: true}, store.Page{Limit: 1}); total != 1 || err != nil {
					t.Errorf("%d tokens are listed, %v, want %d", total, err, free.ID)
				}
				insert(s, store.Token{UserID: "u", ApplicationID: 1, Family: root.Family}, "late", 0)
				for range 2 {
					for _, dead := range []string{"root", "child", "grandchild"} {
						if a, err := s.AccessByDigest(ctx, d(dead, 0)); err != nil || a.Revoked.IsZero() {
							t.Errorf("the %s is alive: %+v, %v", dead, a, err)
						}
					}
					for _, alive := range []string{"free", "late"} {
						if a, err := s.AccessByDigest(ctx, d(alive, 0)); err != nil || !a.Revoked.IsZero() {
							t.Errorf("the one that is %s is dead: %+v, %v", alive, a, err)
						}
					}
					if _, total, err := s.ListTokens(ctx, store.TokenFilter{All: true}, store.Page{Limit: 1}); total != 2 || err != nil {
						t.Errorf("%d tokens are listed, %v, want %d and its sibling", total, err, free.ID)
					}
					if _, err := s.Purge(ctx, now.Add(-time.Hour), 10*stepSize); err != nil {
						t.Fatal(err)
					}
				}
				agree(t, s)
			})
		}
	}
}
