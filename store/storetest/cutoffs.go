package storetest

import (
	"errors"

	"github.com/ostiary/auth/store"
)

var cutoffChecks = []check{
	{
		name:    "a bulk revocation ends what was there and nothing that comes later",
		promise: "when RevokeTokens returns nil, all of the tokens that s names must be dead: every method reports them as revoked",
		run:     cutoffReads,
	},
	{
		name:    "codes and devices end with it",
		promise: "a selection by UserID, ApplicationID, both or All also names what tokens are still to be issued for",
		alone:   true,
		run:     cutoffGrants,
	},
	{
		name:    "no order of a bulk revocation and a grant leaves a live token",
		races:   true,
		promise: "RevokeTokens, Redeem, RedeemDevice, Rotate and InsertToken are one step each",
		run:     cutoffRace,
	},
	{
		name:    "a disabled application has no tokens and gets none",
		promise: "UpdateApplication ends the tokens of an application that becomes Disabled; InsertToken returns ErrConflict if the application is disabled",
		run:     cutoffDisabled,
	},
	{
		name:    "a revocation of many is whole at once",
		promise: "RevokeTokens ends all tokens before it returns, however many; Purge finishes in steps what it left to do",
		alone:   true,
		run:     cutoffMany,
	},
}

func cutoffReads(t *tester) {
	for _, tt := range []struct {
		name string
		sel  func(u store.User, app store.Application) store.Selection
		ends [4]bool // which of the tokens below
	}{
		{"user", func(u store.User, _ store.Application) store.Selection { return store.Selection{UserID: u.ID} }, [4]bool{true, true, false, true}},
		{"application", func(_ store.User, app store.Application) store.Selection {
			return store.Selection{ApplicationID: app.ID}
		}, [4]bool{false, true, true, true}},
		{"both", func(u store.User, app store.Application) store.Selection {
			return store.Selection{UserID: u.ID, ApplicationID: app.ID}
		}, [4]bool{false, true, false, true}},
	} {
		u, v, app, other := t.user(), t.user(), t.application(), t.application()
		pair := t.insert(t.pair(u.ID, app.ID))
		toks := [4]store.Token{t.insert(t.personal(u.ID)), pair, t.insert(t.pair(v.ID, app.ID)), t.child(pair)}
		bystanders := []store.Token{t.insert(t.personal(v.ID)), t.insert(t.pair(v.ID, other.ID))}
		sel := tt.sel(u, app)
		_, err := t.st.RevokeTokens(t.Context(), sel, at(5*us))
		t.must(err)
		for i, tok := range toks {
			if tt.ends[i] {
				t.revoked(tt.name, at(5*us), tok)
				t.dead(tt.name, tok)
				t.reads(t.token(tok.ID))
			} else {
				t.live(tt.name, tok)
				t.reads(tok)
			}
		}
		t.live(tt.name+": others", bystanders...)
		later := []store.Token{t.insert(t.personal(u.ID)), t.insert(t.pair(u.ID, app.ID)), t.redeem(t.redemption(t.code(u.ID, app.ID), at(us)))}
		d := t.approved(app.ID, u)
		tok, err := t.st.RedeemDevice(t.Context(), store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)})
		t.must(err)
		later = append(later, tok, t.child(tok))
		t.live(tt.name+": what comes later", later...)
		later[1] = t.rotate(t.rotation(later[1], at(6*us)))
		for _, tok := range later {
			t.reads(tok)
		}
		_, err = t.st.RevokeTokens(t.Context(), sel, at(7*us))
		t.must(err)
		for i, tok := range toks {
			if tt.ends[i] {
				t.revoked(tt.name+": the first time counts", at(5*us), tok)
			}
		}
		t.dead(tt.name+": what came later, in the end", later[1:]...)
	}
}

func cutoffGrants(t *tester) {
	for _, tt := range []struct {
		name string
		end  func(u store.User, app store.Application) error
		all  bool // ends devices that nobody decided about, too
	}{
		{"user", func(u store.User, _ store.Application) error {
			_, err := t.st.RevokeTokens(t.Context(), store.Selection{UserID: u.ID}, at(us))
			return err
		}, false},
		{"application", func(_ store.User, app store.Application) error {
			_, err := t.st.RevokeTokens(t.Context(), store.Selection{ApplicationID: app.ID}, at(us))
			return err
		}, true},
		{"both", func(u store.User, app store.Application) error {
			_, err := t.st.RevokeTokens(t.Context(), store.Selection{UserID: u.ID, ApplicationID: app.ID}, at(us))
			return err
		}, false},
		{"all", func(store.User, store.Application) error {
			_, err := t.st.RevokeTokens(t.Context(), store.Selection{All: true}, at(us))
			return err
		}, true},
		{"withdrawn", func(u store.User, app store.Application) error {
			return t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(us))
		}, false},
	} {
		u, app := t.user(), t.application()
		c, spent, yes, open := t.code(u.ID, app.ID), t.code(u.ID, app.ID), t.approved(app.ID, u), t.device(app.ID)
		tok := t.redeem(t.redemption(spent, at(us)))
		t.must(tt.end(u, app))
		t.dead(tt.name+": a token", tok)
		for _, c := range []store.Code{c, spent} {
			_, err := t.st.CodeByDigest(t.Context(), c.Digest)
			t.refused(tt.name+": CodeByDigest", store.ErrNotFound, err)
			t.refused(tt.name+": SpendCode", store.ErrNotFound, t.st.SpendCode(t.Context(), c.Digest, at(2*us)))
			_, err = t.st.Redeem(t.Context(), t.redemption(c, at(2*us)))
			t.refused(tt.name+": Redeem", store.ErrNotFound, err)
		}
		gone := []store.Device{yes}
		if tt.all {
			gone = append(gone, open)
		} else {
			t.sameDevice(tt.name+": a device that nobody decided about", open)
		}
		for _, d := range gone {
			_, err := t.st.DeviceByUserCode(t.Context(), d.UserCode)
			t.refused(tt.name+": DeviceByUserCode", store.ErrNotFound, err)
			_, err = t.st.PollDevice(t.Context(), d.Digest, app.ID, 0, at(2*us))
			t.refused(tt.name+": PollDevice", store.ErrNotFound, err)
			t.refused(tt.name+": DecideDevice", store.ErrNotFound, t.st.DecideDevice(t.Context(), d.UserCode, store.Denied, u.ID, 1, at(2*us)))
			_, err = t.st.RedeemDevice(t.Context(), store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(2 * us), Token: t.pair(u.ID, app.ID)})
			t.refused(tt.name+": RedeemDevice", store.ErrNotFound, err)
		}
	}
}

