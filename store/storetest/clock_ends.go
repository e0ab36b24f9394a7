package storetest

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
)

var clockEndChecks = []check{
	{
		name:    "a spent device stays spent",
		promise: "DecideDevice notes what the user said, once; of any number of calls with one device code exactly one succeeds",
		run:     clockDevice,
		needs:   oauthPart,
	},
	{
		name:    "what has expired is refused and left alone",
		promise: "valid strictly before Expires; what expired unspent is refused and unchanged",
		run:     clockExpired,
	},
	{
		name:    "what was purged stays away",
		promise: "Purge, PurgeSessions and PurgeAttempts remove what ended before the given instant; nothing brings it back",
		alone:   true,
		run:     clockPurged,
	},
}

func clockDevice(t *tester) {
	u, app := t.user(), t.application()
	const spent = 9 * time.Minute
	for _, again := range []time.Duration{-hour, 0, spent - us, hour} {
		d := t.device(app.ID)
		decided := store.ErrUsed
		if !at(again).Before(d.Expires) {
			decided = store.ErrNotFound
		}
		decide := func(say store.Decision, when time.Duration) error {
			return t.st.DecideDevice(t.Context(), d.UserCode, say, u.ID, u.Epoch, at(when))
		}
		redeem := func(when time.Duration) (store.Token, error) {
			return t.st.RedeemDevice(t.Context(), store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: at(when), Token: t.pair(u.ID, app.ID)})
		}
		t.must(decide(store.Approved, spent))
		t.refused(fmt.Sprintf("another decision at %v", again), decided, decide(store.Denied, again))
		tok, err := redeem(spent)
		t.must(err)
		_, err = redeem(again)
		t.refused(fmt.Sprintf("a second time at %v", again), store.ErrUsed, err)
		t.revoked("the token", at(again), tok)
		t.refused(fmt.Sprintf("a decision afterwards, at %v", again), decided, decide(store.Denied, again))
	}
}

// clockExpired looks at everything when it has expired. Then the clock is set
// back, and it is as it was.
func clockExpired(t *tester) {
	u, app := t.user(), t.application()
	parent := t.insert(t.personal(u.ID))
	tok, granted := t.pair(u.ID, app.ID), t.pair(u.ID, app.ID)
	tok.Refresh.Expires, granted.Refresh.GrantExpires = at(2*hour), at(2*hour)
	tok, granted = t.insert(tok), t.insert(granted)
	c, d, yes := t.code(u.ID, app.ID), t.device(app.ID), t.approved(app.ID, u)
	s := t.insertSession(t.login(u.ID, at(0)))

	kid := func(when time.Time) error {
		kid := t.personal(u.ID)
		kid.ParentID, kid.Created = parent.Family, when
		_, err := t.st.InsertToken(t.Context(), kid, limits)
		return err
	}
	rotate := func(tok store.Token, when time.Time) error {
		_, err := t.st.Rotate(t.Context(), t.rotation(tok, when))
		return err
	}
	redeem := func(when time.Time) error {
		_, err := t.st.Redeem(t.Context(), t.redemption(c, when))
		return err
	}
	decide := func(when time.Time) error {
		return t.st.DecideDevice(t.Context(), d.UserCode, store.Approved, u.ID, u.Epoch, when)
	}
	redeemDevice := func(when time.Time) error {
		_, err := t.st.RedeemDevice(t.Context(), store.Redemption{Code: yes.Digest, ApplicationID: app.ID, At: when, Token: t.pair(u.ID, app.ID)})
		return err
	}
	save := func(when time.Time) error {
		return t.st.SaveSession(t.Context(), s.Digest, []byte("new"), s.Revision, when)
	}
	touch := func(when time.Time) error {
		return t.st.TouchSession(t.Context(), s.Digest, s.Expires.Add(day), when, netip.Addr{})
	}
	for _, late := range []time.Duration{0, us, hour} {
		t.refused("a child", store.ErrConflict, kid(parent.Expires.Add(late)))
		t.refused("a rotation", store.ErrNotFound, rotate(tok, tok.Refresh.Expires.Add(late)))
		t.refused("a rotation after the grant", store.ErrNotFound, rotate(granted, granted.Refresh.GrantExpires.Add(late)))
		t.refused("a redemption", store.ErrNotFound, redeem(c.Expires.Add(late)))
		t.refused("a decision", store.ErrNotFound, decide(d.Expires.Add(late)))
		t.refused("a redemption of a device", store.ErrNotFound, redeemDevice(yes.Expires.Add(late)))
		t.refused("a save", store.ErrNotFound, save(s.Expires.Add(late)))
		t.must(touch(s.Expires.Add(late)))
		list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, s.Expires.Add(late), newest)
		t.must(err)
		t.same("what is listed", []store.Session{}, list)
		next := t.login(u.ID, s.Expires.Add(late))
		next.Expires = next.Created.Add(us)
		_, evicted, err := t.st.InsertSession(t.Context(), next, store.Digest{}, 1)
		t.must(err)
		t.same("how many make room", 0, evicted)
	}
	for _, want := range []store.Token{parent, tok, granted} {
		t.same("a token", want, t.token(want.ID))
	}
	t.sameCode("the code", c)
	t.sameDevice("the device", d)
	t.sameDevice("the approved device", yes)
	t.same("the session", s, t.session(s.Digest))

	t.must(kid(parent.Expires.Add(-us)))
	t.must(rotate(tok, tok.Refresh.Expires.Add(-us)))
	t.must(rotate(granted, granted.Refresh.GrantExpires.Add(-us)))
	t.must(redeem(c.Expires.Add(-us)))
	t.must(decide(d.Expires.Add(-us)))
	t.must(redeemDevice(yes.Expires.Add(-us)))
	t.must(save(s.Expires.Add(-us)))
	t.must(touch(s.Expires.Add(-us)))
	t.same("the end of the session", s.Expires.Add(day), t.session(s.Digest).Expires)
}

