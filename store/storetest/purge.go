package storetest

import (
	"time"

	"github.com/ostiary/auth/store"
)

var purgeChecks = []check{
	{
		name:    "what ended before goes and nothing else",
		promise: "Purge removes tokens, codes and devices that ended before the given instant; a token has ended when it is revoked, or when it and its refresh token have expired",
		alone:   true,
		run:     purgeBounds,
	},
	{
		name:    "at most max in a call",
		promise: "Purge removes at most max tokens, codes and devices and returns how many it removed",
		alone:   true,
		run:     purgeMax,
	},
	{
		name:    "a replay is recognised as long as the family lives",
		promise: "spent refresh tokens stay until their family has ended, so that a replay is still recognised",
		alone:   true,
		run:     purgeReplay,
	},
	{
		name:    "in the end nothing is left",
		promise: "Purge removes tokens, codes and devices that ended before the given instant",
		alone:   true,
		run:     purgeDrains,
	},
	{
		name:    "parallel purges count each record once",
		races:   true,
		promise: "Purge returns how many it removed",
		alone:   true,
		run:     purgeRace,
	},
	{
		name:    "what ended before goes and nothing else, sessions",
		promise: "PurgeSessions removes sessions that ended or expired before the given instant",
		alone:   true,
		run:     purgeSessions,
		needs:   sessionsPart,
	},
	{
		name:    "at most max in a call, sessions",
		promise: "PurgeSessions removes at most max sessions and returns how many it removed",
		alone:   true,
		run:     purgeSessionsMax,
		needs:   sessionsPart,
	},
}

func (t *tester) purge(what string, want int, f func() (int, error)) {
	t.Helper()
	n, err := f()
	t.must(err)
	t.same(what+": how many", want, n)
}

// stays reports if a record is gone that should stay, or the other way round.
func (t *tester) stays(what string, stays bool, err error) {
	t.Helper()
	if stays {
		t.refused(what, nil, err)
	} else {
		t.refused(what, store.ErrNotFound, err)
	}
}

func purgeBounds(t *tester) {
	u, app := t.user(), t.application()
	type fate struct {
		name  string
		stays bool
		tok   store.Token
	}
	var fates []fate
	add := func(name string, stays bool, tok store.Token) {
		fates = append(fates, fate{name, stays, t.insert(tok)})
	}
	end := at(2 * hour)
	personal := func(d int) store.Token {
		tok := t.personal(u.ID)
		tok.Expires = end.Add(us * time.Duration(d))
		return tok
	}
	pair := func(access, refresh int) store.Token {
		tok := t.pair(u.ID, app.ID)
		tok.Expires, tok.Refresh.Expires = end.Add(us*time.Duration(access)), end.Add(us*time.Duration(refresh))
		return tok
	}
	add("expired before", false, personal(-1))
	add("expires at the instant", true, personal(0))
	add("lives", true, personal(1))
	add("access and refresh expired before", false, pair(-2, -1))
	add("refresh expires at the instant", true, pair(-1, 0))
	add("refresh lives", true, pair(-1, 1))
	add("access lives, refresh expired", true, pair(1, -1))
	add("revoked before", false, personal(9))
	add("revoked before, with a refresh token", false, pair(9, 9))
	add("revoked at the instant", true, personal(9))
	for i, f := range fates[7:] {
		when := []int{-1, -1, 0}[i]
		_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: f.tok.ID}, end.Add(us*time.Duration(when)))
		t.must(err)
	}
	var codes []store.Code
	var devices []store.Device
	for i := range 3 {
		c := store.Code{Digest: t.digest(), ApplicationID: app.ID, UserID: u.ID, Expires: end.Add(us * time.Duration(i-1))}
		t.must(t.st.InsertCode(t.Context(), c, anyNumber))
		codes = append(codes, c)
		d := store.Device{Digest: t.digest(), UserCode: t.digest(), ApplicationID: app.ID, Expires: end.Add(us * time.Duration(i-1))}
		t.must(t.st.InsertDevice(t.Context(), d))
		devices = append(devices, d)
	}

	t.purge("long before", 0, func() (int, error) { return t.st.Purge(t.Context(), at(0), 100) })
	t.purge("once", 6, func() (int, error) { return t.st.Purge(t.Context(), end, 100) })
	t.purge("again", 0, func() (int, error) { return t.st.Purge(t.Context(), end, 100) })
	for _, f := range fates {
		_, err := t.st.TokenByID(t.Context(), f.tok.ID)
		t.stays("token: "+f.name, f.stays, err)
		_, err = t.st.TokenByDigest(t.Context(), f.tok.Digest)
		t.stays("token, by digest: "+f.name, f.stays, err)
		if f.tok.Refresh.Digest != (store.Digest{}) {
			_, err = t.st.TokenByRefresh(t.Context(), f.tok.Refresh.Digest)
			t.stays("token, by refresh token: "+f.name, f.stays, err)
		}
		if !f.stays {
			if _, err := t.st.InsertToken(t.Context(), f.tok, limits); err != nil {
				t.Errorf("token: %s: its digests are still taken: %v", f.name, err)
			}
		}
	}
	for i, name := range []string{"expired before", "expires at the instant", "lives"} {
		_, err := t.st.CodeByDigest(t.Context(), codes[i].Digest)
		t.stays("code: "+name, i > 0, err)
		_, err = t.st.DeviceByUserCode(t.Context(), devices[i].UserCode)
		t.stays("device: "+name, i > 0, err)
	}
	_, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	_, err = t.st.ApplicationByID(t.Context(), app.ID)
	t.must(err)
}

