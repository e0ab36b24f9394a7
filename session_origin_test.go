package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Cases 58 to 69, 287, R-123 to R-127: the origins that may send requests with
// the cookie.
func TestCrossOrigin(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.session.TrustedOrigins = []string{"https://trusted.example"} })
	cookie := s.login(s.alice)
	const host = "http://example.com" // httptest's
	for _, tt := range []struct {
		name, method string
		lines        []string
		want         int
	}{
		{"safe methods are free", "GET", []string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 200},
		{"HEAD", "HEAD", []string{"Origin: https://evil.example"}, 200},
		{"OPTIONS", "OPTIONS", []string{"Origin: https://evil.example"}, 200},
		{"not a browser", "POST", nil, 200},
		{"same origin", "POST", []string{"Sec-Fetch-Site: same-origin"}, 200},
		{"typed by the user", "POST", []string{"Sec-Fetch-Site: none"}, 200},
		{"cross-site", "POST", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a sibling", "POST", []string{"Sec-Fetch-Site: same-site"}, 403},
		{"unknown word", "POST", []string{"Sec-Fetch-Site: banana"}, 403},
		{"empty word", "POST", []string{"Sec-Fetch-Site: "}, 403},
		{"other case", "POST", []string{"Sec-Fetch-Site: Same-Origin"}, 403},
		{"two words", "POST", []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"}, 403},
		{"own origin, old browser", "POST", []string{"Origin: " + host}, 200},
		{"foreign origin, old browser", "POST", []string{"Origin: https://evil.example"}, 403},
		{"the scheme counts", "POST", []string{"Origin: https://example.com"}, 403},
		{"the port counts", "POST", []string{"Origin: " + host + ":8080"}, 403},
		{"a suffix", "POST", []string{"Origin: http://evil.example.com"}, 403},
		{"null", "POST", []string{"Origin: null"}, 403},
		{"empty", "POST", []string{"Origin: "}, 403},
		{"two origins", "POST", []string{"Origin: " + host, "Origin: https://evil.example"}, 403},
		{"two origins, one trusted", "POST", []string{"Origin: https://trusted.example", "Origin: https://trusted.example"}, 403},
		{"trusted", "POST", []string{"Origin: https://trusted.example"}, 200},
		{"trusted, cross-site as it is", "POST", []string{"Origin: https://trusted.example", "Sec-Fetch-Site: cross-site"}, 200},
		{"trusted with another scheme", "POST", []string{"Origin: http://trusted.example"}, 403},
		{"trusted with a port", "POST", []string{"Origin: https://trusted.example:8443"}, 403},
		{"under a trusted one", "POST", []string{"Origin: https://a.trusted.example"}, 403},
		{"a trusted one in front", "POST", []string{"Origin: https://trusted.example.evil"}, 403},
		{"unknown methods are unsafe", "PROPFIND", []string{"Sec-Fetch-Site: cross-site"}, 403},
		{"a CSRF token means nothing", "POST", []string{"Sec-Fetch-Site: cross-site", "X-Csrftoken: x", "Cookie: csrftoken=x"}, 403},
		{"a forwarded host means nothing", "POST", []string{"Origin: https://evil.example", "X-Forwarded-Host: evil.example"}, 403},
		{"a WebSocket is no safe request", "GET", []string{"Upgrade: websocket", "Connection: Upgrade", "Origin: https://evil.example"}, 403},
		{"a WebSocket of our own page", "GET", []string{"Upgrade: websocket", "Connection: Upgrade", "Origin: " + host}, 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := s.entered.Load()
			w := s.send(tt.method, "/probe/", append(tt.lines, cookie)...)
			if w.Code != tt.want || (s.entered.Load() > before) != (tt.want == 200) {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
			if tt.want == 403 && (!strings.HasPrefix(w.Body.String(), `{"detail":"CSRF Failed: `) || w.Header()["Www-Authenticate"] != nil) {
				t.Errorf("body %s, challenge %q", w.Body, w.Header()["Www-Authenticate"])
			}
			// Public pages act as the user, too; explicit tokens never need proof.
			if got := s.send(tt.method, "/public/", append(tt.lines, cookie)...).Code; got != tt.want {
				t.Errorf("public page: %d", got)
			}
			if got := s.send(tt.method, "/probe/", append(tt.lines, cookie, bearer(s.issue(s.bob, "write")))...).Code; got != 200 {
				t.Errorf("with a token: %d", got)
			}
			if got := s.send(tt.method, "/probe/", append(tt.lines, cookie, "Authorization: Bearer nope")...).Code; got != 401 {
				t.Errorf("with a bad token: %d", got)
			}
		})
	}
	w := s.send("POST", "/probe/", cookie, "Origin: https://evil.example/<script>"+strings.Repeat("x", 5000))
	if strings.Contains(w.Body.String(), "<script>") || w.Body.Len() > 1000 {
		t.Errorf("the reply has %d bytes: %.300s", w.Body.Len(), w.Body)
	}
}

// Login and Logout say what went wrong.
func TestLoginMisuse(t *testing.T) {
	s := newSystem(t, nil)
	outside := httptest.NewRequest("POST", "/", nil)
	if err := s.session.Login(outside, s.alice); err == nil {
		t.Error("Login outside of the Handler")
	}
	if err := s.session.Logout(outside); err == nil {
		t.Error("Logout outside of the Handler")
	}
	s.do = func(_ http.ResponseWriter, r *http.Request) {
		refusesStatus(t, s.session.Login(r, s.dora), 401, "")
		refusesStatus(t, s.session.Login(r, store.User{Name: "x", Active: true}), 401, "")
		refusesStatus(t, s.session.Login(r, store.User{}), 401, "")
		if err := s.session.Logout(r); err != nil {
			t.Errorf("Logout without a session: %v", err)
		}
	}
	if w := s.send("GET", "/do"); len(w.Header()["Set-Cookie"]) > 0 {
		t.Errorf("Set-Cookie %q", w.Header()["Set-Cookie"])
	}
	cookie := s.login(s.bob)
	s.do = func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "early")
		if err := s.session.Login(r, s.alice); err == nil {
			t.Error("Login after the first byte")
		}
		if err := s.session.Logout(r); err == nil {
			t.Error("Logout after the first byte")
		}
	}
	s.send("GET", "/do", cookie)
	if got := s.me(cookie); got != "bob by session" {
		t.Errorf("afterwards: %s", got)
	}
}

