package httpapi_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
)

// A pageSystem is an oauthSystem with the pages of the account, and a browser in
// which alice is logged in.
type pageSystem struct {
	*oauthSystem
	session *http.Cookie
}

func newPages(t testing.TB, look httpapi.PageOptions, opts ...func(*options)) *pageSystem {
	t.Helper()
	o := newOAuth(t, opts...)
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: o.gate, Users: o.db, Passwords: o.passwords, Session: o.session, Tokens: o.tokens,
		OAuth: o.server, Accounts: o.accounts, Account: true, PageOptions: look,
	}))
	o.document.Store(nil)
	o.handler = o.session.Handler(api)
	return &pageSystem{o, o.login("alice", "alice-pw")}
}

// as returns the same system in the browser of somebody else.
func (s *pageSystem) as(user string) *pageSystem {
	s.t.Helper()
	return &pageSystem{s.oauthSystem, s.login(user, user+"-pw")}
}

var browser = header("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")

func (s *pageSystem) get(path string, parts ...with) reply {
	s.t.Helper()
	return s.do("GET", "/api/account/"+path, append([]with{browser, cookie(s.session)}, parts...)...)
}

// send sends a form.
func (s *pageSystem) send(path string, pairs ...string) reply {
	s.t.Helper()
	return s.do("POST", "/api/account/"+path, browser, cookie(s.session), header("Sec-Fetch-Site", "same-origin"), form(pairs...))
}

// done checks that the browser is sent to a page that says this.
func (s *pageSystem) done(r reply, says string) {
	s.t.Helper()
	to := r.wants(303).header.Get("Location")
	if page := s.do("GET", to, browser, cookie(s.session)).wants(200); !strings.Contains(page.text(), says) {
		s.t.Errorf("%s does not say %q:\n%s", to, says, page.text())
	}
}

var tags = regexp.MustCompile(`(?s)<style>.*?</style>|<[^>]*>`)

// text returns what a person reads on a page, and checks its header.
func (r reply) text() string {
	r.s.t.Helper()
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Frame-Options": "DENY",
		"Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff",
	} {
		if got := r.header.Get(name); got != want {
			r.s.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if csp := r.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
		r.s.t.Errorf("policy %s", csp)
	}
	if strings.Contains(r.body, "<script") {
		r.s.t.Error("the page has a script")
	}
	return html.UnescapeString(tags.ReplaceAllString(r.body, " "))
}

// marks checks that a page marks exactly these fields as wrong.
func (r reply) marks(fields ...string) {
	r.s.t.Helper()
	got := regexp.MustCompile(`id="([a-z_]+)-problem"`).FindAllStringSubmatch(r.wants(400).body, -1)
	var names []string
	for _, m := range got {
		names = append(names, m[1])
	}
	if strings.Join(names, " ") != strings.Join(fields, " ") {
		r.s.t.Errorf("%q are marked, want %q\n%s", names, fields, r.text())
	}
	if !strings.Contains(r.body, "<title>Error: ") {
		r.s.t.Error("the title does not say that something is wrong")
	}
}

// field returns the value of an input on a page.
func (r reply) field(name string) string {
	r.s.t.Helper()
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(r.wants(200).body)
	if m == nil {
		r.s.t.Fatalf("no field %s in\n%s", name, r.body)
	}
	return html.UnescapeString(m[1])
}

// secret returns what a page shows once.
func (r reply) secret(id string) string {
	r.s.t.Helper()
	m := regexp.MustCompile(`id="` + id + `" class="code" value="([^"]*)"`).FindStringSubmatch(r.wants(200).body)
	if m == nil || m[1] == "" {
		r.s.t.Fatalf("no %s in\n%s", id, r.text())
	}
	if strings.Contains(r.s.logs.String(), m[1]) {
		r.s.t.Errorf("the log has the %s", id)
	}
	for name, values := range r.header {
		if strings.Contains(strings.Join(values, " "), m[1]) {
			r.s.t.Errorf("the field %s has the %s", name, id)
		}
	}
	return m[1]
}

