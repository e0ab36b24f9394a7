package auth_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Case 3, R-100: the cookie, to the letter.
func TestSessionCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			name string
			opts auth.SessionOptions
			want string
		}{
			{"default", auth.SessionOptions{}, "__Host-session=ID; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Lax"},
			{"for development", auth.SessionOptions{InsecureCookie: true}, "session=ID; Path=/; Max-Age=1800; HttpOnly; SameSite=Lax"},
			{"as in AWX", auth.SessionOptions{CookieName: "awx_sessionid", IdleTimeout: time.Hour}, "awx_sessionid=ID; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
			{"strict", auth.SessionOptions{SameSite: http.SameSiteStrictMode}, "__Host-session=ID; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=Strict"},
			{"for frames of other sites", auth.SessionOptions{SameSite: http.SameSiteNoneMode}, "__Host-session=ID; Path=/; Max-Age=1800; HttpOnly; Secure; SameSite=None"},
			{"the lifetime ends first", auth.SessionOptions{IdleTimeout: time.Hour, Lifetime: time.Hour}, "__Host-session=ID; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		} {
			s := newSystem(t, func(o *settings) { tt.opts.Logger = o.session.Logger; o.session = tt.opts })
			w := s.send("POST", "/login?u=alice")
			_, id, _ := strings.Cut(s.cookie(w), "=")
			if got := strings.Replace(strings.Join(w.Header()["Set-Cookie"], "|"), id, "ID", 1); got != tt.want || len(id) != 43 {
				t.Errorf("%s: Set-Cookie %s", tt.name, w.Header()["Set-Cookie"])
			}
			if got := w.Header().Get("Cache-Control"); got != `no-cache="Set-Cookie"` {
				t.Errorf("%s: Cache-Control %s", tt.name, got)
			}
			// R-099, T2: only the digest is stored, and it opens nothing.
			d := store.DigestOf(id)
			if _, _, err := s.db.Store.SessionByDigest(t.Context(), d); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			asID := base64.RawURLEncoding.EncodeToString(d[:])
			if got := s.me("Cookie: " + s.session.CookieName() + "=" + asID); got != "401" {
				t.Errorf("%s: the digest is answered %s", tt.name, got)
			}
		}
	})
}

// A response that a handler lets everybody store does not take a cookie along.
func TestCookieIsNotStored(t *testing.T) {
	for own, want := range map[string][]string{
		"":                     {`no-cache="Set-Cookie"`},
		"public, max-age=3600": {"public, max-age=3600", `no-cache="Set-Cookie"`},
		"no-store":             {"no-store"},
	} {
		s := newSystem(t, nil)
		s.do = func(w http.ResponseWriter, r *http.Request) {
			if own != "" {
				w.Header().Set("Cache-Control", own)
			}
			s.session.Manager().Put(r.Context(), "color", "red")
		}
		w := s.send("GET", "/do")
		if diff := cmp.Diff(want, w.Header()["Cache-Control"]); s.cookie(w) == "" || diff != "" {
			t.Errorf("%q, with the cookie %q:\n%s", own, s.cookie(w), diff)
		}
		if got := s.send("GET", "/public/").Header()["Cache-Control"]; got != nil {
			t.Errorf("without a cookie: %q", got)
		}
	}
}

// Case 33, R-101, R-102, R-120: cookies that are no session. None is looked up
// that cannot be one, none makes a row, and none is cleared that this store never
// knew.
func TestCookiesThatAreNoSession(t *testing.T) {
	for where, opts := range sessionStores {
		t.Run(where, func(t *testing.T) { testCookiesThatAreNoSession(t, newSystem(t, opts), where != "memory") })
	}
}

