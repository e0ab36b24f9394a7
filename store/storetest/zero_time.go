package storetest

import (
	"time"

	"github.com/ostiary/auth/store"
)

// endOfTime is the promise of everything that ends something at an instant.
const endOfTime = "an end at the zero time is an end like any other: what it ends is never read as what has not ended"

var zeroTimeChecks = []check{
	{name: "RevokeTokens", promise: endOfTime, run: zeroRevoke},
	{name: "RevokeTokens, in bulk", promise: endOfTime, run: zeroRevokeBulk},
	{name: "UpdateToken", promise: endOfTime, run: zeroEndMinted},
	{name: "SpendCode", promise: endOfTime, run: zeroSpend, needs: oauthPart},
	{name: "Redeem", promise: endOfTime, run: zeroRedeem, needs: oauthPart},
	{name: "RedeemDevice", promise: endOfTime, run: zeroRedeemDevice, needs: oauthPart},
	{name: "Rotate", promise: endOfTime, run: zeroRotate, needs: oauthPart},
	{name: "applications", promise: endOfTime, run: zeroApplications, needs: oauthPart},
	{name: "WithdrawConsent", promise: endOfTime, run: zeroWithdraw, needs: oauthPart},
	{name: "sessions", promise: endOfTime, run: zeroSessions, needs: sessionsPart},
	{name: "DeleteUser", promise: endOfTime, run: zeroDeleteUser, needs: wholePart},
}

// zeroTimes are instants that are kept as the zero time.
var zeroTimes = []time.Time{{}, time.Time{}.Add(us - 1), time.Time{}.In(time.FixedZone("", 3600))}

func zeroRevoke(t *tester) {
	u := t.user()
	for _, zero := range zeroTimes {
		one, family := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
		child := t.child(one)
		t.endTokens(store.Selection{TokenID: one.ID}, zero)
		t.endTokens(store.Selection{Family: family.Family}, zero)
		t.dead("revoked at the zero time", one, family, child)
		t.listed("what was revoked at the zero time", store.TokenFilter{UserID: u.ID})
	}
}

func zeroRevokeBulk(t *tester) {
	for _, zero := range zeroTimes {
		u := t.user()
		parent, other := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
		child := t.child(parent)
		t.endTokens(store.Selection{MintedBy: parent.Family}, zero)
		t.dead("minted by what remains", child)
		t.live("what minted it", parent)
		t.endTokens(store.Selection{UserID: u.ID}, zero)
		t.dead("of the user", parent, other)
	}
}

func zeroEndMinted(t *tester) {
	u := t.user()
	for _, zero := range zeroTimes {
		parent := t.insert(t.personal(u.ID))
		child := t.child(parent)
		parent.Modified = zero
		t.must(t.st.UpdateToken(t.Context(), parent, store.EndMinted))
		t.dead("of a parent that changed at the zero time", child)
		t.live("the parent", parent)
	}
}

func zeroSpend(t *tester) {
	u, app := t.user(), t.application()
	for _, zero := range zeroTimes {
		c := t.code(u.ID, app.ID)
		t.must(t.st.SpendCode(t.Context(), c.Digest, zero))
		_, err := t.st.Redeem(t.Context(), t.redemption(c, at(us)))
		t.refused("a code that was spent at the zero time", store.ErrUsed, err)
	}
}

func zeroRedeem(t *tester) {
	u, app := t.user(), t.application()
	for _, zero := range zeroTimes {
		c := t.code(u.ID, app.ID)
		tok := t.redeem(t.redemption(c, zero))
		_, err := t.st.Redeem(t.Context(), t.redemption(c, zero))
		t.refused("a code that was redeemed at the zero time", store.ErrUsed, err)
		t.dead("of a code that was redeemed twice", tok)
	}
}

func zeroRedeemDevice(t *tester) {
	u, app := t.user(), t.application()
	for _, zero := range zeroTimes {
		d := t.approved(app.ID, u)
		r := store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: zero, Token: t.pair(u.ID, app.ID)}
		tok, err := t.st.RedeemDevice(t.Context(), r)
		t.must(err)
		r.Token = t.pair(u.ID, app.ID)
		_, err = t.st.RedeemDevice(t.Context(), r)
		t.refused("a device that was redeemed at the zero time", store.ErrUsed, err)
		t.dead("of a device that was redeemed twice", tok)
	}
}