// accountForms are all pages of the account, and what each takes as a form.
var accountForms = map[string][]string{
	"":                       {"first_name", "Eve"},
	"sessions/":              {"end", "others"},
	"password/":              {"current_password", "alice-pw", "password", "another password", "password_again", "another password"},
	"tokens/":                nil,
	"tokens/new/":            {"description", "x", "scope", "read"},
	"tokens/1/":              {"description", "changed"},
	"tokens/1/revoke/":       {"x", "y"},
	"connections/":           nil,
	"connections/3/":         {"x", "y"},
	"applications/":          nil,
	"applications/new/":      {"name", "x"},
	"applications/3/":        {"name", "changed", "redirect_uris", callback},
	"applications/3/delete/": {"x", "y"},
}

// TestAccountIsProtected tries every page and every form in each way that is to be
// refused, as a superuser, who could do all of it.
func TestAccountIsProtected(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	token := s.token(s.admin, "write")
	session := cookie(s.as("admin").session)
	for path, pairs := range accountForms {
		target := "/api/account/" + path
		login := "/api/login/?next=" + url.QueryEscape(target)
		for name, part := range map[string]with{"nobody": header("X-Nothing", ""), "a token": bearer(token), "Basic": basic("admin", "admin-pw"), "a dead cookie": cookie(&http.Cookie{Name: s.oauthSystem.session.CookieName(), Value: "dead"})} {
			if to := s.do("GET", target, browser, part).wants(302).header.Get("Location"); to != login {
				t.Errorf("%s with %s leads to %s", target, name, to)
			}
			if pairs != nil {
				if to := s.do("POST", target, browser, part, form(pairs...)).wants(302).header.Get("Location"); to != login {
					t.Errorf("a form to %s with %s leads to %s", target, name, to)
				}
			}
		}
		s.do("GET", target, session, header("Accept", "application/json")).wants(406)
		if pairs == nil {
			s.do("POST", target, session, browser, form()).wants(405)
			continue
		}
		for name, tt := range map[string]struct {
			status int
			parts  []with
		}{
			"another site":           {403, []with{header("Sec-Fetch-Site", "cross-site"), form(pairs...)}},
			"another origin":         {403, []with{header("Origin", "https://evil.example"), form(pairs...)}},
			"an opaque origin":       {403, []with{header("Origin", "null"), form(pairs...)}},
			"a site below":           {403, []with{header("Sec-Fetch-Site", "same-site"), form(pairs...)}},
			"JSON":                   {415, []with{jsonBody(`{"first_name":"Eve"}`)}},
			"a form of another type": {415, []with{body("multipart/form-data; boundary=x", "--x--")}},
			"no type":                {415, []with{body("", url.Values{pairs[0]: {pairs[1]}}.Encode())}},
			"a field twice":          {400, []with{form(append([]string{pairs[0], "z", "again", "1", "again", "2"}, pairs...)...)}},
			"NUL":                    {400, []with{form(pairs[0], "a\x00b")}},
			"bad UTF-8":              {400, []with{form(pairs[0], "a\xffb")}},
			"too much":               {413, []with{form(pairs[0], strings.Repeat("x", 70_000))}},
		} {
			r := s.do("POST", target, append([]with{browser, session}, tt.parts...)...)
			if r.status != tt.status {
				t.Errorf("%s with %s: %d, want %d", target, name, r.status, tt.status)
			}
			r.text()
		}
	}
	// Nothing of it was done.
	admin, err := s.db.UserByID(t.Context(), s.admin.ID)
	if err != nil || admin.FirstName == "Eve" || s.whoami(session) != "admin" {
		t.Errorf("user %+v, %v", admin, err)
	}
	if _, n, err := s.db.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{}); n != 1 || err != nil {
		t.Errorf("%d tokens, %v", n, err)
	}
	if app := s.do("GET", s.cc.path(), basic("admin", "admin-pw")).wants(200).json(); app["name"] != "cc" {
		t.Errorf("application %v", app["name"])
	}
}

