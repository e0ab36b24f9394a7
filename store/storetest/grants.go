package storetest

import (
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

var codeChecks = []check{
	{
		name:    "every field is kept",
		promise: "InsertCode stores a code; text byte for byte, times in UTC to the microsecond",
		run:     codeFields,
	},
	{
		name:    "a taken digest is ErrExists",
		promise: "InsertCode stores a code, or returns ErrExists",
		run:     codeTaken,
	},
	{
		name:    "an absent code is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run:     codeAbsent,
	},
	{
		name:    "SpendCode spends it, again is harmless",
		promise: "SpendCode spends a code without issuing anything; spending it again is harmless",
		run:     codeSpend,
	},
	{
		name:    "SpendCode leaves what was redeemed alone",
		promise: "spending a code again is harmless",
		run:     codeSpendRedeemed,
	},
	{
		name:    "of 64 inserts of one digest one succeeds",
		promise: "InsertCode stores a code, or returns ErrExists",
		run:     codeInsertRace,
	},
	{
		name:    "no more may be pending than the caller says",
		promise: "InsertCode returns ErrConflict, and stores nothing, if so many codes of the same application and user are neither spent nor expired",
		run:     codeQuota,
	},
	{
		name:    "of 64 inserts as many succeed as may be pending",
		promise: "no number of concurrent calls of InsertCode gets above what may be pending",
		run:     codeQuotaRace,
	},
	{
		name:    "a code is spent or redeemed, not both",
		promise: "Redeem spends a code and stores the token in one atomic step; SpendCode spends it without issuing anything",
		run:     codeSpendRace,
	},
}

func codeFields(t *tester) {
	app := t.application()
	times := oddTimes()
	for i, s := range oddTexts() {
		given := store.Code{
			Digest: t.digest(), ApplicationID: app.ID, UserID: s, Scopes: s, Audience: s, Epoch: int64(i),
			RedirectURI: "https://client.example/" + s, Challenge: s,
			Created: times[i%len(times)], Expires: times[(i+1)%len(times)],
		}
		t.must(t.st.InsertCode(t.Context(), given, anyNumber))
		want := given
		want.Created, want.Expires = kept(given.Created), kept(given.Expires)
		got, err := t.st.CodeByDigest(t.Context(), given.Digest)
		t.must(err)
		t.same("CodeByDigest", want, got)
	}
}

func codeTaken(t *tester) {
	u, app := t.user(), t.application()
	c, spent := t.code(u.ID, app.ID), t.code(u.ID, app.ID)
	t.must(t.st.SpendCode(t.Context(), spent.Digest, at(us)))
	spent.Spent = at(us)
	for _, c := range []store.Code{c, spent} {
		thief := store.Code{Digest: c.Digest, ApplicationID: app.ID + 1, Expires: at(day)}
		t.refused("a taken digest", store.ErrExists, t.st.InsertCode(t.Context(), thief, anyNumber))
		t.sameCode("the code that was there", c)
	}
}

func (t *tester) sameCode(what string, want store.Code) {
	t.Helper()
	got, err := t.st.CodeByDigest(t.Context(), want.Digest)
	t.must(err)
	t.same(what, want, got)
}

func codeAbsent(t *tester) {
	u, app := t.user(), t.application()
	t.code(u.ID, app.ID)
	for _, d := range []store.Digest{{}, t.digest()} {
		_, err := t.st.CodeByDigest(t.Context(), d)
		t.refused("CodeByDigest", store.ErrNotFound, err)
		t.refused("SpendCode", store.ErrNotFound, t.st.SpendCode(t.Context(), d, at(us)))
		_, err = t.st.Redeem(t.Context(), store.Redemption{Code: d, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)})
		t.refused("Redeem", store.ErrNotFound, err)
	}
}

func codeSpend(t *tester) {
	u, app := t.user(), t.application()
	c, bystander, tok := t.code(u.ID, app.ID), t.code(u.ID, app.ID), t.insert(t.pair(u.ID, app.ID))
	t.must(t.st.SpendCode(t.Context(), c.Digest, at(us+1)))
	c.Spent = at(us)
	t.sameCode("the spent code", c)
	t.must(t.st.SpendCode(t.Context(), c.Digest, at(2*us)))
	t.sameCode("the code that was spent twice", c)
	r := t.redemption(c, at(3*us))
	_, err := t.st.Redeem(t.Context(), r)
	t.refused("Redeem of a spent code", store.ErrUsed, err)
	_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
	t.refused("the token of a spent code", store.ErrNotFound, err)
	// The code has no family, which is not to say the family of all others.
	t.live("tokens of no code", tok)
	t.sameCode("another code", bystander)
}

