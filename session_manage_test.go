package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/observetest"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// listed returns the IDs of the sessions that are listed for by.
func (s *system) listed(by *auth.Principal, userID string) (ids []int64, err error) {
	s.t.Helper()
	list, total, err := s.session.List(s.t.Context(), by, userID, store.Page{Limit: 100, Descending: true})
	if err == nil && total != len(list) {
		s.t.Errorf("%d sessions of %d are listed", len(list), total)
	}
	for _, row := range list {
		if row.Digest != (store.Digest{}) || row.Data != nil {
			s.t.Errorf("a list shows %+v", row)
		}
		ids = append(ids, row.ID)
	}
	return ids, err
}

// inSession calls f in a request with a cookie.
func (s *system) inSession(cookie string, f func(r *http.Request)) {
	s.t.Helper()
	called := false
	s.do = func(_ http.ResponseWriter, r *http.Request) { called = true; f(r) }
	if s.send("POST", "/do", cookie); !called {
		s.t.Error("the request was not served")
	}
}

// current returns the ID of the session of a cookie.
func (s *system) current(cookie string) (id int64) {
	s.t.Helper()
	s.inSession(cookie, func(r *http.Request) { id = s.session.Current(r.Context()) })
	return id
}

// A session shows where and when it was seen first and last, and which one the
// request's is.
func TestSessionIsDescribed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		start := time.Now()
		cookie := s.login(s.alice, "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
		id := s.current(cookie)
		check := func(what string, want store.Session) {
			t.Helper()
			want.ID, want.UserID, want.Epoch, want.Revision, want.Created = id, s.alice.ID, s.alice.Epoch, 1, start
			want.Agent = "Firefox 128 on Linux"
			got, err := s.session.Find(t.Context(), by(s.alice), s.alice.ID, id)
			if err != nil {
				t.Fatal(err)
			}
			equal := cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(time.Time.Equal)}
			if diff := cmp.Diff(want, got, equal); diff != "" {
				t.Errorf("%s (-want +got):\n%s", what, diff)
			}
		}
		home, away := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::7")
		check("after the login", store.Session{Address: home, Seen: start, Expires: start.Add(30 * time.Minute)})

		use := func(from netip.Addr, agent string) []string {
			return s.db.during(func() {
				r := httptest.NewRequest("GET", "/probe/", nil)
				r.RemoteAddr = netip.AddrPortFrom(from, 4711).String()
				r.Header.Set("Cookie", strings.TrimPrefix(cookie, "Cookie: "))
				r.Header.Set("User-Agent", agent)
				w := httptest.NewRecorder()
				s.handler.ServeHTTP(w, r)
				if who := who(t, w); who != "alice by session" {
					t.Errorf("the session is used by %s", who)
				}
			})
		}
		time.Sleep(30 * time.Second)
		if diff := cmp.Diff([]string{"SessionByDigest"}, use(away, "curl/8.5.0")); diff != "" {
			t.Errorf("a request within a minute costs (-want +got):\n%s", diff)
		}
		check("within a minute", store.Session{Address: home, Seen: start, Expires: start.Add(30 * time.Minute)})
		time.Sleep(31 * time.Second)
		use(away, "curl/8.5.0")
		now := time.Now()
		check("after a minute", store.Session{Address: away, Seen: now, Expires: now.Add(30 * time.Minute)})

		if s.current(s.login(s.alice)) == id || s.current("Cookie: other=1") != 0 {
			t.Error("another request has the same session")
		}
		if got := s.session.Current(t.Context()); got != 0 {
			t.Errorf("a context without a request has session %d", got)
		}
	})
}

// What a client calls itself is shown as text, or not at all.
func TestAgentOfASession(t *testing.T) {
	s := newSystem(t, nil)
	for agent, want := range map[string]string{"": "", "curl/8.5.0": "curl 8.5.0", "x\u202ey/1": "", "\xff/1": ""} {
		s.login(s.bob, "User-Agent: "+agent)
		list, _, err := s.session.List(t.Context(), by(s.bob), s.bob.ID, store.Page{Limit: 1, Descending: true})
		if err != nil || len(list) != 1 || list[0].Agent != want {
			t.Errorf("%q: %+v, %v", agent, list, err)
		}
	}
}

