package storetest

import (
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

var replayChecks = []check{
	{
		name:    "the same successor within the grace period",
		promise: "Replayed reports that the token had been spent before, within the grace period: Token is the successor of that rotation and Nonce its nonce; nothing was inserted",
		run:     replaySame,
	},
	{
		name:    "no grace is no replay",
		promise: "Grace: zero is never",
		run:     replayNone,
	},
	{
		name:    "the grace period ends",
		promise: "Grace is how long after it was spent the token may be presented again",
		run:     replayEnds,
	},
	{
		name:    "a successor that was used ends the grace period",
		promise: "the token may be presented again as long as its successor's refresh token is unspent",
		run:     replaySpent,
	},
	{
		name:    "a revocation ends the grace period",
		promise: "the token may be presented again as long as nothing is revoked",
		run:     replayRevoked,
	},
	{
		name:    "of 64 calls one rotates, and the others get its successor",
		races:   true,
		promise: "of any number of concurrent calls with one token exactly one rotates; the others return the same successor within the grace period",
		run:     replayRace,
	},
	{
		name:    "a replay and the use of the successor agree on an order",
		races:   true,
		promise: "Rotate is one atomic step",
		run:     replayUseRace,
	},
}

func replaySame(t *tester) {
	u, app := t.user(), t.application()
	first := t.insert(t.pair(u.ID, app.ID))
	kid := t.child(first)
	r := t.rotation(first, at(us))
	r.Grace = time.Minute
	second := t.rotate(r)
	t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: second.ID, At: at(hour)}}))
	second.LastUsed = at(hour)
	for _, after := range []time.Duration{0, us, time.Minute - us} {
		again := t.rotation(first, at(us+after))
		again.Grace = time.Minute
		out, err := t.st.Rotate(t.Context(), again)
		t.must(err)
		t.same(fmt.Sprintf("%v after it was spent", after), store.RotateOutcome{Replayed: true, Token: second, Nonce: r.Nonce}, out)
		_, err = t.st.TokenByDigest(t.Context(), again.Token.Digest)
		t.refused("what the replay would have inserted", store.ErrNotFound, err)
		_, err = t.st.TokenByRefresh(t.Context(), again.Token.Refresh.Digest)
		t.refused("what the replay would have inserted", store.ErrNotFound, err)
	}
	got := t.token(first.ID)
	t.same("Spent, Revoked and Nonce of the first", []any{at(us), at(us), r.Nonce}, []any{got.Refresh.Spent, got.Revoked, got.Refresh.Nonce})
	t.live("after replays", second, kid)
	t.rotate(t.rotation(second, at(2*us)))
}

func replayNone(t *tester) {
	u, app := t.user(), t.application()
	first := t.insert(t.pair(u.ID, app.ID))
	r := t.rotation(first, at(us))
	r.Grace = time.Minute // of the call that rotated: no matter
	second := t.rotate(r)
	_, err := t.st.Rotate(t.Context(), t.rotation(first, at(us)))
	t.refused("at the very instant, without grace", store.ErrUsed, err)
	t.revoked("the successor", at(us), second)
}

func (t *tester) replayed(what string, first store.Token, when time.Time, want error, live ...store.Token) {
	t.Helper()
	r := t.rotation(first, when)
	r.Grace = time.Minute
	_, err := t.st.Rotate(t.Context(), r)
	t.refused(what, want, err)
	for _, tok := range live {
		t.revoked(what, when, tok)
	}
}

func replayEnds(t *tester) {
	u, app := t.user(), t.application()
	for _, after := range []time.Duration{time.Minute, time.Minute + us, day} {
		first := t.insert(t.pair(u.ID, app.ID))
		second := t.rotate(t.rotation(first, at(us)))
		t.replayed(fmt.Sprintf("%v after it was spent", after), first, at(us+after), store.ErrUsed, second)
	}
}

func replaySpent(t *tester) {
	u, app := t.user(), t.application()
	first := t.insert(t.pair(u.ID, app.ID))
	second := t.rotate(t.rotation(first, at(us)))
	third := t.rotate(t.rotation(second, at(2*us)))
	t.replayed("after the successor was used", first, at(3*us), store.ErrUsed, third)
	// The second could have been replayed, were it not for the revocation.
	t.replayed("after the family was revoked", second, at(4*us), store.ErrUsed)
	t.revoked("the first time", at(3*us), third)
}

func replayRevoked(t *tester) {
	u, app := t.user(), t.application()
	for _, sel := range []func(first, second store.Token) store.Selection{
		func(first, second store.Token) store.Selection { return store.Selection{TokenID: second.ID} },
		func(first, second store.Token) store.Selection { return store.Selection{Family: first.Family} },
	} {
		first := t.insert(t.pair(u.ID, app.ID))
		second := t.rotate(t.rotation(first, at(us)))
		_, err := t.st.RevokeTokens(t.Context(), sel(first, second), at(2*us))
		t.must(err)
		t.replayed("after a revocation", first, at(3*us), store.ErrUsed)
		t.revoked("by the revocation", at(2*us), second)
	}
}

func replayRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		tok := t.insert(t.pair(u.ID, app.ID))
		kid := t.child(tok)
		type result struct {
			r   store.Rotation
			out store.RotateOutcome
			err error
		}
		var winner *result
		results := race(contenders, func(int) result {
			r := t.rotation(tok, at(us))
			r.Grace = time.Minute
			out, err := t.st.Rotate(t.Context(), r)
			return result{r, out, err}
		})
		for i := range results {
			t.must(results[i].err)
			if results[i].out.Replayed {
				continue
			}
			if winner != nil {
				t.Fatal("two calls rotated")
			}
			winner = &results[i]
		}
		if winner == nil {
			t.Fatal("no call rotated")
		}
		for _, res := range results {
			t.same("the successor", winner.out.Token, res.out.Token)
			t.same("the nonce", winner.r.Nonce, res.out.Nonce)
			_, err := t.st.TokenByDigest(t.Context(), res.r.Token.Digest)
			t.stays("a token that a call brought", res.r.Token.Digest == winner.r.Token.Digest, err)
		}
		t.live("after a replay", winner.out.Token, kid)
		t.revoked("the spent token", at(us), tok)
	})
}

func replayUseRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		first := t.insert(t.pair(u.ID, app.ID))
		second := t.rotate(t.rotation(first, at(us)))
		use, again := t.rotation(second, at(2*us)), t.rotation(first, at(2*us))
		again.Grace = time.Minute
		errs := race(2, func(i int) error {
			_, err := t.st.Rotate(t.Context(), []store.Rotation{use, again}[i])
			return err
		})
		// Either the successor was used first, and then the replay ends the
		// family, or the replay came first and both succeed.
		t.must(errs[0])
		third, err := t.st.TokenByDigest(t.Context(), use.Token.Digest)
		t.must(err)
		if errs[1] == nil {
			t.live("the last of the family", third)
			return
		}
		t.refused("the replay", store.ErrUsed, errs[1])
		t.revoked("the last of the family", at(2*us), third)
	})
}
