package storetest

import (
	"net/netip"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

var sessionListChecks = []check{
	{
		name:    "where and by which browser",
		promise: "InsertSession keeps Address and Agent; TouchSession moves Address to from, unless that is the zero Addr",
		run:     sessionPlaces,
	},
	{
		name:    "a session that ended or expired stays where it was",
		promise: "TouchSession does nothing if the session has ended, has expired at that instant, or already expires later",
		run:     sessionPlaceDead,
	},
	{
		name:    "a list comes in pages",
		promise: "ListSessions returns one page of the sessions, and how many there are in all, by Created, whatever p.Order is",
		run:     sessionPages,
	},
	{
		name:    "the sessions of all users by ID",
		promise: "ListSessions with All returns the live sessions of every user by ID, and none without a login",
		run:     sessionsOfAll,
	},
	{
		name:    "filters are combined with and",
		promise: "ListSessions returns the sessions that f names: live ones of UserID or with All, narrowed by each field that is not zero; without either none",
		run:     sessionFilters,
	},
	{
		name:    "no order of saves, touches and an end of others leaves one of them",
		races:   true,
		promise: "a session that ended stays as a tombstone: nothing brings it back; when EndSessions returned, all that it names have ended",
		run:     sessionOthersRace,
	},
}

// newest is a page with all sessions of a user in a check, newest first.
var newest = store.Page{Limit: 1000, Descending: true}

func (t *tester) sessions(f store.SessionFilter, when time.Time, p store.Page) ([]store.Session, int) {
	t.Helper()
	list, total, err := t.st.ListSessions(t.Context(), f, when, p)
	t.must(err)
	return list, total
}

func sessionPlaces(t *tester) {
	u := t.user()
	addresses := []netip.Addr{
		{}, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::"), netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:fffe"),
		netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.0.0.0"),
	}
	agents := append(oddTexts(), strings.Repeat("x", store.MaxAgent), "Firefox 128 on Linux")
	for i, agent := range agents {
		s := t.login(u.ID, at(0))
		s.Address, s.Agent = addresses[i%len(addresses)], agent
		s = t.insertSession(s)
		t.same("the address", addresses[i%len(addresses)], s.Address)
		t.same("the browser", agent, s.Agent)
		t.sameSession("a session", s)
		list, _ := t.sessions(store.SessionFilter{UserID: u.ID, ID: s.ID}, at(us), newest)
		shown := s
		shown.Digest, shown.Data = store.Digest{}, nil
		t.same("in the list", []store.Session{shown}, list)

		t.must(t.st.TouchSession(t.Context(), s.Digest, at(2*hour), at(us), netip.Addr{}))
		s.Expires, s.Seen = at(2*hour), at(us)
		t.sameSession("seen at an address that is not known", s)
		for j, addr := range addresses[1:] {
			end := at(3*hour + time.Duration(j)*us)
			t.must(t.st.TouchSession(t.Context(), s.Digest, end, at(2*us), addr))
			s.Expires, s.Seen, s.Address = end, at(2*us), addr
			t.sameSession("seen at another address", s)
		}
	}
}

func sessionPlaceDead(t *tester) {
	u := t.user()
	there, here := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.7")
	insert := func() store.Session {
		s := t.login(u.ID, at(0))
		s.Address, s.Agent = there, "curl"
		return t.insertSession(s)
	}
	dead, s := insert(), insert()
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedAdmin, at(us))
	dead.Ended, dead.Reason = at(us), store.EndedAdmin
	t.must(t.st.TouchSession(t.Context(), dead.Digest, at(day), at(0), here))
	t.sameSession("the tombstone", dead)
	t.must(t.st.TouchSession(t.Context(), s.Digest, s.Expires, at(us), here))
	t.must(t.st.TouchSession(t.Context(), s.Digest, at(day), s.Expires, here))
	t.sameSession("a session that expires then, or has expired", s)
}

