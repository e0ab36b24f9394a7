package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

var grantChecks = []check{
	{
		name:    "of many refreshes the last spent token stays",
		promise: "Rotate removes the tokens of the family that were spent before this one and have the Refresh.Grant of the successor",
		run:     grantRemoves,
	},
	{
		name:    "TokenByGrant returns the newest token",
		promise: "TokenByGrant returns the newest token whose Refresh.Grant is grant, in any state, and ErrNotFound for the zero Digest",
		run:     grantNewest,
	},
	{
		name:    "a token without a record ends the family",
		promise: "for a refresh token without a record Rotate returns ErrUsed, and the family is revoked, if a token of the application has its Grant",
		run:     grantReused,
	},
	{
		name:    "so it does after the grant has expired",
		promise: "a token that has expired since it was spent is ErrUsed, too",
		run:     grantReusedExpired,
	},
	{
		name:    "another application changes nothing",
		promise: "a token of another application is ErrNotFound and unchanged",
		run:     grantForeign,
	},
	{
		name:    "an unknown grant is ErrNotFound, and so is none",
		promise: "Rotate returns ErrNotFound, and changes nothing, for a token of an unknown grant",
		run:     grantUnknown,
	},
	{
		name:    "a rotation that is refused removes nothing",
		promise: "a method that changes something changes all of it or nothing",
		run:     grantRefused,
	},
	{
		name:    "records of other grants and without one stay",
		promise: "Rotate removes tokens of the family that have the Refresh.Grant of the successor",
		run:     grantMixed,
	},
	{
		name:    "what was minted by a removed token lives on",
		promise: "ParentID is the Family of the token that minted it: a rotation of the parent leaves it as it is",
		run:     grantChildren,
	},
	{
		name:    "the last spent token is replayed within the grace period",
		promise: "the others return the same successor within the grace period",
		run:     grantReplay,
	},
	{
		name:    "of 64 calls with the newest token and old ones one rotates at most",
		races:   true,
		promise: "when Rotate returns ErrUsed the whole family is revoked, durably; of any number of concurrent calls with one token exactly one rotates",
		run:     grantRace,
	},
}

// chain stores a token with a grant and refreshes it n times. It returns all of
// them, the newest last.
func (t *tester) chain(n int) []store.Token {
	t.Helper()
	u, app := t.user(), t.application()
	given := t.pair(u.ID, app.ID)
	given.Refresh.Grant = t.digest()
	all := []store.Token{t.insert(given)}
	for i := range n {
		all = append(all, t.rotate(t.rotation(all[i], at(time.Duration(i)*us))))
	}
	return all
}

// gone reports tokens that have a record.
func (t *tester) gone(what string, toks ...store.Token) {
	t.Helper()
	for _, tok := range toks {
		_, err := t.st.TokenByID(t.Context(), tok.ID)
		t.refused(what+", by ID", store.ErrNotFound, err)
		_, err = t.st.TokenByRefresh(t.Context(), tok.Refresh.Digest)
		t.refused(what+", by refresh token", store.ErrNotFound, err)
		_, err = t.st.AccessByDigest(t.Context(), tok.Digest)
		t.refused(what+", by access token", store.ErrNotFound, err)
	}
}

func grantRemoves(t *tester) {
	bystander := t.chain(1)
	all := t.chain(50)
	newest, spent := all[50], all[49]
	t.same("Number of the newest", int64(50), newest.Refresh.Number)
	t.reads(newest)
	t.gone("a token that was spent before", all[:49]...)
	spent.Revoked, spent.Refresh.Spent = at(49*us), at(49*us)
	got, err := t.st.TokenByRefresh(t.Context(), spent.Refresh.Digest)
	t.must(err)
	spent.Refresh.Nonce, spent.Revision = got.Refresh.Nonce, got.Revision
	t.same("the token that was spent last", spent, got)
	for _, tok := range bystander {
		_, err := t.st.TokenByRefresh(t.Context(), tok.Refresh.Digest)
		t.must(err)
	}
	// A refresh needs no digests that a removed record had.
	r := t.rotation(newest, at(50*us))
	r.Token.Digest, r.Token.Refresh.Digest = all[0].Digest, all[0].Refresh.Digest
	t.rotate(r)
}

