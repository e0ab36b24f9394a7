package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// C6, decision 33: a dead session cookie is anonymous on a public page where the
// method is safe, and its cookie is cleared unless this store never knew it.
func TestDeadCookieOnPublicPages(t *testing.T) {
	const clears = "__Host-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
	for _, tt := range []struct {
		name string
		dead func(t *testing.T, s *system) string // returns a Cookie line
		want []string                             // Set-Cookie
	}{
		{"idle", func(t *testing.T, s *system) string {
			line := s.login(s.alice)
			time.Sleep(30 * time.Minute)
			return line
		}, []string{clears}},
		{"logged out elsewhere", func(t *testing.T, s *system) string {
			line := s.login(s.alice)
			s.send("POST", "/logout", line)
			return line
		}, []string{clears}},
		{"ended by an administrator", func(t *testing.T, s *system) string {
			line := s.login(s.alice)
			if _, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID}); err != nil {
				t.Error(err)
			}
			return line
		}, []string{clears}},
		{"ended by a newer one", func(t *testing.T, s *system) string {
			line := s.login(s.alice)
			s.login(s.alice)
			s.login(s.alice)
			return line
		}, []string{clears}},
		{"of a user who was disabled", func(t *testing.T, s *system) string {
			line := s.login(s.bob)
			s.disable(s.bob)
			return line
		}, []string{clears}},
		{"of a user with a new password", func(t *testing.T, s *system) string {
			line := s.login(s.bob)
			if err := s.passwords.Set(t.Context(), s.bob.ID, "another horse battery"); err != nil {
				t.Error(err)
			}
			return line
		}, []string{clears}},
		{"never known", func(*testing.T, *system) string { return "Cookie: __Host-session=" + strings.Repeat("A", 43) }, nil},
		{"of another service", func(*testing.T, *system) string { return "Cookie: __Host-session=eyJhbGciOiJub25lIn0.e30." }, nil},
		{"empty", func(*testing.T, *system) string { return "Cookie: __Host-session=" }, nil},
		{"purged", func(t *testing.T, s *system) string {
			line := s.login(s.alice)
			s.send("POST", "/logout", line)
			time.Sleep(time.Hour)
			if n, err := s.session.Purge(t.Context(), time.Now()); n != 1 || err != nil {
				t.Errorf("Purge: %d, %v", n, err)
			}
			return line
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t, func(o *settings) { o.session.PerUser = 2 })
				line := tt.dead(t, s)
				for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
					w := s.send(method, "/public/", line)
					if got := who(t, w); got != "anonymous by none" {
						t.Errorf("%s of a public page: %s", method, got)
					}
					if diff := cmp.Diff(tt.want, w.Header()["Set-Cookie"]); diff != "" {
						t.Errorf("%s: Set-Cookie (-want +got):\n%s", method, diff)
					}
				}
				for _, lines := range [][]string{{"POST", "/public/"}, {"DELETE", "/public/"}, {"GET", "/probe/"}, {"GET", "/scoped/"}, {"GET", "/public/", "Upgrade: websocket"}} {
					if w := s.send(lines[0], lines[1], append(lines[2:], line)...); w.Code != 401 {
						t.Errorf("%s: %d", lines, w.Code)
					}
				}
				// Without Session.Handler nobody clears, but the rule is the same.
				h := s.gate.Identify(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, ok := auth.FromContext(r.Context()); ok {
						t.Error("somebody")
					}
				}))
				if w := send(h, "GET", "/", line); w.Code != 200 {
					t.Errorf("without the Handler: %d", w.Code)
				}
			})
		})
	}
}

