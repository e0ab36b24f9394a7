package storetest

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

var sessionChecks = []check{
	{
		name:    "every field is kept",
		promise: "InsertSession stores s and returns it with ID and Revision set; text byte for byte, times in UTC to the microsecond",
		run:     sessionFields,
	},
	{
		name:    "a taken digest is ErrExists and changes nothing",
		promise: "InsertSession: a taken digest is ErrExists; a method changes all of it or nothing",
		run:     sessionTaken,
	},
	{
		name:    "an absent session is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run:     sessionAbsent,
	},
	{
		name:    "session and user, whatever their state",
		promise: "SessionByDigest returns the session and its user as users has it, whatever the state of either; a missing user is a zero User and no error",
		run:     sessionUser,
	},
	{
		name:    "records share no memory",
		promise: "records go in and out by value and share no memory with the store",
		run:     sessionMemory,
	},
	{
		name:    "a login replaces the session it came with",
		promise: "in the same step InsertSession ends, with EndedRenewed, the session with digest replaces unless that is zero",
		run:     sessionReplaces,
	},
	{
		name:    "SaveSession replaces the data and nothing else",
		promise: "SaveSession replaces the data of a live session",
		run:     sessionSave,
	},
	{
		name:    "a stale revision is ErrConflict and changes nothing",
		promise: "SaveSession returns ErrConflict unless revision is the current one",
		run:     sessionStale,
	},
	{
		name:    "SaveSession never revives a session",
		promise: "SaveSession returns ErrNotFound if there is no such session or it has ended or expired at the given instant; nothing brings an ended session back",
		run:     sessionSaveDead,
	},
	{
		name:    "TouchSession moves the expiry to a later instant",
		promise: "TouchSession moves the expiry of a live session to a later instant, and Seen to at; it does nothing if it already expires later",
		run:     sessionTouch,
	},
	{
		name:    "TouchSession never revives a session",
		promise: "TouchSession does nothing, without an error, if the session has ended or has expired at that instant; nothing brings an ended session back",
		run:     sessionTouchDead,
	},
	{
		name:    "ListSessions lists live sessions, newest first",
		promise: "ListSessions returns the sessions of a user that are live at the given instant, newest first, without Digest and Data",
		run:     sessionList,
	},
	{
		name:    "of 64 inserts of one digest one succeeds",
		races:   true,
		promise: "InsertSession: a taken digest is ErrExists",
		run:     sessionInsertRace,
	},
	{
		name:    "of 64 saves of one revision one succeeds",
		races:   true,
		promise: "SaveSession returns ErrConflict unless revision is the current one",
		run:     sessionSaveRace,
	},
	{
		name:    "no order of saves, touches and an end revives a session",
		races:   true,
		promise: "a session that ended stays as a tombstone: nothing brings it back",
		run:     sessionEndRace,
	},
}

func (t *tester) sameSession(what string, want store.Session) {
	t.Helper()
	t.same(what, want, t.session(want.Digest))
}

func (t *tester) end(sel store.SessionSelection, reason store.EndReason, when time.Time) int {
	t.Helper()
	n, err := t.st.EndSessions(t.Context(), sel, reason, when)
	t.must(err)
	return n
}

// allBytes is data that no text column would keep, longer than 64 KiB.
func allBytes() []byte {
	data := make([]byte, 70_000)
	for i := range data {
		data[i] = byte(i)
	}
	return data
}

func sessionFields(t *tester) {
	times := oddTimes()
	for i, s := range oddTexts() {
		given := store.Session{
			ID: 77, Revision: 77, // not the caller's to say
			Digest: t.digest(), UserID: s, Epoch: int64(i) - 5, Data: []byte(s),
			Created: times[i%len(times)], Seen: times[(i+1)%len(times)], Expires: times[(i+2)%len(times)],
		}
		if i == 3 {
			given.Data = allBytes()
		}
		stored := t.insertSession(given)
		if stored.ID <= 0 || stored.Revision == 77 {
			t.Errorf("got ID %d and revision %d, want the store's", stored.ID, stored.Revision)
		}
		want := given
		want.ID, want.Revision = stored.ID, stored.Revision
		want.Created, want.Seen, want.Expires = kept(given.Created), kept(given.Seen), kept(given.Expires)
		t.same("InsertSession", want, stored)
		t.sameSession("SessionByDigest", want)
	}
	for _, s := range oddTexts() {
		session := t.insertSession(t.login("u", at(0)))
		t.end(store.SessionSelection{ID: session.ID}, store.EndReason(s), at(us+1))
		session.Ended, session.Reason = at(us), store.EndReason(s)
		t.sameSession("after it ended", session)
	}
}

