package storetest

import (
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// A grant is a code or an approved device, for Redeem and RedeemDevice.
type grant struct {
	digest        store.Digest
	applicationID int64
	userID        string
	expires       time.Time
}

// grants has the common methods of codes and devices.
type grants struct {
	open   func(t *tester, u store.User, applicationID int64) grant
	redeem func(t *tester, r store.Redemption) (store.Token, error)
	// state tells when the grant was spent and for which family.
	state func(t *tester, g grant) (spent time.Time, family int64, err error)
}

var codes = grants{
	open: func(t *tester, u store.User, applicationID int64) grant {
		c := t.code(u.ID, applicationID)
		return grant{c.Digest, applicationID, u.ID, c.Expires}
	},
	redeem: func(t *tester, r store.Redemption) (store.Token, error) { return t.st.Redeem(t.Context(), r) },
	state: func(t *tester, g grant) (time.Time, int64, error) {
		c, err := t.st.CodeByDigest(t.Context(), g.digest)
		return c.Spent, c.Family, err
	},
}

var redeemChecks = codes.checks("Redeem", "code")

// checks are the checks of Redeem or RedeemDevice.
func (gs grants) checks(method, what string) []check {
	sub := strings.NewReplacer("Redeem", method, "code", what).Replace
	list := []check{
		{
			name:    "the token is stored and the code is spent",
			promise: "Redeem spends a code and stores the token it pays for, in one atomic step; ID, Family and Revision are assigned",
			run:     gs.stores,
		},
		{
			name:    "a second use is ErrUsed and ends the family",
			promise: "Redeem returns ErrUsed, and when it does, every token of the code's family is revoked, durably",
			run:     gs.replay,
		},
		{
			name:    "a second use after it expired ends the family too",
			promise: "so does a code that has expired since it was spent",
			run:     gs.replayExpired,
		},
		{
			name:    "unknown, foreign or expired is ErrNotFound and unchanged",
			promise: "an unknown code, one of another application and one that expired unspent are ErrNotFound and unchanged",
			run:     gs.refuses,
		},
		{
			name:    "another application cannot end the family",
			promise: "a code of another application is ErrNotFound and unchanged",
			run:     gs.foreignReplay,
		},
		{
			name:    "a taken digest is ErrExists and leaves the code unspent",
			promise: "a method that changes something changes all of it or nothing",
			run:     gs.taken,
		},
		{
			name:    "it is valid strictly before it expires",
			promise: "Expires: valid strictly before this instant",
			run:     gs.edge,
		},
		{
			name:    "of 64 calls one succeeds, and the others end the family",
			promise: "of any number of concurrent calls with one code exactly one succeeds; the others return ErrUsed, and when they do, every token of the code's family is revoked",
			run:     gs.race,
			races:   true,
		},
	}
	for i := range list {
		list[i].name, list[i].promise = sub(list[i].name), sub(list[i].promise)
	}
	return list
}

func (gs grants) redemption(t *tester, g grant, when time.Time) store.Redemption {
	return store.Redemption{Code: g.digest, ApplicationID: g.applicationID, At: when, Token: t.pair(g.userID, g.applicationID)}
}

func (gs grants) sameState(t *tester, what string, g grant, spent time.Time, family int64) {
	t.Helper()
	gotSpent, gotFamily, err := gs.state(t, g)
	t.must(err)
	t.same(what+": Spent", spent, gotSpent)
	t.same(what+": Family", family, gotFamily)
}

func (gs grants) stores(t *tester) {
	u, app := t.user(), t.application()
	bystander := t.insert(t.pair(u.ID, app.ID))
	g, other := gs.open(t, u, app.ID), gs.open(t, u, app.ID)
	r := gs.redemption(t, g, at(us+1))
	r.Token.Scopes, r.Token.Audience, r.Token.Refresh.GrantExpires = "read", "https://api.example", at(20*day+1)
	r.Token.ID, r.Token.Family, r.Token.Revision = bystander.ID, bystander.Family, 77 // not the caller's to say
	r.Token.RootID, r.Token.Depth, r.Token.ViaApplicationID = bystander.Family, 3, app.ID+1
	tok, err := gs.redeem(t, r)
	t.must(err)
	if tok.ID == bystander.ID || tok.ID == 0 {
		t.Errorf("got ID %d, want a new one", tok.ID)
	}
	want := stored(r.Token, tok)
	want.Revision = bystander.Revision
	t.same("the token", want, tok)
	t.reads(want)
	gs.sameState(t, "the grant", g, at(us), tok.Family)
	gs.sameState(t, "another grant", other, time.Time{}, 0)
	t.reads(bystander)
}

func (gs grants) replay(t *tester) {
	u, app := t.user(), t.application()
	g := gs.open(t, u, app.ID)
	bystander := t.insert(t.pair(u.ID, app.ID))
	tok, err := gs.redeem(t, gs.redemption(t, g, at(us)))
	t.must(err)
	kid := t.child(tok)
	next := t.rotate(t.rotation(tok, at(2*us)))
	grandkid := t.child(kid)
	for i, when := range []time.Time{at(3 * us), at(4 * us)} {
		r := gs.redemption(t, g, when)
		_, err := gs.redeem(t, r)
		t.refused("a replay", store.ErrUsed, err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.refused("the token of a replay", store.ErrNotFound, err)
		t.revoked("the first token, which was rotated", at(2*us), tok)
		t.revoked("the family and what it minted", at(3*us), next, kid, grandkid)
		gs.sameState(t, "the grant", g, at(us), tok.Family)
		if i > 0 {
			break
		}
		_, err = t.st.Rotate(t.Context(), t.rotation(next, at(4*us)))
		t.refused("Rotate after a replay", store.ErrNotFound, err)
	}
	t.live("another family of the user and the application", bystander)
}

func (gs grants) replayExpired(t *tester) {
	u, app := t.user(), t.application()
	g := gs.open(t, u, app.ID)
	tok, err := gs.redeem(t, gs.redemption(t, g, at(us)))
	t.must(err)
	when := g.expires.Add(day)
	_, err = gs.redeem(t, gs.redemption(t, g, when))
	t.refused("a replay", store.ErrUsed, err)
	t.revoked("the token", when, tok)
}

func (gs grants) refuses(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	g := gs.open(t, u, app.ID)
	for _, tt := range []struct {
		name   string
		change func(*store.Redemption)
	}{
		{"unknown", func(r *store.Redemption) { r.Code = t.digest() }},
		{"the zero digest", func(r *store.Redemption) { r.Code = store.Digest{} }},
		{"of another application", func(r *store.Redemption) { r.ApplicationID = other.ID }},
		{"of no application", func(r *store.Redemption) { r.ApplicationID = 0 }},
		{"expired at that instant", func(r *store.Redemption) { r.At = g.expires }},
		{"expired long ago", func(r *store.Redemption) { r.At = g.expires.Add(day) }},
	} {
		r := gs.redemption(t, g, at(us))
		tt.change(&r)
		_, err := gs.redeem(t, r)
		t.refused(tt.name, store.ErrNotFound, err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.refused(tt.name+": the token", store.ErrNotFound, err)
		gs.sameState(t, tt.name, g, time.Time{}, 0)
	}
	_, err := gs.redeem(t, gs.redemption(t, g, at(us)))
	t.must(err)
}

func (gs grants) foreignReplay(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	g := gs.open(t, u, app.ID)
	tok, err := gs.redeem(t, gs.redemption(t, g, at(us)))
	t.must(err)
	r := gs.redemption(t, g, at(2*us))
	r.ApplicationID = other.ID
	_, err = gs.redeem(t, r)
	t.refused("a replay by another application", store.ErrNotFound, err)
	t.live("the family", tok)
}

func (gs grants) taken(t *tester) {
	u, app := t.user(), t.application()
	g := gs.open(t, u, app.ID)
	tok := t.insert(t.pair(u.ID, app.ID))
	r := gs.redemption(t, g, at(us))
	r.Token.Digest = tok.Digest
	_, err := gs.redeem(t, r)
	t.refused("a taken digest", store.ErrExists, err)
	r = gs.redemption(t, g, at(us))
	r.Token.Refresh.Digest = tok.Refresh.Digest
	_, err = gs.redeem(t, r)
	t.refused("a taken digest of a refresh token", store.ErrExists, err)
	gs.sameState(t, "the grant", g, time.Time{}, 0)
	t.reads(tok)
	_, err = gs.redeem(t, gs.redemption(t, g, at(us)))
	t.must(err)
}

func (gs grants) edge(t *tester) {
	u, app := t.user(), t.application()
	for _, before := range []time.Duration{us, 1, 999} {
		g := gs.open(t, u, app.ID)
		if _, err := gs.redeem(t, gs.redemption(t, g, g.expires.Add(-before))); err != nil {
			t.Errorf("%v before it expires: %v", before, err)
		}
	}
	// A store keeps microseconds and so the two are the same instant to it.
	g := gs.open(t, u, app.ID)
	_, err := gs.redeem(t, gs.redemption(t, g, g.expires.Add(999)))
	t.refused("a nanosecond after it expires", store.ErrNotFound, err)
}

func (gs grants) race(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		g := gs.open(t, u, app.ID)
		toks := make([]store.Token, contenders)
		winner := t.oneWinner("redeem", store.ErrUsed, race(contenders, func(i int) (err error) {
			r := gs.redemption(t, g, at(us))
			if toks[i], err = gs.redeem(t, r); err == nil {
				return nil
			}
			// By now the family must have ended. If revoking it ends anything,
			// it had not.
			if _, family, serr := gs.state(t, g); serr != nil {
				return serr
			} else if n, rerr := t.st.RevokeTokens(t.Context(), store.Selection{Family: family}, at(day)); rerr != nil || n != 0 {
				t.Errorf("call %d returned %v while %d tokens of the family were live (%v)", i, err, n, rerr)
			}
			return err
		}))
		t.revoked("the winner's token", at(us), toks[winner])
		gs.sameState(t, "the grant", g, at(us), toks[winner].Family)
	})
}
