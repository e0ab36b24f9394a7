package storetest

import (
	"crypto/rand"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/ostiary/auth/store"
)

var applicationChecks = []check{
	{
		name:    "every field is kept",
		promise: "InsertApplication stores a and returns it with ID and Revision set; text byte for byte, times in UTC to the microsecond",
		run:     applicationFields,
	},
	{
		name:    "a taken client identifier or name is ErrExists",
		promise: "InsertApplication returns ErrExists if the client identifier, or the name within the organization, is taken",
		run:     applicationTaken,
	},
	{
		name:    "identifiers and names are compared byte for byte",
		promise: "text is compared byte for byte, without case folding, collation or normalization",
		run:     applicationText,
	},
	{
		name:    "an absent application is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run:     applicationAbsent,
	},
	{
		name:    "records share no memory",
		promise: "records go in and out by value and share no memory with the store",
		run:     applicationMemory,
	},
	{
		name:    "UpdateApplication replaces everything but ID, ClientID and Created",
		promise: "UpdateApplication replaces everything but ID, ClientID and Created",
		run:     applicationUpdate,
	},
	{
		name:    "a stale revision is ErrConflict and changes nothing",
		promise: "UpdateApplication returns ErrConflict, and changes nothing, unless a.Revision is the current one",
		run:     applicationStale,
	},
	{
		name:    "an update to a taken name is ErrExists and changes nothing",
		promise: "UpdateApplication returns ErrExists if the name is taken",
		run:     applicationUpdateTaken,
	},
	{
		name:    "DeleteApplication ends everything of it and nothing else",
		promise: "DeleteApplication removes the application, its codes and devices, and revokes its tokens with everything they minted, in one step",
		run:     applicationDelete,
	},
	{
		name:    "of 64 inserts of one identifier or name one succeeds",
		promise: "InsertApplication returns ErrExists if the client identifier, or the name within the organization, is taken",
		run:     applicationInsertRace,
	},
	{
		name:    "of 64 updates of one revision one succeeds",
		promise: "UpdateApplication returns ErrConflict unless a.Revision is the current one",
		run:     applicationUpdateRace,
	},
	{
		name:    "no order of a deletion and a grant leaves a live token",
		promise: "DeleteApplication is one step, Redeem and Rotate are one step",
		run:     applicationDeleteRace,
	},
	{
		name:    "a deletion ends the tokens of those who still see the application",
		promise: "InsertToken does not ask whether the application exists, but who still finds that afterwards knows that its deletion ends t",
		run:     applicationInsertTokenRace,
	},
}

func (t *tester) sameApplication(what string, want store.Application) {
	t.Helper()
	got, err := t.st.ApplicationByID(t.Context(), want.ID)
	t.must(err)
	t.same(what+": ApplicationByID", want, got)
	got, err = t.st.ApplicationByClientID(t.Context(), want.ClientID)
	t.must(err)
	t.same(what+": ApplicationByClientID", want, got)
}

func applicationFields(t *tester) {
	prefix := rand.Text()
	times, texts := oddTimes(), oddTexts()
	for i, s := range texts {
		given := store.Application{
			ID: 77, Revision: 77, // not the caller's to say
			ClientID: prefix + s, Name: prefix + s, Description: s, OrganizationID: int64(i%3) * math.MaxInt32,
			Confidential: i%2 == 0, GrantType: s, RedirectURIs: texts[:i], SkipConsent: i%3 == 0,
			Created: times[i%len(times)], Modified: times[(i+1)%len(times)],
		}
		if i%2 == 0 {
			given.Secret, given.OldSecret, given.OldSecretExpires = t.digest(), t.digest(), times[(i+2)%len(times)]
		}
		stored, err := t.st.InsertApplication(t.Context(), given)
		t.must(err)
		if stored.ID <= 0 || stored.Revision == 77 {
			t.Errorf("got ID %d and revision %d, want the store's", stored.ID, stored.Revision)
		}
		want := given
		want.ID, want.Revision = stored.ID, stored.Revision
		want.Created, want.Modified, want.OldSecretExpires = kept(given.Created), kept(given.Modified), kept(given.OldSecretExpires)
		t.same("InsertApplication", want, stored)
		t.sameApplication("the application", want)
	}
}

