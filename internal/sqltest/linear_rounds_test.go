package sqltest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// presented is what one of many got who presented the same code or refresh
// token.
type presented struct {
	id     int64 // of the token, 0 for none
	replay bool
	err    error
}

// Of 64 who present one code or one refresh token at the same time exactly one
// gets a token, 1,000 times in a row. What all others are told is ErrUsed, and
// then nothing issued is left alive; within a grace period it is the very same
// token. On databases the time is short; OSTIARY_ROUNDS says how many rounds
// there must be.
func TestOneOf64(t *testing.T) {
	const contenders = 64
	on := func(name string, most int, budget time.Duration, open func(t *testing.T) storetest.Store) {
		if testing.Short() {
			most, budget = most/10, budget/10
		}
		if n := rounds(0); n > 0 {
			most, budget = n, time.Hour
		}
		for _, what := range []string{"code", "refresh token", "refresh token with grace"} {
			t.Run(name+"/"+what, func(t *testing.T) {
				st := open(t)
				serve(t, st)
				begun := time.Now()
				n := 0
				for ; n < most && (n < 3 || time.Since(begun) < budget); n++ {
					all := make([]presented, contenders)
					var calls []func()
					present := roundOf(t, st, what, n)
					for i := range all {
						calls = append(calls, func() { all[i] = present(int32(n*contenders + i + 1)) })
					}
					together(calls...)
					if err := oneWon(t, st, what, all); err != nil {
						t.Fatalf("round %d: %v", n, err)
					}
				}
				t.Logf("%d rounds of %d in %v", n, contenders, time.Since(begun).Round(time.Millisecond))
			})
		}
	}
	on("memory", 1000, time.Minute, func(*testing.T) storetest.Store { return memory.New() })
	for _, d := range databases() {
		on(d.name, 1000, time.Second, func(t *testing.T) storetest.Store { return d.fresh(t).open(t) })
	}
}

// roundOf stores what is contended for and returns how to present it, with the
// name of the token to get for it.
func roundOf(t *testing.T, st storetest.Store, what string, round int) func(name int32) presented {
	t.Helper()
	key := fmt.Sprintf("round %d", round)
	if what == "code" {
		grantWorkload.prepare(t, st, key)
		return func(name int32) presented {
			tok, err := st.Redeem(t.Context(), store.Redemption{
				Code: store.DigestOf(key), ApplicationID: 1, At: linearNow, Token: grantToken(key, name),
			})
			return presented{id: tok.ID, err: err}
		}
	}
	old, err := st.InsertToken(t.Context(), grantToken(key, int32(-1-round)), limits)
	if err != nil {
		t.Fatal(err)
	}
	return func(name int32) presented {
		r := store.Rotation{Refresh: old.Refresh.Digest, ApplicationID: 1, Revision: 1, At: linearNow, Token: grantToken(key, name)}
		if what == "refresh token with grace" {
			r.Grace = time.Minute
		}
		out, err := st.Rotate(t.Context(), r)
		return presented{id: out.Token.ID, replay: out.Replayed, err: err}
	}
}

// oneWon checks what all got in one round.
func oneWon(t *testing.T, st storetest.Store, what string, all []presented) error {
	var winner presented
	won := 0
	for _, p := range all {
		if p.err == nil && !p.replay {
			winner = p
			won++
		}
	}
	if won != 1 {
		return fmt.Errorf("%d winners", won)
	}
	grace := what == "refresh token with grace"
	for _, p := range all {
		switch {
		case p == winner:
		case grace && (p.err != nil || p.id != winner.id):
			return fmt.Errorf("a loser got %+v, want a replay of token %d", p, winner.id)
		case !grace && !errors.Is(p.err, store.ErrUsed):
			return fmt.Errorf("a loser got %+v, want %v", p, store.ErrUsed)
		}
	}
	tok, err := st.TokenByID(t.Context(), winner.id)
	if err != nil {
		return err
	}
	if live := tok.Revoked.IsZero(); live != grace {
		return fmt.Errorf("the winner's token lives: %v, want %v", live, grace)
	}
	_, n, err := st.ListTokens(t.Context(), store.TokenFilter{UserID: tok.UserID}, store.Page{})
	if err != nil {
		return err
	}
	if want := map[bool]int{true: 1}[grace]; n != want {
		return fmt.Errorf("%d live tokens are left, want %d", n, want)
	}
	return nil
}
