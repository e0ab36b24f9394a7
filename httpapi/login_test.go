package httpapi_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth"
)

// The numbers are those of the cases that the project was specified by.

func TestFormLoginOpensASession(t *testing.T) { // 1 to 7, 39
	s := newSystem(t)
	r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw"), header("Accept", "*/*")).wants(302)
	set := r.cookies()
	c := set["session"]
	if c == nil || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.MaxAge != 1800 || c.Secure || c.Domain != "" {
		t.Errorf("session cookie: %+v", c)
	}
	if n := strings.Count(strings.Join(r.header["Set-Cookie"], "\n"), "session="); n != 1 {
		t.Errorf("%d session cookies", n)
	}
	for name, want := range map[string]string{
		"X-API-Session-Cookie-Name": "session",
		"Session-Timeout":           "1800",
		"Location":                  "/api/",
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if !strings.Contains(r.header.Get("Cache-Control"), "no-store") {
		t.Errorf("Cache-Control: %q", r.header.Get("Cache-Control"))
	}
	if hint := set["userLoggedIn"]; hint == nil || hint.Value != "true" || hint.HttpOnly {
		t.Errorf("hint cookie: %+v", hint)
	}
	if got := s.whoami(cookie(c)); got != "alice" {
		t.Errorf("the cookie is good for %q", got)
	}
	s.do("GET", "/api/").wants(200) // where the login leads
}

func TestCookieIsSecureByDefault(t *testing.T) { // 3, 289
	s := newSystem(t, func(o *options) { o.session.InsecureCookie = false })
	c := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw")).cookies()["__Host-session"]
	if c == nil || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" {
		t.Errorf("session cookie: %+v", c)
	}
}

func TestJSONLogin(t *testing.T) { // 8
	s := newSystem(t)
	r := s.do("POST", "/api/login/", jsonBody(`{"username":"alice","password":"alice-pw"}`), header("Accept", "application/json")).wants(200)
	if r.json()["username"] != "alice" || r.cookies()["session"] == nil {
		t.Errorf("%s %v", r.body, r.header)
	}
	for name, tt := range map[string]struct {
		body   string
		fields []string
	}{
		"absent":     {`{}`, []string{"password", "username"}},
		"wrong type": {`{"username":1,"password":["x"]}`, []string{"password", "username"}},
		"null":       {`{"username":null,"password":"x"}`, []string{"username"}},
		"unknown":    {`{"username":"alice","password":"alice-pw","otp":"1"}`, []string{"otp"}},
	} {
		t.Run(name, func(t *testing.T) {
			s.do("POST", "/api/login/", jsonBody(tt.body)).blames(tt.fields...)
		})
	}
}

func TestLoginLeadsOnlyToPathsOfThisHost(t *testing.T) { // 9 to 11, 43
	s := newSystem(t)
	for next, want := range map[string]string{
		"/api/v2/":                          "/api/v2/",
		"/jobs/?x=1#y":                      "/jobs/?x=1#y",
		"https://evil.example/":             "/api/",
		"//evil.example/":                   "/api/",
		`/\evil.example`:                    "/api/",
		"javascript:alert(1)":               "/api/",
		"https:evil":                        "/api/",
		"/\t/evil.example":                  "/api/",
		"/api/logout/":                      "/api/",
		"/api/gateway/v1/logout/":           "/api/",
		"/api/gateway/v1/logout":            "/api/",
		"/api//gateway/x/../v1/%6cogout/?x": "/api/",
		"/" + strings.Repeat("a", 9000):     "/api/",
	} {
		r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw", "next", next)).wants(302)
		if got := r.header.Get("Location"); got != want {
			t.Errorf("next %q leads to %q, want %q", next, got, want)
		}
	}
	for target, want := range map[string]string{
		"/api/logout/?next=/api/v2/":                     "/api/v2/",
		"/api/logout/?next=https://evil.example/":        "/api/",
		"/api/logout/?next=/api/v2/&next=//evil.example": "/api/",
	} {
		if got := s.do("GET", target).wants(302).header.Get("Location"); got != want {
			t.Errorf("%s leads to %q, want %q", target, got, want)
		}
	}
}

// TestFailedLoginsLookAlike holds that no answer tells whether a name exists.
func TestFailedLoginsLookAlike(t *testing.T) { // 12 to 14, 16 to 18, 75
	s := newSystem(t)
	want := s.do("POST", "/api/login/", form("username", "alice", "password", "wrong")).is401()
	if want.cookies()["session"] != nil || want.header.Get("X-API-Session-Cookie-Name") != "" || want.header.Get("Cache-Control") != "no-store" {
		t.Errorf("header of a failed login: %v", want.header)
	}
	for name, part := range map[string]with{
		"unknown user":       form("username", "nobody", "password", "wrong"),
		"disabled user":      form("username", "dora", "password", "dora-pw"),
		"no user name":       form("password", "alice-pw"),
		"no password":        form("username", "alice"),
		"empty":              form("username", "", "password", ""),
		"misspelt":           form("user", "alice", "pass", "alice-pw"),
		"NUL":                form("username", "alice\x00", "password", "alice-pw"),
		"control characters": form("username", "alice\r\n", "password", "alice-pw"),
		"full-width letters": form("username", "ａdmin", "password", "admin-pw"),
		"huge password":      form("username", "alice", "password", strings.Repeat("a", 5000)),
	} {
		got := s.do("POST", "/api/login/", part)
		if got.status != want.status || got.body != want.body || got.header.Get("WWW-Authenticate") != want.header.Get("WWW-Authenticate") {
			t.Errorf("%s: %d %s %v, want as for a wrong password: %d %s %v", name, got.status, got.body, got.header, want.status, want.body, want.header)
		}
	}
	s.do("POST", "/api/login/", form("username", "alice", "password", strings.Repeat("a", 1<<20))).wants(413) // 19
}

func TestLoginPage(t *testing.T) { // 26, 27, 13
	s := newSystem(t)
	for _, accept := range []string{"text/html", "*/*", "text/html,application/xhtml+xml,*/*;q=0.8"} {
		r := s.do("GET", "/api/login/?next=/jobs/", header("Accept", accept)).wants(200)
		for _, part := range []string{`<html lang="en">`, `name="username"`, `for="password"`, `value="/jobs/"`, `autocomplete="current-password"`} {
			if !strings.Contains(r.body, part) {
				t.Errorf("Accept %s: no %s in the page", accept, part)
			}
		}
		policy := r.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(policy, part) || strings.Contains(policy, "unsafe") || strings.Contains(policy, "form-action") {
				t.Errorf("Content-Security-Policy %q, want %s", policy, part)
			}
		}
		if strings.Contains(r.body, "http:") || strings.Contains(r.body, "https:") || strings.Contains(r.body, "<script") {
			t.Error("the page has something from elsewhere")
		}
	}
	s.do("GET", "/api/login/", header("Accept", "application/json")).wants(406).hasDetail("Could not satisfy the request Accept header.")
	s.do("HEAD", "/api/login/").wants(200)
	r := s.do("PUT", "/api/login/").wants(405)
	if got := r.header.Get("Allow"); got != "GET, POST, HEAD, OPTIONS" { // 31
		t.Errorf("Allow: %q", got)
	}

	// A browser gets the page again, with the error and the typed name.
	r = s.do("POST", "/api/login/", form("username", `"><b>x`, "password", "wrong", "next", "/jobs/"), header("Accept", "text/html")).wants(401)
	for _, part := range []string{"Incorrect user name or password.", `role="alert"`, "&#34;&gt;&lt;b&gt;x", `value="/jobs/"`} {
		if !strings.Contains(r.body, part) {
			t.Errorf("no %s in\n%s", part, r.body)
		}
	}
	if strings.Contains(r.body, "wrong") {
		t.Error("the page repeats the password")
	}
}

func TestLoginReplacesTheSession(t *testing.T) { // 20 to 22
	s := newSystem(t)
	chosen := &http.Cookie{Name: "session", Value: strings.Repeat("A", 43)}
	first := s.login("alice", "alice-pw", cookie(chosen))
	if first.Value == chosen.Value || s.whoami(cookie(chosen)) != "" {
		t.Error("the identifier that the client chose was adopted")
	}
	second := s.login("alice", "alice-pw", cookie(first))
	if second.Value == first.Value || s.whoami(cookie(first)) != "" || s.whoami(cookie(second)) != "alice" {
		t.Error("a second login did not replace the first")
	}
	third := s.login("bob", "bob-pw", cookie(second))
	if s.whoami(cookie(second)) != "" || s.whoami(cookie(third)) != "bob" {
		t.Error("the login of another user did not replace the first")
	}
}

func TestLoginNeedsTheSameOrigin(t *testing.T) { // 23, 25, 64
	s := newSystem(t, func(o *options) { o.session.TrustedOrigins = []string{"https://portal.example"} })
	for name, tt := range map[string]struct {
		parts  []with
		status int
	}{
		"curl":             {nil, 302},
		"same origin":      {[]with{header("Sec-Fetch-Site", "same-origin"), header("Origin", "http://app.example")}, 302},
		"old browser":      {[]with{header("Origin", "http://app.example")}, 302},
		"cross-site":       {[]with{header("Sec-Fetch-Site", "cross-site")}, 403},
		"same site":        {[]with{header("Sec-Fetch-Site", "same-site")}, 403},
		"foreign origin":   {[]with{header("Origin", "https://evil.example")}, 403},
		"other scheme":     {[]with{header("Origin", "https://app.example")}, 403},
		"null origin":      {[]with{header("Origin", "null")}, 403},
		"trusted origin":   {[]with{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://portal.example")}, 302},
		"trusted as http":  {[]with{header("Origin", "http://portal.example")}, 403},
		"two origins":      {[]with{header("Origin", "http://app.example", "http://app.example")}, 403},
		"dead bearer, too": {[]with{bearer("dead")}, 302}, // 30
	} {
		t.Run(name, func(t *testing.T) {
			r := s.do("POST", "/api/login/", append(tt.parts, form("username", "alice", "password", "alice-pw"))...).wants(tt.status)
			if tt.status == 403 {
				if detail, _ := r.json()["detail"].(string); !strings.HasPrefix(detail, "CSRF Failed: ") || r.cookies()["session"] != nil {
					t.Errorf("%s %v", r.body, r.header)
				}
			}
		})
	}
}

func TestLoginThrottle(t *testing.T) { // 28, 82
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for range 10 {
			s.do("POST", "/api/login/", form("username", "alice", "password", "wrong")).wants(401)
		}
		r := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw")).wants(429)
		if r.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		s.do("GET", "/api/v2/me/", basic("alice", "alice-pw")).wants(429) // one counter with Basic
		s.login("alice", "alice-pw", from("203.0.113.9:1"))
		time.Sleep(61 * time.Second)
		s.login("alice", "alice-pw")
	})
}

// B1: a browser in which somebody logged in has attempts of its own, wherever it is.
func TestLoginRemembersTheBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		first := s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw")).wants(302)
		known := first.cookies()["__Host-ostiary_device"]
		if known == nil || known.MaxAge != 30*24*60*60 || !known.Secure || !known.HttpOnly {
			t.Fatalf("the cookie of the browser: %+v", known)
		}
		attacker := from("203.0.113.9:1")
		for range 10 {
			s.do("POST", "/api/login/", form("username", "alice", "password", "wrong"), attacker).wants(401)
		}
		s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw"), attacker).wants(429)
		s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw"), attacker, cookie(known)).wants(302)

		refused := s.do("POST", "/api/login/", form("username", "bob", "password", "wrong")).wants(401)
		if c := refused.cookies()["__Host-ostiary_device"]; c != nil {
			t.Errorf("a wrong password set %v", c)
		}
	})
}

func TestLocalPasswordsOff(t *testing.T) { // 29, 57
	enabled := true
	s := newSystem(t, func(o *options) {
		o.passwords.Enabled = func() bool { return enabled }
		o.session.Enabled = o.passwords.Enabled
	})
	c := s.login("alice", "alice-pw")
	enabled = false
	s.do("POST", "/api/login/", form("username", "alice", "password", "alice-pw")).is401()
	if !strings.Contains(s.logs.String(), "local passwords are off") {
		t.Error("no event says so")
	}
	if s.whoami(cookie(c)) != "" {
		t.Error("the session lives on")
	}
	enabled = true
	if s.whoami(cookie(c)) != "" {
		t.Error("the session came back")
	}
}

func TestSessionExpiry(t *testing.T) { // 32 to 36, 38
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t, func(o *options) { o.session.Lifetime = 8 * time.Hour })
		c := s.login("alice", "alice-pw")
		for range 2 {
			time.Sleep(1000 * time.Second)
			if got := s.do("GET", "/api/v2/me/", cookie(c)).wants(200).header.Get("Session-Timeout"); got != "1800" {
				t.Errorf("Session-Timeout: %q", got)
			}
		}
		time.Sleep(1801 * time.Second)
		if s.whoami(cookie(c)) != "" {
			t.Error("it outlived the idle timeout")
		}

		c = s.login("alice", "alice-pw")
		for _, wait := range []time.Duration{1000 * time.Second, 700 * time.Second} {
			time.Sleep(wait)
			r := s.do("GET", "/api/v2/me/", cookie(c), header("X-WS-Session-Quiet", "1")).wants(200)
			if r.header.Get("Session-Timeout") != "" || r.cookies()["session"] != nil {
				t.Errorf("quiet request: %v", r.header)
			}
		}
		time.Sleep(101 * time.Second)
		if s.whoami(cookie(c)) != "" {
			t.Error("quiet requests kept it alive")
		}

		c = s.login("alice", "alice-pw")
		for range 47 {
			time.Sleep(10 * time.Minute)
			if s.whoami(cookie(c)) != "alice" {
				t.Fatal("it ended before its lifetime")
			}
		}
		time.Sleep(10 * time.Minute)
		if s.whoami(cookie(c)) != "" {
			t.Error("it outlived its lifetime")
		}
	})
}

// A dead cookie is cleared, unless this store never knew it: then it may be
// another service's.
func TestDeadCookieIsCleared(t *testing.T) { // 33
	s := newSystem(t)
	r := s.do("GET", "/api/v2/me/", cookie(&http.Cookie{Name: "session", Value: strings.Repeat("B", 43)})).is401()
	if c := r.cookies()["session"]; c != nil {
		t.Errorf("unknown: %+v", c)
	}
	dead := s.login("alice", "alice-pw")
	s.do("POST", "/api/logout/", cookie(dead))
	if c := s.do("GET", "/api/v2/me/", cookie(dead)).is401().cookies()["session"]; c == nil || c.MaxAge >= 0 {
		t.Errorf("logged out: %+v", c)
	}
	if r := s.do("GET", "/public/", cookie(dead)).wants(200); !strings.Contains(r.body, "anonymous") {
		t.Errorf("public page: %s", r.body)
	}
}

func TestNoSessionForBearerAndBasic(t *testing.T) { // 39, 83
	s := newSystem(t)
	for name, part := range map[string]with{"bearer": bearer(s.token(s.alice, auth.ScopeRead)), "basic": basic("alice", "alice-pw")} {
		r := s.do("GET", "/api/v2/me/", part).wants(200)
		if r.header.Get("Session-Timeout") != "" || r.header["Set-Cookie"] != nil {
			t.Errorf("%s: %v", name, r.header)
		}
	}
}

func TestLogout(t *testing.T) { // 40 to 46
	s := newSystem(t)
	for name, tt := range map[string]struct {
		method string
		parts  []with
		status int
	}{
		"GET":               {"GET", nil, 302},
		"POST":              {"POST", nil, 302},
		"JSON":              {"GET", []with{header("Accept", "application/json")}, 204},
		"typed address":     {"GET", []with{header("Sec-Fetch-Site", "none")}, 302},
		"with a dead token": {"GET", []with{bearer("dead")}, 302},
	} {
		t.Run(name, func(t *testing.T) {
			c, other := s.login("alice", "alice-pw"), s.login("alice", "alice-pw")
			r := s.do(tt.method, "/api/logout/", append(tt.parts, cookie(c))...).wants(tt.status)
			if cleared := r.cookies()["session"]; cleared == nil || cleared.MaxAge >= 0 || cleared.Path != "/" {
				t.Errorf("cookie: %+v", cleared)
			}
			if r.cookies()["userLoggedIn"].Value != "false" {
				t.Error("the hint says that somebody is logged in")
			}
			if s.whoami(cookie(c)) != "" {
				t.Error("the old cookie is still good")
			}
			if s.whoami(cookie(other)) != "alice" {
				t.Error("another session of the user ended, too")
			}
		})
	}
	s.do("GET", "/api/logout/").wants(302) // anonymous
	for _, method := range []string{"GET", "POST"} {
		c := s.login("alice", "alice-pw")
		s.do(method, "/api/logout/", cookie(c), header("Sec-Fetch-Site", "cross-site")).wants(403)
		if s.whoami(cookie(c)) != "alice" {
			t.Errorf("another site logged the user out by %s", method)
		}
	}
}

func TestWhatEndsSessions(t *testing.T) { // 47 to 49
	s := newSystem(t)
	s1, s2 := s.login("alice", "alice-pw"), s.login("alice", "alice-pw")
	if err := s.passwords.Set(t.Context(), s.alice.ID, "a new long password"); err != nil {
		t.Fatal(err)
	}
	if s.whoami(cookie(s1)) != "" || s.whoami(cookie(s2)) != "" {
		t.Error("a session outlived the password")
	}
	token := s.token(s.bob, auth.ScopeRead)
	c := s.login("bob", "bob-pw")
	s.setActive(s.bob, false)
	if s.whoami(cookie(c)) != "" || s.whoami(bearer(token)) != "" || s.whoami(basic("bob", "bob-pw")) != "" { // 92
		t.Error("a disabled user is let in")
	}
	s.setActive(s.bob, true)
	if s.whoami(cookie(c)) != "" {
		t.Error("the session came back with the user")
	}
	c = s.login("bob", "bob-pw")
	if err := s.db.DeleteUser(t.Context(), s.bob.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if s.whoami(cookie(c)) != "" || s.whoami(bearer(token)) != "" {
		t.Error("a deleted user is let in")
	}
}

func TestSessionLimit(t *testing.T) { // 50 to 52, 54, 56
	s := newSystem(t, func(o *options) { o.session.PerUser = 3 })
	token := s.token(s.alice, auth.ScopeRead)
	bob := s.login("bob", "bob-pw")
	var all []*http.Cookie
	for range 5 {
		all = append(all, s.login("alice", "alice-pw"))
	}
	for i, c := range all {
		want := ""
		if i >= 2 {
			want = "alice"
		}
		if got := s.whoami(cookie(c)); got != want {
			t.Errorf("session %d is good for %q, want %q", i, got, want)
		}
	}
	if n := strings.Count(s.logs.String(), "session limit reached"); n != 2 {
		t.Errorf("%d events about the limit, want 2", n)
	}
	if challenge := s.do("GET", "/api/v2/me/", cookie(all[0])).is401().header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="session_limit"`) {
		t.Errorf("the evicted client is told %q", challenge)
	}
	if s.whoami(cookie(bob)) != "bob" || s.whoami(bearer(token)) != "alice" || s.whoami(basic("alice", "alice-pw")) != "alice" {
		t.Error("the limit reaches too far")
	}

	s = newSystem(t, func(o *options) { o.session.PerUser = 1 })
	cookies := make([]*http.Cookie, 20)
	var logins sync.WaitGroup
	for i := range cookies {
		logins.Go(func() { cookies[i] = s.login("alice", "alice-pw") })
	}
	logins.Wait()
	alive := 0
	for _, c := range cookies {
		if s.whoami(cookie(c)) == "alice" {
			alive++
		}
	}
	if alive != 1 {
		t.Errorf("%d of 20 parallel logins are alive, want 1", alive)
	}
}

func TestUnsafeSessionRequestsNeedTheSameOrigin(t *testing.T) { // 58 to 69
	s := newSystem(t)
	c := s.login("alice", "alice-pw")
	write, other := s.token(s.alice, auth.ScopeWrite), s.token(s.bob, auth.ScopeWrite)
	cross := header("Sec-Fetch-Site", "cross-site")
	for name, tt := range map[string]struct {
		method string
		parts  []with
		status int
		user   string
	}{
		"safe methods are free":           {"GET", []with{cookie(c), header("Origin", "https://evil.example")}, 200, "alice"},
		"no browser":                      {"POST", []with{cookie(c)}, 200, "alice"},
		"cross-site":                      {"POST", []with{cookie(c), cross}, 403, ""},
		"same site, other origin":         {"POST", []with{cookie(c), header("Sec-Fetch-Site", "same-site")}, 403, ""},
		"foreign origin":                  {"POST", []with{cookie(c), header("Origin", "https://evil.example")}, 403, ""},
		"null origin":                     {"DELETE", []with{cookie(c), header("Origin", "null")}, 403, ""},
		"unknown method":                  {"PROPFIND", []with{cookie(c), cross}, 403, ""},
		"bearer is immune":                {"POST", []with{bearer(write), cross}, 200, "alice"},
		"bearer decides, not the cookie":  {"POST", []with{bearer(other), cookie(c), cross}, 200, "bob"},
		"Basic is ambient in a browser":   {"POST", []with{basic("alice", "alice-pw"), cross}, 403, ""},
		"Basic without a browser":         {"POST", []with{basic("alice", "alice-pw")}, 200, "alice"},
		"dead bearer and session":         {"POST", []with{bearer("dead"), cookie(c), cross}, 401, ""},
		"AWX's header changes nothing":    {"POST", []with{cookie(c), header("X-CSRFToken", "x"), header("Sec-Fetch-Site", "same-origin")}, 200, "alice"},
		"AWX's header excuses nothing":    {"POST", []with{cookie(c), header("X-CSRFToken", "x"), cookie(&http.Cookie{Name: "csrftoken", Value: "x"}), cross}, 403, ""},
		"an unknown scheme has no cookie": {"POST", []with{cookie(c), header("Authorization", "x")}, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.do(tt.method, "/probe/", tt.parts...).wants(tt.status)
			if tt.status == 200 && !strings.Contains(r.body, `"user":"`+tt.user+`"`) {
				t.Errorf("%s, want %s", r.body, tt.user)
			}
			if tt.status == 403 && !strings.Contains(r.body, "CSRF Failed:") {
				t.Errorf("body %s", r.body)
			}
		})
	}
	r := s.do("DELETE", "/api/v2/tokens/999/", cookie(c), cross).wants(403) // 69
	if !strings.Contains(r.body, "CSRF Failed") {
		t.Errorf("body %s", r.body)
	}
	if _, err := auth.NewSession(s.db, s.db, &auth.SessionOptions{TrustedOrigins: []string{"portal.example"}}); err == nil {
		t.Error("a trusted origin without a scheme constructs")
	}
}
