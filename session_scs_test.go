package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/store"
)

// Traps of scs that Session is there to close, each tried on plain scs first, as
// its documentation wires it. If a line that starts with "plain scs" fails, scs
// has changed, and the work around it may go.

// plainSCS is a manager without the goroutine that scs.New leaves behind.
func plainSCS(change func(*scs.SessionManager)) *scs.SessionManager {
	m := &scs.SessionManager{
		Lifetime:  12 * time.Hour,
		Store:     memstore.NewWithCleanupInterval(0),
		Codec:     scs.GobCodec{},
		ErrorFunc: func(w http.ResponseWriter, _ *http.Request, err error) { http.Error(w, "failed", 500) },
		Cookie:    scs.SessionCookie{Name: "session", Path: "/", Persist: true},
	}
	if change != nil {
		change(m)
	}
	return m
}

// plainDo runs f as a request of the session with that cookie, and returns the
// reply and the cookie after it.
func plainDo(m *scs.SessionManager, cookie string, f http.HandlerFunc) (*httptest.ResponseRecorder, string) {
	w := send(m.LoadAndSave(f), "GET", "/", "Cookie: "+cookie)
	for _, c := range w.Result().Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return w, cookie
}

func plainPut(m *scs.SessionManager, key, value string) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), key, value) }
}

func plainGet(m *scs.SessionManager, cookie, key string) (value string) {
	plainDo(m, cookie, func(_ http.ResponseWriter, r *http.Request) { value = m.GetString(r.Context(), key) })
	return value
}

// run serves f behind the Handler of Session.
func (s *system) run(cookie string, f http.HandlerFunc) *httptest.ResponseRecorder {
	return send(s.session.Handler(f), "GET", "/", cookie)
}

func (s *system) put(cookie, key, value string) *httptest.ResponseRecorder {
	return s.run(cookie, func(_ http.ResponseWriter, r *http.Request) { s.session.Manager().Put(r.Context(), key, value) })
}

func (s *system) value(cookie, key string) (value string) {
	s.run(cookie, func(_ http.ResponseWriter, r *http.Request) { value = s.session.Manager().GetString(r.Context(), key) })
	return value
}

// T1, R-105: a request that is under way while its session is logged out does
// not bring it back.
func TestSlowRequestDoesNotReviveSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := plainSCS(func(m *scs.SessionManager) { m.IdleTimeout = 30 * time.Minute })
		_, cookie := plainDo(m, "", plainPut(m, "user", "alice"))
		plainDo(m, cookie, func(_ http.ResponseWriter, r *http.Request) { // the slow one, which changes nothing
			plainDo(m, cookie, func(_ http.ResponseWriter, r *http.Request) { _ = m.Destroy(r.Context()) })
		})
		if plainGet(m, cookie, "user") != "alice" {
			t.Error("plain scs no longer revives a session that was logged out")
		}

		for _, change := range []bool{false, true} {
			s := newSystem(t, nil)
			cookie := s.login(s.alice)
			time.Sleep(10 * time.Minute) // the expiry is due to be moved
			var inside string
			lost := s.events(func() {
				w := s.run(cookie, func(w http.ResponseWriter, r *http.Request) {
					if change {
						s.session.Manager().Put(r.Context(), "k", "v")
					}
					if w := s.send("POST", "/logout", cookie); w.Code != 200 {
						t.Fatalf("logout: %d", w.Code)
					}
					inside = s.me(cookie)
				})
				if w.Code != 200 {
					t.Errorf("the slow request: %d", w.Code)
				}
			})
			if got := s.me(cookie); inside != "401" || got != "401" {
				t.Errorf("change %v: during the slow request %s, after it %s", change, inside, got)
			}
			if last := lost[len(lost)-1]; change && (last["msg"] != "auth: session changes lost" || last["client"] != "192.0.2.1") {
				t.Errorf("the loss is not recorded: %v", last)
			}
		}
	})
}

// T1, R-108: not even a store that brings sessions back from the dead gets past
// the epoch of the user.
func TestEpochEndsSessionsAlone(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
		t.Fatal(err)
	}
	s.db.on(func(call string) error {
		if call == "EndSessions" {
			return errors.New("no deletes today")
		}
		return nil
	})
	if w := s.send("GET", "/probe/", cookie); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
	s.db.on(nil)
	if got := s.me(cookie); got != "401" {
		t.Errorf("afterwards %s", got)
	}
}