func sessionPages(t *tester) {
	u, v := t.user(), t.user()
	var all []store.Session
	for i := range 7 {
		s := t.insertSession(t.login(u.ID, at(time.Duration(i/2)*us))) // two of an instant
		s.Digest, s.Data = store.Digest{}, nil
		all = append(all, s)
	}
	t.end(store.SessionSelection{ID: t.insertSession(t.login(u.ID, at(0))).ID}, store.EndedLogout, at(us))
	t.insertSession(t.login(v.ID, at(0)))
	reversed := make([]store.Session, len(all))
	for i, s := range all {
		reversed[len(all)-1-i] = s
	}
	for _, tt := range []struct {
		name string
		page store.Page
		want []store.Session
	}{
		{"all", store.Page{Limit: 100}, all},
		{"the newest first", newest, reversed},
		{"the first three", store.Page{Limit: 3}, all[:3]},
		{"the next three", store.Page{Limit: 3, Offset: 3}, all[3:6]},
		{"the last one", store.Page{Limit: 3, Offset: 6}, all[6:]},
		{"two of the newest", store.Page{Limit: 2, Offset: 1, Descending: true}, reversed[1:3]},
		{"beyond the end", store.Page{Limit: 3, Offset: 7}, nil},
		{"far beyond the end", store.Page{Limit: 3, Offset: 1 << 30}, nil},
		{"a negative offset", store.Page{Limit: 2, Offset: -1}, all[:2]},
		{"the total alone", store.Page{}, nil},
		{"a negative limit", store.Page{Limit: -1}, nil},
		{"another order", store.Page{Limit: 100, Order: store.OrderExpires, Descending: true}, reversed},
		{"by ID", store.Page{Limit: 100, Order: store.OrderID}, all},
	} {
		got, total := t.sessions(store.SessionFilter{UserID: u.ID}, at(us), tt.page)
		t.same(tt.name, tt.want, got)
		t.same(tt.name+": how many there are", len(all), total)
	}
}

// sessionsOfAll looks at the sessions that it made, for a store may have others.
func sessionsOfAll(t *tester) {
	u, v := t.user(), t.user()
	insert := func(userID string, when time.Time) store.Session {
		s := t.insertSession(t.login(userID, when))
		s.Digest, s.Data = store.Digest{}, nil
		return s
	}
	first, second, third := insert(u.ID, at(2*us)), insert(v.ID, at(us)), insert(u.ID, at(0))
	anonymous, dead := insert("", at(0)), insert(v.ID, at(0))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(us))
	expired := t.login(v.ID, at(0))
	expired.Expires = at(us)
	expired = t.insertSession(expired)
	for _, tt := range []struct {
		name   string
		filter store.SessionFilter
		down   bool
		want   []store.Session
	}{
		{"all", store.SessionFilter{All: true}, false, []store.Session{first, second, third}},
		{"all, the last first", store.SessionFilter{All: true}, true, []store.Session{third, second, first}},
		{"of one of all", store.SessionFilter{All: true, UserID: u.ID}, false, []store.Session{third, first}},
		{"the older of all", store.SessionFilter{All: true, Before: at(2 * us)}, false, []store.Session{second, third}},
		{"one of all", store.SessionFilter{All: true, ID: second.ID}, false, []store.Session{second}},
		{"the ID of one without a login", store.SessionFilter{All: true, ID: anonymous.ID}, false, nil},
		{"the ID of one that has ended", store.SessionFilter{All: true, ID: dead.ID}, false, nil},
		{"the ID of one that has expired", store.SessionFilter{All: true, ID: expired.ID}, false, nil},
		{"an older one of one", store.SessionFilter{UserID: u.ID, Before: at(2 * us)}, false, []store.Session{third}},
		{"older than all", store.SessionFilter{UserID: u.ID, Before: at(0)}, false, nil},
	} {
		var got []store.Session
		for offset, total := 0, 1; offset < total; offset += 2 {
			var list []store.Session
			list, total = t.sessions(tt.filter, at(us), store.Page{Limit: 2, Offset: offset, Descending: tt.down})
			for _, s := range list {
				if s.UserID == "" || s.UserID == u.ID || s.UserID == v.ID {
					got = append(got, s)
				}
			}
		}
		t.same(tt.name, tt.want, got)
	}
}