func sessionTaken(t *tester) {
	u := t.user()
	s, dead, current := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(us))
	dead.Ended, dead.Reason = at(us), store.EndedLogout
	for _, taken := range []store.Session{s, dead} {
		thief := t.login(u.ID, at(2*us))
		thief.Digest = taken.Digest
		_, n, err := t.st.InsertSession(t.Context(), thief, current.Digest, 1)
		t.refused("a taken digest", store.ErrExists, err)
		t.same("how many the limit ended", 0, n)
		t.sameSession("the session that was there", taken)
		t.sameSession("the session that would have been replaced", current)
	}
}

func sessionAbsent(t *tester) {
	u := t.user()
	s := t.insertSession(t.login(u.ID, at(0)))
	for _, d := range []store.Digest{{}, t.digest()} {
		_, _, err := t.st.SessionByDigest(t.Context(), d)
		t.refused("SessionByDigest", store.ErrNotFound, err)
		t.refused("SaveSession", store.ErrNotFound, t.st.SaveSession(t.Context(), d, nil, 1, at(us)))
		_ = t.st.TouchSession(t.Context(), d, at(day), at(us), netip.Addr{}) // harmless either way
		_, _, err = t.st.SessionByDigest(t.Context(), d)
		t.refused("SessionByDigest after a touch", store.ErrNotFound, err)
	}
	list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: "nobody"}, at(us), newest)
	t.must(err)
	t.same("ListSessions of nobody", 0, len(list))
	t.sameSession("the session", s)
}

func sessionUser(t *tester) {
	u := t.user()
	s, orphan, anonymous := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login("nobody", at(0))), t.insertSession(t.login("", at(0)))
	read := func(what string, want store.Session, user store.User) {
		t.Helper()
		got, gotUser, err := t.st.SessionByDigest(t.Context(), want.Digest)
		t.must(err)
		t.same(what+": session", want, got)
		t.same(what+": user", user, gotUser)
	}
	read("of a user", s, u)
	read("of nobody", orphan, store.User{})
	read("without a login", anonymous, store.User{})
	u.Active, u.Email = false, "x"
	t.must(t.st.UpdateUser(t.Context(), u))
	u, err := t.st.UserByID(t.Context(), u.ID)
	t.must(err)
	read("of an inactive user of another epoch", s, u)
	t.end(store.SessionSelection{ID: s.ID}, store.EndedLogout, at(us))
	s.Ended, s.Reason = at(us), store.EndedLogout
	read("that has ended", s, u)
}

func sessionMemory(t *tester) {
	u := t.user()
	want := []byte("data")
	given := t.login(u.ID, at(0))
	given.Data = append(make([]byte, 0, 16), want...)
	s := t.insertSession(given)
	clear(given.Data)
	t.same("after what InsertSession was given changed", want, t.session(s.Digest).Data)
	clear(s.Data)
	t.same("after what InsertSession returned changed", want, t.session(s.Digest).Data)
	clear(t.session(s.Digest).Data)
	t.same("after what SessionByDigest returned changed", want, t.session(s.Digest).Data)
	data := bytes.Clone(want)
	t.must(t.st.SaveSession(t.Context(), s.Digest, data, s.Revision, at(us)))
	clear(data)
	t.same("after what SaveSession was given changed", want, t.session(s.Digest).Data)
}

