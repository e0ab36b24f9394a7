package auth_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// A page of another origin must not log its visitor in as somebody else, whose
// route a host wrote without a check of its own.
func TestLoginFromAnotherOrigin(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.session.TrustedOrigins = []string{"https://idp.example"} })
	gate := auth.NewGate(s.session, &auth.GateOptions{Logger: quiet})
	h := s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.session.Login(r, s.alice); err != nil {
			gate.Deny(w, r, err)
		}
	}))
	for _, tt := range []struct {
		name, method, field, value string
		want                       int
	}{
		{"no browser", "POST", "X-Other", "x", 200},
		{"the own page", "POST", "Origin", "http://example.com", 200},
		{"another page", "POST", "Sec-Fetch-Site", "cross-site", 403},
		{"a sibling", "PUT", "Sec-Fetch-Site", "same-site", 403},
		{"another page, old browser", "POST", "Origin", "https://evil.example", 403},
		{"a page without an origin", "POST", "Origin", "null", 403},
		{"a form of the identity provider", "POST", "Origin", "https://idp.example", 200},
		{"a redirect of the identity provider", "GET", "Sec-Fetch-Site", "cross-site", 200},
	} {
		r := httptest.NewRequest(tt.method, "/callback", nil)
		r.Header.Set(tt.field, tt.value)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want || (len(w.Result().Cookies()) > 0) != (tt.want == 200) {
			t.Errorf("%s: status %d, cookies %v, want %d", tt.name, w.Code, w.Result().Cookies(), tt.want)
		}
	}
}

// E2, decision 30: a login is for the user as the store has it now. A record that
// is older than a new password gives no session, neither a dead one nor one that
// nobody proved, and the error says what to do.
func TestLoginOfAnOldRecord(t *testing.T) {
	s := newSystem(t, nil)
	fresh, err := s.db.InsertUser(t.Context(), store.User{Name: "fresh", Active: true})
	if err != nil {
		t.Fatal(err)
	}
	const password = "another horse battery"
	set := func(u store.User) {
		t.Helper()
		if err := s.passwords.Set(t.Context(), u.ID, password); err != nil {
			t.Fatal(err)
		}
	}
	again := func(u store.User) store.User {
		t.Helper()
		u, err := s.db.UserByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, tt := range []struct {
		name string
		user func() store.User
		want string // the user of the session, or part of the error
	}{
		{"signed up", func() store.User { set(fresh); return fresh }, "read the user again after Passwords.Set"},
		{"signed up and read again", func() store.User { set(fresh); return again(fresh) }, "fresh by session"},
		{"verified", func() store.User {
			set(s.alice)
			u, err := s.passwords.Verify(t.Context(), "alice", password)
			if err != nil {
				t.Error(err)
			}
			return u
		}, "alice by session"},
		{"verified before somebody set a password", func() store.User {
			set(s.bob)
			u, err := s.passwords.Verify(t.Context(), "bob", password)
			if err != nil {
				t.Error(err)
			}
			set(s.bob)
			return u
		}, "meanwhile"},
		{"an epoch that never was", func() store.User { u := again(s.admin); u.Epoch += 7; return u }, "meanwhile"},
		{"a record without an epoch", func() store.User { u := again(s.bob); u.Epoch = 0; return u }, "meanwhile"},
		{"disabled meanwhile", func() store.User { u := again(s.bob); s.disable(u); return u }, "Incorrect"},
		{"deleted meanwhile", func() store.User {
			u := again(fresh)
			if err := s.db.DeleteUser(t.Context(), u.ID, time.Now()); err != nil {
				t.Error(err)
			}
			return u
		}, "Incorrect"},
		{"nobody", func() store.User { return store.User{ID: "999", Name: "x", Active: true} }, "Incorrect"},
	} {
		var loginErr error
		u := tt.user()
		s.do = func(_ http.ResponseWriter, r *http.Request) { loginErr = s.session.Login(r, u) }
		w := s.send("POST", "/do")
		if loginErr == nil {
			if got := s.me(s.cookie(w)); got != tt.want {
				t.Errorf("%s: %s", tt.name, got)
			}
			continue
		}
		refusesStatus(t, loginErr, 401, "")
		if !strings.Contains(loginErr.Error(), tt.want) || s.cookie(w) != "" {
			t.Errorf("%s: %v, cookie %q", tt.name, loginErr, s.cookie(w))
		}
	}
	// The user in the store counts, not the given record.
	renamed := again(s.alice)
	renamed.Name, renamed.Admin = "mallory", true
	s.do = func(_ http.ResponseWriter, r *http.Request) {
		if err := s.session.Login(r, renamed); err != nil {
			t.Error(err)
		}
	}
	events := s.events(func() { s.send("POST", "/do") })
	if len(events) != 1 || events[0]["user"] != "alice" {
		t.Errorf("events %v", events)
	}
	// An outage is one.
	s.db.on(func(string) error { return errDown })
	s.do = func(_ http.ResponseWriter, r *http.Request) {
		if err := s.session.Login(r, s.alice); !errors.Is(err, errDown) {
			t.Errorf("the store is down: %v", err)
		}
	}
	s.send("POST", "/do")
}

// A principal says by which epoch and when its user was proved.
func TestWhenThePrincipalWasProved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		start := time.Now()
		cookie := s.login(s.alice)
		s.put(cookie, "k", "v")
		time.Sleep(20 * time.Minute)
		s.me(cookie) // moves the expiry, but proves nothing
		time.Sleep(time.Minute)
		alice, err := s.db.UserByID(t.Context(), s.alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		type proof struct {
			Epoch    int64
			HasEpoch bool
			Proved   time.Time
		}
		of := func(line string) proof {
			t.Helper()
			r := httptest.NewRequest("GET", "/", nil)
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Set(name, value)
			p, err := s.gate.Check(r)
			if err != nil {
				t.Fatal(err)
			}
			return proof{p.Epoch, p.HasEpoch, p.Proved}
		}
		if diff := cmp.Diff(proof{alice.Epoch, true, start}, of(cookie)); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(proof{alice.Epoch, true, time.Now()}, of(basicLine("alice", goodPassword))); diff != "" {
			t.Errorf("basic (-want +got):\n%s", diff)
		}
		if got := of(bearer(s.issue(s.alice, auth.ScopeRead))); !got.Proved.IsZero() {
			t.Errorf("a token says that a login was proved at %v", got.Proved)
		}
		// Logging in again proves it again, also as the same user.
		time.Sleep(time.Minute)
		again := time.Now()
		if diff := cmp.Diff(proof{alice.Epoch, true, again}, of(s.login(s.alice, cookie))); diff != "" {
			t.Errorf("a second login (-want +got):\n%s", diff)
		}
	})
}

