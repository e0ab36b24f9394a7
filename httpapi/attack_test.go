package httpapi_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// TestLoginDoesNotLeadToTheLogout tries spellings that a browser, or
// [http.Redirect], tidies.
func TestLoginDoesNotLeadToTheLogout(t *testing.T) {
	s := newSystem(t)
	for _, next := range []string{
		"/api/logout", "/api/logout/", "/api/logout/?next=/", "/api/./logout/", "/api/x/../logout/", "/api//logout/",
		"/api/%6cogout/", "/api/%2e/logout/", "/x/%2e%2e/api/logout/", "/../api/logout/",
	} {
		r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw", "next", next)).wants(302)
		if got := r.header.Get("Location"); got != "/api/" {
			t.Errorf("next %q leads to %q", next, got)
		}
	}
	r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw", "next", "/api/logouts/")).wants(302)
	if got := r.header.Get("Location"); got != "/api/logouts/" {
		t.Errorf("another path: %q", got)
	}
}

// TestSafeRequestsChangeNothing compares the store before and after. Only the
// last use of a token may move.
func TestSafeRequestsChangeNothing(t *testing.T) {
	s := newSystem(t)
	c := s.login("alice", "alice-pw")
	token := s.token(s.alice, auth.ScopeWrite)
	dump := func() (all []any) {
		tokens, _, err := s.db.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range tokens {
			token.LastUsed = time.Time{}
			all = append(all, token)
		}
		users, _, err := s.db.ListUsers(t.Context(), store.UserFilter{}, store.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, u := range users {
			sessions, _, err := s.db.ListSessions(t.Context(), store.SessionFilter{UserID: u.ID}, time.Now(), store.Page{Limit: 1000, Descending: true})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, u, sessions)
		}
		return all
	}
	before := dump()
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		for _, target := range []string{
			"/api/", "/api/v2/", "/api/v2/me/", "/api/v2/users/3/", "/api/v2/tokens/", "/api/v2/tokens/1/", "/api/v2/tokens/1/rotate/",
			"/api/v2/users/3/personal_tokens/", "/api/v2/users/3/personal_tokens/1/", "/api/login/?username=alice&password=alice-pw", "/api/logout/",
		} {
			if method == "GET" && target == "/api/logout/" {
				continue // as AWX documents
			}
			for _, part := range []with{cookie(c), bearer(token)} {
				s.do(method, target+"?_method=DELETE", part, header("X-HTTP-Method-Override", "DELETE"))
			}
		}
	}
	networks := cmp.Options{
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
	if diff := cmp.Diff(before, dump(), networks); diff != "" {
		t.Errorf("store (-before +after):\n%s", diff)
	}
}

// TestStrangersLeaveNoSessions holds that made-up cookies and anonymous visits
// are not stored.
func TestStrangersLeaveNoSessions(t *testing.T) {
	s := newSystem(t)
	for i := range 300 {
		c := cookie(&http.Cookie{Name: "session", Value: fmt.Sprintf("%043d", i)})
		for _, target := range []string{"/api/", "/api/login/", "/api/v2/me/", "/api/logout/", "/public/"} {
			s.do("GET", target, c)
			s.do("GET", target)
		}
		s.do("POST", "/api/login/", c, body("text/plain", "x"))
	}
	if n, err := s.db.PurgeSessions(t.Context(), time.Now().AddDate(100, 0, 0), 1000); n != 0 || err != nil {
		t.Errorf("%d sessions are stored (%v)", n, err)
	}
}

func TestNameIsNotTheUser(t *testing.T) {
	s := newSystem(t)
	c, token := s.login("bob", "bob-pw"), s.token(s.bob, auth.ScopeWrite)
	if err := s.db.DeleteUser(t.Context(), s.bob.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	u, err := s.db.InsertUser(t.Context(), store.User{Name: "bob", Active: true, Created: time.Now()})
	if err == nil {
		err = s.db.SetPasswordHash(t.Context(), u.ID, "cheap$bob-pw")
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.whoami(cookie(c)) != "" || s.whoami(bearer(token)) != "" {
		t.Error("the new user of that name has the credentials of the old one")
	}
	if n := s.do("GET", "/api/v2/users/bob/personal_tokens/", basic("bob", "bob-pw")).wants(200).json()["count"]; n != 0.0 {
		t.Errorf("the new user of that name has %v tokens", n)
	}
}

// TestRotationRace rotates one token from many sides: one secret is good
// afterwards, and it is one that was handed out.
func TestRotationRace(t *testing.T) {
	s := newSystem(t)
	old := s.token(s.alice, auth.ScopeWrite)
	var mu sync.Mutex
	var handedOut []string
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			r := s.do("POST", "/api/v2/tokens/1/rotate/", basic("alice", "alice-pw"))
			switch r.status {
			case 200:
				mu.Lock()
				defer mu.Unlock()
				handedOut = append(handedOut, r.json()["token"].(string))
			case 409:
			default:
				t.Errorf("status %d: %s", r.status, r.body)
			}
		})
	}
	clients.Wait()
	good := 0
	for _, secret := range handedOut {
		if s.whoami(bearer(secret)) == "alice" {
			good++
		}
	}
	if good != 1 || s.whoami(bearer(old)) != "" {
		t.Errorf("%d of %d new secrets are good; old one: %q", good, len(handedOut), s.whoami(bearer(old)))
	}
}