// Sessions are listed and ended by their user and by administrators. A token may
// only if it is a personal one that may write.
func TestWhoManagesSessions(t *testing.T) {
	s := newSystem(t, nil)
	token := func(u store.User, scopes auth.Scopes, change func(*auth.Principal)) *auth.Principal {
		p, err := s.tokens.Verify(t.Context(), s.issue(u, scopes).AccessToken.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(p)
		}
		return p
	}
	auditor := by(s.bob)
	auditor.Auditor = true
	for _, tt := range []struct {
		name string
		by   *auth.Principal
		may  bool
	}{
		{"the user", by(s.alice), true},
		{"an administrator", by(s.admin), true},
		{"somebody else", by(s.bob), false},
		{"an auditor", auditor, false},
		{"nobody", &auth.Principal{Scopes: auth.Unrestricted}, false},
		{"the user without a scope", &auth.Principal{ID: s.alice.ID}, false},
		{"a token that may write", token(s.alice, "write", nil), true},
		{"a token that may read", token(s.alice, "read", nil), false},
		{"a token with a scope of the host's", token(s.alice, "jobs", nil), false},
		{"a token of an administrator that may write", token(s.admin, "write", nil), true},
		{"a token of an administrator that may read", token(s.admin, "read", nil), false},
		{"a token of an application", token(s.alice, "write", func(p *auth.Principal) { p.ApplicationID, p.ViaApplicationID = 1, 1 }), false},
		{"a token that an application's token made", token(s.alice, "write", func(p *auth.Principal) { p.ViaApplicationID = 1 }), false},
		{"an application alone", &auth.Principal{ApplicationID: 1, Scopes: "write", Admin: true}, false},
	} {
		other := s.current(s.login(s.bob))
		first, second := s.current(s.login(s.alice)), s.current(s.login(s.alice))
		want := 0
		if !tt.may {
			want = 403
		}
		check := func(call string, err error) {
			t.Helper()
			if want == 0 {
				if err != nil {
					t.Errorf("%s: %s: %v", tt.name, call, err)
				}
				return
			}
			refusesStatus(t, err, want, "")
		}
		ids, err := s.listed(tt.by, s.alice.ID)
		check("List", err)
		if tt.may != (len(ids) == 2 && ids[0] == second && ids[1] == first) {
			t.Errorf("%s: sessions %v are listed", tt.name, ids)
		}
		_, err = s.session.Find(t.Context(), tt.by, s.alice.ID, first)
		check("Find", err)
		check("EndOne", s.session.EndOne(t.Context(), tt.by, s.alice.ID, first))
		n, err := s.session.EndOthers(t.Context(), tt.by, s.alice.ID)
		check("EndOthers", err)
		if tt.may != (n == 1) {
			t.Errorf("%s: %d others ended", tt.name, n)
		}
		left, err := s.listed(by(s.alice), s.alice.ID)
		if err != nil || tt.may != (len(left) == 0) {
			t.Errorf("%s: sessions %v are left, %v", tt.name, left, err)
		}
		if left, err := s.listed(by(s.bob), s.bob.ID); err != nil || left[0] != other {
			t.Errorf("%s: bob's sessions are %v, %v", tt.name, left, err)
		}
		if _, err := s.session.EndOthers(t.Context(), by(s.admin), s.alice.ID); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*auth.Principal{by(s.admin), {Scopes: auth.Unrestricted}} {
		_, err := s.session.EndOthers(t.Context(), p, "")
		refusesStatus(t, err, 403, "")
	}
}

// A session that was ended is dead at the next request, whatever it is doing.
func TestEndOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		mine, others, bobs := s.login(s.alice), s.login(s.alice), s.login(s.bob)
		ctx, id, bobsID := t.Context(), s.current(others), s.current(bobs)
		for _, wrong := range []int64{0, -1, id + 1000, bobsID} {
			refusesStatus(t, s.session.EndOne(ctx, by(s.alice), s.alice.ID, wrong), 404, "")
			_, err := s.session.Find(ctx, by(s.alice), s.alice.ID, wrong)
			refusesStatus(t, err, 404, "")
		}
		for cookie, want := range map[string]string{mine: "alice", others: "alice", bobs: "bob"} {
			if got := s.me(cookie); got != want+" by session" {
				t.Fatalf("before anything was ended: %s", got)
			}
		}
		time.Sleep(2 * time.Minute) // its next request moves the expiry
		// The session is ended while a request of it is about to save and to renew.
		s.inSession(others, func(r *http.Request) {
			s.session.Manager().Put(r.Context(), "k", "v")
			events := s.events(func() {
				if err := s.session.EndOne(ctx, by(s.alice), s.alice.ID, id); err != nil {
					t.Error(err)
				}
			})
			if len(events) != 1 || events[0]["msg"] != "auth: session ended" || events[0]["actor"] != "alice" || events[0]["sessions"] != 1.0 {
				t.Errorf("events %v", events)
			}
		})
		if got := s.me(others); got != "401" {
			t.Errorf("the session that was ended: %s", got)
		}
		refusesStatus(t, s.session.EndOne(ctx, by(s.alice), s.alice.ID, id), 404, "")
		for cookie, want := range map[string]string{mine: "alice by session", bobs: "bob by session"} {
			if got := s.me(cookie); got != want {
				t.Errorf("another session: %s, want %s", got, want)
			}
		}
	})
}