// rubbish stores 6 tokens, 4 codes and 3 devices that have expired a day later.
func (t *tester) rubbish() (total int) {
	t.Helper()
	u, app := t.user(), t.application()
	for range 6 {
		tok := t.personal(u.ID)
		tok.Expires = at(hour)
		t.insert(tok)
	}
	for range 4 {
		t.code(u.ID, app.ID)
	}
	for range 3 {
		t.device(app.ID)
	}
	t.insert(t.pair(u.ID, app.ID)) // lives
	return 13
}

func purgeMax(t *tester) {
	total := t.rubbish()
	t.purge("none allowed", 0, func() (int, error) { return t.st.Purge(t.Context(), at(day), 0) })
	t.drain(total, 5, func() (int, error) { return t.st.Purge(t.Context(), at(day), 5) })
}

// drain calls f until nothing is left.
func (t *tester) drain(total, most int, f func() (int, error)) {
	t.Helper()
	sum := 0
	for {
		n, err := f()
		t.must(err)
		if n > most {
			t.Errorf("removed %d at once, want at most %d", n, most)
		}
		if n == 0 {
			break
		}
		sum += n
	}
	t.same("removed in all", total, sum)
}

func purgeReplay(t *tester) {
	u, app := t.user(), t.application()
	rotated := func(last store.Token) (first, second, third store.Token) {
		first = t.insert(t.pair(u.ID, app.ID))
		second = t.rotate(t.rotation(first, at(us)))
		r := t.rotation(second, at(2*us))
		last.Digest, last.Refresh.Digest = r.Token.Digest, r.Token.Refresh.Digest
		r.Token = last
		return first, second, t.rotate(r)
	}
	refresh, access := t.pair(u.ID, app.ID), t.pair(u.ID, app.ID)
	refresh.Refresh.Expires = at(30 * day)
	access.Expires, access.Refresh.Expires = at(30*day), at(hour)
	other := t.insert(t.pair(u.ID, app.ID))
	for _, last := range []store.Token{refresh, access} {
		first, second, third := rotated(last)
		if _, err := t.st.Purge(t.Context(), at(20*day), 100); err != nil {
			t.Fatal(err)
		}
		for _, tok := range []store.Token{first, second, third} {
			if _, err := t.st.TokenByRefresh(t.Context(), tok.Refresh.Digest); err != nil {
				t.Fatalf("a token of a family that lives: %v", err)
			}
		}
		_, err := t.st.Rotate(t.Context(), t.rotation(first, at(20*day)))
		t.refused("a replay long after", store.ErrUsed, err)
		t.revoked("the last of the family", at(20*day), third)
		_, err = t.st.Purge(t.Context(), at(20*day+us), 100)
		t.must(err)
		for _, tok := range []store.Token{first, second, third} {
			_, err := t.st.TokenByID(t.Context(), tok.ID)
			t.refused("a token of a family that has ended", store.ErrNotFound, err)
		}
	}
	_, err := t.st.TokenByID(t.Context(), other.ID)
	t.refused("another family, that ended too", store.ErrNotFound, err)
}