func grantNewest(t *tester) {
	for _, n := range []int{0, 1, 3} {
		all := t.chain(n)
		newest := all[n]
		got, err := t.st.TokenByGrant(t.Context(), newest.Refresh.Grant)
		t.must(err)
		t.same(fmt.Sprintf("after %d refreshes", n), newest, got)
		_, err = t.st.RevokeTokens(t.Context(), store.Selection{Family: newest.Family}, at(hour))
		t.must(err)
		got, err = t.st.TokenByGrant(t.Context(), newest.Refresh.Grant)
		t.must(err)
		newest.Revoked = at(hour)
		t.same("after it was revoked", newest, got)
	}
	u, app := t.user(), t.application()
	none := t.insert(t.pair(u.ID, app.ID))
	t.same("the Grant of a token without one", store.Digest{}, t.token(none.ID).Refresh.Grant)
	for _, d := range []store.Digest{{}, t.digest(), none.Digest, none.Refresh.Digest} {
		_, err := t.st.TokenByGrant(t.Context(), d)
		t.refused("TokenByGrant", store.ErrNotFound, err)
	}
	r := t.redemption(t.code(u.ID, app.ID), at(us))
	r.Token.Refresh.Grant = t.digest()
	t.reads(t.redeem(r))
}

func grantReused(t *tester) {
	bystander := t.chain(2)
	for _, tt := range []struct{ refreshes, presented int }{{2, 0}, {50, 0}, {50, 48}, {50, 30}} {
		what := fmt.Sprintf("the use of token %d after %d refreshes", tt.presented, tt.refreshes)
		all := t.chain(tt.refreshes)
		newest := all[tt.refreshes]
		kid := t.child(newest)
		for _, when := range []time.Time{at(hour), at(2 * hour)} {
			r := t.rotation(all[tt.presented], when)
			r.Revision, r.Grace = 0, time.Minute
			_, err := t.st.Rotate(t.Context(), r)
			t.refused(what, store.ErrUsed, err)
			t.revoked(what, at(hour), newest, kid)
			_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
			t.refused(what+": the successor", store.ErrNotFound, err)
		}
		_, err := t.st.Rotate(t.Context(), t.rotation(newest, at(2*hour)))
		t.refused("Rotate of the newest after "+what, store.ErrNotFound, err)
	}
	t.live("another family", bystander[2])
	t.rotate(t.rotation(bystander[2], at(3*hour)))
}

func grantReusedExpired(t *tester) {
	all := t.chain(2)
	when := all[2].Refresh.Expires.Add(day)
	_, err := t.st.Rotate(t.Context(), t.rotation(all[0], when))
	t.refused("the use of a token without a record", store.ErrUsed, err)
	t.revoked("the newest", when, all[2])
}

func grantForeign(t *tester) {
	all, other := t.chain(3), t.application()
	for _, application := range []int64{other.ID, 0} {
		for i, tok := range all {
			r := t.rotation(tok, at(hour))
			r.ApplicationID, r.Token.ApplicationID = application, application
			_, err := t.st.Rotate(t.Context(), r)
			t.refused(fmt.Sprintf("token %d, by another application", i), store.ErrNotFound, err)
			t.reads(all[3])
		}
	}
	t.rotate(t.rotation(all[3], at(hour)))
}

func grantUnknown(t *tester) {
	all := t.chain(3)
	none := t.insert(t.pair(all[0].UserID, all[0].ApplicationID))
	for _, grant := range []store.Digest{{}, t.digest(), all[3].Refresh.Digest, all[0].Refresh.Digest} {
		for _, refresh := range []store.Digest{{}, t.digest(), all[0].Refresh.Digest} {
			r := t.rotation(all[3], at(hour))
			r.Refresh, r.Token.Refresh.Grant = refresh, grant
			_, err := t.st.Rotate(t.Context(), r)
			t.refused("an unknown grant", store.ErrNotFound, err)
			t.reads(all[3])
			t.reads(none)
		}
	}
	t.rotate(t.rotation(all[3], at(hour)))
}

func grantRefused(t *tester) {
	all := t.chain(2)
	for name, tt := range map[string]struct {
		want   error
		change func(*store.Rotation)
	}{
		"a taken digest":   {store.ErrExists, func(r *store.Rotation) { r.Token.Refresh.Digest = all[1].Refresh.Digest }},
		"a stale revision": {store.ErrConflict, func(r *store.Rotation) { r.Revision++ }},
		"expired":          {store.ErrNotFound, func(r *store.Rotation) { r.At = all[2].Refresh.Expires }},
	} {
		r := t.rotation(all[2], at(hour))
		tt.change(&r)
		_, err := t.st.Rotate(t.Context(), r)
		t.refused(name, tt.want, err)
		_, err = t.st.TokenByRefresh(t.Context(), all[1].Refresh.Digest)
		t.refused(name+": the token that was spent last", nil, err)
		t.reads(all[2])
	}
	t.rotate(t.rotation(all[2], at(hour)))
}

