package storetest

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

var consentChecks = []check{
	{
		name:    "every field is kept",
		promise: "ConsentFor returns the record of that user, application and redirect URI; text byte for byte, times in UTC to the microsecond",
		run:     consentFields,
	},
	{
		name:    "one record for each user, application and redirect URI",
		promise: "SaveConsent stores c in place of prev, and returns ErrConflict if another record, or none, is stored, and ErrNotFound if the application does not exist",
		run:     consentReplaced,
	},
	{
		name:    "a list has the user's records",
		promise: "ListConsents returns one page of the user's records, and how many there are in all; the order is OrderID, by application, or OrderCreated",
		run:     consentList,
	},
	{
		name:    "withdrawn is gone",
		promise: "WithdrawConsent removes the user's records of that application and ends the user's tokens that came through it",
		run:     consentWithdrawn,
	},
	{
		name:    "an application that is gone has none",
		promise: "records of applications that are gone are not listed, and are ErrNotFound",
		run:     consentApplicationGone,
	},
	{
		name:    "a user who is gone has none",
		promise: "DeleteUser: the user's consents are no longer found",
		needs:   wholePart,
		run: func(t *tester) {
			u, app := t.user(), t.application()
			c := t.consent(u.ID, app.ID, "https://client.example/cb")
			t.must(t.st.DeleteUser(t.Context(), u.ID, at(us)))
			t.noConsent("of the user", c)
		},
	},
	{
		name:    "of 64 who save one succeeds",
		races:   true,
		promise: "of any number of concurrent calls of SaveConsent with one prev exactly one succeeds, and the others return ErrConflict",
		run:     consentRace,
	},
	{
		name:    "what is withdrawn is not saved again",
		races:   true,
		promise: "SaveConsent returns ErrConflict, and changes nothing, if prev was withdrawn in the meantime",
		run:     consentWithdrawnMeanwhile,
	},
}

func (t *tester) consent(userID string, applicationID int64, uri string) store.Consent {
	t.Helper()
	c := store.Consent{
		UserID: userID, ApplicationID: applicationID, ApplicationEpoch: 1, RedirectURI: uri, Scopes: "read write",
		Audience: "https://api.example", Created: at(0),
	}
	t.must(t.st.SaveConsent(t.Context(), c, store.Consent{}))
	return c
}

func (t *tester) sameConsent(what string, want store.Consent) {
	t.Helper()
	got, err := t.st.ConsentFor(t.Context(), want.UserID, want.ApplicationID, want.RedirectURI)
	t.must(err)
	t.same(what, want, got)
}

func (t *tester) noConsent(what string, c store.Consent) {
	t.Helper()
	_, err := t.st.ConsentFor(t.Context(), c.UserID, c.ApplicationID, c.RedirectURI)
	t.refused(what, store.ErrNotFound, err)
}

func consentFields(t *tester) {
	app, prefix := t.application(), rand.Text()
	times := oddTimes()
	var all []store.Consent
	for i, s := range append(oddTexts(), strings.Repeat("https://client.example/long/", 200)) {
		given := store.Consent{
			UserID: prefix + s[:min(len(s), 40)], ApplicationID: app.ID, ApplicationEpoch: int64(i) << 33, RedirectURI: s, Scopes: s, Audience: s,
			Created: times[i%len(times)],
		}
		t.must(t.st.SaveConsent(t.Context(), given, store.Consent{}))
		given.Created = kept(given.Created)
		all = append(all, given)
	}
	for _, want := range all {
		t.sameConsent("ConsentFor", want)
		list, total, err := t.st.ListConsents(t.Context(), want.UserID, store.Page{Limit: 10})
		t.must(err)
		t.same("ListConsents", []store.Consent{want}, list)
		t.same("how many", 1, total)
	}
}