// Two Sessions side by side, such as for users and for administrators.
func TestTwoSessions(t *testing.T) {
	s := newSystem(t, nil)
	if _, err := auth.NewSession(s.db, s.db, &auth.SessionOptions{CookieName: "second"}); err != nil {
		t.Fatal(err)
	}
	second := auth.Must(auth.NewSession(s.db, s.db, &auth.SessionOptions{CookieName: "second", Logger: quiet}))
	w := send(s.session.Handler(second.Handler(http.NotFoundHandler())), "GET", "/")
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("two that share the default manager: status %d", w.Code)
	}
}

// A handler that keeps values in the session does not fall over a client that
// sends an Authorization field, and does not see or change the session either.
func TestValuesBesideAnAuthorizationField(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	manager := s.session.Manager()
	s.put(cookie, "cart", "apples")
	for name, h := range map[string]func(http.Handler) http.Handler{
		"once":   s.session.Handler,
		"nested": func(h http.Handler) http.Handler { return s.session.Handler(s.session.Handler(h)) },
	} {
		var before, after string
		var w *httptest.ResponseRecorder
		calls := s.db.during(func() {
			w = send(h(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				before = manager.GetString(r.Context(), "cart")
				manager.Put(r.Context(), "cart", "pears")
				after = manager.GetString(r.Context(), "cart")
			})), "GET", "/", cookie, "Authorization: x")
		})
		if before != "" || after != "pears" || w.Code != 200 || len(w.Header()) > 0 || len(calls) > 0 {
			t.Errorf("%s: %q, then %q; header %v, store calls %q", name, before, after, w.Header(), calls)
		}
	}
	if got := s.value(cookie, "cart"); got != "apples" {
		t.Errorf("the session has %q", got)
	}

	// Case 30: one that takes the field away can log in.
	login := s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		manager.Put(r.Context(), "cart", "lost")
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
		s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := s.session.Login(r, s.bob); err != nil {
				t.Error(err)
			}
			manager.Put(r.Context(), "cart", "plums")
		})).ServeHTTP(w, r)
	}))
	bob := s.cookie(send(login, "POST", "/", cookie, "Authorization: Bearer dead"))
	if got := s.me(bob); got != "bob by session" || s.value(bob, "cart") != "plums" || s.me(cookie) != "401" {
		t.Errorf("%s with %q; the old session: %s", got, s.value(bob, "cart"), s.me(cookie))
	}
}

// A host whose users do not know epochs, or that shortened the lifetime, is
// protected as well.
func TestSessionOfOtherHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, nil)
		cookie := s.login(s.alice)
		states := map[string]struct {
			users store.Users
			opts  auth.SessionOptions
			want  string
		}{
			"as it was":            {s.db, auth.SessionOptions{}, "alice by session"},
			"disabled, same epoch": {changedUsers{s.db, func(u *store.User) { u.Active = false }}, auth.SessionOptions{}, "401"},
			"another epoch":        {changedUsers{s.db, func(u *store.User) { u.Epoch++ }}, auth.SessionOptions{}, "401"},
			"another user":         {changedUsers{s.db, func(u *store.User) { u.ID = "4" }}, auth.SessionOptions{}, "401"},
			"a shorter lifetime":   {s.db, auth.SessionOptions{IdleTimeout: time.Minute, Lifetime: 5 * time.Minute}, "401"},
		}
		time.Sleep(5 * time.Minute)
		for name, state := range states {
			state.opts.Logger = quiet
			fresh := s.login(s.alice)
			cookie := cookie
			if name != "as it was" && name != "a shorter lifetime" {
				cookie = fresh // these end it
			}
			session := auth.Must(auth.NewSession(s.db, state.users, &state.opts))
			s.db.host = state.users
			h := auth.NewGate(session, &auth.GateOptions{Logger: quiet}).Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p, _ := auth.FromContext(r.Context())
				fmt.Fprintf(w, `{"user":%q,"credential":"session"}`, p.Name)
			}))
			if got := who(t, send(h, "GET", "/", cookie)); got != state.want {
				t.Errorf("%s: %s, want %s", name, got, state.want)
			}
			s.db.host = nil
		}
	})
}

// changedUsers has the users of a host.
type changedUsers struct {
	*spy
	change func(*store.User)
}

func (c changedUsers) UserByID(ctx context.Context, id string) (store.User, error) {
	u, err := c.spy.UserByID(ctx, id)
	c.change(&u)
	return u, err
}