// Every other bad credential stays final on a public page.
func TestBadCredentialsStayFinal(t *testing.T) {
	s := newSystem(t, nil)
	cookie := s.login(s.alice)
	const dead = "Cookie: __Host-session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for name, lines := range map[string][]string{
		"two session cookies":          {cookie + "; " + strings.TrimPrefix(dead, "Cookie: ")},
		"bad token":                    {"Authorization: Bearer nope"},
		"bad token beside a dead one":  {"Authorization: Bearer nope", dead},
		"bad password":                 {basicLine("alice", "wrong")},
		"bad password and dead cookie": {basicLine("alice", "wrong"), dead},
		// D5: schemes that nobody knows.
		"Token":              {"Authorization: Token x"},
		"Digest":             {"Authorization: Digest username=x"},
		"Negotiate":          {"Authorization: Negotiate x"},
		"a word":             {"Authorization: x"},
		"a blank":            {"Authorization: "},
		"Token, good cookie": {"Authorization: Token x", cookie},
		"Token, dead cookie": {"Authorization: Token x", dead},
	} {
		for _, target := range []string{"/public/", "/probe/"} {
			before := s.entered.Load()
			if w := s.send("GET", target, lines...); w.Code != 401 || len(w.Header()["Www-Authenticate"]) != 1 || s.entered.Load() != before {
				t.Errorf("%s: %s is answered %d, %q", name, target, w.Code, w.Header()["Www-Authenticate"])
			}
		}
	}
	// Whatever stands in the gate, a scheme that it does not know is no anonymity.
	for name, a := range map[string]auth.Authenticator{
		"session alone": s.session, "bearer alone": auth.NewBearer(s.tokens), "of the host": says(nil, auth.ErrNoCredentials),
		"chain": auth.FirstOf(auth.NewBearer(s.tokens), says(nil, auth.ErrNoCredentials)),
	} {
		gate := auth.NewGate(a, &auth.GateOptions{Logger: quiet})
		if w := send(gate.Identify(http.NotFoundHandler()), "GET", "/", "Authorization: Token x"); w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", "Token x")
		_, err := gate.Check(r)
		refusesStatus(t, err, 401, "")
	}
	// A host that knows the scheme is asked.
	keys := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		if r.Header.Get("Authorization") != "Token x" {
			return nil, auth.ErrNoCredentials
		}
		return &auth.Principal{ID: "9", Name: "key", Scopes: auth.Unrestricted}, nil
	})
	gate := auth.NewGate(auth.FirstOf(s.session, auth.NewBearer(s.tokens), keys), &auth.GateOptions{Logger: quiet})
	if w := send(gate.Identify(http.NotFoundHandler()), "GET", "/", "Authorization: Token x"); w.Code != 404 {
		t.Errorf("a scheme of the host: %d", w.Code)
	}
}

