package storetest

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
)

// The caller's clock may jump, and those of two servers differ.
var clockChecks = []check{
	{
		name:    "a revoked token stays revoked",
		promise: "those revoked before stay as they were; never brings one back",
		run:     clockRevoked,
		needs:   oauthPart,
	},
	{
		name:    "an ended session stays ended",
		promise: "a session that ended stays as a tombstone until it is purged: nothing brings it back",
		run:     clockEnded,
		needs:   sessionsPart,
	},
	{
		name:    "what begins in the future is live",
		promise: "valid strictly before Expires; nothing else ends it",
		run:     clockFuture,
	},
	{
		name:    "the limit keeps the session it lets in",
		promise: "all live sessions of the user but the newest keep, this one included",
		run:     clockLimit,
		needs:   sessionsPart,
	},
	{
		name:    "a spent code stays spent",
		promise: "of any number of calls with one code exactly one succeeds; so does a code that has expired since it was spent",
		run:     clockSpent,
		needs:   oauthPart,
	},
	{
		name:    "no grace is no replay",
		promise: "Grace: zero is never; otherwise ErrUsed, and when they do, the whole family is revoked",
		run:     clockNoGrace,
		needs:   oauthPart,
	},
	{
		name:    "the grace period begins as long before as it ends after",
		promise: "Grace is how long after it was spent the token may be presented again; as long before is as good",
		run:     clockGrace,
		needs:   oauthPart,
	},
	{
		name:    "a device that polled in the future is told to slow down once",
		promise: "if the device polled less than its Interval ago, the Interval grows by slower in the same step",
		run:     clockPoll,
		needs:   oauthPart,
	},
	{
		name:    "the last use never goes back",
		promise: "the newest wins",
		run:     clockTouch,
		needs:   tokensPart,
	},
	{
		name:    "the start of a window never decreases",
		promise: "the start of a window never decreases, and a caller whose clock is behind it counts in that window",
		run:     clockWindow,
		needs:   attemptsPart,
	},
	{
		name:    "a clock far behind waits one window",
		promise: "for a caller that is more than two windows behind, the window ends when Window has passed on its own clock since it first met it",
		run:     clockFarBehind,
		needs:   attemptsPart,
	},
	{
		name:    "a clock ahead touches no other key",
		promise: "a caller whose clock is ahead ends no window of a key that it does not charge",
		run:     clockOthers,
		needs:   attemptsPart,
	},
	{
		name:    "clocks apart allow no more than windows have passed",
		promise: "of calls whose clocks differ, however much, at most Limit.Max are allowed in a window, apart from the one window that the clock ahead ends early",
		run:     clocksApart,
		needs:   attemptsPart,
	},
	{
		name:    "random steps, and jumps of an hour",
		promise: "what was spent, revoked or ended never comes back; what expires is valid strictly before; nothing else dies; the start of a window never decreases",
		run:     clockRandom,
	},
}

func clockRevoked(t *tester) {
	u, app := t.user(), t.application()
	for _, when := range []time.Duration{-hour, 2 * hour} { // before it was issued, and ahead
		tok, kid := t.pair(u.ID, app.ID), store.Token{}
		tok = t.insert(tok)
		kid = t.child(tok)
		n, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(when))
		t.must(err)
		t.same("how many ended", 2, n)
		for _, now := range []time.Duration{-2 * hour, 0, 3 * hour} {
			n, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(now))
			t.must(err)
			t.same("how many ended later", 0, n)
			t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: tok.ID, At: at(now)}}))
			_, err = t.st.Rotate(t.Context(), t.rotation(t.token(tok.ID), at(now)))
			t.refused("a rotation", store.ErrNotFound, err)
			late := t.personal(u.ID)
			late.ParentID, late.Created = tok.Family, at(now)
			_, err = t.st.InsertToken(t.Context(), late, limits)
			t.refused("a child", store.ErrConflict, err)
			t.revoked(fmt.Sprintf("at %v", now), at(when), tok, kid)
		}
	}
}

func clockEnded(t *tester) {
	u := t.user()
	for _, when := range []time.Duration{-hour, 30 * time.Minute} {
		s := t.insertSession(t.login(u.ID, at(0)))
		_, err := t.st.EndSessions(t.Context(), store.SessionSelection{ID: s.ID}, store.EndedLogout, at(when))
		t.must(err)
		for _, now := range []time.Duration{-2 * hour, 0, 45 * time.Minute} {
			n, err := t.st.EndSessions(t.Context(), store.SessionSelection{UserID: u.ID}, store.EndedAdmin, at(now))
			t.must(err)
			t.same("how many ended later", 0, n)
			t.must(t.st.TouchSession(t.Context(), s.Digest, at(day), at(now), netip.Addr{}))
			t.refused("a save", store.ErrNotFound, t.st.SaveSession(t.Context(), s.Digest, nil, s.Revision, at(now)))
			list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, at(now), newest)
			t.must(err)
			t.same("what is listed", []store.Session{}, list)
			want := s
			want.Ended, want.Reason = at(when), store.EndedLogout
			t.same("the session", want, t.session(s.Digest))
		}
	}
}

