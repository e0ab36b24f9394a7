package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	soakUsers   = 8
	soakWorkers = 16
	soakRate    = 100 // requests a second
	soakKept    = 20  // things of a kind that a user has, beyond which some are given up
)

// TestSoak loads one server on SQLite with all that clients do, and keeps a ledger:
// what was acknowledged is good until it is given up, and not afterwards. It takes
// 20 seconds, or as long as OSTIARY_SOAK says.
func TestSoak(t *testing.T) {
	budget := 20 * time.Second
	if text := os.Getenv("OSTIARY_SOAK"); text != "" {
		var err error
		if budget, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := newSoak(t)
	end := time.Now().Add(budget)
	tick := time.NewTicker(time.Second / soakRate)
	defer tick.Stop()
	var workers sync.WaitGroup
	for range soakWorkers {
		workers.Go(func() {
			for time.Now().Before(end) {
				<-tick.C
				u := s.users[rand.IntN(len(s.users))]
				s.step(u)
			}
		})
	}
	workers.Wait()
	for _, u := range s.users {
		for kind, all := range u.things {
			for _, th := range slices.Clone(all) {
				s.check(u, th)
			}
			t.Logf("%s: %d of kind %s good, %d given up", u.name, len(all), kind, u.gone[kind])
		}
	}
	t.Logf("%d requests, %d of them refused for now (503)", s.requests, s.refused)
	for line := range strings.SplitSeq(s.server.out.String(), "\n") {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			t.Log(line)
		}
	}
}

// A soak is a load and its ledger.
type soak struct {
	t      *testing.T
	server *server
	file   string
	client *http.Client
	users  []*soakUser

	clientID, clientSecret string

	mu                sync.Mutex
	requests, refused int
}

