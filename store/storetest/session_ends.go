package storetest

import (
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

var sessionLimitChecks = []check{
	{
		name:    "the oldest sessions make room",
		promise: "InsertSession ends, with EndedLimit, all live sessions of the user but the newest keep, this one included, and returns how many",
		run:     limitOldest,
	},
	{
		name:    "keep 0 is no limit",
		promise: "InsertSession ends sessions of the user unless keep is 0",
		run:     limitNone,
	},
	{
		name:    "the session that is replaced does not count",
		promise: "in the same step InsertSession ends the session with digest replaces and all live sessions but the newest keep",
		run:     limitReplaced,
	},
	{
		name:    "ended and expired sessions do not count",
		promise: "sessions that have expired at s.Created do not count",
		run:     limitDead,
	},
	{
		name:    "nobody else is affected",
		promise: "InsertSession ends sessions of the user",
		run:     limitOthers,
	},
	{
		name:    "a limit that was lowered ends all that are too many",
		promise: "InsertSession ends all live sessions of the user but the newest keep, however many, and returns how many",
		run:     limitLowered,
	},
	{
		name:    "64 parallel logins leave exactly keep",
		races:   true,
		promise: "InsertSession ends all live sessions of the user but the newest keep, in the same step",
		run:     limitRace,
	},
}

func (t *tester) limited(s store.Session, replaces store.Digest, keep, want int) store.Session {
	t.Helper()
	stored, n, err := t.st.InsertSession(t.Context(), s, replaces, keep)
	t.must(err)
	t.same("how many the limit ended", want, n)
	return stored
}

// alive reports if not exactly these sessions of the user live.
func (t *tester) alive(what, userID string, when time.Time, want ...store.Session) {
	t.Helper()
	list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: userID}, when, newest)
	t.must(err)
	got, wanted := map[int64]bool{}, map[int64]bool{}
	for _, s := range list {
		got[s.ID] = true
	}
	for _, s := range want {
		wanted[s.ID] = true
	}
	t.same(what+": the IDs of live sessions", wanted, got)
}

func limitOldest(t *tester) {
	u := t.user()
	var all []store.Session
	for i := range 5 {
		all = append(all, t.insertSession(t.login(u.ID, at(time.Duration(i)*us))))
	}
	new := t.limited(t.login(u.ID, at(9*us)), store.Digest{}, 3, 3)
	t.alive("keep 3", u.ID, at(9*us), all[3], all[4], new)
	for _, s := range all[:3] {
		s.Ended, s.Reason = at(9*us), store.EndedLimit
		t.sameSession("a session that made room", s)
	}
	t.sameSession("a session that stayed", all[3])
	// Of sessions of one instant the one that is being stored is the newest.
	same := t.limited(t.login(u.ID, at(9*us)), store.Digest{}, 1, 3)
	t.alive("keep 1", u.ID, at(9*us), same)
	t.limited(t.login(u.ID, at(10*us)), store.Digest{}, 5, 0)
}

func limitNone(t *tester) {
	u := t.user()
	var all []store.Session
	for i := range 4 {
		all = append(all, t.limited(t.login(u.ID, at(time.Duration(i)*us)), store.Digest{}, 0, 0))
	}
	t.alive("no limit", u.ID, at(9*us), all...)
}

func limitReplaced(t *tester) {
	u := t.user()
	first, second := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(us)))
	third := t.limited(t.login(u.ID, at(2*us)), second.Digest, 2, 0)
	t.alive("the newer one replaced", u.ID, at(3*us), first, third)
	fourth := t.limited(t.login(u.ID, at(3*us)), first.Digest, 1, 1)
	t.alive("the older one replaced", u.ID, at(3*us), fourth)
	t.same("of the one that was replaced", store.EndedRenewed, t.session(first.Digest).Reason)
	t.same("of the one that made room", store.EndedLimit, t.session(third.Digest).Reason)
}