// testCookiesThatAreNoSession is the test for a store whose calls are seen or not.
func testCookiesThatAreNoSession(t *testing.T, s *system, seen bool) {
	cookie := s.login(s.alice)
	_, id, _ := strings.Cut(cookie, "=")
	const name = "__Host-session"
	const clears = name + "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	unknown := strings.Repeat("A", 43)
	for _, tt := range []struct {
		name   string
		lines  []string
		want   string
		lookUp bool
		clears bool
	}{
		{"the session", []string{name + "=" + id}, "alice by session", true, false},
		{"among others", []string{"a=1;" + name + "=" + id + ";b=2; $Path=/"}, "alice by session", true, false},
		{"in the second line", []string{"a=1", name + "=" + id}, "alice by session", true, false},
		{"unknown", []string{name + "=" + unknown}, "401", true, false},
		{"garbage", []string{name + "=garbage"}, "401", false, false},
		{"empty", []string{name + "="}, "401", false, false},
		{"one character more", []string{name + "=" + id + "A"}, "401", false, false},
		{"one character less", []string{name + "=" + id[:42]}, "401", false, false},
		{"in quotes", []string{name + `="` + id + `"`}, "401", false, false},
		{"another alphabet", []string{name + "=" + id[:42] + "+"}, "401", false, false},
		{"a megabyte", []string{name + "=" + strings.Repeat("a", 1<<20)}, "401", false, false},
		{"NUL", []string{name + "=" + id[:42] + "\x00"}, "401", false, false},
		{"twice", []string{name + "=garbage; " + name + "=" + id}, "401", false, false},
		{"twice the same", []string{name + "=" + id + "; " + name + "=" + id}, "401", false, false},
		{"twice in two lines", []string{name + "=" + id, name + "=" + id}, "401", false, false},
		{"without the prefix", []string{"session=" + id}, "401", false, false},
		{"another case", []string{"__HOST-session=" + id}, "401", false, false},
		{"behind 3000 others", []string{strings.Repeat("a=;", 3000) + name + "=" + id}, "401", false, false},
		{"before 3000 others", []string{name + "=" + id + strings.Repeat(";a=", 3000)}, "401", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, l := range tt.lines {
				lines = append(lines, "Cookie: "+l)
			}
			var w *httptest.ResponseRecorder
			calls := s.db.during(func() { w = s.send("GET", "/probe/", lines...) })
			if got := who(t, w); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if slices.Contains(calls, "SessionByDigest") != (tt.lookUp && seen) || slices.Contains(calls, "InsertSession") || slices.Contains(calls, "SaveSession") {
				t.Errorf("store calls %q", calls)
			}
			var want []string
			if tt.clears {
				want = []string{clears}
			}
			if diff := cmp.Diff(want, w.Header()["Set-Cookie"]); diff != "" {
				t.Errorf("Set-Cookie (-want +got):\n%s", diff)
			}
		})
	}
	if got := s.me(cookie); got != "alice by session" {
		t.Errorf("in the end: %s", got)
	}
	s.send("POST", "/logout", cookie)
	if diff := cmp.Diff([]string{clears}, s.send("GET", "/probe/", cookie).Header()["Set-Cookie"]); diff != "" {
		t.Errorf("ended: Set-Cookie (-want +got):\n%s", diff)
	}
}