// TestEveryFailureIsLogged makes one request of each kind.
func TestEveryFailureIsLogged(t *testing.T) { // 275, R-006, 29
	for name, tt := range map[string]struct {
		method, target string
		part           func(*system) []with
		want           string
	}{
		"wrong password":     {"POST", "/api/login/", func(*system) []with { return []with{form("username", "alice", "password", "x")} }, "wrong user name or password"},
		"unknown user":       {"POST", "/api/login/", func(*system) []with { return []with{form("username", "nobody", "password", "x")} }, `"user":"nobody"`},
		"disabled user":      {"GET", "/api/v2/me/", func(*system) []with { return []with{basic("dora", "dora-pw")} }, `"user":"dora"`},
		"dead token":         {"GET", "/api/v2/me/", func(*system) []with { return []with{bearer("dead")} }, "invalid_token"},
		"insufficient scope": {"POST", "/api/v2/tokens/", func(s *system) []with { return []with{bearer(s.token(s.alice, "read"))} }, "insufficient_scope"},
		"cross-site": {"POST", "/api/v2/tokens/", func(s *system) []with {
			return []with{cookie(s.login("alice", "alice-pw")), header("Origin", "https://evil.example")}
		}, "CSRF Failed"},
		"cross-site login": {"POST", "/api/login/", func(*system) []with { return []with{header("Sec-Fetch-Site", "cross-site")} }, "CSRF Failed"},
		"token in the URL": {"GET", "/probe/?access_token=canary", func(s *system) []with { return []with{bearer(s.token(s.alice, "read"))} }, `"outcome":"failure"`},
		"two credentials":  {"GET", "/probe/", func(*system) []with { return []with{header("Authorization", "Bearer a", "Bearer b")} }, `"outcome":"failure"`},
		"session is dead": {"GET", "/api/v2/me/", func(*system) []with {
			return []with{cookie(&http.Cookie{Name: "session", Value: strings.Repeat("B", 43)})}
		}, `"outcome":"failure"`},
		"ambiguous session": {"GET", "/api/v2/me/", func(*system) []with { return []with{header("Cookie", "session=a; session=b")} }, `"outcome":"failure"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			parts := tt.part(s)
			before := len(s.logs.String())
			s.do(tt.method, tt.target, parts...)
			if logs := s.logs.String()[before:]; !strings.Contains(logs, tt.want) || strings.Contains(logs, "canary") {
				t.Errorf("no %s in\n%s", tt.want, logs)
			}
		})
	}
}

// touchCounter counts the writes that keep sessions alive.
type touchCounter struct {
	*memory.Store
	touches atomic.Int64
}

func (c *touchCounter) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	c.touches.Add(1)
	return c.Store.TouchSession(ctx, d, expires, at, from)
}

func TestSessionTouchesAreRare(t *testing.T) { // 37, R-104
	synctest.Test(t, func(t *testing.T) {
		db := new(touchCounter)
		s := newSystem(t, func(o *options) {
			o.db = func(m *memory.Store) database { db.Store = m; return db }
		})
		c := s.login("alice", "alice-pw")
		for range 10 { // minutes
			for range 100 {
				s.do("GET", "/api/v2/me/", cookie(c)).wants(200)
				time.Sleep(600 * time.Millisecond)
			}
		}
		if n := db.touches.Load(); n < 8 || n > 10 {
			t.Errorf("%d writes in ten minutes", n)
		}
	})
}

func TestExpiredSessionsDoNotCount(t *testing.T) { // 55
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *options) { o.session.PerUser = 2 })
		for range 5 {
			s.login("alice", "alice-pw")
			time.Sleep(time.Hour)
		}
		first := s.login("alice", "alice-pw")
		s.login("alice", "alice-pw")
		if s.whoami(cookie(first)) != "alice" {
			t.Error("expired sessions pushed out a live one")
		}
		if strings.Contains(s.logs.String(), "session limit reached") {
			t.Error("an event about the limit, which was never reached")
		}
	})
}

func TestPasswordChangeAndTokens(t *testing.T) { // 102
	for _, end := range []bool{false, true} {
		s := newSystem(t, func(o *options) { o.tokens.EndWithPassword = end })
		token := s.token(s.alice, auth.ScopeRead)
		if err := s.passwords.Set(t.Context(), s.alice.ID, "a new long password"); err != nil {
			t.Fatal(err)
		}
		if alive := s.whoami(bearer(token)) == "alice"; alive == end {
			t.Errorf("EndWithPassword %t, but the token is alive: %t", end, alive)
		}
	}
}

// TestLoginBehindTLSProxy has a proxy end TLS: the browser's origin is https,
// the request is not.
func TestLoginBehindTLSProxy(t *testing.T) { // 24, 265, 271
	proxy := auth.Must(auth.NewProxy(&auth.ProxyOptions{Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}}))
	s := newSystem(t)
	s.document.Store(nil)
	s.handler = proxy.Handler(s.handler)
	fields := []with{
		form("username", "alice", "password", "alice-pw"),
		header("Origin", "https://app.example"), header("X-Forwarded-Proto", "https"), header("X-Forwarded-For", "198.51.100.7"),
	}
	s.do("POST", "/api/login/", fields...).wants(302)
	if logs := s.logs.String(); !strings.Contains(logs, `"client":"198.51.100.7"`) {
		t.Errorf("the client is not in the log:\n%s", logs)
	}
	r := s.do("POST", "/api/login/", append(fields, from("203.0.113.9:1"))...).wants(403)
	if r.cookies()["session"] != nil {
		t.Error("a session was opened")
	}
	s.do("POST", "/api/login/", form("username", "alice", "password", "wrong"), header("X-Forwarded-For", "198.51.100.99"), from("203.0.113.9:1")).wants(401)
	if logs := s.logs.String(); strings.Contains(logs, "198.51.100.99") || !strings.Contains(logs, `"client":"203.0.113.9"`) {
		t.Errorf("a made-up client is in the log:\n%s", logs)
	}
}

// TestHostileOriginsAtLogin replays what counts as this origin where no session
// exists yet.
func TestHostileOriginsAtLogin(t *testing.T) {
	for _, row := range hostileInputs(t, "origin") {
		s := newSystem(t)
		parts := []with{form("username", "alice", "password", "alice-pw"), func(r *http.Request) { r.TLS = new(tls.ConnectionState) }}
		if row.Input != "" {
			parts = append(parts, header("Origin", row.text(t)))
		}
		for name, value := range row.Headers {
			parts = append(parts, header(name, value))
		}
		r := s.do("POST", "/api/login/", parts...)
		if r.status == 302 {
			r.status = 200 // what the rows have for success
		}
		row.check(t, r)
		if opened := r.cookies()["session"] != nil; opened != (r.status == 200) {
			t.Errorf("%s: status %d, session opened: %t", row.Name, r.status, opened)
		}
	}
}

// TestPasswordsAreRefusedAlike tries every state of an account at every endpoint
// that takes a password.
func TestPasswordsAreRefusedAlike(t *testing.T) { // 14, 75, R-033, R-050, R-154
	for name, try := range map[string]func(s *system, user, password string) reply{
		"form": func(s *system, user, password string) reply {
			return s.do("POST", "/api/login/", form("username", user, "password", password))
		},
		"page": func(s *system, user, password string) reply {
			r := s.do("POST", "/api/login/", form("username", user, "password", password), header("Accept", "text/html"))
			r.body = strings.ReplaceAll(r.body, `value="`+user+`"`, "")
			r.header.Del("Content-Length") // the page has the name
			return r
		},
		"JSON": func(s *system, user, password string) reply {
			return s.do("POST", "/api/login/", jsonBody(fmt.Sprintf(`{"username":%q,"password":%q}`, user, password)))
		},
		"Basic": func(s *system, user, password string) reply {
			return s.do("GET", "/api/v2/me/", basic(user, password))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			for user, hash := range map[string]string{"empty": "", "unusable": "!", "unreadable": "$argon2id$v=19$m=1$x"} {
				u, err := s.db.InsertUser(t.Context(), store.User{Name: user, Active: true})
				if err == nil && hash != "" {
					err = s.db.SetPasswordHash(t.Context(), u.ID, hash)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			want := try(s, "alice", "wrong").wants(401)
			for _, tt := range [][2]string{
				{"nobody", "wrong"}, {"dora", "dora-pw"}, {"dora", "wrong"},
				{"empty", ""}, {"empty", "wrong"}, {"unusable", "!"}, {"unreadable", "wrong"},
			} {
				got := try(s, tt[0], tt[1])
				if diff := cmp.Diff([]any{want.status, want.header, want.body}, []any{got.status, got.header, got.body}); diff != "" {
					t.Errorf("%v (-wrong password +got):\n%s", tt, diff)
				}
			}
			if u, err := s.db.UserByID(t.Context(), s.dora.ID); err != nil || u.Active {
				t.Errorf("the disabled user is %+v (%v)", u, err)
			}
		})
	}
}