func zeroRotate(t *tester) {
	u, app := t.user(), t.application()
	for _, zero := range zeroTimes {
		old := t.granted(u.ID, app.ID)
		next := t.rotate(t.rotation(old, zero))
		t.dead("refreshed at the zero time", old)
		t.live("its successor", next)
		t.listed("of the grant", store.TokenFilter{UserID: u.ID}, next)
		_, err := t.st.Rotate(t.Context(), t.rotation(old, zero))
		t.refused("a refresh token that was spent at the zero time", store.ErrUsed, err)
		t.dead("of a refresh token that was used twice", old, next)

		// The end of a family whose refresh token is not known any more.
		first := t.granted(u.ID, app.ID)
		second := t.rotate(t.rotation(first, at(us)))
		third := t.rotate(t.rotation(second, at(2*us)))
		_, err = t.st.Rotate(t.Context(), t.rotation(first, zero))
		t.refused("a refresh token that is gone", store.ErrUsed, err)
		t.dead("of a refresh token that was used again", second, third)
	}
}

// granted stores the first pair of a grant.
func (t *tester) granted(userID string, applicationID int64) store.Token {
	t.Helper()
	tok := t.pair(userID, applicationID)
	tok.Refresh.Grant = t.digest()
	return t.insert(tok)
}

func zeroApplications(t *tester) {
	u := t.user()
	for _, zero := range zeroTimes {
		disabled, deleted := t.application(), t.application()
		toks := []store.Token{t.insert(t.pair(u.ID, disabled.ID)), t.insert(t.pair(u.ID, deleted.ID))}
		disabled.Disabled, disabled.Modified = true, zero
		t.must(t.st.UpdateApplication(t.Context(), disabled))
		t.must(t.st.DeleteApplication(t.Context(), deleted.ID, zero))
		t.dead("of an application that ended at the zero time", toks...)
	}
}

func zeroWithdraw(t *tester) {
	u := t.user()
	for _, zero := range zeroTimes {
		app := t.application()
		t.consent(u.ID, app.ID, "https://client.example/cb")
		tok := t.insert(t.pair(u.ID, app.ID))
		t.must(t.st.WithdrawConsent(t.Context(), u.ID, app.ID, zero))
		t.dead("of a consent that was withdrawn at the zero time", tok)
	}
}

func zeroSessions(t *tester) {
	for _, zero := range zeroTimes {
		u := t.user()
		one, other := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
		t.end(store.SessionSelection{ID: one.ID}, store.EndedLogout, zero)
		t.end(store.SessionSelection{UserID: u.ID}, store.EndedAdmin, zero)
		renewed, surplus := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
		s := t.login(u.ID, zero)
		s.Expires = at(hour)
		_, evicted, err := t.st.InsertSession(t.Context(), s, renewed.Digest, 1)
		if t.must(err); evicted != 1 {
			t.Errorf("%d sessions ended by the limit, want 1", evicted)
		}
		for _, x := range []store.Session{one, other, renewed, surplus} {
			if got := t.session(x.Digest); got.Ended.IsZero() || got.Reason == "" {
				t.Errorf("session %d ended at the zero time, and reads as ended at %v by %q", x.ID, got.Ended, got.Reason)
			}
		}
		if got := t.session(s.Digest); !got.Ended.IsZero() {
			t.Errorf("the new session ended at %v", got.Ended)
		}
	}
}

func zeroDeleteUser(t *tester) {
	for _, zero := range zeroTimes {
		u := t.user()
		tok, s := t.insert(t.personal(u.ID)), t.insertSession(t.login(u.ID, at(0)))
		t.must(t.st.DeleteUser(t.Context(), u.ID, zero))
		t.dead("of a user who was deleted at the zero time", tok)
		if got := t.session(s.Digest); got.Ended.IsZero() {
			t.Errorf("a session of a user who was deleted at the zero time is alive")
		}
	}
}