func clockPurged(t *tester) {
	u, app := t.user(), t.application()
	pair := t.pair(u.ID, app.ID)
	pair.Expires, pair.Refresh.Expires = at(30*time.Minute), at(30*time.Minute)
	pair = t.insert(pair)
	c, d := t.code(u.ID, app.ID), t.approved(app.ID, u)
	s := t.login(u.ID, at(0))
	s.Expires = at(30 * time.Minute)
	s = t.insertSession(s)

	// A record that begins in the future has not ended.
	later := t.personal(u.ID)
	later.Created = at(2 * hour)
	later = t.insert(later)
	laterSession := t.insertSession(t.login(u.ID, at(2*hour)))
	laterKey := store.Charge{Key: rand.Text(), Limit: store.Limit{Max: 1, Window: time.Minute}}
	t.charge("in the future", at(2*hour), allowed, laterKey)
	key := store.Charge{Key: rand.Text(), Limit: laterKey.Limit}
	t.charge("now", at(0), allowed, key)

	t.purge("tokens, an hour ahead", 3, func() (int, error) { return t.st.Purge(t.Context(), at(hour), 100) })
	t.purge("sessions, an hour ahead", 1, func() (int, error) { return t.st.PurgeSessions(t.Context(), at(hour), 100) })
	t.purge("attempts, an hour ahead", 1, func() (int, error) { return t.st.PurgeAttempts(t.Context(), at(hour), 100) })

	for _, now := range []time.Time{at(-hour), at(0)} {
		n, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: pair.ID}, now)
		t.must(err)
		t.same("how many tokens end", 0, n)
		n, err = t.st.EndSessions(t.Context(), store.SessionSelection{ID: s.ID}, store.EndedAdmin, now)
		t.must(err)
		t.same("how many sessions end", 0, n)
		t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: pair.ID, At: now}}))
		t.must(t.st.TouchSession(t.Context(), s.Digest, at(day), now, netip.Addr{}))
		t.refused("an update", store.ErrNotFound, t.st.UpdateToken(t.Context(), pair, store.KeepMinted))
		t.refused("a save", store.ErrNotFound, t.st.SaveSession(t.Context(), s.Digest, nil, s.Revision, now))
		t.refused("a spent code", store.ErrNotFound, t.st.SpendCode(t.Context(), c.Digest, now))
		t.refused("a decision", store.ErrNotFound, t.st.DecideDevice(t.Context(), d.UserCode, store.Denied, u.ID, u.Epoch, now))
		_, err = t.st.PollDevice(t.Context(), d.Digest, app.ID, 0, now)
		t.refused("a poll", store.ErrNotFound, err)
		_, err = t.st.Rotate(t.Context(), t.rotation(pair, now))
		t.refused("a rotation", store.ErrNotFound, err)
		_, err = t.st.Redeem(t.Context(), t.redemption(c, now))
		t.refused("a redemption", store.ErrNotFound, err)
		_, err = t.st.RedeemDevice(t.Context(), store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: now, Token: t.pair(u.ID, app.ID)})
		t.refused("a redemption of a device", store.ErrNotFound, err)
		kid := t.personal(u.ID)
		kid.ParentID, kid.Created = pair.Family, now
		_, err = t.st.InsertToken(t.Context(), kid, limits)
		t.refused("a child", store.ErrConflict, err)

		_, err = t.st.TokenByID(t.Context(), pair.ID)
		t.refused("the token", store.ErrNotFound, err)
		_, err = t.st.CodeByDigest(t.Context(), c.Digest)
		t.refused("the code", store.ErrNotFound, err)
		_, err = t.st.DeviceByUserCode(t.Context(), d.UserCode)
		t.refused("the device", store.ErrNotFound, err)
		_, _, err = t.st.SessionByDigest(t.Context(), s.Digest)
		t.refused("the session", store.ErrNotFound, err)
	}
	t.same("the token of the future", later, t.token(later.ID))
	t.same("the session of the future", laterSession, t.session(laterSession.Digest))
	t.charge("again in the future", at(2*hour), refusedFor(time.Minute), laterKey)
	t.charge("again now", at(0), allowed, key)
}