func sessionReplaces(t *tester) {
	u, v := t.user(), t.user()
	old, bystander := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	login := func(s store.Session, replaces store.Digest) {
		t.Helper()
		_, n, err := t.st.InsertSession(t.Context(), s, replaces, 0)
		t.must(err)
		t.same("how many the limit ended", 0, n)
	}
	login(t.login(u.ID, at(5*us)), old.Digest)
	old.Ended, old.Reason = at(5*us), store.EndedRenewed
	t.sameSession("the session that was replaced", old)
	login(t.login(u.ID, at(6*us)), old.Digest)
	t.sameSession("a session that was replaced before", old)
	login(t.login(u.ID, at(6*us)), t.digest())       // a cookie of a session that is gone
	login(t.login(u.ID, at(6*us)), store.Digest{})   // no cookie
	login(t.login(v.ID, at(6*us)), bystander.Digest) // somebody else at the same browser
	bystander.Ended, bystander.Reason = at(6*us), store.EndedRenewed
	t.sameSession("a session of another user that was replaced", bystander)
}

func sessionSave(t *tester) {
	u := t.user()
	s, bystander := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	for _, data := range [][]byte{[]byte("new"), {}, {0}, nil, allBytes(), []byte("x")} {
		t.must(t.st.SaveSession(t.Context(), s.Digest, data, s.Revision, at(us)))
		s.Data = data
		s.Revision++
		t.sameSession("after a save", s)
	}
	t.sameSession("another session", bystander)
	t.must(t.st.TouchSession(t.Context(), s.Digest, at(2*hour), at(us), netip.Addr{}))
	if err := t.st.SaveSession(t.Context(), s.Digest, []byte("y"), s.Revision, at(2*hour-us)); err != nil {
		t.Errorf("SaveSession of a session that was touched since it was read: %v", err)
	}
	anonymous := t.insertSession(t.login("", at(0)))
	t.must(t.st.SaveSession(t.Context(), anonymous.Digest, []byte("z"), anonymous.Revision, at(us)))
}

func sessionStale(t *tester) {
	u := t.user()
	s := t.insertSession(t.login(u.ID, at(0)))
	t.must(t.st.SaveSession(t.Context(), s.Digest, []byte("second"), s.Revision, at(us)))
	want := s
	want.Data = []byte("second")
	want.Revision++
	for _, rev := range []int64{s.Revision, want.Revision + 1, 0, -1} {
		t.refused("a stale revision", store.ErrConflict, t.st.SaveSession(t.Context(), s.Digest, []byte("stale"), rev, at(2*us)))
	}
	t.sameSession("the session", want)
}

func sessionSaveDead(t *tester) {
	u := t.user()
	dead, s := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(us))
	dead.Ended, dead.Reason = at(us), store.EndedLogout
	t.refused("a session that has ended", store.ErrNotFound, t.st.SaveSession(t.Context(), dead.Digest, []byte("x"), dead.Revision, at(2*us)))
	t.refused("a session that has ended, by a slow clock", store.ErrNotFound, t.st.SaveSession(t.Context(), dead.Digest, []byte("x"), dead.Revision, at(0)))
	t.sameSession("the tombstone", dead)
	for _, when := range []time.Time{s.Expires, s.Expires.Add(999), s.Expires.Add(day)} {
		t.refused("a session that has expired", store.ErrNotFound, t.st.SaveSession(t.Context(), s.Digest, []byte("x"), s.Revision, when))
	}
	t.sameSession("the session", s)
	t.must(t.st.SaveSession(t.Context(), s.Digest, []byte("x"), s.Revision, s.Expires.Add(-us)))
}

func sessionTouch(t *tester) {
	u := t.user()
	s, bystander := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	t.must(t.st.TouchSession(t.Context(), s.Digest, at(2*hour+1), at(us+1), netip.Addr{}))
	s.Expires, s.Seen = at(2*hour), at(us)
	t.sameSession("after a touch", s)
	t.must(t.st.TouchSession(t.Context(), s.Digest, at(hour), at(2*us), netip.Addr{}))
	t.sameSession("a session that already expires later", s)
	t.must(t.st.TouchSession(t.Context(), s.Digest, at(3*hour), at(2*hour-us), netip.Addr{}))
	s.Expires, s.Seen = at(3*hour), at(2*hour-us)
	t.sameSession("a touch in the last moment", s)
	t.sameSession("another session", bystander)
}

