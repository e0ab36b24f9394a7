package auth_test

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

// Who reminds owners is told of each token once, the next to expire first.
func TestExpiring(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		expiring := func(within time.Duration) (ids []int64) {
			t.Helper()
			for tok, err := range s.tokens.Expiring(t.Context(), within) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, tok.ID)
			}
			return ids
		}
		var want []int64
		for i := range 450 { // more than two pages, many of one instant
			issued, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Expires: time.Now().Add(time.Duration(1+i/300) * time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, issued.ID)
		}
		for _, id := range []int64{want[0], want[250], want[449]} {
			if err := s.tokens.End(t.Context(), by(s.alice), id); err != nil {
				t.Fatal(err)
			}
			want = slices.DeleteFunc(want, func(n int64) bool { return n == id })
		}
		s.issue(s.bob, "read") // for a month
		for within, n := range map[time.Duration]int{
			-time.Hour: 0, 0: 0, time.Hour: 0, time.Hour + 1000: 298, 3 * time.Hour: 447,
		} {
			if got := expiring(within); !slices.Equal(got, want[:n]) {
				t.Errorf("within %v: %d tokens, want %d", within, len(got), n)
			}
		}
		time.Sleep(time.Hour)
		if got := expiring(3 * time.Hour); !slices.Equal(got, want[298:]) {
			t.Errorf("an hour later: %d tokens, want %d", len(got), len(want)-298)
		}
		calls := s.db.during(func() {
			for range s.tokens.Expiring(t.Context(), 3*time.Hour) {
				break
			}
		})
		if !slices.Equal(calls, []string{"ListExpiring"}) {
			t.Errorf("the first token takes %v", calls)
		}
		s.db.on(func(string) error { return errDown })
		n := 0
		for tok, err := range s.tokens.Expiring(t.Context(), 3*time.Hour) {
			n++
			if !errors.Is(err, errDown) || tok.ID != 0 {
				t.Errorf("with the store down: %v, %v", tok.ID, err)
			}
		}
		if n != 1 {
			t.Errorf("%d pairs with the store down, want 1", n)
		}
	})
}