// TestAccountOfAnother sends forms that were shown to one user as another one: the
// last login of a browser counts in all of its tabs.
func TestAccountOfAnother(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	bob := s.as("bob")
	for path, page := range map[string]string{"": "", "password/": "", "tokens/new/": "", "sessions/": ""} {
		shown := bob.get(path + page).field("shown")
		if shown == s.get(path).field("shown") {
			t.Fatalf("%s does not say to whom it was shown", path)
		}
		s.done(s.send(path, append(accountForms[path], "shown", shown)...), "out of date")
	}
	if u, err := s.db.UserByID(t.Context(), s.alice.ID); err != nil || u.FirstName != "" || s.whoami(cookie(s.session)) != "alice" {
		t.Errorf("user %+v, %v", u, err)
	}
}

// TestNotices holds that a page says only what was done, and nothing that a link
// of another site has it say.
func TestNotices(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	const says = "The token was revoked."
	for name, tt := range map[string]struct {
		query string
		part  with
		want  bool
	}{
		"this site":         {"?done=token_revoked", header("Sec-Fetch-Site", "same-origin"), true},
		"an old browser":    {"?done=token_revoked", header("X-Nothing", ""), true},
		"another site":      {"?done=token_revoked", header("Sec-Fetch-Site", "cross-site"), false},
		"something unknown": {"?done=%3Cb%3E", header("Sec-Fetch-Site", "same-origin"), false},
		"twice":             {"?done=token_revoked&done=stale", header("Sec-Fetch-Site", "same-origin"), false},
	} {
		r := s.get("tokens/"+tt.query, tt.part).wants(200)
		if got := strings.Contains(r.text(), says); got != tt.want || strings.Contains(r.body, `role="status"`) != tt.want {
			t.Errorf("%s: notice %v", name, got)
		}
	}
}

func TestProfilePage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	s.done(s.send("", "first_name", "Al<b>ice", "last_name", "Liddell", "email", "alice@example.com"), "Your profile was changed.")
	if u, err := s.db.UserByID(t.Context(), s.alice.ID); err != nil || u.FirstName != "Al<b>ice" || u.Email != "alice@example.com" {
		t.Errorf("user %+v, %v", u, err)
	}
	if r := s.get("").wants(200); strings.Contains(r.body, "Al<b>ice") || r.field("first_name") != "Al<b>ice" {
		t.Errorf("the name is not escaped:\n%s", r.body)
	}
	r := s.send("", "first_name", strings.Repeat("x", 151), "last_name", "a\nb", "email", `"><b>nowhere`)
	r.marks("first_name", "last_name", "email")
	if strings.Contains(r.body, `"><b>`) || !strings.Contains(r.body, "&#34;&gt;&lt;b&gt;nowhere") {
		t.Error("what was typed in is lost, or not escaped")
	}
	// What nobody changes here is not looked at.
	s.done(s.send("", "first_name", "A", "last_name", "", "email", "", "is_superuser", "true", "username", "root"), "changed")
	if u, err := s.db.UserByID(t.Context(), s.alice.ID); err != nil || u.Admin || u.Name != "alice" {
		t.Errorf("user %+v, %v", u, err)
	}
}

func TestPasswordPage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	other, token := s.as("alice"), s.token(s.alice, "write")
	if text := s.get("password/").wants(200).text(); !strings.Contains(text, "At least 15 characters.") {
		t.Errorf("page:\n%s", text)
	}
	const next = "correct horse battery"
	for name, tt := range map[string]struct{ current, password, again, marked string }{
		"no current one":    {"", next, next, "current_password"},
		"a wrong one":       {"guess", next, next, "current_password"},
		"bob's":             {"bob-pw", next, next, "current_password"},
		"two that differ":   {"alice-pw", next, next + "x", "password_again"},
		"one that is short": {"alice-pw", "x", "x", "password"},
		"none":              {"alice-pw", "", "", "password"},
		"a control":         {"alice-pw", "a\tlong password", "a\tlong password", "password"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.send("password/", "current_password", tt.current, "password", tt.password, "password_again", tt.again)
			r.marks(tt.marked)
			if strings.Contains(r.body, next) {
				t.Error("the page repeats a password")
			}
		})
	}
	old := s.session
	r := s.send("password/", "current_password", "alice-pw", "password", next, "password_again", next)
	s.session = r.cookies()[s.oauthSystem.session.CookieName()]
	s.done(r, "All other sessions have ended.")
	if s.whoami(cookie(old)) != "" || s.whoami(cookie(other.session)) != "" || s.whoami(cookie(s.session)) != "alice" || s.whoami(bearer(token)) != "alice" {
		t.Error("not exactly the other sessions ended")
	}
	r = s.send("password/", "current_password", next, "password", "the old password again", "password_again", "the old password again", "tokens", "1")
	s.session = r.cookies()[s.oauthSystem.session.CookieName()]
	s.done(r, "all of your tokens have ended")
	if s.whoami(bearer(token)) != "" || s.whoami(cookie(s.session)) != "alice" {
		t.Error("not exactly the tokens ended")
	}
	if strings.Contains(s.logs.String(), next) {
		t.Error("the log has a password")
	}
}

