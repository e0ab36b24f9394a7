package storetest

import (
	"time"

	"github.com/ostiary/auth/store"
)

var rotateChecks = []check{
	{
		name:    "the successor is stored and the token is spent and revoked",
		promise: "Rotate spends a refresh token, revokes the access token it belongs to and stores the successor, in one atomic step",
		run:     rotateStores,
	},
	{
		name:    "children move to the successor",
		promise: "children of the access token become children of the successor",
		run:     rotateChildren,
	},
	{
		name:    "a second use is ErrUsed and ends the family",
		promise: "otherwise ErrUsed, and when they do, the whole family is revoked, durably",
		run:     rotateReplay,
	},
	{
		name:    "a second use after it expired ends the family too",
		promise: "so does a token that has expired since it was spent",
		run:     rotateReplayExpired,
	},
	{
		name:    "unknown, foreign, expired or revoked is ErrNotFound and unchanged",
		promise: "an unknown token, one of another application and one that expired or was revoked unspent are ErrNotFound and unchanged",
		run:     rotateRefuses,
	},
	{
		name:    "another application cannot end the family",
		promise: "a token of another application is ErrNotFound and unchanged",
		run:     rotateForeignReplay,
	},
	{
		name:    "a taken digest is ErrExists and leaves the token unspent",
		promise: "a method that changes something changes all of it or nothing",
		run:     rotateTaken,
	},
	{
		name:    "it is valid strictly before it expires",
		promise: "Refresh.Expires: valid strictly before this instant; GrantExpires is the end of the whole family",
		run:     rotateEdge,
	},
	{
		name:    "of 64 calls one rotates, and the others end the family",
		races:   true,
		promise: "of any number of concurrent calls with one token exactly one rotates; the others return ErrUsed, and when they do, the whole family is revoked",
		run:     rotateRace,
	},
	{
		name:    "a child of a token that is being rotated is not lost",
		races:   true,
		promise: "ParentID is the Family of the token that minted it: a rotation of the parent leaves it as it is",
		run:     rotateChildRace,
	},
	{
		name:    "a successor stands where the spent token stood",
		promise: "Family, ParentID, Independent and what follows from them are those of the spent token",
		run:     rotateTree,
	},
	{
		name:    "refreshes are counted",
		promise: "Refresh.Number counts the refreshes that the grant has had; GrantCreated is the Created of the first token of the family",
		run:     rotateNumber,
	},
	{
		name:    "a stale revision is ErrConflict, but a second use is ErrUsed first",
		promise: "Rotate returns ErrConflict unless r.Revision is the current one, unless the refresh token is refused for another reason",
		run:     rotateStale,
	},
}

func rotateStores(t *tester) {
	u, app := t.user(), t.application()
	given := t.pair(u.ID, app.ID)
	given.Refresh.GrantExpires = at(20*day + 1)
	first, bystander := t.insert(given), t.insert(t.pair(u.ID, app.ID))
	r := t.rotation(first, at(us+1))
	r.Token.Scopes, r.Token.Audience, r.Token.Created = "read", "https://api.example", at(us+1)
	r.Token.ID, r.Token.Family, r.Token.Revision = bystander.ID, bystander.Family, 77 // not the caller's to say
	out, err := t.st.Rotate(t.Context(), r)
	t.must(err)
	if out.Token.ID == bystander.ID || out.Token.ID == first.ID || out.Token.ID == 0 {
		t.Errorf("got ID %d, want a new one", out.Token.ID)
	}
	want := r.Token
	want.ID, want.Family, want.Revision = out.Token.ID, first.Family, bystander.Revision
	want.Created, want.Refresh.GrantExpires = at(us), at(20*day)
	want.ViaApplicationID, want.Refresh.Number, want.Refresh.GrantCreated = app.ID, 1, first.Created
	t.same("the outcome", store.RotateOutcome{Token: want, Nonce: r.Nonce}, out)
	t.reads(want)
	first.Revoked, first.Refresh.Spent, first.Refresh.Nonce = at(us), at(us), r.Nonce
	first.Revision = t.token(first.ID).Revision
	t.reads(first)
	t.reads(bystander)

	// The successor rotates in turn, also when its access token has expired.
	second := t.rotate(t.rotation(out.Token, at(5*day)))
	t.same("the family of the next", first.Family, second.Family)
	t.live("the next", second)
}