// T2, R-107: with identifiers that are stored as digests, all sessions of a user
// can be ended.
func TestLogOutEverywhere(t *testing.T) {
	m := plainSCS(func(m *scs.SessionManager) { m.HashTokenInStore = true })
	var cookies []string
	for range 3 {
		_, cookie := plainDo(m, "", plainPut(m, "user", "alice"))
		cookies = append(cookies, cookie)
	}
	if err := m.Iterate(t.Context(), func(ctx context.Context) error { return m.Destroy(ctx) }); err != nil {
		t.Error(err)
	}
	if plainGet(m, cookies[0], "user") != "alice" {
		t.Error("plain scs no longer forgets to end sessions with HashTokenInStore")
	}

	s := newSystem(t, nil)
	ours := []string{s.login(s.alice), s.login(s.alice), s.login(s.alice)}
	if n, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID}); n != 3 || err != nil {
		t.Errorf("End: %d, %v", n, err)
	}
	for _, cookie := range ours {
		if got := s.me(cookie); got != "401" {
			t.Errorf("a session: %s", got)
		}
	}
	s.db.on(func(string) error { return errors.New("down") })
	if _, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID}); err == nil {
		t.Error("End reports success although nothing was done")
	}
}

// T5, R-103: no renewal moves the absolute lifetime.
func TestRenewalDoesNotMoveLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := plainSCS(nil)
		_, cookie := plainDo(m, "", plainPut(m, "user", "alice"))
		for range 30 {
			time.Sleep(time.Hour)
			_, cookie = plainDo(m, cookie, func(_ http.ResponseWriter, r *http.Request) { _ = m.RenewToken(r.Context()) })
		}
		if plainGet(m, cookie, "user") != "alice" {
			t.Error("plain scs no longer moves the lifetime with RenewToken")
		}

		s := newSystem(t, nil)
		start := time.Now()
		ours := s.login(s.alice)
		for time.Since(start) < 13*time.Hour {
			// Values change, the expiry slides: the only renewal that keeps the
			// login is a login.
			s.put(ours, "k", time.Now().String())
			want := "alice by session"
			if time.Since(start) >= 12*time.Hour {
				want = "401"
			}
			if got := s.me(ours); got != want {
				t.Fatalf("after %v: %s", time.Since(start), got)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

// T6, R-106: a privilege that one request drops does not come back with another
// that was under way.
func TestDroppedPrivilegeStaysDropped(t *testing.T) {
	m := plainSCS(nil)
	_, cookie := plainDo(m, "", plainPut(m, "sudo", "yes"))
	plainDo(m, cookie, func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "page", "1")
		plainDo(m, cookie, func(_ http.ResponseWriter, r *http.Request) { m.Remove(r.Context(), "sudo") })
	})
	if plainGet(m, cookie, "sudo") != "yes" {
		t.Error("plain scs no longer brings a dropped value back")
	}

	s := newSystem(t, nil)
	ours := s.login(s.alice)
	s.put(ours, "sudo", "yes")
	s.put(ours, "role", "admin")
	w := s.run(ours, func(_ http.ResponseWriter, r *http.Request) {
		s.session.Manager().Put(r.Context(), "page", "1")
		s.run(ours, func(_ http.ResponseWriter, r *http.Request) { s.session.Manager().Remove(r.Context(), "sudo") })
		s.put(ours, "role", "user")
		s.put(ours, "tab", "2")
	})
	got := []string{fmt.Sprint(w.Code), s.value(ours, "sudo"), s.value(ours, "role"), s.value(ours, "page"), s.value(ours, "tab")}
	if diff := cmp.Diff([]string{"200", "", "user", "1", "2"}, got); diff != "" {
		t.Errorf("status, sudo, role, page, tab (-want +got):\n%s", diff)
	}
}

// what many requests of a session change at once is all kept.
func TestParallelChangesAreKept(t *testing.T) {
	for _, settings := range sessionStores {
		s := newSystem(t, settings)
		cookie := s.login(s.alice)
		const n = 8
		begun, done := make(chan struct{}, n), make(chan int, n)
		release := make(chan struct{})
		for i := range n {
			go func() {
				w := s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
					s.session.Manager().Put(r.Context(), fmt.Sprint("k", i), "v")
					begun <- struct{}{}
					<-release
				})
				done <- w.Code
			}()
		}
		for range n {
			<-begun
		}
		close(release)
		for range n {
			if code := <-done; code != 200 {
				t.Errorf("status %d", code)
			}
		}
		for i := range n {
			if s.value(cookie, fmt.Sprint("k", i)) != "v" {
				t.Errorf("the value of request %d is lost", i)
			}
		}
	}
}