func limitDead(t *tester) {
	u := t.user()
	live, dead := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(us)))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(us))
	expired := t.login(u.ID, at(2*us))
	expired.Expires = at(10 * us)
	expired = t.insertSession(expired)
	new := t.limited(t.login(u.ID, at(10*us)), store.Digest{}, 2, 0)
	t.alive("two live", u.ID, at(10*us), live, new)
	t.sameSession("an expired session", expired)
	t.same("an ended session", store.EndedLogout, t.session(dead.Digest).Reason)
	expired = t.login(u.ID, at(11*us))
	expired.Expires = at(20 * us)
	t.insertSession(expired)
	t.limited(t.login(u.ID, at(20*us-us)), store.Digest{}, 3, 1)
}

func limitOthers(t *tester) {
	u, v := t.user(), t.user()
	other, anonymous, similar := t.insertSession(t.login(v.ID, at(0))), t.insertSession(t.login("", at(0))), t.insertSession(t.login(u.ID+" ", at(0)))
	mine := t.insertSession(t.login(u.ID, at(0)))
	new := t.limited(t.login(u.ID, at(us)), store.Digest{}, 1, 1)
	t.alive("the user", u.ID, at(us), new)
	t.same("of the one that made room", store.EndedLimit, t.session(mine.Digest).Reason)
	for _, s := range []store.Session{other, anonymous, similar} {
		t.sameSession("a session of somebody else", s)
	}
}

func limitLowered(t *tester) {
	const many = 1_103 // a store may take steps
	u := t.user()
	var all []store.Session
	for i := range many {
		all = append(all, t.insertSession(t.login(u.ID, at(time.Duration(i/2)*us))))
	}
	ahead := t.insertSession(t.login(u.ID, at(hour)))
	// By the clock of its server it is among those that are too many.
	new := t.limited(t.login(u.ID, at(9*us)), store.Digest{}, 3, many-1)
	t.alive("keep 3", u.ID, at(9*us), all[many-1], ahead, new)
	for _, i := range []int{0, 499, 500, 501, many - 2} {
		all[i].Ended, all[i].Reason = at(9*us), store.EndedLimit
		t.sameSession("a session that made room", all[i])
	}
	t.limited(t.login(u.ID, at(10*us)), store.Digest{}, 3, 1)
}

func limitRace(t *tester) {
	const keep = 5
	k := 0
	t.rounds(func() {
		k++
		u, other := t.user(), t.insertSession(t.login("somebody else", at(0)))
		old := t.insertSession(t.login(u.ID, at(0)))
		evicted := 0
		for _, n := range race(contenders, func(i int) int {
			created := at(us)
			if k%2 == 0 {
				created = at(time.Duration(i) * us)
			}
			_, n, err := t.st.InsertSession(t.Context(), t.login(u.ID, created), old.Digest, keep)
			if err != nil {
				t.Errorf("InsertSession: %v", err)
			}
			return n
		}) {
			evicted += n
		}
		list, _, err := t.st.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, at(hour/2), newest)
		t.must(err)
		t.same("live sessions", keep, len(list))
		t.same("how many the limit ended", contenders-keep, evicted)
		t.same("the session that all replaced", store.EndedRenewed, t.session(old.Digest).Reason)
		t.sameSession("a session of somebody else", other)
	})
}

var endSessionsChecks = []check{
	{
		name:    "selections are combined with and",
		promise: "a SessionSelection names sessions; the fields that are set are combined with \"and\"; Except is left alone",
		run:     endSelections,
	},
	{
		name:    "nothing set selects nothing",
		promise: "nothing set selects nothing, and only All selects everything",
		alone:   true,
		run:     endAll,
	},
	{
		name:    "repeating it changes nothing and counts nothing",
		promise: "those that ended before stay as they were and do not count, so repeating it is harmless",
		run:     endTwice,
	},
	{
		name:    "each session is counted once by parallel calls",
		races:   true,
		promise: "EndSessions ends the sessions that s names and returns how many",
		run:     endCountRace,
	},
}