func rotateChildren(t *tester) {
	u, app := t.user(), t.application()
	first := t.insert(t.pair(u.ID, app.ID))
	kid, dead := t.child(first), t.child(first)
	grandkid := t.child(kid)
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	second := t.rotate(t.rotation(first, at(2*us)))
	t.live("after a rotation", kid, grandkid)
	t.revoked("a child that was revoked", at(us), dead)
	t.reads(kid)
	t.reads(grandkid)
	third := t.rotate(t.rotation(second, at(3*us)))
	t.reads(kid)
	late := t.child(third)
	_, err = t.st.RevokeTokens(t.Context(), store.Selection{TokenID: third.ID}, at(4*us))
	t.must(err)
	t.revoked("after the successor was revoked", at(4*us), kid, grandkid, late)
}

func rotateReplay(t *tester) {
	u, app := t.user(), t.application()
	bystander := t.insert(t.pair(u.ID, app.ID))
	for _, depth := range []int{1, 3} {
		first := t.insert(t.pair(u.ID, app.ID))
		relative := t.pair(u.ID, app.ID) // of the family, not of the chain
		relative.Family = first.Family
		relative = t.insert(relative)
		last := first
		for i := range depth {
			last = t.rotate(t.rotation(last, at(time.Duration(i)*us)))
		}
		kid := t.child(last)
		grandkid := t.child(kid)
		for _, when := range []time.Time{at(10 * us), at(11 * us)} {
			r := t.rotation(first, when)
			_, err := t.st.Rotate(t.Context(), r)
			t.refused("a replay", store.ErrUsed, err)
			_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
			t.refused("the successor of a replay", store.ErrNotFound, err)
			t.revoked("the family and what it minted", at(10*us), last, relative, kid, grandkid)
			t.revoked("the spent token", at(0), first)
		}
		_, err := t.st.Rotate(t.Context(), t.rotation(last, at(12*us)))
		t.refused("Rotate of the last one after a replay", store.ErrNotFound, err)
	}
	t.live("another family of the user and the application", bystander)
}

func rotateReplayExpired(t *tester) {
	u, app := t.user(), t.application()
	first := t.insert(t.pair(u.ID, app.ID))
	second := t.rotate(t.rotation(first, at(us)))
	when := first.Refresh.Expires.Add(day)
	_, err := t.st.Rotate(t.Context(), t.rotation(first, when))
	t.refused("a replay", store.ErrUsed, err)
	t.revoked("the successor", when, second)
}

func rotateRefuses(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	tok, dead := t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair(u.ID, app.ID))
	kid := t.child(tok)
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	dead = t.token(dead.ID)
	for _, tt := range []struct {
		name   string
		change func(*store.Rotation)
	}{
		{"unknown", func(r *store.Rotation) { r.Refresh = t.digest() }},
		{"the zero digest", func(r *store.Rotation) { r.Refresh = store.Digest{} }},
		{"an access token", func(r *store.Rotation) { r.Refresh = tok.Digest }},
		{"of another application", func(r *store.Rotation) { r.ApplicationID = other.ID }},
		{"of no application", func(r *store.Rotation) { r.ApplicationID = 0 }},
		{"expired at that instant", func(r *store.Rotation) { r.At = tok.Refresh.Expires }},
		{"expired long ago", func(r *store.Rotation) { r.At = tok.Refresh.Expires.Add(day) }},
		{"revoked", func(r *store.Rotation) { r.Refresh = dead.Refresh.Digest }},
		{"revoked and expired", func(r *store.Rotation) { r.Refresh, r.At = dead.Refresh.Digest, at(100*day) }},
	} {
		r := t.rotation(tok, at(2*us))
		r.Grace = hour
		tt.change(&r)
		_, err := t.st.Rotate(t.Context(), r)
		t.refused(tt.name, store.ErrNotFound, err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.refused(tt.name+": the successor", store.ErrNotFound, err)
		t.same(tt.name+": the token", tok, t.token(tok.ID))
		t.same(tt.name+": the revoked token", dead, t.token(dead.ID))
		t.same(tt.name+": its child", kid, t.token(kid.ID))
	}
	// A store may take a shorter way for a token without children.
	alone := t.insert(t.pair(u.ID, app.ID))
	for _, application := range []int64{other.ID, 0} {
		r := t.rotation(alone, at(2*us))
		r.ApplicationID = application
		_, err := t.st.Rotate(t.Context(), r)
		t.refused("alone, of another application", store.ErrNotFound, err)
		t.same("the token without children", alone, t.token(alone.ID))
	}
	t.rotate(t.rotation(tok, at(2*us)))
	t.rotate(t.rotation(alone, at(2*us)))
}