func clockFuture(t *tester) {
	u, app := t.user(), t.application()
	s := t.insertSession(t.login(u.ID, at(0)))
	tok := t.insert(t.pair(u.ID, app.ID))
	now := at(-hour)
	list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, now, newest)
	t.must(err)
	t.same("how many sessions are listed", 1, len(list))
	t.must(t.st.SaveSession(t.Context(), s.Digest, []byte("new"), s.Revision, now))
	t.must(t.st.TouchSession(t.Context(), s.Digest, s.Expires.Add(us), now, netip.Addr{}))
	got := t.session(s.Digest)
	t.same("the end of the session", s.Expires.Add(us), got.Expires)
	t.same("when it was seen", now, got.Seen)
	t.must(t.st.TouchSession(t.Context(), s.Digest, now.Add(hour), now, netip.Addr{}))
	t.same("the end of the session, not sooner", s.Expires.Add(us), t.session(s.Digest).Expires)
	kid := t.mintedBy(tok)
	kid.Created = now
	kid = t.insert(kid)
	next := t.rotate(t.rotation(tok, now))
	redeemed := t.redeem(t.redemption(t.code(u.ID, app.ID), now))
	d := t.approved(app.ID, u)
	paid, err := t.st.RedeemDevice(t.Context(), store.Redemption{Code: d.Digest, ApplicationID: app.ID, At: now, Token: t.pair(u.ID, app.ID)})
	t.must(err)
	t.live("an hour before", kid, next, redeemed, paid)
}

func clockLimit(t *tester) {
	u := t.user()
	ahead := t.insertSession(t.login(u.ID, at(hour)))
	s := t.login(u.ID, at(0))
	_, evicted, err := t.st.InsertSession(t.Context(), s, store.Digest{}, 1)
	t.must(err)
	t.same("how many make room", 1, evicted)
	t.same("the one from the future", store.EndedLimit, t.session(ahead.Digest).Reason)
	if got := t.session(s.Digest); !got.Ended.IsZero() {
		t.Errorf("the new session ended: %v", got.Reason)
	}

	// Of the others the newest stay, by the clocks of their servers.
	u = t.user()
	past, ahead := t.insertSession(t.login(u.ID, at(us-hour))), t.insertSession(t.login(u.ID, at(hour)))
	s, evicted, err = t.st.InsertSession(t.Context(), t.login(u.ID, at(0)), store.Digest{}, 2)
	t.must(err)
	t.same("how many make room", 1, evicted)
	t.same("the one from the past", store.EndedLimit, t.session(past.Digest).Reason)
	list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, at(0), newest)
	t.must(err)
	t.same("how many stay", 2, len(list))
	t.same("the newest", ahead.ID, list[0].ID)
	t.same("the next", s.ID, list[1].ID)
}

func clockSpent(t *tester) {
	u, app := t.user(), t.application()
	for _, again := range []time.Duration{-hour, us - time.Minute, 0, hour} {
		c := t.code(u.ID, app.ID)
		tok := t.redeem(t.redemption(c, at(time.Minute-us)))
		_, err := t.st.Redeem(t.Context(), t.redemption(c, at(again)))
		t.refused(fmt.Sprintf("a second time at %v", again), store.ErrUsed, err)
		t.revoked("the token", at(again), tok)

		c = t.code(u.ID, app.ID)
		t.must(t.st.SpendCode(t.Context(), c.Digest, at(time.Minute-us)))
		_, err = t.st.Redeem(t.Context(), t.redemption(c, at(again)))
		t.refused(fmt.Sprintf("spent, at %v", again), store.ErrUsed, err)
	}
}

func clockNoGrace(t *tester) {
	u, app := t.user(), t.application()
	for _, before := range []time.Duration{us, hour} {
		first := t.insert(t.pair(u.ID, app.ID))
		second := t.rotate(t.rotation(first, at(2*hour)))
		when := at(2*hour - before)
		_, err := t.st.Rotate(t.Context(), t.rotation(first, when))
		t.refused(fmt.Sprintf("%v before it was spent, without grace", before), store.ErrUsed, err)
		t.revoked("the successor", when, second)
	}
}

func clockGrace(t *tester) {
	u, app := t.user(), t.application()
	const grace = time.Minute
	first := t.insert(t.pair(u.ID, app.ID))
	second := t.rotate(t.rotation(first, at(2*hour)))
	for _, apart := range []time.Duration{-grace + us, -us, 0, us, grace - us} {
		r := t.rotation(first, at(2*hour+apart))
		r.Grace = grace
		out, err := t.st.Rotate(t.Context(), r)
		t.must(err)
		t.same(fmt.Sprintf("the successor, %v apart", apart), second, out.Token)
	}
	for _, apart := range []time.Duration{-grace, -hour, grace} {
		first := t.insert(t.pair(u.ID, app.ID))
		second := t.rotate(t.rotation(first, at(2*hour)))
		r := t.rotation(first, at(2*hour+apart))
		r.Grace = grace
		_, err := t.st.Rotate(t.Context(), r)
		t.refused(fmt.Sprintf("%v apart", apart), store.ErrUsed, err)
		t.revoked("the successor", at(2*hour+apart), second)
	}
}

func clockPoll(t *tester) {
	app := t.application()
	d := t.device(app.ID)
	poll := func(when time.Duration, interval time.Duration) {
		t.Helper()
		before, err := t.st.PollDevice(t.Context(), d.Digest, app.ID, 5*time.Second, at(when))
		t.must(err)
		t.same("the interval", interval, before.Interval)
	}
	poll(hour, d.Interval)
	poll(0, d.Interval)
	slower := d.Interval + 5*time.Second
	poll(slower, slower)
	poll(2*slower, slower)
	poll(2*slower+us, slower)
	poll(hour, slower+5*time.Second)
}

func clockTouch(t *tester) {
	tok := t.insert(t.personal(t.user().ID))
	for _, when := range []time.Duration{2 * hour, hour, 2*hour - us, -hour} {
		t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: tok.ID, At: at(when)}}))
		t.same("the last use", at(2*hour), t.token(tok.ID).LastUsed)
	}
}