func applicationTaken(t *tester) {
	a := t.applicationOf(1)
	for _, thief := range []store.Application{
		{ClientID: a.ClientID, Name: rand.Text(), OrganizationID: 1},
		{ClientID: a.ClientID, Name: rand.Text(), OrganizationID: 2},
		{ClientID: rand.Text(), Name: a.Name, OrganizationID: 1},
	} {
		_, err := t.st.InsertApplication(t.Context(), thief)
		t.refused("a taken identifier or name", store.ErrExists, err)
		if thief.ClientID != a.ClientID {
			_, err := t.st.ApplicationByClientID(t.Context(), thief.ClientID)
			t.refused("the application that was refused", store.ErrNotFound, err)
		}
	}
	t.sameApplication("the application that was there", a)
	for _, organization := range []int64{0, 2, -1} {
		if _, err := t.st.InsertApplication(t.Context(), store.Application{ClientID: rand.Text(), Name: a.Name, OrganizationID: organization}); err != nil {
			t.Errorf("the name in organization %d: %v", organization, err)
		}
	}
}

func applicationText(t *tester) {
	prefix := rand.Text()
	var all []store.Application
	for _, s := range oddTexts() {
		a, err := t.st.InsertApplication(t.Context(), store.Application{ClientID: prefix + s, Name: prefix + s, OrganizationID: 1})
		if err != nil {
			t.Fatalf("InsertApplication with %q: %v", s, err)
		}
		all = append(all, a)
	}
	for _, a := range all {
		t.sameApplication("the application", a)
	}
	_, err := t.st.ApplicationByClientID(t.Context(), prefix+"rOOt")
	t.refused("an identifier in another case", store.ErrNotFound, err)
	_, err = t.st.ApplicationByClientID(t.Context(), prefix+"  ")
	t.refused("an identifier with trailing blanks", store.ErrNotFound, err)
}

func applicationAbsent(t *tester) {
	a := t.application()
	for _, id := range []int64{0, -1, a.ID + 1e6, math.MaxInt64} {
		_, err := t.st.ApplicationByID(t.Context(), id)
		t.refused("ApplicationByID", store.ErrNotFound, err)
		given := a
		given.ID, given.Name = id, rand.Text()
		t.refused("UpdateApplication", store.ErrNotFound, t.st.UpdateApplication(t.Context(), given))
		t.refused("DeleteApplication", store.ErrNotFound, t.st.DeleteApplication(t.Context(), id, at(us)))
	}
	for _, s := range []string{"", a.Name, "' OR 1=1 --"} {
		_, err := t.st.ApplicationByClientID(t.Context(), s)
		t.refused("ApplicationByClientID", store.ErrNotFound, err)
	}
	t.sameApplication("the application", a)
}

func applicationMemory(t *tester) {
	const good, bad = "https://client.example/cb", "https://evil.example/cb"
	spoil := func(list []string) {
		for i := range list {
			list[i] = bad
		}
	}
	given := store.Application{ClientID: rand.Text(), Name: rand.Text(), RedirectURIs: []string{good, good}}
	a, err := t.st.InsertApplication(t.Context(), given)
	t.must(err)
	spoil(given.RedirectURIs)
	spoil(a.RedirectURIs)
	a.RedirectURIs = []string{good, good}
	t.sameApplication("after what InsertApplication was given and returned changed", a)
	for range 2 {
		got, err := t.st.ApplicationByID(t.Context(), a.ID)
		t.must(err)
		t.same("ApplicationByID", a, got)
		spoil(got.RedirectURIs)
		got, err = t.st.ApplicationByClientID(t.Context(), a.ClientID)
		t.must(err)
		t.same("ApplicationByClientID", a, got)
		spoil(got.RedirectURIs)
		list, _, err := t.st.ListApplications(t.Context(), store.ApplicationFilter{All: true, ID: a.ID}, store.Page{Limit: 1})
		t.must(err)
		t.same("ListApplications", a, list[0])
		spoil(list[0].RedirectURIs)
	}
	given = a
	given.RedirectURIs = []string{good}
	t.must(t.st.UpdateApplication(t.Context(), given))
	spoil(given.RedirectURIs)
	a.RedirectURIs = []string{good}
	a.Revision++
	t.sameApplication("after what UpdateApplication was given changed", a)
}