func TestSessionsPage(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	second, third, bob := s.as("alice"), s.as("alice"), s.as("bob")
	r := s.get("sessions/").wants(200)
	ids := regexp.MustCompile(`name="end" value="(\d+)"`).FindAllStringSubmatch(r.body, -1)
	if len(ids) != 2 || !strings.Contains(r.text(), "this browser") {
		t.Fatalf("sessions %v\n%s", ids, r.text())
	}
	s.done(bob.send("sessions/", "end", ids[0][1]), "Sessions") // as if it had ended before
	if s.whoami(cookie(second.session)) != "alice" || s.whoami(cookie(third.session)) != "alice" {
		t.Fatal("another user ended a session")
	}
	s.send("sessions/", "end", "x").wants(400)
	s.send("sessions/").wants(400)
	for range 2 { // a click, and another one
		s.done(s.send("sessions/", "end", ids[0][1]), "The session has ended.")
	}
	if (s.whoami(cookie(second.session)) == "") == (s.whoami(cookie(third.session)) == "") {
		t.Error("not exactly one session ended")
	}
	s.done(s.send("sessions/", "end", "others"), "All other sessions have ended.")
	if s.whoami(cookie(second.session)) != "" || s.whoami(cookie(third.session)) != "" || s.whoami(cookie(s.session)) != "alice" || s.whoami(cookie(bob.session)) != "bob" {
		t.Error("not exactly the other sessions of alice ended")
	}
}

// TestAccountWithoutParts has the pages of a host that logs people in itself, and
// that manages neither users nor applications.
func TestAccountWithoutParts(t *testing.T) {
	s := newPages(t, httpapi.PageOptions{})
	for name, tt := range map[string]struct {
		c       httpapi.Config
		missing []string
	}{
		"no accounts": {httpapi.Config{Tokens: s.tokens, OAuth: s.server}, []string{"password/"}},
		"no OAuth":    {httpapi.Config{Tokens: s.tokens, Accounts: s.accounts}, []string{"applications/", "connections/"}},
		"nothing":     {httpapi.Config{}, []string{"password/", "tokens/", "tokens/new/", "applications/", "connections/"}},
	} {
		tt.c.Gate, tt.c.Users, tt.c.Session, tt.c.LoginPage, tt.c.Account = s.gate, s.db, s.oauthSystem.session, "/sso/", true
		s.document.Store(nil)
		s.handler = s.oauthSystem.session.Handler(auth.Must(httpapi.New(tt.c)))
		page := s.get("").wants(200)
		for _, path := range tt.missing {
			s.get(path).wants(404)
			if strings.Contains(page.body, `href="/api/account/`+path+`"`) {
				t.Errorf("%s: there is a link to %s", name, path)
			}
		}
		s.get("sessions/").wants(200)
		if to := s.do("GET", "/api/account/", browser).wants(302).header.Get("Location"); to != "/sso/?next=%2Fapi%2Faccount%2F" {
			t.Errorf("%s: the login is at %s", name, to)
		}
		if tt.c.Accounts == nil {
			s.send("", "first_name", "Eve").wants(403)
			if !strings.Contains(page.text(), "Your administrators manage these details.") {
				t.Errorf("page:\n%s", page.text())
			}
		} else {
			s.get("password/").wants(200)
		}
	}
}