// Cases 34 to 39, R-103, R-104, R-113.
func TestSessionExpiry(t *testing.T) {
	for _, tt := range []struct {
		name string
		run  func(t *testing.T, s *system, cookie string)
	}{
		{"idle, to the nanosecond", func(t *testing.T, s *system, cookie string) {
			other := s.login(s.bob)
			time.Sleep(30*time.Minute - time.Nanosecond)
			if got := s.me(cookie); got != "alice by session" {
				t.Errorf("before: %s", got)
			}
			time.Sleep(time.Nanosecond)
			if got := s.me(other); got != "401" {
				t.Errorf("at the end: %s", got)
			}
		}},
		{"sliding", func(t *testing.T, s *system, cookie string) {
			for range 10 {
				time.Sleep(1000 * time.Second)
				w := s.send("GET", "/probe/", cookie)
				if got := who(t, w); got != "alice by session" || w.Header().Get("Session-Timeout") != "1800" || s.cookie(w) != cookie {
					t.Fatalf("%s, Session-Timeout %q, cookie %q", got, w.Header().Get("Session-Timeout"), s.cookie(w))
				}
			}
		}},
		{"a slow handler", func(t *testing.T, s *system, cookie string) {
			time.Sleep(time.Second)
			s.do = func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Second) }
			if left := s.send("GET", "/do", cookie).Header().Get("Session-Timeout"); left != "1699" {
				t.Errorf("Session-Timeout %q", left)
			}
		}},
		{"quiet requests do not count", func(t *testing.T, s *system, cookie string) {
			for _, d := range []time.Duration{1000, 700} {
				time.Sleep(d * time.Second)
				w := s.send("GET", "/probe/", cookie, "X-Ws-Session-Quiet: 1")
				if got := who(t, w); got != "alice by session" || w.Header().Get("Session-Timeout") != "" || len(w.Header()["Set-Cookie"]) > 0 {
					t.Errorf("%s, header %v", got, w.Header())
				}
			}
			time.Sleep(101 * time.Second)
			if got := s.me(cookie); got != "401" {
				t.Errorf("after 1801 seconds: %s", got)
			}
		}},
		{"a quiet login", func(t *testing.T, s *system, _ string) {
			w := send(s.session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if err := s.session.Login(r, s.alice); err != nil {
					t.Error(err)
				}
			})), "GET", "/", "X-Ws-Session-Quiet: 1")
			if s.cookie(w) == "" || w.Header().Get("Session-Timeout") != "" {
				t.Errorf("header %v", w.Header())
			}
		}},
		{"no write for what the lifetime forbids", func(t *testing.T, s *system, cookie string) {
			for range 24 {
				time.Sleep(29 * time.Minute)
				s.me(cookie)
			}
			time.Sleep(10 * time.Minute) // 14 are left of the 12 hours
			calls := s.db.during(func() {
				if got := s.me(cookie); got != "alice by session" {
					t.Error(got)
				}
			})
			if diff := cmp.Diff([]string{"SessionByDigest"}, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		}},
		{"one write a minute", func(t *testing.T, s *system, cookie string) {
			for i := range 5 {
				time.Sleep(time.Minute)
				calls := s.db.during(func() {
					for range 1000 {
						if got := s.me(cookie); got != "alice by session" {
							t.Fatal(got)
						}
					}
				})
				want := append([]string{"SessionByDigest", "TouchSession"}, slices.Repeat([]string{"SessionByDigest"}, 999)...)
				if diff := cmp.Diff(want, calls); diff != "" {
					t.Fatalf("minute %d: store calls (-want +got):\n%s", i, diff)
				}
			}
			time.Sleep(30*time.Minute - time.Microsecond)
			if got := s.me(cookie); got != "alice by session" {
				t.Errorf("30 minutes after the last request: %s", got)
			}
		}},
		{"absolute", func(t *testing.T, s *system, cookie string) {
			start := time.Now()
			for time.Since(start) < 12*time.Hour {
				w := s.send("GET", "/probe/", cookie)
				if got := who(t, w); got != "alice by session" {
					t.Fatalf("after %v: %s", time.Since(start), got)
				}
				if left := fmt.Sprint(min(1800, int((12*time.Hour - time.Since(start)).Seconds()))); w.Header().Get("Session-Timeout") != left {
					t.Fatalf("after %v: Session-Timeout %s, want %s", time.Since(start), w.Header().Get("Session-Timeout"), left)
				}
				time.Sleep(10 * time.Minute)
			}
			if got := s.me(cookie); got != "401" {
				t.Errorf("after %v: %s", time.Since(start), got)
			}
		}},
		{"no Session-Timeout without a session", func(t *testing.T, s *system, cookie string) {
			for _, lines := range [][]string{nil, {bearer(s.issue(s.alice, "read"))}, {basicLine("alice", goodPassword)}, {cookie + "x"}} {
				if h := s.send("GET", "/probe/", lines...).Header(); h["Session-Timeout"] != nil {
					t.Errorf("%q: header %v", lines, h)
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, nil)
				tt.run(t, s, s.login(s.alice))
			})
		})
	}
}