func consentReplaced(t *tester) {
	u, v, app, other := t.user(), t.user(), t.application(), t.application()
	const uri = "https://client.example/cb"
	beside := []store.Consent{t.consent(v.ID, app.ID, uri), t.consent(u.ID, other.ID, uri), t.consent(u.ID, app.ID, uri+"/")}
	first := t.consent(u.ID, app.ID, uri)
	c := first
	c.ApplicationEpoch, c.Scopes, c.Audience, c.Created = 2, "read", "", at(5*us)
	for what, prev := range map[string]store.Consent{
		"no record":                   {},
		"a record of another epoch":   consentBut(first, func(c *store.Consent) { c.ApplicationEpoch++ }),
		"a record of other scopes":    consentBut(first, func(c *store.Consent) { c.Scopes = "read" }),
		"scopes in upper case":        consentBut(first, func(c *store.Consent) { c.Scopes = strings.ToUpper(c.Scopes) }),
		"scopes with a blank behind":  consentBut(first, func(c *store.Consent) { c.Scopes += " " }),
		"a record of other resources": consentBut(first, func(c *store.Consent) { c.Audience = "" }),
		"a record of another time":    consentBut(first, func(c *store.Consent) { c.Created = at(us) }),
	} {
		t.refused("in place of "+what, store.ErrConflict, t.st.SaveConsent(t.Context(), c, prev))
		t.sameConsent("after a conflict", first)
	}
	t.must(t.st.SaveConsent(t.Context(), c, first))
	t.sameConsent("the record", c)
	t.must(t.st.SaveConsent(t.Context(), c, c))
	t.sameConsent("the record in place of itself", c)
	gone := consentBut(c, func(c *store.Consent) { c.ApplicationID += 1e6 })
	t.refused("for no application", store.ErrNotFound, t.st.SaveConsent(t.Context(), gone, store.Consent{}))
	for _, other := range beside {
		t.sameConsent("another record", other)
	}
	for _, absent := range []store.Consent{
		{UserID: u.ID, ApplicationID: app.ID, RedirectURI: strings.ToUpper(uri)},
		{UserID: u.ID, ApplicationID: app.ID},
		{ApplicationID: app.ID, RedirectURI: uri},
		{UserID: u.ID, RedirectURI: uri},
		{UserID: u.ID, ApplicationID: app.ID + 1e6, RedirectURI: uri},
	} {
		t.noConsent("a record that never was", absent)
	}
}

func consentList(t *tester) {
	u := t.user()
	var want []store.Consent
	for i := range 6 {
		c := t.consent(u.ID, t.application().ID, "https://client.example/cb")
		prev := c
		c.Created = at(time.Duration(i*7%5) * hour).Add(time.Duration(i) * us)
		t.must(t.st.SaveConsent(t.Context(), c, prev))
		want = append(want, c)
	}
	t.consent(t.user().ID, want[0].ApplicationID, "https://client.example/cb")
	list := func(p store.Page) ([]store.Consent, int, error) { return t.st.ListConsents(t.Context(), u.ID, p) }
	pages(t, store.OrderID, want, list)
	slices.SortFunc(want, func(a, b store.Consent) int { return a.Created.Compare(b.Created) })
	pages(t, store.OrderCreated, want, list)
}

func consentWithdrawn(t *tester) {
	u, v, app, other := t.user(), t.user(), t.application(), t.application()
	const uri = "https://client.example/cb"
	gone := []store.Consent{t.consent(u.ID, app.ID, uri), t.consent(u.ID, app.ID, uri+"2")}
	stays := []store.Consent{t.consent(v.ID, app.ID, uri), t.consent(u.ID, other.ID, uri)}
	pair := t.insert(t.pair(u.ID, app.ID))
	ends := []store.Token{pair, t.child(pair), t.redeem(t.redemption(t.code(u.ID, app.ID), at(us)))}
	lives := []store.Token{t.insert(t.pair(v.ID, app.ID)), t.insert(t.pair(u.ID, other.ID)), t.insert(t.personal(u.ID)), t.insert(t.pair("", app.ID))}
	for range 2 {
		t.must(t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(5*us)))
		for _, c := range gone {
			t.noConsent("withdrawn", c)
		}
		for _, c := range stays {
			t.sameConsent("another's", c)
		}
		t.revoked("the tokens", at(5*us), ends...)
		t.live("other tokens", lives...)
	}
	for _, nobody := range []struct {
		userID string
		app    int64
	}{{"", app.ID}, {u.ID, 0}, {"", 0}, {u.ID, app.ID + 1e6}} {
		t.must(t.st.WithdrawConsent(t.Context(), nobody.userID, nobody.app, at(6*us)))
	}
	t.live("after nothing was withdrawn", lives...)
	t.reads(t.insert(t.pair(u.ID, app.ID)))
}