func newSoak(t *testing.T) *soak {
	dir := t.TempDir()
	var entries []string
	s := &soak{t: t, file: filepath.Join(dir, "test.db")}
	for n := range soakUsers {
		u := &soakUser{
			name: fmt.Sprintf("user%d", n), password: fmt.Sprintf("password of user %d", n),
			things: map[string][]*thing{}, gone: map[string]int{},
		}
		s.users = append(s.users, u)
		entries = append(entries, fmt.Sprintf(`{"username": %q, "password": %q}`, u.name, u.password))
	}
	users := filepath.Join(dir, "users.json")
	if err := os.WriteFile(users, []byte("["+strings.Join(entries, ",")+"]"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.server = start(t, dir, "-users", users)
	transport := &http.Transport{MaxIdleConnsPerHost: soakWorkers}
	s.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(transport.CloseIdleConnections)
	admin := func(r *http.Request) { r.SetBasicAuth(adminName, testPassword) }
	code, body, _ := s.do("POST", "/api/v2/applications/", `{"name": "soak", "client_type": "confidential", `+
		`"authorization_grant_type": "password", "organization": 1}`, admin)
	var app struct {
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
	}
	if err := json.Unmarshal(body, &app); err != nil || code != http.StatusCreated {
		t.Fatalf("application: %d, %s", code, body)
	}
	s.clientID, s.clientSecret = app.ClientID, app.ClientSecret
	return s
}

// do sends a request. A body that begins with a brace is JSON, others are forms.
func (s *soak) do(method, path, body string, with func(*http.Request)) (code int, reply []byte, h http.Header) {
	r, err := http.NewRequest(method, s.server.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return 0, nil, nil
	}
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	with(r)
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
		return 0, nil, nil
	}
	defer resp.Body.Close()
	reply, err = io.ReadAll(resp.Body)
	if err != nil {
		s.t.Errorf("%s %s: %v", method, path, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if resp.StatusCode == http.StatusServiceUnavailable {
		s.refused++
	}
	return resp.StatusCode, reply, resp.Header
}

func nobody(*http.Request) {}

func (s *soak) application(r *http.Request) { r.SetBasicAuth(s.clientID, s.clientSecret) }

// step does one thing of a client's, at random.
func (s *soak) step(u *soakUser) {
	switch n := rand.IntN(100); {
	case n < 35:
		s.check(u, u.some("token"))
	case n < 60:
		s.check(u, u.some("session"))
	case n < 70:
		s.check(u, u.some("grant"))
	case n < 73:
		if code, body, _ := s.do("GET", "/api/v2/me/", "", u.basic); code != http.StatusOK && !unanswered(code) {
			s.t.Errorf("%s by Basic: %d, %s", u.name, code, body)
		}
	case n < 77:
		s.login(u, nil)
	case n < 79:
		s.login(u, u.some("session"))
	case n < 82:
		s.giveUp(u, u.some("session"))
	case n < 86:
		s.issue(u)
	case n < 88:
		s.giveUp(u, u.some("token"))
	case n < 91:
		s.grant(u)
	case n < 96:
		s.refresh(u, u.some("grant"))
	case n < 98:
		s.giveUp(u, u.some("grant"))
	default:
		s.checkDead(u)
	}
}

// check uses a thing that is good.
func (s *soak) check(u *soakUser, th *thing) {
	if th == nil {
		return
	}
	th.mu.Lock()
	defer th.mu.Unlock()
	if th.dead {
		return
	}
	code, body, _ := s.do("GET", "/api/v2/me/", "", th.present)
	if unanswered(code) {
		return
	}
	if code != http.StatusOK || !strings.Contains(string(body), `"`+u.name+`"`) {
		s.accuse(u, th, code, body)
		return
	}
	th.confirmed = time.Now()
}

// unanswered reports whether the server was too busy to do what it was asked, or
// to say that it did. A machine with other work to do is no fault.
func unanswered(code int) bool { return code == http.StatusServiceUnavailable }

// accuse reports a thing that was acknowledged and is not good, with what the
// database says about it.
func (s *soak) accuse(u *soakUser, th *thing, code int, body []byte) {
	s.t.Errorf("%s of %s, made %v ago and good %v ago: %d, %s\n%s", th.kind, u.name,
		time.Since(th.made), time.Since(th.confirmed), code, body, s.record(th))
	u.forget(th) // accused once
}

// checkDead uses a thing that was given up.
func (s *soak) checkDead(u *soakUser) {
	u.mu.Lock()
	if len(u.dead) == 0 {
		u.mu.Unlock()
		return
	}
	th := u.dead[rand.IntN(len(u.dead))]
	u.mu.Unlock()
	th.mu.Lock()
	defer th.mu.Unlock()
	if code, body, _ := s.do("GET", "/api/v2/me/", "", th.present); code != http.StatusUnauthorized && !unanswered(code) {
		s.t.Errorf("%s of %s that was given up: %d, %s", th.kind, u.name, code, body)
	}
}

// login makes a session, which replaces another one of the same browser.
func (s *soak) login(u *soakUser, replaced *thing) {
	with := nobody
	if replaced != nil {
		replaced.mu.Lock()
		defer replaced.mu.Unlock()
		if replaced.dead {
			return
		}
		with = replaced.present
	} else if s.many(u, "session") {
		return
	}
	form := url.Values{"username": {u.name}, "password": {u.password}}.Encode()
	code, body, h := s.do("POST", "/api/login/", form, with)
	if unanswered(code) {
		if replaced != nil {
			u.forget(replaced)
		}
		return
	}
	cookies := (&http.Response{Header: h}).Cookies()
	i := slices.IndexFunc(cookies, func(c *http.Cookie) bool { return strings.Contains(c.Name, "session") })
	if code != http.StatusFound || i < 0 {
		s.t.Errorf("login of %s: %d, %s", u.name, code, body)
		return
	}
	if replaced != nil {
		u.remove(replaced)
	}
	u.add(&thing{kind: "session", value: cookies[i].Name + "=" + cookies[i].Value})
}

// many gives one thing up where there are too many, and reports that.
func (s *soak) many(u *soakUser, kind string) bool {
	u.mu.Lock()
	n := len(u.things[kind])
	u.mu.Unlock()
	if n < soakKept {
		return false
	}
	s.giveUp(u, u.some(kind))
	return true
}

func (s *soak) issue(u *soakUser) {
	if s.many(u, "token") {
		return
	}
	with := u.basic
	if th := u.some("session"); th != nil {
		th.mu.Lock()
		defer th.mu.Unlock()
		if th.dead {
			return
		}
		with = th.present
	}
	code, body, _ := s.do("POST", "/api/v2/tokens/", `{"scope": "write"}`, with)
	if unanswered(code) {
		return
	}
	var made struct {
		ID    int64
		Token string
	}
	if err := json.Unmarshal(body, &made); err != nil || code != http.StatusCreated {
		s.t.Errorf("issue for %s: %d, %s", u.name, code, body)
		return
	}
	u.add(&thing{kind: "token", id: made.ID, value: made.Token})
}

// errUnanswered is what tokens returns where the server was too busy.
var errUnanswered = errors.New("refused for now")

// tokens asks the token endpoint, and returns what it issued.
func (s *soak) tokens(form url.Values) (access, refresh string, err error) {
	code, body, _ := s.do("POST", "/api/o/token/", form.Encode(), s.application)
	if unanswered(code) {
		return "", "", errUnanswered
	}
	var made struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &made); err != nil || code != http.StatusOK {
		return "", "", fmt.Errorf("%d, %s", code, body)
	}
	return made.Access, made.Refresh, nil
}

func (s *soak) grant(u *soakUser) {
	if s.many(u, "grant") {
		return
	}
	access, refresh, err := s.tokens(url.Values{
		"grant_type": {"password"}, "username": {u.name}, "password": {u.password}, "scope": {"read"},
	})
	if errors.Is(err, errUnanswered) {
		return
	}
	if err != nil {
		s.t.Errorf("grant of %s: %v", u.name, err)
		return
	}
	u.add(&thing{kind: "grant", value: access, refresh: refresh})
}

func (s *soak) refresh(u *soakUser, th *thing) {
	if th == nil {
		return
	}
	th.mu.Lock()
	defer th.mu.Unlock()
	if th.dead {
		return
	}
	access, refresh, err := s.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {th.refresh}})
	if errors.Is(err, errUnanswered) {
		u.forget(th)
		return
	}
	if err != nil {
		s.accuse(u, th, 0, []byte(err.Error()))
		return
	}
	u.remove(th)
	u.add(&thing{kind: "grant", value: access, refresh: refresh})
}

// giveUp ends a thing.
func (s *soak) giveUp(u *soakUser, th *thing) {
	if th == nil {
		return
	}
	th.mu.Lock()
	defer th.mu.Unlock()
	if th.dead {
		return
	}
	var code int
	var body []byte
	want := http.StatusOK
	switch th.kind {
	case "session":
		code, body, _ = s.do("POST", "/api/logout/", "", th.present)
		want = http.StatusFound
	case "grant":
		code, body, _ = s.do("POST", "/api/o/revoke_token/", url.Values{"token": {th.refresh}}.Encode(), s.application)
	case "token":
		code, body, _ = s.do("DELETE", fmt.Sprintf("/api/v2/tokens/%d/", th.id), "", th.present)
		want = http.StatusNoContent
	}
	if unanswered(code) {
		u.forget(th)
		return
	}
	if code != want {
		s.accuse(u, th, code, body)
		return
	}
	u.remove(th)
}
