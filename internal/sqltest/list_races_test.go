package sqltest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// A count has the tokens that the pages have, also where one process stores tokens while
// another one ends those of their application: what is stored with an older number than
// the cut-off is dead, and no mark says so for an hour.
func TestCountsBesideRevocations(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		t.Parallel()
		p := fresh(t)
		st, other := p.open(t), p.openFor(t, nil)
		ctx, now := t.Context(), time.Now()
		for round := range 40 {
			user := fmt.Sprint("user", round, "-")
			app, err := st.InsertApplication(ctx, store.Application{ClientID: user, Name: user})
			if err != nil {
				t.Fatal(err)
			}
			var parent store.Token // minted by another, so that it is looked up first
			for _, n := range []string{"root", "parent"} {
				tok := tokenNamed(user+n, now)
				tok.UserID, tok.ApplicationID, tok.ParentID = user, 0, parent.Family
				if parent, err = st.InsertToken(ctx, tok, limits); err != nil {
					t.Fatal(err)
				}
			}
			var wg sync.WaitGroup
			for i := range 30 {
				wg.Go(func() {
					tok := tokenNamed(fmt.Sprint(user, i), now)
					tok.UserID, tok.ApplicationID, tok.ParentID = user, app.ID, parent.Family
					if _, err := st.InsertToken(ctx, tok, limits); err != nil && !errors.Is(err, store.ErrConflict) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if _, err := other.RevokeTokens(ctx, store.Selection{ApplicationID: app.ID}, now); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			for _, f := range []store.TokenFilter{{UserID: user}, {All: true, OwnerID: user}} {
				list, _, err := st.ListTokens(ctx, f, store.Page{Limit: 100})
				_, counted, err2 := st.ListTokens(ctx, f, store.Page{})
				if err := errors.Join(err, err2); err != nil || counted != len(list) {
					t.Errorf("round %d: %d tokens, and %d are counted: %v", round, len(list), counted, err)
				}
			}
		}
	})
}