func applicationUpdate(t *tester) {
	a, bystander := t.application(), t.application()
	prefix, old := rand.Text(), a.Name
	times, texts := oddTimes(), oddTexts()
	for i, s := range texts {
		given := store.Application{
			ID: a.ID, Revision: a.Revision,
			Secret: t.digest(), OldSecret: a.Secret, OldSecretExpires: times[i%len(times)],
			Name: prefix + s, Description: s, OrganizationID: int64(i % 3), Confidential: i%2 == 0, GrantType: s,
			RedirectURIs: texts[i:], SkipConsent: i%3 == 0, Modified: times[(i+1)%len(times)],
			ClientID: rand.Text(), Created: at(day), // not the caller's to change
		}
		t.must(t.st.UpdateApplication(t.Context(), given))
		want := given
		want.ClientID, want.Created, want.Revision = a.ClientID, a.Created, a.Revision+1
		want.OldSecretExpires, want.Modified = kept(given.OldSecretExpires), kept(given.Modified)
		t.sameApplication("the application", want)
		_, err := t.st.ApplicationByClientID(t.Context(), given.ClientID)
		t.refused("the identifier it did not get", store.ErrNotFound, err)
		a = want
	}
	t.sameApplication("another application", bystander)
	if _, err := t.st.InsertApplication(t.Context(), store.Application{ClientID: rand.Text(), Name: old, OrganizationID: 1}); err != nil {
		t.Errorf("a name that was given up: %v", err)
	}
}

func applicationStale(t *tester) {
	a := t.application()
	next := a
	next.Description = "second"
	t.must(t.st.UpdateApplication(t.Context(), next))
	next.Revision++
	for _, rev := range []int64{a.Revision, next.Revision + 1, 0, -1} {
		stale := a
		stale.Revision, stale.Name, stale.Secret = rev, rand.Text(), t.digest()
		t.refused("a stale revision", store.ErrConflict, t.st.UpdateApplication(t.Context(), stale))
	}
	t.sameApplication("the application", next)
}

func applicationUpdateTaken(t *tester) {
	a, other, elsewhere := t.applicationOf(1), t.applicationOf(1), t.applicationOf(2)
	given := a
	given.Name, given.Description = other.Name, "thief"
	t.refused("a taken name", store.ErrExists, t.st.UpdateApplication(t.Context(), given))
	given.Name, given.OrganizationID = elsewhere.Name, 2
	t.refused("a name that is taken where it moves to", store.ErrExists, t.st.UpdateApplication(t.Context(), given))
	for _, want := range []store.Application{a, other, elsewhere} {
		t.sameApplication("after an update that was refused", want)
	}
	given = a
	given.Name = elsewhere.Name
	if err := t.st.UpdateApplication(t.Context(), given); err != nil {
		t.Errorf("a name of another organization: %v", err)
	}
}

func applicationDelete(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	when := at(5 * us)
	pair, machine := t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair("", app.ID))
	kid := t.child(pair) // a personal token
	grandkid := t.child(kid)
	code, device, approved := t.code(u.ID, app.ID), t.device(app.ID), t.approved(app.ID, u)
	dead := t.insert(t.pair(u.ID, app.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	personal, oPair, oCode, oDevice := t.insert(t.personal(u.ID)), t.insert(t.pair(u.ID, other.ID)), t.code(u.ID, other.ID), t.device(other.ID)
	session := t.insertSession(t.login(u.ID, at(0)))

	t.must(t.st.DeleteApplication(t.Context(), app.ID, when))

	_, err = t.st.ApplicationByID(t.Context(), app.ID)
	t.refused("ApplicationByID", store.ErrNotFound, err)
	_, err = t.st.ApplicationByClientID(t.Context(), app.ClientID)
	t.refused("ApplicationByClientID", store.ErrNotFound, err)
	t.refused("a second time", store.ErrNotFound, t.st.DeleteApplication(t.Context(), app.ID, when))
	t.revoked("its tokens and what they minted", when, pair, machine, kid, grandkid)
	t.revoked("a token that was revoked before", at(us), dead)
	_, err = t.st.CodeByDigest(t.Context(), code.Digest)
	t.refused("CodeByDigest", store.ErrNotFound, err)
	_, err = t.st.Redeem(t.Context(), t.redemption(code, at(us)))
	t.refused("Redeem", store.ErrNotFound, err)
	for _, d := range []store.Device{device, approved} {
		_, err = t.st.DeviceByUserCode(t.Context(), d.UserCode)
		t.refused("DeviceByUserCode", store.ErrNotFound, err)
		_, err = t.st.PollDevice(t.Context(), d.Digest, app.ID, 0, at(us))
		t.refused("PollDevice", store.ErrNotFound, err)
	}
	_, err = t.st.RedeemDevice(t.Context(), store.Redemption{Code: approved.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)})
	t.refused("RedeemDevice", store.ErrNotFound, err)
	_, err = t.st.Rotate(t.Context(), t.rotation(pair, at(us)))
	t.refused("Rotate", store.ErrNotFound, err)

	t.live("tokens of others", personal, oPair)
	t.sameApplication("another application", other)
	t.sameCode("a code of another application", oCode)
	t.sameDevice("a device of another application", oDevice)
	t.same("a session", session, t.session(session.Digest))

	again, err := t.st.InsertApplication(t.Context(), store.Application{ClientID: app.ClientID, Name: app.Name, OrganizationID: app.OrganizationID})
	t.must(err)
	if again.ID == app.ID {
		t.Errorf("the ID %d was used again", app.ID)
	}
}