func purgeDrains(t *tester) {
	u, app := t.user(), t.application()
	var toks []store.Token
	code, replayed, spent, open := t.code(u.ID, app.ID), t.code(u.ID, app.ID), t.code(u.ID, app.ID), t.code(u.ID, app.ID)
	tok := t.redeem(t.redemption(code, at(us)))
	kid := t.child(tok)
	next := t.rotate(t.rotation(tok, at(2*us)))
	dead := t.redeem(t.redemption(replayed, at(us)))
	_, err := t.st.Redeem(t.Context(), t.redemption(replayed, at(2*us)))
	t.refused("a replay", store.ErrUsed, err)
	t.must(t.st.SpendCode(t.Context(), spent.Digest, at(us)))
	device, idle := t.approved(app.ID, u), t.device(app.ID)
	ofDevice, err := t.st.RedeemDevice(t.Context(), store.Redemption{Code: device.Digest, ApplicationID: app.ID, At: at(us), Token: t.pair(u.ID, app.ID)})
	t.must(err)
	toks = append(toks, tok, kid, next, dead, ofDevice)

	for range 20 {
		n, err := t.st.Purge(t.Context(), at(100*day), 3)
		t.must(err)
		if n == 0 {
			break
		}
	}
	for _, tok := range toks {
		_, err := t.st.TokenByID(t.Context(), tok.ID)
		t.refused("a token", store.ErrNotFound, err)
	}
	for _, c := range []store.Code{code, replayed, spent, open} {
		_, err := t.st.CodeByDigest(t.Context(), c.Digest)
		t.refused("a code", store.ErrNotFound, err)
	}
	for _, d := range []store.Device{device, idle} {
		_, err := t.st.DeviceByUserCode(t.Context(), d.UserCode)
		t.refused("a device", store.ErrNotFound, err)
	}
}

func purgeRace(t *tester) {
	t.rounds(func() {
		total, sum := t.rubbish(), 0
		for _, n := range race(8, func(int) (sum int) {
			for range 20 {
				n, err := t.st.Purge(t.Context(), at(day), 3)
				if err != nil {
					t.Errorf("Purge: %v", err)
				}
				sum += n
			}
			return sum
		}) {
			sum += n
		}
		t.same("the sum of all counts", total, sum)
	})
}

func purgeSessions(t *tester) {
	u := t.user()
	end := at(2 * hour)
	type fate struct {
		name           string
		expires, ended int // microseconds after end; 99 for not ended
		stays          bool
	}
	fates := []fate{
		{"expired before", -1, 99, false},
		{"expires at the instant", 0, 99, true},
		{"lives", 1, 99, true},
		{"ended before", 50, -1, false},
		{"ended at the instant", 50, 0, true},
		{"ended after", 50, 1, true},
	}
	var all []store.Session
	for _, f := range fates {
		s := t.login(u.ID, at(0))
		s.Expires = end.Add(us * time.Duration(f.expires))
		s = t.insertSession(s)
		if f.ended != 99 {
			_, err := t.st.EndSessions(t.Context(), store.SessionSelection{ID: s.ID}, store.EndedLogout, end.Add(us*time.Duration(f.ended)))
			t.must(err)
		}
		all = append(all, s)
	}
	t.purge("long before", 0, func() (int, error) { return t.st.PurgeSessions(t.Context(), at(0), 100) })
	t.purge("once", 2, func() (int, error) { return t.st.PurgeSessions(t.Context(), end, 100) })
	t.purge("again", 0, func() (int, error) { return t.st.PurgeSessions(t.Context(), end, 100) })
	for i, f := range fates {
		_, _, err := t.st.SessionByDigest(t.Context(), all[i].Digest)
		t.stays(f.name, f.stays, err)
		if !f.stays {
			t.same(f.name+": how many sessions its ID names", 0, t.end(store.SessionSelection{ID: all[i].ID}, store.EndedAdmin, end))
		}
	}
	t.alive("when all lived", u.ID, at(0), all[1], all[2])
	_, _, err := t.st.InsertSession(t.Context(), t.login(u.ID, at(0)), all[0].Digest, 0)
	if err != nil {
		t.Errorf("a login that replaces a session which is gone: %v", err)
	}
}

func purgeSessionsMax(t *tester) {
	u := t.user()
	for i := range 11 {
		s := t.insertSession(t.login(u.ID, at(0)))
		if i%2 == 0 {
			_, err := t.st.EndSessions(t.Context(), store.SessionSelection{ID: s.ID}, store.EndedLogout, at(us))
			t.must(err)
		}
	}
	t.purge("none allowed", 0, func() (int, error) { return t.st.PurgeSessions(t.Context(), at(day), 0) })
	t.drain(11, 4, func() (int, error) { return t.st.PurgeSessions(t.Context(), at(day), 4) })
}
