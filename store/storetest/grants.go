package storetest

import (
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
		races:   true,
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
		races:   true,
		promise: "no number of concurrent calls of InsertCode gets above what may be pending",
		run:     codeQuotaRace,
	},
	{
		name:    "a code is spent or redeemed, not both",
		races:   true,
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
	u, app, other := t.user(), t.application(), t.application()
	c, spent := t.code(u.ID, app.ID), t.code(u.ID, app.ID)
	t.must(t.st.SpendCode(t.Context(), spent.Digest, at(us)))
	spent.Spent = at(us)
	for _, c := range []store.Code{c, spent} {
		thief := store.Code{Digest: c.Digest, ApplicationID: other.ID, Expires: at(day)}
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