func rotateForeignReplay(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	first := t.insert(t.pair(u.ID, app.ID))
	second := t.rotate(t.rotation(first, at(us)))
	for _, grace := range []time.Duration{0, hour} {
		r := t.rotation(first, at(2*us))
		r.ApplicationID, r.Grace = other.ID, grace
		_, err := t.st.Rotate(t.Context(), r)
		t.refused("a replay by another application", store.ErrNotFound, err)
		t.live("the family", second)
	}
}

func rotateTaken(t *tester) {
	u, app := t.user(), t.application()
	tok, other := t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair(u.ID, app.ID))
	kid := t.child(tok)
	for _, change := range []func(*store.Token){
		func(next *store.Token) { next.Digest = other.Digest },
		func(next *store.Token) { next.Refresh.Digest = other.Refresh.Digest },
		func(next *store.Token) { next.Digest = tok.Digest },
		func(next *store.Token) { next.Refresh.Digest = tok.Refresh.Digest },
	} {
		r := t.rotation(tok, at(us))
		change(&r.Token)
		_, err := t.st.Rotate(t.Context(), r)
		t.refused("a taken digest", store.ErrExists, err)
		t.reads(tok)
		t.reads(other)
		t.reads(kid)
	}
	t.rotate(t.rotation(tok, at(us)))
}

func rotateEdge(t *tester) {
	u, app := t.user(), t.application()
	for _, before := range []time.Duration{us, 1, 999} {
		tok := t.insert(t.pair(u.ID, app.ID))
		if _, err := t.st.Rotate(t.Context(), t.rotation(tok, tok.Refresh.Expires.Add(-before))); err != nil {
			t.Errorf("%v before it expires: %v", before, err)
		}
	}
	tok := t.insert(t.pair(u.ID, app.ID))
	_, err := t.st.Rotate(t.Context(), t.rotation(tok, tok.Refresh.Expires.Add(999)))
	t.refused("a nanosecond after it expires", store.ErrNotFound, err)

	given := t.pair(u.ID, app.ID)
	given.Refresh.GrantExpires = at(day)
	tok = t.insert(given)
	_, err = t.st.Rotate(t.Context(), t.rotation(tok, at(day)))
	t.refused("when the grant ends", store.ErrNotFound, err)
	t.rotate(t.rotation(tok, at(day-us)))
}

func rotateRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		tok := t.insert(t.pair(u.ID, app.ID))
		kid := t.child(tok)
		toks := make([]store.Token, contenders)
		winner := t.oneWinner("Rotate", store.ErrUsed, race(contenders, func(i int) error {
			out, err := t.st.Rotate(t.Context(), t.rotation(tok, at(us)))
			if err == nil {
				toks[i] = out.Token
				return nil
			}
			// By now the family must have ended. If revoking it ends anything,
			// it had not.
			if n, rerr := t.st.RevokeTokens(t.Context(), store.Selection{Family: tok.Family}, at(day)); rerr != nil || n != 0 {
				t.Errorf("call %d returned %v while %d tokens of the family were live (%v)", i, err, n, rerr)
			}
			return err
		}))
		t.revoked("all of the family", at(us), tok, toks[winner], kid)
	})
}

func rotateChildRace(t *tester) {
	u, app := t.user(), t.application()
	k := 0
	t.rounds(func() {
		k++
		tok := t.insert(t.pair(u.ID, app.ID))
		r := t.rotation(tok, at(us))
		kids := make([]store.Token, 16)
		for _, err := range race(len(kids), func(i int) (err error) {
			if i == k*7%len(kids) {
				_, err = t.st.Rotate(t.Context(), r)
				return err
			}
			kids[i], err = t.st.InsertToken(t.Context(), t.mintedBy(tok), limits)
			return err
		}) {
			t.must(err)
		}
		_, err := t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.must(err)
		for _, kid := range kids {
			if kid.ID != 0 {
				t.live("a child", kid)
				t.reads(kid)
			}
		}
	})
}