// Cases 40, 46 to 49, 57, R-048, R-050, R-098, R-107 to R-111: what ends a
// session, and that it stays ended.
func TestSessionEnds(t *testing.T) {
	var off atomic.Bool
	for _, tt := range []struct {
		name      string
		end       func(t *testing.T, s *system, cookie string)
		want      string
		otherDies bool // a second session of alice, too
	}{
		{"nothing happens", func(*testing.T, *system, string) {}, "alice by session", false},
		{"logout", func(t *testing.T, s *system, cookie string) {
			w := s.send("POST", "/logout", cookie)
			if w.Code != 200 || !strings.Contains(w.Header().Get("Set-Cookie"), "__Host-session=; Path=/; Max-Age=0") {
				t.Errorf("logout: %d, Set-Cookie %q", w.Code, w.Header()["Set-Cookie"])
			}
		}, "401", false},
		{"logout twice", func(t *testing.T, s *system, cookie string) {
			for range 2 {
				if w := s.send("POST", "/logout", cookie); w.Code != 200 {
					t.Errorf("logout: %d", w.Code)
				}
			}
		}, "401", false},
		{"logout of another session", func(t *testing.T, s *system, _ string) { s.send("POST", "/logout", s.login(s.alice)) }, "alice by session", false},
		{"logging in again gives a new identifier", func(t *testing.T, s *system, cookie string) {
			if again := s.login(s.alice, cookie); again == cookie || s.me(again) != "alice by session" {
				t.Errorf("cookie %q after %q", again, cookie)
			}
		}, "401", false},
		{"another user logs in", func(t *testing.T, s *system, cookie string) {
			if got := s.me(s.login(s.bob, cookie)); got != "bob by session" {
				t.Error(got)
			}
		}, "401", false},
		{"new password", func(t *testing.T, s *system, _ string) {
			if err := s.passwords.Set(t.Context(), s.alice.ID, "another horse battery"); err != nil {
				t.Error(err)
			}
		}, "401", true},
		{"disabled", func(t *testing.T, s *system, _ string) { s.disable(s.alice) }, "401", true},
		{"disabled and enabled again", func(t *testing.T, s *system, _ string) {
			s.disable(s.alice)
			if err := s.db.UpdateUser(t.Context(), s.alice); err != nil {
				t.Error(err)
			}
		}, "401", true},
		{"deleted", func(t *testing.T, s *system, _ string) {
			if err := s.db.DeleteUser(t.Context(), s.alice.ID, time.Now()); err != nil {
				t.Error(err)
			}
		}, "401", true},
		{"deleted, and another of that name", func(t *testing.T, s *system, _ string) {
			if err := s.db.DeleteUser(t.Context(), s.alice.ID, time.Now()); err != nil {
				t.Error(err)
			}
			s.addUser(store.User{ID: "33", Name: "alice", Active: true})
		}, "401", true},
		{"all of the user are ended", func(t *testing.T, s *system, _ string) {
			if n, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID}); n != 2 || err != nil {
				t.Errorf("End: %d, %v", n, err)
			}
		}, "401", true},
		{"all of another user are ended", func(t *testing.T, s *system, _ string) {
			if n, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.bob.ID}); n != 0 || err != nil {
				t.Errorf("End: %d, %v", n, err)
			}
		}, "alice by session", false},
		{"nothing is named", func(t *testing.T, s *system, _ string) {
			if n, err := s.session.End(t.Context(), store.SessionSelection{}); n != 0 || err != nil {
				t.Errorf("End: %d, %v", n, err)
			}
		}, "alice by session", false},
		{"logins by session are switched off", func(t *testing.T, s *system, cookie string) {
			off.Store(true)
			if got := s.me(cookie); got != "401" {
				t.Errorf("off: %s", got)
			}
			off.Store(false)
		}, "401", false},
		{"the host destroys it", func(t *testing.T, s *system, cookie string) {
			s.do = func(_ http.ResponseWriter, r *http.Request) {
				if err := s.session.Manager().Destroy(r.Context()); err != nil {
					t.Error(err)
				}
			}
			s.send("GET", "/do", cookie)
		}, "401", false},
		{"the host renews it", func(t *testing.T, s *system, cookie string) {
			s.do = func(_ http.ResponseWriter, r *http.Request) {
				if err := s.session.Manager().RenewToken(r.Context()); err != nil {
					t.Error(err)
				}
			}
			if renewed := s.cookie(s.send("GET", "/do", cookie)); s.me(renewed) != "401" {
				t.Errorf("renewed: %s", s.me(renewed))
			}
		}, "401", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSystem(t, func(o *settings) { o.session.Enabled = func() bool { return !off.Load() } })
			cookie, other := s.login(s.alice), s.login(s.alice)
			tt.end(t, s, cookie)
			for range 2 { // the second time nothing has come back
				if got := s.me(cookie); got != tt.want {
					t.Errorf("the session: %s, want %s", got, tt.want)
				}
			}
			if got := s.me(other); (got == "401") != tt.otherDies {
				t.Errorf("the other session: %s", got)
			}
		})
	}
}