func grantMixed(t *tester) {
	// As versions without Grant and with it take turns: 0, the first of them, has
	// none, since it is older, and 3 has none, since it was issued by such a one.
	u, app := t.user(), t.application()
	before, after := t.digest(), t.digest()
	grants := []store.Digest{{}, before, before, {}, after, after, after}
	build := func() (all []store.Token, relative store.Token) {
		all = append(all, t.insert(t.pair(u.ID, app.ID)))
		other := t.pair(u.ID, app.ID)
		other.Family, other.Refresh.Grant, other.Refresh.Spent, other.Revoked = all[0].Family, t.digest(), at(0), at(0)
		relative = t.insert(other)
		for i, grant := range grants[1:] {
			r := t.rotation(all[i], at(us))
			r.Token.Refresh.Grant = grant
			all = append(all, t.rotate(r))
		}
		return all, relative
	}
	for presented := range grants[:6] {
		before, after = t.digest(), t.digest()
		grants = []store.Digest{{}, before, before, {}, after, after, after}
		all, relative := build()
		t.gone("a token of the grant that was spent before", all[4])
		for _, i := range []int{0, 1, 2, 3, 5, 6} {
			if _, err := t.st.TokenByRefresh(t.Context(), all[i].Refresh.Digest); err != nil {
				t.Errorf("token %d: %v", i, err)
			}
		}
		_, err := t.st.TokenByRefresh(t.Context(), relative.Refresh.Digest)
		t.must(err)
		r := t.rotation(all[presented], at(hour))
		if presented == 0 {
			r.Token.Refresh.Grant = before
		}
		_, err = t.st.Rotate(t.Context(), r)
		t.refused(fmt.Sprintf("the use of token %d", presented), store.ErrUsed, err)
		t.revoked(fmt.Sprintf("the newest after the use of token %d", presented), at(hour), all[6])
	}
}

func grantChildren(t *tester) {
	u, app := t.user(), t.application()
	given := t.pair(u.ID, app.ID)
	given.Refresh.Grant = t.digest()
	tok := t.insert(given)
	kid := t.child(tok)
	grandkid := t.child(kid)
	for i := range 4 {
		tok = t.rotate(t.rotation(tok, at(time.Duration(i)*us)))
		t.reads(kid)
		t.reads(grandkid)
	}
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(hour))
	t.must(err)
	t.revoked("after the newest was revoked", at(hour), kid, grandkid)
}

func grantReplay(t *tester) {
	all := t.chain(3)
	r := t.rotation(all[3], at(hour))
	r.Grace = time.Minute
	next := t.rotate(r)
	again := t.rotation(all[3], at(hour+us))
	again.Grace = time.Minute
	out, err := t.st.Rotate(t.Context(), again)
	t.must(err)
	t.same("the replay", store.RotateOutcome{Replayed: true, Token: next, Nonce: r.Nonce}, out)
	// The use of the successor removes nothing that could be replayed.
	last := t.rotate(t.rotation(next, at(hour+2*us)))
	t.replayed("after the successor was used", all[3], at(hour+3*us), store.ErrUsed, last)
}

func grantRace(t *tester) {
	t.rounds(func() {
		all := t.chain(3)
		family := store.Selection{Family: all[0].Family}
		var won []store.Token
		toks := make([]store.Token, contenders)
		for i, err := range race(contenders, func(i int) error {
			out, err := t.st.Rotate(t.Context(), t.rotation(all[3-i%4], at(hour)))
			if toks[i] = out.Token; errors.Is(err, store.ErrUsed) {
				// By now the family must have ended.
				if n, rerr := t.st.RevokeTokens(t.Context(), family, at(day)); rerr != nil || n != 0 {
					t.Errorf("token %d was refused while %d tokens of the family were live (%v)", 3-i%4, n, rerr)
				}
			}
			return err
		}) {
			switch {
			case err == nil:
				won = append(won, toks[i])
			case i%4 == 0 && errors.Is(err, store.ErrNotFound): // the family had ended
			default:
				t.refused(fmt.Sprintf("token %d", 3-i%4), store.ErrUsed, err)
			}
		}
		if len(won) > 1 {
			t.Errorf("%d calls rotated", len(won))
		}
		newest, err := t.st.TokenByGrant(t.Context(), all[3].Refresh.Grant)
		t.must(err)
		t.revoked("the newest", at(hour), append(won, newest)...)
	})
}