func codeSpendRedeemed(t *tester) {
	u, app := t.user(), t.application()
	c := t.code(u.ID, app.ID)
	tok := t.redeem(t.redemption(c, at(us)))
	c.Spent, c.Family = at(us), tok.Family
	t.must(t.st.SpendCode(t.Context(), c.Digest, at(2*us)))
	t.sameCode("the code", c)
	t.live("the token it was redeemed for", tok)
}

func codeInsertRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		c := store.Code{Digest: t.digest(), ApplicationID: app.ID, UserID: u.ID, Expires: at(day)}
		winner := t.oneWinner("InsertCode", store.ErrExists, race(contenders, func(i int) error {
			c := c
			c.Epoch = int64(i)
			return t.st.InsertCode(t.Context(), c, anyNumber)
		}))
		c.Epoch = int64(winner)
		t.sameCode("the winner", c)
	})
}

func codeQuota(t *tester) {
	u, v, app, other := t.user(), t.user(), t.application(), t.application()
	insert := func(what, userID string, applicationID int64, created time.Time, want error) store.Code {
		t.Helper()
		c := store.Code{
			Digest: t.digest(), ApplicationID: applicationID, UserID: userID,
			Created: created, Expires: created.Add(time.Minute),
		}
		t.refused(what, want, t.st.InsertCode(t.Context(), c, 2))
		_, err := t.st.CodeByDigest(t.Context(), c.Digest)
		if want != nil {
			want = store.ErrNotFound
		}
		t.refused(what+", and then", want, err)
		return c
	}
	first := insert("the first code", u.ID, app.ID, at(0), nil)
	second := insert("the second", u.ID, app.ID, at(0), nil)
	insert("a third", u.ID, app.ID, at(0), store.ErrConflict)
	insert("one of another user", v.ID, app.ID, at(0), nil)
	insert("one of another application", u.ID, other.ID, at(0), nil)
	t.must(t.st.SpendCode(t.Context(), first.Digest, at(us)))
	insert("one for a spent one", u.ID, app.ID, at(us), nil)
	insert("one more for the spent one", u.ID, app.ID, at(us), store.ErrConflict)
	t.redeem(t.redemption(second, at(us)))
	insert("one for a redeemed one", u.ID, app.ID, at(2*us), nil)
	insert("one before the others expire", u.ID, app.ID, at(time.Minute), store.ErrConflict)
	insert("one for an expired one", u.ID, app.ID, at(time.Minute+us), nil)
	insert("one more for the expired one", u.ID, app.ID, at(time.Minute+us), store.ErrConflict)
}

func codeQuotaRace(t *tester) {
	app := t.application()
	t.rounds(func() {
		const most = 3
		u := t.user()
		succeeded := 0
		for _, err := range race(contenders, func(int) error {
			c := store.Code{Digest: t.digest(), ApplicationID: app.ID, UserID: u.ID, Created: at(0), Expires: at(time.Minute)}
			return t.st.InsertCode(t.Context(), c, most)
		}) {
			if err == nil {
				succeeded++
			} else {
				t.refused("InsertCode", store.ErrConflict, err)
			}
		}
		t.same("how many succeed", most, succeeded)
	})
}

func codeSpendRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		c := t.code(u.ID, app.ID)
		r := t.redemption(c, at(us))
		errs := race(2, func(i int) error {
			if i == 0 {
				return t.st.SpendCode(t.Context(), c.Digest, at(2*us))
			}
			_, err := t.st.Redeem(t.Context(), r)
			return err
		})
		t.must(errs[0])
		got, err := t.st.CodeByDigest(t.Context(), c.Digest)
		t.must(err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		if errs[1] == nil {
			t.refused("the token of a code that was redeemed", nil, err)
			t.same("when it was spent", at(us), got.Spent)
		} else {
			t.refused("Redeem", store.ErrUsed, errs[1])
			t.refused("the token of a code that was not redeemed", store.ErrNotFound, err)
			t.same("when it was spent", at(2*us), got.Spent)
		}
	})
}

// A grant is a code or an approved device: what Redeem and RedeemDevice spend.
type grant struct {
	digest        store.Digest
	applicationID int64
	userID        string
	expires       time.Time
}

// grants is what is common to codes and devices.
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
	tok, err := gs.redeem(t, r)
	t.must(err)
	if tok.ID == bystander.ID || tok.ID == 0 {
		t.Errorf("got ID %d, want a new one", tok.ID)
	}
	want := r.Token
	want.ID, want.Family, want.Revision = tok.ID, tok.ID, bystander.Revision
	want.Refresh.GrantExpires = at(20 * day)
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
