package storetest

import (
	"crypto/rand"
	"errors"
	"slices"
	"strconv"

	"github.com/ostiary/auth/store"
)

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
		if len(a.RedirectURIs) != winner%4+1 {
			a.Epoch++
		}
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
				given.ParentID = parent.Family
			}
			var err error
			toks[i], err = t.st.InsertToken(t.Context(), given, limits)
			if errors.Is(err, store.ErrConflict) {
				return nil // too late
			}
			return err
		}) {
			t.must(err)
		}
		for _, tok := range toks {
			if tok.ID != 0 {
				t.dead("a token that was stored", tok)
			}
		}
	})
}