func consentApplicationGone(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	const uri = "https://client.example/cb"
	c, stays := t.consent(u.ID, app.ID, uri), t.consent(u.ID, other.ID, uri)
	t.must(t.st.DeleteApplication(t.Context(), app.ID, at(us)))
	t.noConsent("of the application", c)
	list, total, err := t.st.ListConsents(t.Context(), u.ID, store.Page{Limit: 10})
	t.must(err)
	t.same("what is listed", []store.Consent{stays}, list)
	t.same("how many", 1, total)
	_, err = t.st.Purge(t.Context(), at(day), 100)
	t.must(err)
	t.sameConsent("another's after a purge", stays)
}

// consentBut returns a consent with a change.
func consentBut(c store.Consent, change func(*store.Consent)) store.Consent {
	change(&c)
	return c
}

func consentRace(t *tester) {
	u, app := t.user(), t.application()
	t.rounds(func() {
		c := store.Consent{UserID: u.ID, ApplicationID: app.ID, RedirectURI: "https://client.example/" + rand.Text(), Created: at(0)}
		prev := store.Consent{}
		for round := range 2 { // the first record, and one in place of it
			winner := -1
			for i, err := range race(contenders, func(i int) error {
				next := c
				next.ApplicationEpoch, next.Created = int64(i), at(time.Duration(round)*us)
				return t.st.SaveConsent(t.Context(), next, prev)
			}) {
				switch {
				case err == nil && winner < 0:
					winner = i
				case err == nil:
					t.Errorf("%d and %d both replaced %+v", winner, i, prev)
				default:
					t.refused("who is late", store.ErrConflict, err)
				}
			}
			got, err := t.st.ConsentFor(t.Context(), u.ID, app.ID, c.RedirectURI)
			t.must(err)
			if got.ApplicationEpoch != int64(winner) {
				t.Errorf("the record is of %d, and %d succeeded", got.ApplicationEpoch, winner)
			}
			prev = got
		}
		t.must(t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(0)))
		t.noConsent("withdrawn", c)
	})
}

func consentWithdrawnMeanwhile(t *tester) {
	u, app := t.user(), t.application()
	const uri = "https://client.example/cb"
	prev := t.consent(u.ID, app.ID, uri)
	next := consentBut(prev, func(c *store.Consent) { c.Scopes += " admin" })
	t.must(t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(us)))
	t.refused("in place of what was withdrawn", store.ErrConflict, t.st.SaveConsent(t.Context(), next, prev))
	t.noConsent("withdrawn", next)
	t.rounds(func() {
		prev := t.consent(u.ID, app.ID, "https://client.example/"+rand.Text())
		next := consentBut(prev, func(c *store.Consent) { c.Scopes += " admin" })
		errs := race(contenders, func(i int) error {
			if i%2 == 0 {
				return t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(us))
			}
			return t.st.SaveConsent(t.Context(), next, prev)
		})
		saved := 0
		for i, err := range errs {
			switch {
			case i%2 == 0:
				t.must(err)
			case err == nil:
				saved++
			default:
				t.refused("who is late", store.ErrConflict, err)
			}
		}
		if saved > 1 {
			t.Errorf("%d calls replaced one record", saved)
		}
		t.must(t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(us)))
	})
}