// What keeps a login or a logout from working is told apart: a request with an
// Authorization field is its client's to correct, the others are the host's.
func TestLoginWithoutSession(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	for _, tt := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"bearer", []string{"Authorization: Bearer x"}, "leave that out"},
		{"bearer and cookie", []string{"Authorization: Bearer x", cookie}, "leave that out"},
		{"empty field", []string{"Authorization: "}, "leave that out"},
	} {
		for method, call := range map[string]func(r *http.Request) error{
			"Login":  func(r *http.Request) error { return s.session.Login(r, s.bob) },
			"Logout": s.session.Logout,
		} {
			var err error
			s.do = func(_ http.ResponseWriter, r *http.Request) { err = call(r) }
			w := s.send("POST", "/do", tt.lines...)
			refusesStatus(t, err, 400, "")
			if err == nil || !strings.Contains(err.Error(), tt.want) || s.cookie(w) != "" {
				t.Errorf("%s with %s: %v, cookie %q", method, tt.name, err, s.cookie(w))
			}
			outside := httptest.NewRequest("POST", "/", nil)
			outside.Header.Set("Authorization", "Bearer x")
			if err := call(outside); err == nil || !strings.Contains(err.Error(), "Session."+method+": the request did not pass Session.Handler") {
				t.Errorf("%s outside: %v", method, err)
			}
		}
	}
	if got := s.me(cookie); got != "alice by session" {
		t.Errorf("then: %s", got)
	}
}

// After a login that failed nothing is saved, because the values may be another user's.
// After the next one that succeeds everything is.
func TestLoginAgainAfterAnOutage(t *testing.T) {
	for _, again := range []string{"", "bob", "alice"} {
		s := newSystem(t, nil)
		m, cookie := s.session.Manager(), s.login(s.alice)
		w := s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
			s.db.on(func(call string) error {
				if call == "InsertSession" {
					return errDown
				}
				return nil
			})
			if err := s.session.Login(r, s.bob); err == nil {
				t.Error("the login did not fail")
			}
			s.db.on(nil)
			m.Put(r.Context(), "bobs", "x")
			if again != "" {
				if err := s.session.Login(r, map[string]store.User{"bob": s.bob, "alice": s.alice}[again]); err != nil {
					t.Error(err)
				}
			}
			m.Put(r.Context(), "k", "v")
		})
		want := ""
		if again != "" {
			cookie, want = s.cookie(w), "v"
		}
		if bobs, got := s.value(cookie, "bobs"), s.value(cookie, "k"); bobs != "" || got != want {
			t.Errorf("again %q: the values are %q and %q, want none and %q", again, bobs, got, want)
		}
	}
}