// The session of the request itself ends like by a logout.
func TestEndOwnSession(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	id := s.current(cookie)
	s.do = func(w http.ResponseWriter, r *http.Request) {
		if err := s.session.EndOne(r.Context(), by(s.alice), s.alice.ID, id); err != nil {
			t.Error(err)
		}
		if got := s.session.Current(r.Context()); got != 0 {
			t.Errorf("the request still has session %d", got)
		}
	}
	w := s.send("POST", "/do", cookie)
	if got := w.Header().Get("Set-Cookie"); got != "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" || w.Header().Get("Session-Timeout") != "" {
		t.Errorf("the reply has the cookie %q and %q seconds", got, w.Header().Get("Session-Timeout"))
	}
	if got := s.me(cookie); got != "401" {
		t.Errorf("the session: %s", got)
	}
}

// The session of the request stays, if it is the user's; all others end.
func TestEndOtherSessions(t *testing.T) {
	s := newSystem(t, nil)
	for _, tt := range []struct {
		name string
		with func(alice, admin string) string // the cookie
		by   store.User
		want string // of the session of alice that may stay
	}{
		{"the user", func(alice, _ string) string { return alice }, s.alice, "alice by session"},
		{"an administrator", func(_, admin string) string { return admin }, s.admin, "401"},
		{"the user without a session", func(string, string) string { return "Cookie: x=y" }, s.alice, "401"},
	} {
		mine, admins, bobs := s.login(s.alice), s.login(s.admin), s.login(s.bob)
		var others []string
		for range 3 {
			others = append(others, s.login(s.alice))
		}
		s.inSession(tt.with(mine, admins), func(r *http.Request) {
			n, err := s.session.EndOthers(r.Context(), by(tt.by), s.alice.ID)
			if want := 3; err != nil || tt.want == "401" && n != 4 || tt.want != "401" && n != want {
				t.Errorf("%s: %d ended, %v", tt.name, n, err)
			}
		})
		for _, cookie := range others {
			if got := s.me(cookie); got != "401" {
				t.Errorf("%s: another session: %s", tt.name, got)
			}
		}
		for cookie, want := range map[string]string{mine: tt.want, admins: "admin by session", bobs: "bob by session"} {
			if got := s.me(cookie); got != want {
				t.Errorf("%s: %s, want %s", tt.name, got, want)
			}
		}
		if _, err := s.session.EndOthers(t.Context(), by(s.alice), s.alice.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// A session that is dead for another reason than its end is not listed.
func TestDeadSessionsAreNotListed(t *testing.T) {
	on := true
	s := newSystem(t, func(o *settings) { o.session.Enabled = func() bool { return on } })
	count := func(what string, want int) {
		t.Helper()
		if ids, err := s.listed(by(s.admin), s.alice.ID); err != nil || len(ids) != want {
			t.Errorf("%s: %v, %v; want %d", what, ids, err, want)
		}
	}
	s.login(s.alice)
	count("alive", 1)
	on = false
	count("while sessions are off", 0)
	on = true
	count("on again", 1)
	if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
		t.Fatal(err)
	}
	count("with a new password", 0)
	s.login(s.alice)
	count("after another login", 1)
	s.disable(s.alice)
	count("of a user who may not log in", 0)
	if ids, err := s.listed(by(s.admin), "nobody"); err != nil || len(ids) != 0 {
		t.Errorf("of nobody: %v, %v", ids, err)
	}
}

// An administrator sees the sessions of all users, as far as they live.
func TestSessionsOfAllUsers(t *testing.T) {
	s := newSystem(t, nil)
	first, second, third := s.current(s.login(s.bob)), s.current(s.login(s.alice)), s.current(s.login(s.bob))
	search := func(by *auth.Principal, f store.SessionFilter, p store.Page) (ids []int64, total int, err error) {
		list, total, err := s.session.Search(t.Context(), by, f, p)
		for _, v := range list {
			ids = append(ids, v.ID)
		}
		return ids, total, err
	}
	check := func(what string, f store.SessionFilter, p store.Page, want []int64, total int) {
		t.Helper()
		got, n, err := search(by(s.admin), f, p)
		if diff := cmp.Diff(want, got); err != nil || n != total || diff != "" {
			t.Errorf("%s: %d in all, %v (-want +got):\n%s", what, n, err, diff)
		}
	}
	all, many := store.SessionFilter{All: true}, store.Page{Limit: 10}
	check("all", all, many, []int64{first, second, third}, 3)
	check("a page", all, store.Page{Limit: 1, Offset: 1}, []int64{second}, 3)
	check("of one", store.SessionFilter{All: true, UserID: s.bob.ID}, many, []int64{first, third}, 2)
	check("older ones", store.SessionFilter{All: true, Before: time.Now().Add(-time.Hour)}, many, nil, 0)
	if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
		t.Fatal(err)
	}
	check("after a new password", all, many, []int64{first, third}, 3)
	check("of another epoch", store.SessionFilter{All: true, Epoch: new(int64)}, many, []int64{first, third}, 3)
	s.disable(s.bob)
	check("of a user who may not log in", all, many, nil, 3)

	token := by(s.admin)
	token.ApplicationID = 1
	reads := by(s.admin)
	reads.Scopes = auth.ScopeRead
	for what, p := range map[string]*auth.Principal{"a user": by(s.bob), "a token of an application": token, "a token that reads": reads, "nobody": {Admin: true}} {
		_, _, err := search(p, all, many)
		if e, ok := errors.AsType[*auth.Error](err); !ok || e.Status != 403 {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, _, err := search(by(s.admin), store.SessionFilter{ID: first}, many)
	refusesStatus(t, err, 403, "")
	for _, call := range []string{"UserByID", "ListSessions"} {
		s.db.on(func(c string) error {
			if c == call {
				return errDown
			}
			return nil
		})
		if _, _, err := search(by(s.admin), all, many); !errors.Is(err, errDown) {
			t.Errorf("%s is down: %v", call, err)
		}
		s.db.on(nil)
	}
}

// An outage is neither an empty list nor an end.
func TestSessionsWithStoreDown(t *testing.T) {
	s := newSystem(t, nil)
	id := s.current(s.login(s.alice))
	for _, call := range []string{"UserByID", "ListSessions", "EndSessions"} {
		s.db.on(func(c string) error {
			if c == call {
				return errDown
			}
			return nil
		})
		_, listErr := s.listed(by(s.alice), s.alice.ID)
		_, othersErr := s.session.EndOthers(t.Context(), by(s.alice), s.alice.ID)
		endErr := s.session.EndOne(t.Context(), by(s.alice), s.alice.ID, id)
		s.db.on(nil)
		want := map[string]string{
			"UserByID":     "true false false",
			"ListSessions": "true false false",
			"EndSessions":  "false true true",
		}[call]
		down := func(err error) bool { return errors.Is(err, errDown) }
		if got := fmt.Sprint(down(listErr), down(othersErr), down(endErr)); got != want {
			t.Errorf("%s is down: %s, want %s", call, got, want)
		}
	}
}

// halfEnding is a store that fails after a step of an end of sessions.
type halfEnding struct{ store.Sessions }

func (h halfEnding) EndSessions(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	n, err := h.Sessions.EndSessions(ctx, sel, reason, at)
	return n, errors.Join(err, errDown)
}

// What has ended before an error is counted and recorded.
func TestHalfAnEndIsRecorded(t *testing.T) {
	s := newSystem(t, nil)
	rec := new(observetest.Recorder)
	session := auth.Must(auth.NewSession(halfEnding{s.db}, s.db, &auth.SessionOptions{Logger: slog.New(slog.NewJSONHandler(s.log, nil)), Observe: rec.Observe}))
	for name, end := range map[string]func() (int, error){
		"EndOthers": func() (int, error) { return session.EndOthers(t.Context(), by(s.admin), s.alice.ID) },
		"End":       func() (int, error) { return session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID}) },
	} {
		s.login(s.alice)
		s.login(s.alice)
		var list []map[string]any
		wantEvents(t, rec, name, func() {
			list = s.events(func() {
				if n, err := end(); n != 2 || !errors.Is(err, errDown) {
					t.Errorf("%s: %d, %v", name, n, err)
				}
			})
		}, observe.Event{Name: observe.SessionEnded, Kind: observe.KindRevoked, Count: 2})
		if recorded := len(list) == 1 && list[0]["msg"] == audit.SessionEnded; recorded != (name == "EndOthers") {
			t.Errorf("%s: events %v", name, list)
		}
	}
}
