package storetest

import (
	"crypto/rand"
	"math"
	"slices"

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
		races:   true,
		promise: "InsertApplication returns ErrExists if the client identifier, or the name within the organization, is taken",
		run:     applicationInsertRace,
	},
	{
		name:    "of 64 updates of one revision one succeeds",
		races:   true,
		promise: "UpdateApplication returns ErrConflict unless a.Revision is the current one",
		run:     applicationUpdateRace,
	},
	{
		name:    "no order of a deletion and a grant leaves a live token",
		races:   true,
		promise: "DeleteApplication is one step, Redeem and Rotate are one step",
		run:     applicationDeleteRace,
	},
	{
		name:    "what asks for another consent is another epoch",
		promise: "Epoch grows with each change of what a user consents to: RedirectURIs, Confidential, Secret, OrganizationID or SkipConsent",
		run:     applicationEpoch,
	},
	{
		name:    "no order of an insert and a deletion leaves a live token",
		races:   true,
		promise: "InsertToken returns ErrConflict if t.ApplicationID names an application that does not exist; whatever the order of an insert and a concurrent deletion is, no live token of that application remains",
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
			Confidential: i%2 == 0, GrantType: s, RedirectURIs: texts[:i], SkipConsent: i%3 == 0, RequirePKCE: i%2 == 1, Resource: s,
			Created: times[i%len(times)], Modified: times[(i+1)%len(times)],
		}
		if i%2 == 0 {
			given.Secret, given.OldSecret, given.OldSecretExpires = t.digest(), t.digest(), times[(i+2)%len(times)]
		}
		stored, err := t.st.InsertApplication(t.Context(), given)
		t.must(err)
		if stored.ID <= 0 || stored.Revision == 77 || stored.Epoch == 77 {
			t.Errorf("got ID %d and revision %d, want the store's", stored.ID, stored.Revision)
		}
		want := given
		want.ID, want.Epoch, want.Revision = stored.ID, stored.Epoch, stored.Revision
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
	a.Epoch++
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
			RedirectURIs: texts[i:], SkipConsent: i%3 == 0, RequirePKCE: i%3 == 1, Resource: s, Disabled: i%4 == 0, Modified: times[(i+1)%len(times)],
			Epoch: 77, ClientID: rand.Text(), Created: at(day), // not the caller's to change
		}
		t.must(t.st.UpdateApplication(t.Context(), given))
		want := given
		want.ClientID, want.Created, want.Epoch, want.Revision = a.ClientID, a.Created, a.Epoch+1, a.Revision+1
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

	again, err := t.st.InsertApplication(t.Context(), store.Application{ClientID: app.ClientID, Name: app.Name, OrganizationID: app.OrganizationID})
	t.must(err)
	if again.ID == app.ID {
		t.Errorf("the ID %d was used again", app.ID)
	}
}

func applicationEpoch(t *tester) {
	a := t.application()
	for _, tt := range []struct {
		name   string
		change func(a *store.Application)
		raises bool
	}{
		{"nothing", func(a *store.Application) {}, false},
		{"the description", func(a *store.Application) { a.Description += "x" }, false},
		{"the name", func(a *store.Application) { a.Name += "x" }, false},
		{"the grant type", func(a *store.Application) { a.GrantType += "x" }, false},
		{"the end of the old secret", func(a *store.Application) { a.OldSecretExpires = at(hour) }, false},
		{"an old secret", func(a *store.Application) { a.OldSecret = t.digest() }, false},
		{"disabled", func(a *store.Application) { a.Disabled = true }, false},
		{"enabled", func(a *store.Application) { a.Disabled = false }, false},
		{"another redirect URI", func(a *store.Application) { a.RedirectURIs = []string{"https://evil.example/cb"} }, true},
		{"one more redirect URI", func(a *store.Application) {
			a.RedirectURIs = append(slices.Clone(a.RedirectURIs), "https://evil.example/2")
		}, true},
		{"redirect URIs in another order", func(a *store.Application) {
			a.RedirectURIs = slices.Clone(a.RedirectURIs)
			slices.Reverse(a.RedirectURIs)
		}, true},
		{"no redirect URI", func(a *store.Application) { a.RedirectURIs = nil }, true},
		{"public", func(a *store.Application) { a.Confidential = false }, true},
		{"confidential", func(a *store.Application) { a.Confidential = true }, true},
		{"another secret", func(a *store.Application) { a.Secret = t.digest() }, true},
		{"no secret", func(a *store.Application) { a.Secret = store.Digest{} }, true},
		{"a secret", func(a *store.Application) { a.Secret = t.digest() }, true},
		{"another organization", func(a *store.Application) { a.OrganizationID++ }, true},
		{"no consent page", func(a *store.Application) { a.SkipConsent = true }, true},
		{"a consent page", func(a *store.Application) { a.SkipConsent = false }, true},
	} {
		next := a
		tt.change(&next)
		next.Epoch = 77777 // not the caller's to say
		t.must(t.st.UpdateApplication(t.Context(), next))
		got, err := t.st.ApplicationByID(t.Context(), a.ID)
		t.must(err)
		if (got.Epoch > a.Epoch) != tt.raises || got.Epoch < a.Epoch || got.Epoch == 77777 {
			t.Errorf("%s: the epoch went from %d to %d", tt.name, a.Epoch, got.Epoch)
		}
		stale := next
		stale.RedirectURIs = []string{"https://stale.example"}
		t.refused(tt.name+": a stale revision", store.ErrConflict, t.st.UpdateApplication(t.Context(), stale))
		t.sameApplication(tt.name+": after that", got)
		a = got
	}
}
