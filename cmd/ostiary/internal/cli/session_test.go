package cli_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

// A site is the service that runs on the database of a bench.
type site struct {
	t   testing.TB
	url string
}

var quiet = slog.New(slog.DiscardHandler)

func serve(t testing.TB, b *bench) *site {
	t.Helper()
	st := open(t, b).Store
	passwords := auth.Must(auth.NewPasswords(st, st, &auth.PasswordsOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(st, st, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), &auth.GateOptions{Logger: quiet})
	api := auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: st, Passwords: passwords, Session: session, Tokens: tokens, Accounts: auth.Must(auth.NewAccounts(st, passwords, nil)),
	}))
	server := httptest.NewServer(auth.Must(auth.NewProxy(&auth.ProxyOptions{})).Handler(session.Handler(api)))
	t.Cleanup(func() {
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return &site{t, server.URL}
}

// login logs in and returns the cookie, nil if the login is refused.
func (s *site) login(user, password string) *http.Cookie {
	s.t.Helper()
	form := url.Values{"username": {user}, "password": {password}}
	r, _ := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/api/login/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0")
	response := s.do(r)
	for _, c := range response.Cookies() {
		if c.Name == "session" && c.MaxAge >= 0 && c.Value != "" {
			return c
		}
	}
	return nil
}

func (s *site) do(r *http.Request) *http.Response {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

// me returns the status of a request with a cookie.
func (s *site) me(c *http.Cookie) int {
	s.t.Helper()
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, s.url+"/api/v2/me/", nil)
	r.AddCookie(c)
	return s.do(r).StatusCode
}

func TestSessions(t *testing.T) {
	b := newBench(t)
	b.user("erika")
	b.user("max")
	s := serve(t, b)
	cookies := []*http.Cookie{s.login("erika", goodPassword), s.login("erika", goodPassword), s.login("erika", goodPassword), s.login("max", goodPassword)}
	statuses := func() (list []int) {
		for _, c := range cookies {
			list = append(list, s.me(c))
		}
		return list
	}
	want(t, "before", []int{200, 200, 200, 200}, statuses())
	list := b.json("session", "list", "--user", "erika").([]any)
	if len(list) != 3 {
		t.Fatalf("the list: %v", list)
	}
	want(t, "a session", object{"id": 1.0, "user": "erika", "address": "127.0.0.1", "agent": "Firefox 128 on Linux", "created": "TIME", "seen": "TIME", "expires": "TIME"}, list[0])
	all := b.json("session", "list").([]any)
	if len(all) != 4 || all[3].(map[string]any)["user"] != "max" {
		t.Fatalf("the list of all: %v", all)
	}
	want(t, "a part of it", all[1:2], b.json("session", "list", "--limit", "1", "--offset", "1"))
	want(t, "older ones", []any{}, b.json("session", "list", "--older-than", "1h"))
	want(t, "older ones of one", []any{}, b.json("session", "list", "--older-than", "1h", "--user", "max"))
	want(t, "counted", 4.0, b.json("stats").(map[string]any)["sessions"])
	want(t, "end one", object{"ended": 1.0, "user": "erika", "id": 1.0}, b.json("session", "end", "--user", "erika", "1"))
	want(t, "one ended", []int{401, 200, 200, 200}, statuses())
	b.refused(3, "max has no session 2", "session", "end", "--user", "max", "2")
	b.refused(3, "erika has no session 1", "session", "end", "--user", "erika", "1")
	want(t, "end all of one", object{"ended": 2.0, "user": "erika"}, b.json("session", "end", "--user", "erika"))
	want(t, "all of one ended", []int{401, 401, 401, 200}, statuses())
	want(t, "end all", object{"ended": 1.0, "users": 2.0}, b.json("session", "end", "--all", "--yes"))
	want(t, "all ended", []int{401, 401, 401, 401}, statuses())
	for says, args := range map[string]string{
		"--older-than":              "session list --older-than x",
		"name whose sessions":       "session end",
		"give either --user":        "session end --all --user erika",
		`"x" is not the ID of a se`: "session end --user erika x",
	} {
		b.refused(2, says, strings.Fields(args)...)
	}
	b.refused(3, "there is no user", "session", "list", "--user", "nobody")
	b.refused(3, "there is no user", "session", "list", "--user", "")
}

// The only superuser has lost the password, and the session that is open somewhere is a
// thief's. The operator sets a new password.
func TestLockedOutAdministrator(t *testing.T) {
	b := newBench(t)
	b.user("admin", "--superuser")
	s := serve(t, b)
	thief := s.login("admin", goodPassword)
	if s.login("admin", "what was it again") != nil || s.me(thief) != 200 {
		t.Fatal("the story begins otherwise")
	}
	b.okWith("a new and better password\n", "user", "password", "admin", "--password-stdin", "--end-tokens")
	if status := s.me(thief); status != 401 {
		t.Errorf("the thief's session: %d", status)
	}
	if s.login("admin", goodPassword) != nil {
		t.Error("the old password is accepted")
	}
	c := s.login("admin", "a new and better password")
	if c == nil || s.me(c) != 200 {
		t.Fatal("the new password is not accepted")
	}
	// A superuser who was demoted, or disabled, by mistake of another system.
	db := open(t, b)
	if _, err := db.Pool.ExecContext(t.Context(), "UPDATE auth_users SET is_active = FALSE, is_admin = FALSE"); err != nil {
		t.Fatal(err)
	}
	if r := b.run("a third good password\n", "user", "password", "admin", "--password-stdin"); r.code != 0 || !strings.Contains(r.err, "admin is disabled and cannot log in") {
		t.Errorf("of a disabled user: %+v", r)
	}
	b.ok("user", "enable", "admin")
	b.ok("user", "admin", "admin")
	c = s.login("admin", "a third good password")
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v2/users/", nil)
	r.AddCookie(c)
	if status := s.do(r).StatusCode; status != 200 {
		t.Errorf("the way back in: %d", status)
	}
}