// T8, R-101: of two cookies with the name of the session, one was tossed in.
func TestTossedCookie(t *testing.T) {
	m := plainSCS(nil)
	_, mine := plainDo(m, "", plainPut(m, "user", "alice"))
	_, tossed := plainDo(m, "", plainPut(m, "user", "mallory"))
	if plainGet(m, tossed+"; "+mine, "user") != "mallory" {
		t.Error("plain scs no longer takes the first of two cookies")
	}
	s := newSystem(t, nil)
	alice, bob := s.login(s.alice), strings.TrimPrefix(s.login(s.bob), "Cookie: ")
	if got := s.me(alice + "; " + bob); got != "401" {
		t.Errorf("two cookies act as %s", got)
	}
	// a logout that answers well ends what the browser brought.
	if w := s.send("POST", "/logout", alice+"; "+bob); w.Code != 200 || s.cookie(w) != "Cookie: __Host-session=" {
		t.Errorf("logout: %d, %q", w.Code, w.Header()["Set-Cookie"])
	}
	if got := s.me(alice); got != "401" {
		t.Errorf("after the logout the cookie acts as %s", got)
	}
	again := s.login(s.alice)
	s.db.on(func(call string) error {
		if call == "EndSessions" {
			return errors.New("down")
		}
		return nil
	})
	if w := s.send("POST", "/logout", again+"; "+bob); w.Code != 503 {
		t.Errorf("logout without a store: %d", w.Code)
	}
	s.db.on(nil)
	many := again + strings.Repeat("; "+strings.TrimPrefix(again, "Cookie: "), 1000)
	calls := s.db.during(func() {
		if w := s.send("POST", "/logout", many); w.Code != 400 { // rather than a promise that was not kept
			t.Errorf("logout with 1001 cookies: %d", w.Code)
		}
	})
	if len(calls) > 0 {
		t.Errorf("a logout with 1001 cookies made %d calls", len(calls))
	}
}

// A session whose data cannot be read is no session.
func TestUndecodableSession(t *testing.T) {
	for name, data := range map[string][]byte{
		"garbage": []byte("garbage"), "empty": {}, "another version": append([]byte{9}, make([]byte, 8)...),
		"half of a value": append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0}, 0x0e, 0xff, 0x81), "too much": make([]byte, 1<<20),
	} {
		m := plainSCS(nil)
		_, cookie := plainDo(m, "", plainPut(m, "user", "alice"))
		if err := m.Store.Commit(strings.TrimPrefix(cookie, "session="), data, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if w, _ := plainDo(m, cookie, func(http.ResponseWriter, *http.Request) {}); w.Code != 500 {
			t.Errorf("plain scs no longer fails for data it cannot read: %d", w.Code)
		}

		for in, settings := range sessionStores {
			s := newSystem(t, settings)
			ours := s.login(s.alice)
			s.me(ours) // its values are known to be good, and no longer when they change
			_, id, _ := strings.Cut(ours, "=")
			if err := s.db.Store.SaveSession(t.Context(), store.DigestOf(id), data, 1, time.Now()); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				w := s.send("GET", "/probe/", ours)
				if got := who(t, w); got != "401" || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
					t.Errorf("%s in %s: %s, Set-Cookie %q", name, in, got, w.Header()["Set-Cookie"])
				}
			}
			if again := s.login(s.alice, ours); s.me(again) != "alice by session" {
				t.Errorf("%s in %s: logging in again does not help", name, in)
			}
		}
	}
}

// Nested use sends one cookie, and the inner handlers see the same session.
func TestNestedHandlers(t *testing.T) {
	m := plainSCS(nil)
	w := send(m.LoadAndSave(m.LoadAndSave(plainPut(m, "k", "v"))), "GET", "/")
	if len(w.Header()["Set-Cookie"]) != 2 {
		t.Errorf("plain scs no longer sends two cookies when nested: %q", w.Header()["Set-Cookie"])
	}

	s := newSystem(t, nil)
	h := s.session.Handler(s.session.Handler(s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.session.Manager().Put(r.Context(), "k", "v")
		if err := s.session.Login(r, s.alice); err != nil {
			t.Error(err)
		}
	}))))
	calls := s.db.during(func() { w = send(h, "GET", "/") })
	cookie := s.cookie(w) // fails if there are two
	if got := s.me(cookie); got != "alice by session" || s.value(cookie, "k") != "v" || !slices.Equal(calls, []string{"UserByID", "InsertSession"}) {
		t.Errorf("%s, value %q, store calls %q", got, s.value(cookie, "k"), calls)
	}
}

// Without the Handler plain scs panics; the Gate alone finds the session.
func TestGateWithoutHandler(t *testing.T) {
	m := plainSCS(nil)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("plain scs no longer panics without its middleware")
			}
		}()
		m.GetString(t.Context(), "user")
	}()
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	h := s.gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	for line, want := range map[string]int{cookie: 200, cookie + "x": 401, "X: y": 401} {
		if got := send(h, "GET", "/", line).Code; got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}

// Plain scs writes with every request once there is an idle timeout.
func TestReadingDoesNotWrite(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	s.put(cookie, "a", "1")
	s.put(cookie, "b", "2")
	calls := s.db.during(func() {
		for range 100 {
			s.me(cookie)
			s.value(cookie, "a")
			// A value that is put again is no change, in whatever order gob has it.
			s.put(cookie, "a", "1")
		}
	})
	for _, c := range calls {
		if c != "SessionByDigest" {
			t.Fatalf("store call %s", c)
		}
	}
}

// a host that puts too much into a session gets no session.
func TestSessionSize(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	if w := s.put(cookie, "big", strings.Repeat("x", 1<<20)); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
	if got := s.me(cookie); got != "alice by session" {
		t.Errorf("afterwards: %s", got)
	}
}