func applicationInsertRace(t *tester) {
	k := 0
	t.rounds(func() {
		k++
		clientID, name := rand.Text(), rand.Text()
		apps := make([]store.Application, contenders)
		winner := t.oneWinner("InsertApplication", store.ErrExists, race(contenders, func(i int) (err error) {
			a := store.Application{ClientID: clientID, Name: name, OrganizationID: 1, Description: strconv.Itoa(i)}
			if k%2 == 0 {
				a.ClientID = rand.Text()
			} else {
				a.Name = rand.Text()
			}
			apps[i], err = t.st.InsertApplication(t.Context(), a)
			return err
		}))
		t.sameApplication("the winner", apps[winner])
	})
}

func applicationUpdateRace(t *tester) {
	a := t.application()
	t.rounds(func() {
		winner := t.oneWinner("UpdateApplication", store.ErrConflict, race(contenders, func(i int) error {
			given := a
			given.Description, given.RedirectURIs = strconv.Itoa(i), slices.Repeat(a.RedirectURIs[:1], i%4+1)
			return t.st.UpdateApplication(t.Context(), given)
		}))
		a.Description, a.RedirectURIs = strconv.Itoa(winner), slices.Repeat(a.RedirectURIs[:1], winner%4+1)
		a.Revision++
		t.sameApplication("the winner", a)
	})
}

func applicationDeleteRace(t *tester) {
	u := t.user()
	t.rounds(func() {
		app := t.application()
		tok := t.insert(t.pair(u.ID, app.ID))
		rot, red := t.rotation(tok, at(us)), t.redemption(t.code(u.ID, app.ID), at(us))
		dev := store.Redemption{Code: t.approved(app.ID, u).Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)}
		given := []store.Token{{}, rot.Token, red.Token, dev.Token}
		for i, err := range race(4, func(i int) (err error) {
			switch i {
			case 0:
				err = t.st.DeleteApplication(t.Context(), app.ID, at(2*us))
			case 1:
				_, err = t.st.Rotate(t.Context(), rot)
			case 2:
				_, err = t.st.Redeem(t.Context(), red)
			case 3:
				_, err = t.st.RedeemDevice(t.Context(), dev)
			}
			return err
		}) {
			if errors.Is(err, store.ErrNotFound) && i > 0 {
				continue // too late
			}
			t.must(err)
			if i > 0 {
				tok, err := t.st.TokenByDigest(t.Context(), given[i].Digest)
				t.must(err)
				t.revoked("a token of an application that is gone", at(2*us), tok)
			}
		}
	})
}

func applicationInsertTokenRace(t *tester) {
	u := t.user()
	t.rounds(func() {
		app := t.application()
		parent := t.insert(t.personal(u.ID))
		for range 8 { // so that the deletion takes its time
			t.insert(t.pair(u.ID, app.ID))
		}
		toks := make([]store.Token, 16)
		for _, err := range race(len(toks), func(i int) error {
			if i == 0 {
				return t.st.DeleteApplication(t.Context(), app.ID, at(us))
			}
			for range i { // some before, some during, some after the deletion
				if _, err := t.st.TokenByID(t.Context(), parent.ID); err != nil {
					return err
				}
			}
			given := t.pair(u.ID, app.ID)
			if i%2 == 0 {
				given.ParentID = parent.ID
			}
			tok, err := t.st.InsertToken(t.Context(), given)
			if err != nil {
				return err
			}
			_, err = t.st.ApplicationByID(t.Context(), app.ID)
			if errors.Is(err, store.ErrNotFound) {
				return nil // the caller sees to the token
			}
			toks[i] = tok
			return err
		}) {
			t.must(err)
		}
		for _, tok := range toks {
			if tok.ID != 0 {
				t.revoked("a token whose application was still there", at(us), tok)
			}
		}
	})
}