func sessionFilters(t *tester) {
	u, v := t.user(), t.user()
	var ids []int64
	for _, epoch := range []int64{0, 1, 1, -1} {
		s := t.login(u.ID, at(0))
		s.Epoch = epoch
		ids = append(ids, t.insertSession(s).ID)
	}
	other, anonymous := t.insertSession(t.login(v.ID, at(0))), t.insertSession(t.login("", at(0)))
	dead := t.insertSession(t.login(u.ID, at(0)))
	t.end(store.SessionSelection{ID: dead.ID}, store.EndedLogout, at(us))
	epoch := func(n int64) *int64 { return &n }
	for _, tt := range []struct {
		name   string
		filter store.SessionFilter
		want   []int64
	}{
		{"a user", store.SessionFilter{UserID: u.ID}, ids},
		{"an epoch", store.SessionFilter{UserID: u.ID, Epoch: epoch(1)}, ids[1:3]},
		{"epoch 0", store.SessionFilter{UserID: u.ID, Epoch: epoch(0)}, ids[:1]},
		{"a negative epoch", store.SessionFilter{UserID: u.ID, Epoch: epoch(-1)}, ids[3:]},
		{"an epoch that none has", store.SessionFilter{UserID: u.ID, Epoch: epoch(2)}, nil},
		{"an ID", store.SessionFilter{UserID: u.ID, ID: ids[2]}, ids[2:3]},
		{"an ID and its epoch", store.SessionFilter{UserID: u.ID, ID: ids[2], Epoch: epoch(1)}, ids[2:3]},
		{"an ID and another epoch", store.SessionFilter{UserID: u.ID, ID: ids[2], Epoch: epoch(0)}, nil},
		{"the ID of somebody else's", store.SessionFilter{UserID: u.ID, ID: other.ID}, nil},
		{"the ID of one that has ended", store.SessionFilter{UserID: u.ID, ID: dead.ID}, nil},
		{"an ID without a user", store.SessionFilter{ID: ids[0]}, nil},
		{"the ID of one without a login", store.SessionFilter{ID: anonymous.ID}, nil},
		{"nothing", store.SessionFilter{}, nil},
	} {
		list, total := t.sessions(tt.filter, at(us), store.Page{Limit: 100})
		var got []int64
		for _, s := range list {
			got = append(got, s.ID)
		}
		t.same(tt.name, tt.want, got)
		t.same(tt.name+": how many there are", len(tt.want), total)
	}
}

func sessionOthersRace(t *tester) {
	k := 0
	t.rounds(func() {
		k++
		u := t.user()
		mine := t.insertSession(t.login(u.ID, at(0)))
		others := []store.Session{t.insertSession(t.login(u.ID, at(0))), t.insertSession(t.login(u.ID, at(0)))}
		race(24, func(i int) struct{} {
			s := others[i/4%len(others)]
			var err error
			switch (i + k) % 4 {
			case 0:
				_, err = t.st.EndSessions(t.Context(), store.SessionSelection{UserID: u.ID, Except: mine.Digest}, store.EndedAdmin, at(us))
				for _, s := range others {
					if got, _, err := t.st.SessionByDigest(t.Context(), s.Digest); err != nil || got.Ended.IsZero() {
						t.Errorf("after EndSessions returned another session lives or is gone: %v", err)
					}
				}
			case 1:
				// The revision is right or the session has ended.
				_ = t.st.SaveSession(t.Context(), s.Digest, []byte("x"), s.Revision, at(us))
			case 2:
				err = t.st.TouchSession(t.Context(), s.Digest, at(day+time.Duration(i)), at(us), netip.IPv6Loopback())
			case 3:
				_, err = t.st.EndSessions(t.Context(), store.SessionSelection{UserID: u.ID, ID: others[0].ID}, store.EndedAdmin, at(us))
			}
			if err != nil {
				t.Error(err)
			}
			return struct{}{}
		})
		t.alive("after all of it", u.ID, at(us), mine)
	})
}