// C7: while Basic is off, a field for it is as if absent: it may be the one of a
// proxy in front of the service. The gate must have the Basic to know that.
func TestBasicOffIsAbsent(t *testing.T) {
	var on atomic.Bool
	s := newSystem(t, func(o *settings) { o.basic.Enabled = on.Load })
	token := bearer(s.issue(s.bob, "read"))
	const foreign = "Authorization: Basic Zm9yZWlnbjpwcm94eQ=="
	good, bad := basicLine("bob", goodPassword), basicLine("bob", "wrong")
	for _, tt := range []struct {
		name   string
		target string
		lines  []string
		want   string // while Basic is off
	}{
		{"good session", "/probe/", []string{foreign}, "alice by session"},
		{"good session on a public page", "/public/", []string{foreign}, "alice by session"},
		{"right password of another", "/probe/", []string{good}, "alice by session"},
		{"wrong password of another", "/probe/", []string{bad}, "alice by session"},
		{"malformed", "/probe/", []string{"Authorization: Basic"}, "alice by session"},
		{"another case", "/probe/", []string{"Authorization: BASIC x"}, "alice by session"},
		{"another scheme", "/probe/", []string{"Authorization: Token x"}, "401"},
		{"bad token", "/probe/", []string{"Authorization: Bearer x"}, "401"},
		{"two fields", "/probe/", []string{foreign, foreign}, "400"},
		{"a token beside it", "/probe/", []string{foreign, token}, "400"},
		{"Unicode folds to it", "/probe/", []string{"Authorization: Ba\u017fic x"}, "401"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			on.Store(false)
			cookie := s.login(s.alice)
			if got := who(t, s.send("GET", tt.target, append(tt.lines, cookie)...)); got != tt.want {
				t.Errorf("with a good session: %s, want %s", got, tt.want)
			}
			on.Store(true)
			switch got := who(t, s.send("GET", tt.target, append(tt.lines, cookie)...)); {
			case got == "bob by basic" && tt.lines[0] == good, got == "401", got == "400":
			default:
				t.Errorf("while Basic is on: %s", got)
			}
		})
	}
	on.Store(false)
	for _, line := range []string{foreign, good, bad} {
		if got := who(t, s.send("GET", "/public/", line)); got != "anonymous by none" {
			t.Errorf("nobody on a public page: %s", got)
		}
		if got := s.me(line); got != "401" {
			t.Errorf("nobody: %s", got)
		}
		if w := s.send("POST", "/probe/", line, s.login(s.alice), "Sec-Fetch-Site: cross-site"); w.Code != 403 {
			t.Errorf("another site: %d", w.Code)
		}
	}
	// Gates that have no Basic, or one that is on, do not know.
	for name, a := range map[string]auth.Authenticator{
		"no Basic":            auth.FirstOf(s.session, auth.NewBearer(s.tokens)),
		"another that is on":  auth.FirstOf(s.session, auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: on.Load}), auth.NewBasic(s.passwords, nil)),
		"one that is wrapped": auth.FirstOf(s.session, struct{ *auth.Basic }{auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: on.Load})}),
	} {
		gate := auth.NewGate(a, &auth.GateOptions{Logger: quiet})
		for where, h := range map[string]http.Handler{
			"alone":              gate.Require(http.NotFoundHandler()),
			"behind its Handler": s.session.Handler(gate.Require(http.NotFoundHandler())),
			"behind another":     s.session.Handler(s.gate.Identify(gate.Require(http.NotFoundHandler()))),
		} {
			if w := send(h, "GET", "/", foreign, s.login(s.alice)); w.Code != 401 {
				t.Errorf("%s, %s: %d", name, where, w.Code)
			}
		}
	}
	// Nested chains, and a session that the host embeds.
	for name, a := range map[string]auth.Authenticator{
		"nested":           auth.FirstOf(auth.FirstOf(s.session), auth.FirstOf(auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: on.Load}))),
		"embedded session": auth.FirstOf(struct{ *auth.Session }{s.session}, auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: on.Load})),
	} {
		gate := auth.NewGate(a, &auth.GateOptions{Logger: quiet})
		if w := send(s.session.Handler(gate.Require(http.NotFoundHandler())), "GET", "/", foreign, s.login(s.alice)); w.Code != 404 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// The session behind a foreign Basic field is a whole one: it moves its expiry,
// has the values of the host, and takes new ones.
func TestSessionBesideBasicOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *settings) { o.basic.Enabled = func() bool { return false } })
		cookie := s.login(s.alice)
		s.put(cookie, "cart", "apples")
		const foreign = "Authorization: Basic Zm9yZWlnbjpwcm94eQ=="
		var got string
		h := s.session.Handler(s.gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = s.session.Manager().GetString(r.Context(), "cart")
			s.session.Manager().Put(r.Context(), "cart", got+", pears")
		})))
		for range 4 {
			time.Sleep(20 * time.Minute)
			w := send(h, "GET", "/", foreign, cookie)
			if w.Code != 200 || w.Header().Get("Session-Timeout") != "1800" || s.cookie(w) != cookie {
				t.Fatalf("status %d, header %v", w.Code, w.Header())
			}
		}
		if got != "apples, pears, pears, pears" || s.value(cookie, "cart") != got+", pears" {
			t.Errorf("the last request had %q, the session has %q", got, s.value(cookie, "cart"))
		}
	})
}

// A login and a logout of the host behind a foreign Basic field: behind Session.Handler
// alone the error says what heals it, and Gate.Identify does.
func TestLoginBesideBasicOff(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.basic.Enabled = func() bool { return false } })
	for name, call := range map[string]func(*http.Request) error{
		"Login": func(r *http.Request) error { return s.session.Login(r, s.alice) }, "Logout": s.session.Logout,
	} {
		for _, cookie := range []string{"Accept: */*", "Cookie: " + s.session.CookieName() + "=" + strings.Repeat("d", 43)} {
			var err error
			h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { err = call(r) })
			const foreign = "Authorization: Basic Zm9yZWlnbjpwcm94eQ=="
			send(s.session.Handler(h), "POST", "/", foreign, cookie)
			if err == nil || !strings.Contains(err.Error(), "put Session.Handler around the handler once more") {
				t.Errorf("%s alone, %s: %v", name, cookie, err)
			}
			again := s.session.Handler(h)
			if send(s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r = r.Clone(r.Context())
				r.Header.Del("Authorization")
				again.ServeHTTP(w, r)
			})), "POST", "/", foreign, cookie); err != nil {
				t.Errorf("%s without the field, %s: %v", name, cookie, err)
			}
		}
	}
}