func cutoffRace(t *tester) {
	app := t.application()
	k := 0
	t.rounds(func() {
		k++
		u := t.user()
		tok, c, d := t.insert(t.pair(u.ID, app.ID)), t.code(u.ID, app.ID), t.approved(app.ID, u)
		rotation, redemption, paid, given := t.rotation(tok, at(us)), t.redemption(c, at(us)), t.pair(u.ID, app.ID), t.pair(u.ID, app.ID)
		var early store.Token // what an insert has stored that was done before
		errs := race(5, func(i int) (err error) {
			switch (i + k) % 5 {
			case 0:
				if k%2 == 0 {
					return t.st.WithdrawConsent(t.Context(), u.ID, app.ID, at(2*us))
				}
				_, err = t.st.RevokeTokens(t.Context(), store.Selection{UserID: u.ID}, at(2*us))
			case 1:
				_, err = t.st.Rotate(t.Context(), rotation)
			case 2:
				_, err = t.st.Redeem(t.Context(), redemption)
			case 3:
				_, err = t.st.RedeemDevice(t.Context(), store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(us), Token: paid})
			default:
				early, err = t.st.InsertToken(t.Context(), given, limits)
			}
			return err
		})
		for _, err := range errs {
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Errorf("got error %v", err)
			}
		}
		_ = early // an insert may have come later
		for what, digest := range map[string]store.Digest{
			"of the refresh token": rotation.Token.Digest, "of the code": redemption.Token.Digest, "of the device": paid.Digest,
		} {
			got, err := t.st.TokenByDigest(t.Context(), digest)
			if err == nil {
				t.dead("the token "+what, got)
			} else {
				t.refused("the token "+what, store.ErrNotFound, err)
			}
		}
	})
}

func cutoffDisabled(t *tester) {
	u, app := t.user(), t.application()
	tok, c, other := t.insert(t.pair(u.ID, app.ID)), t.code(u.ID, app.ID), t.insert(t.personal(u.ID))
	kid := t.child(tok)
	app.Disabled, app.Modified = true, at(5*us)
	t.must(t.st.UpdateApplication(t.Context(), app))
	app.Revision++
	t.sameApplication("the application", app)
	t.revoked("its tokens and what they minted", at(5*us), tok, kid)
	t.live("another token", other)
	refuse := func(what string, want, err error) {
		t.Helper()
		t.refused(what, want, err)
	}
	_, err := t.st.Rotate(t.Context(), t.rotation(tok, at(us)))
	refuse("Rotate", store.ErrNotFound, err)
	_, err = t.st.Redeem(t.Context(), t.redemption(c, at(us)))
	refuse("Redeem", store.ErrNotFound, err)
	given := t.pair(u.ID, app.ID)
	_, err = t.st.InsertToken(t.Context(), given, limits)
	refuse("InsertToken", store.ErrConflict, err)
	_, err = t.st.TokenByDigest(t.Context(), given.Digest)
	refuse("the token", store.ErrNotFound, err)
	refuse("InsertCode", store.ErrConflict, t.st.InsertCode(t.Context(), store.Code{Digest: t.digest(), ApplicationID: app.ID, UserID: u.ID, Expires: at(day)}, anyNumber))
	refuse("InsertDevice", store.ErrConflict, t.st.InsertDevice(t.Context(), store.Device{Digest: t.digest(), UserCode: t.digest(), ApplicationID: app.ID, Expires: at(day)}))
	given.ApplicationID = app.ID + 1e6
	_, err = t.st.InsertToken(t.Context(), given, limits)
	refuse("InsertToken for an application that never was", store.ErrConflict, err)
	// An update of a disabled application ends nothing anew; it can be enabled.
	app.Modified = at(6 * us)
	t.must(t.st.UpdateApplication(t.Context(), app))
	app.Revision++
	app.Disabled = false
	t.must(t.st.UpdateApplication(t.Context(), app))
	t.revoked("its tokens", at(5*us), tok, kid)
	t.reads(t.insert(t.pair(u.ID, app.ID)))
}

// cutoffMany revokes more tokens than a step of Purge removes.
func cutoffMany(t *tester) {
	const n, step = 250, 100
	u, app := t.user(), t.application()
	var toks []store.Token
	for range n {
		toks = append(toks, t.insert(t.pair(u.ID, app.ID)))
	}
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{ApplicationID: app.ID}, at(us))
	t.must(err)
	t.dead("each of them", toks...)
	_, total, err := t.st.ListTokens(t.Context(), store.TokenFilter{UserID: u.ID}, store.Page{Limit: 1})
	t.must(err)
	t.same("how many are listed", 0, total)
	sum := 0
	for {
		removed, err := t.st.Purge(t.Context(), at(day), step)
		t.must(err)
		if sum += removed; removed == 0 {
			break
		}
	}
	t.same("how many Purge removes", n, sum)
}