// an identifier that the client chose is never adopted.
func TestFixation(t *testing.T) {
	s := newSystem(t, nil)
	planted := "Cookie: __Host-session=" + strings.Repeat("A", 43)
	cookie := s.login(s.alice, planted)
	if cookie == planted || s.me(planted) != "401" || s.me(cookie) != "alice by session" {
		t.Errorf("cookie %q, planted %s, new %s", cookie, s.me(planted), s.me(cookie))
	}
}

// Cases 22, 21: what the host keeps stays with the browser, but not with another
// user.
func TestValuesOfTheHost(t *testing.T) {
	s := newSystem(t, nil)
	put := func(lines ...string) string {
		s.do = func(_ http.ResponseWriter, r *http.Request) { s.session.Manager().Put(r.Context(), "cart", "apples") }
		return s.cookie(s.send("GET", "/do", lines...))
	}
	cart := func(cookie string) (got string) {
		s.do = func(_ http.ResponseWriter, r *http.Request) { got = s.session.Manager().GetString(r.Context(), "cart") }
		s.send("GET", "/do", cookie)
		return got
	}
	anonymous := put()
	if got := s.me(anonymous); got != "401" || cart(anonymous) != "apples" {
		t.Errorf("anonymous: %s, cart %q", got, cart(anonymous))
	}
	alice := s.login(s.alice, anonymous)
	if alice == anonymous || cart(alice) != "apples" || cart(anonymous) != "" {
		t.Errorf("after the login %q, in the old session %q", cart(alice), cart(anonymous))
	}
	again := s.login(s.alice, alice)
	if cart(again) != "apples" {
		t.Errorf("after another login of the same user %q", cart(again))
	}
	if bob := s.login(s.bob, again); cart(bob) != "" {
		t.Errorf("another user finds %q", cart(bob))
	}
}

// Cases 50 to 56, R-112.
func TestSessionLimit(t *testing.T) {
	limit := func(n int) func(*settings) { return func(o *settings) { o.session.PerUser = n } }
	t.Run("the oldest goes, and is told why", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem(t, limit(3))
			bob, token := s.login(s.bob), s.issue(s.alice, "read")
			var cookies []string
			var evicted int
			for _, e := range s.events(func() {
				for range 5 {
					cookies = append(cookies, s.login(s.alice))
					time.Sleep(time.Second)
				}
			}) {
				if e["msg"] == "auth: session limit reached" && e["user"] == "alice" {
					evicted++
				}
			}
			if evicted != 2 {
				t.Errorf("%d events, want 2", evicted)
			}
			for i, cookie := range cookies {
				want := "alice by session"
				if i < 2 {
					want = "401"
				}
				if got := s.me(cookie); got != want {
					t.Errorf("session %d: %s", i, got)
				}
			}
			told := e401(`error="session_limit", error_description="The session was ended by a newer one of the same user."`)
			if diff := cmp.Diff(told, refusalOf(s.send("GET", "/probe/", cookies[0]))); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			for line, want := range map[string]string{bob: "bob by session", bearer(token): "alice by bearer", basicLine("alice", goodPassword): "alice by basic"} {
				if got := s.me(line); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
		})
	})
	t.Run("expired sessions do not count", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSystem(t, limit(1))
			s.login(s.alice)
			time.Sleep(31 * time.Minute)
			for _, e := range s.events(func() { s.login(s.alice) }) {
				if e["msg"] == "auth: session limit reached" {
					t.Error("an expired session was pushed out")
				}
			}
		})
	})
	t.Run("logging in again takes no place", func(t *testing.T) {
		s := newSystem(t, limit(2))
		other, cookie := s.login(s.alice), s.login(s.alice)
		for range 5 {
			cookie = s.login(s.alice, cookie)
		}
		if got := s.me(other); got != "alice by session" {
			t.Errorf("the other session: %s", got)
		}
	})
	t.Run("under concurrency", func(t *testing.T) {
		for _, n := range []int{1, 3} {
			s := newSystem(t, limit(n))
			var wg sync.WaitGroup
			cookies := make([]string, 50)
			for i := range cookies {
				wg.Go(func() { cookies[i] = s.login(s.alice) })
			}
			wg.Wait()
			live := 0
			for _, cookie := range cookies {
				if s.me(cookie) == "alice by session" {
					live++
				}
			}
			if live != n {
				t.Errorf("%d live sessions, want %d", live, n)
			}
		}
	})
}