func sessionTouchDead(t *tester) {
	u := t.user()
	dead, s := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(us))
	dead.Ended, dead.Reason = at(us), store.EndedLogout
	for _, when := range []time.Time{at(0), at(us), at(2 * us)} {
		t.must(t.st.TouchSession(t.Context(), dead.Digest, at(day), when, netip.Addr{}))
		t.sameSession("the tombstone", dead)
	}
	for _, when := range []time.Time{s.Expires, s.Expires.Add(999), s.Expires.Add(hour)} {
		t.must(t.st.TouchSession(t.Context(), s.Digest, at(day), when, netip.Addr{}))
		t.sameSession("a session that has expired", s)
	}
}

func sessionList(t *tester) {
	u, v := t.user(), t.user()
	var want []store.Session
	for _, n := range []time.Duration{2, 5, 1, 4, 3} {
		s := t.login(u.ID, at(n*us))
		s.Seen = at(hour)
		want = append(want, t.insertSession(s))
	}
	want = []store.Session{want[1], want[3], want[4], want[0], want[2]}
	for i := range want {
		want[i].Digest, want[i].Data = store.Digest{}, nil
	}
	dead, short := t.insertSession(t.login(u.ID, at(9*us))), t.login(u.ID, at(0))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(9*us))
	short.Expires = at(10 * us)
	short = t.insertSession(short)
	short.Digest, short.Data = store.Digest{}, nil
	t.insertSession(t.login(v.ID, at(0)))
	t.insertSession(t.login("", at(0)))
	for _, tt := range []struct {
		name string
		when time.Time
		want []store.Session
	}{
		{"a microsecond before one expires", at(10*us - us), append(want[:5:5], short)},
		{"when one expires", at(10 * us), want},
		{"later", at(20 * us), want},
		{"when all have expired", at(hour + 5*us), nil},
	} {
		got, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, tt.when, newest)
		t.must(err)
		t.same(tt.name, tt.want, got)
	}
	got, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID + " "}, at(10*us), newest)
	t.must(err)
	t.same("of a user with a similar ID", 0, len(got))
}

func sessionInsertRace(t *tester) {
	u := t.user()
	t.rounds(func() {
		d := t.digest()
		winner := t.oneWinner("InsertSession", store.ErrExists, race(contenders, func(i int) error {
			s := t.login(u.ID, at(0))
			s.Digest, s.Data = d, []byte(strconv.Itoa(i))
			_, _, err := t.st.InsertSession(t.Context(), s, store.Digest{}, 0)
			return err
		}))
		t.same("the winner's data", strconv.Itoa(winner), string(t.session(d).Data))
	})
}

func sessionSaveRace(t *tester) {
	u := t.user()
	s := t.insertSession(t.login(u.ID, at(0)))
	t.rounds(func() {
		winner := t.oneWinner("SaveSession", store.ErrConflict, race(contenders, func(i int) error {
			return t.st.SaveSession(t.Context(), s.Digest, []byte(strconv.Itoa(i)), s.Revision, at(us))
		}))
		s.Data = []byte(strconv.Itoa(winner))
		s.Revision++
		t.sameSession("the winner", s)
	})
}

func sessionEndRace(t *tester) {
	u := t.user()
	k := 0
	t.rounds(func() {
		k++
		s := t.insertSession(t.login(u.ID, at(0)))
		ended := 0
		for _, n := range race(24, func(i int) (n int) {
			var err error
			switch (i + k) % 3 {
			case 0:
				n, err = t.st.EndSessions(t.Context(), store.SessionSelection{Digest: s.Digest}, store.EndedLogout, at(us))
				if got, _, err := t.st.SessionByDigest(t.Context(), s.Digest); err != nil || got.Ended.IsZero() {
					t.Errorf("after EndSessions returned the session lives or is gone: %v", err)
				}
			case 1:
				// The revision is right or the session has ended.
				_ = t.st.SaveSession(t.Context(), s.Digest, []byte("x"), s.Revision, at(us))
			case 2:
				err = t.st.TouchSession(t.Context(), s.Digest, at(day+time.Duration(i)), at(us), netip.Addr{})
			}
			if err != nil {
				t.Error(err)
			}
			return n
		}) {
			ended += n
		}
		t.same("how many calls ended it", 1, ended)
		got := t.session(s.Digest)
		t.same("Ended", at(us), got.Ended)
		t.same("Reason", store.EndedLogout, got.Reason)
	})
}