func endSelections(t *tester) {
	for _, tt := range []struct {
		name string
		sel  func(u store.User, s []store.Session) store.SessionSelection
		want []int
	}{
		{"ID", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[0].ID}
		}, []int{0}},
		{"digest", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{Digest: s[1].Digest}
		}, []int{1}},
		{"user", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{UserID: u.ID}
		}, []int{0, 1, 2}},
		{"user but one", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{UserID: u.ID, Except: s[1].Digest}
		}, []int{0, 2}},
		{"user but one of somebody else", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{UserID: u.ID, Except: s[3].Digest}
		}, []int{0, 1, 2}},
		{"ID and user", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[2].ID, UserID: u.ID}
		}, []int{2}},
		{"all fields", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[2].ID, UserID: u.ID, Digest: s[2].Digest, All: true, Except: s[0].Digest}
		}, []int{2}},
		{"the one that is excepted", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[2].ID, Except: s[2].Digest}
		}, nil},
		{"the digest that is excepted", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{Digest: s[2].Digest, Except: s[2].Digest}
		}, nil},
		{"ID of another user", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[3].ID, UserID: u.ID}
		}, nil},
		{"digest of another user", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{Digest: s[3].Digest, UserID: u.ID}
		}, nil},
		{"ID of one, digest of another", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[0].ID, Digest: s[1].Digest}
		}, nil},
		{"a user with a similar ID", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{UserID: u.ID + " "}
		}, nil},
		{"an ID that never was", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{ID: s[0].ID + 1e6}
		}, nil},
		{"a digest that never was", func(u store.User, s []store.Session) store.SessionSelection {
			return store.SessionSelection{Digest: t.digest()}
		}, nil},
	} {
		u, v := t.user(), t.user()
		var all []store.Session
		for _, id := range []string{u.ID, u.ID, u.ID, v.ID, ""} {
			all = append(all, t.insertSession(t.login(id, at(0))))
		}
		t.same(tt.name+": how many", len(tt.want), t.end(tt.sel(u, all), "because", at(us+1)))
		for _, i := range tt.want {
			all[i].Ended, all[i].Reason = at(us), "because"
		}
		for i, s := range all {
			t.sameSession(fmt.Sprintf("%s: session %d", tt.name, i), s)
		}
	}
}

func endAll(t *tester) {
	u := t.user()
	mine, other, anonymous := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login("other", at(0))), t.insertSession(t.login("", at(0)))
	t.same("nothing", 0, t.end(store.SessionSelection{}, store.EndedAdmin, at(us)))
	t.same("nothing but an exception", 0, t.end(store.SessionSelection{Except: mine.Digest}, store.EndedAdmin, at(us)))
	for _, s := range []store.Session{mine, other, anonymous} {
		t.sameSession("after nothing was selected", s)
	}
	t.same("all but one", 2, t.end(store.SessionSelection{All: true, Except: mine.Digest}, store.EndedAdmin, at(us)))
	t.sameSession("the one that is excepted", mine)
	t.same("all", 1, t.end(store.SessionSelection{All: true}, store.EndedAdmin, at(2*us)))
}

func endTwice(t *tester) {
	u := t.user()
	first, second := t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))
	t.same("the first", 1, t.end(store.SessionSelection{ID: first.ID}, store.EndedLogout, at(us)))
	t.same("both", 1, t.end(store.SessionSelection{UserID: u.ID}, store.EndedAdmin, at(2*us)))
	t.same("both again", 0, t.end(store.SessionSelection{UserID: u.ID}, store.EndedRenewed, at(3*us)))
	first.Ended, first.Reason = at(us), store.EndedLogout
	second.Ended, second.Reason = at(2*us), store.EndedAdmin
	t.sameSession("the first", first)
	t.sameSession("the second", second)
}

func endCountRace(t *tester) {
	t.rounds(func() {
		u := t.user()
		first := t.insertSession(t.login(u.ID, at(0)))
		t.insertSession(t.login(u.ID, at(0)))
		t.insertSession(t.login(u.ID, at(0)))
		sum := 0
		for _, n := range race(16, func(i int) int {
			sel := store.SessionSelection{UserID: u.ID}
			if i%2 == 0 {
				sel = store.SessionSelection{Digest: first.Digest}
			}
			n, err := t.st.EndSessions(t.Context(), sel, store.EndedAdmin, at(us))
			if err != nil {
				t.Errorf("EndSessions: %v", err)
			}
			return n
		}) {
			sum += n
		}
		t.same("the sum of all counts", 3, sum)
	})
}
