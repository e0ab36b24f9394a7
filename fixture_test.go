package auth_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/internal/refusaltest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// sessionStores are any one, and the memory.Store, which is read in a way
// of its own.
var sessionStores = map[string]func(*settings){"any store": nil, "memory": func(o *settings) { o.inMemory = true }}

// goodPassword is everybody's.
const goodPassword = "correct horse battery"

// cheap is a PasswordHasher that costs nothing and counts. Hashes that start
// with "old:" are outdated; those that start with "!" cannot be read.
type cheap struct {
	hashes, verifies, salt atomic.Int64
	hold                   func() // called by Verify, if there is one
}

func cheapHash(salt int64, password string) string {
	return fmt.Sprintf("cheap:%d:%x", salt, sha256.Sum256(fmt.Appendf(nil, "%d:%s", salt, password)))
}

func (c *cheap) Hash(password string) (string, error) {
	c.hashes.Add(1)
	return cheapHash(c.salt.Add(1), password), nil
}

func (c *cheap) Verify(hash, password string) (ok, outdated bool, err error) {
	c.verifies.Add(1)
	if c.hold != nil {
		c.hold()
	}
	rest, outdated := strings.CutPrefix(hash, "old:")
	var salt int64
	if _, err := fmt.Sscanf(rest, "cheap:%d:", &salt); err != nil {
		return false, false, fmt.Errorf("unreadable hash: %w", err)
	}
	ok = rest == cheapHash(salt, password)
	return ok, ok && outdated, nil
}

// settings are the options that a test changes.
type settings struct {
	passwords auth.PasswordsOptions
	basic     auth.BasicOptions
	tokens    auth.TokensOptions
	session   auth.SessionOptions
	gate      auth.GateOptions
	inMemory  bool // passwords and sessions are read from the memory.Store itself, which the spy does not see
}

// readings tests passwords that call the methods of store.Users, and those that read a
// memory.Store in a way of their own.
func readings(t *testing.T, test func(*testing.T, func(*settings))) {
	for in, how := range sessionStores {
		t.Run(in, func(t *testing.T) { test(t, how) })
	}
}

// system is this package put together over one store, with the people of the
// case catalogue. It serves
//
//	/probe/       behind Require; answers with the principal
//	/scoped/      behind RequireScope("jobs")
//	/public/      behind Identify
//	/login?u=     starts a session, /logout ends it
//	/do           runs do
type system struct {
	t       testing.TB
	db      *spy
	hasher  *cheap
	log     *logtest.Buffer // JSON, at every level
	entered atomic.Int64    // requests that a handler behind the gate got
	do      http.HandlerFunc

	passwords *auth.Passwords
	tokens    *auth.Tokens
	session   *auth.Session
	gate      *auth.Gate
	handler   http.Handler

	admin, alice, bob, dora store.User
}

func newSystem(t testing.TB, change func(*settings)) *system {
	t.Helper()
	s := &system{t: t, db: &spy{Store: memory.New()}, hasher: &cheap{}, log: &logtest.Buffer{}}
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := settings{
		passwords: auth.PasswordsOptions{Hasher: s.hasher, Logger: logger},
		tokens:    auth.TokensOptions{Scopes: []string{"jobs"}, Logger: logger},
		session:   auth.SessionOptions{Logger: logger},
		gate:      auth.GateOptions{Logger: logger},
	}
	if change != nil {
		change(&o)
	}
	users, sessions := store.Users(s.db), store.Sessions(s.db)
	if o.inMemory {
		users, sessions = s.db.Store, s.db.Store
	}
	s.passwords = auth.Must(auth.NewPasswords(users, s.db, &o.passwords))
	s.tokens = auth.Must(auth.NewTokens(s.db, s.db, &o.tokens))
	s.session = auth.Must(auth.NewSession(sessions, s.db, &o.session))
	s.gate = auth.NewGate(auth.FirstOf(auth.NewBearer(s.tokens), s.session, auth.NewBasic(s.passwords, &o.basic)), &o.gate)
	s.handler = s.routes()

	s.admin = s.addUser(store.User{ID: "1", Name: "admin", Admin: true, Active: true})
	s.alice = s.addUser(store.User{ID: "3", Name: "alice", Active: true})
	s.bob = s.addUser(store.User{ID: "4", Name: "bob", Active: true})
	s.dora = s.addUser(store.User{ID: "5", Name: "dora"})
	return s
}

func (s *system) routes() http.Handler {
	probe := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.entered.Add(1)
		p, ok := auth.FromContext(r.Context())
		if !ok {
			p = &auth.Principal{Name: "anonymous"}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"user": p.Name, "credential": p.Credential.String(), "token": p.TokenID})
	})
	mux := http.NewServeMux()
	mux.Handle("/probe/", s.gate.Require(probe))
	mux.Handle("/scoped/", s.gate.RequireScope("jobs")(probe))
	mux.Handle("/public/", s.gate.Identify(probe))
	mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		u, err := s.db.Store.UserByName(r.Context(), r.URL.Query().Get("u"))
		if err == nil {
			err = s.session.Login(r, u)
		}
		if err != nil {
			s.gate.Deny(w, r, err)
		}
	})
	mux.HandleFunc("/logout", func(w http.ResponseWriter, r *http.Request) {
		if err := s.session.Logout(r); err != nil {
			s.gate.Deny(w, r, err)
		}
	})
	mux.HandleFunc("/do", func(w http.ResponseWriter, r *http.Request) { s.do(w, r) })
	return s.session.Handler(mux)
}

// addUser adds a user with goodPassword.
func (s *system) addUser(u store.User) store.User {
	s.t.Helper()
	u, err := s.db.InsertUser(s.t.Context(), u)
	if err == nil {
		err = s.db.Store.SetPasswordHash(s.t.Context(), u.ID, cheapHash(0, goodPassword))
	}
	if err == nil {
		u, err = s.db.Store.UserByID(s.t.Context(), u.ID)
	}
	if err != nil {
		s.t.Fatalf("add user %q: %v", u.Name, err)
	}
	return u
}

// disable makes u inactive.
func (s *system) disable(u store.User) {
	s.t.Helper()
	u.Active = false
	if err := s.db.UpdateUser(s.t.Context(), u); err != nil {
		s.t.Fatal(err)
	}
}

// issue returns a personal token of u.
func (s *system) issue(u store.User, scopes auth.Scopes) auth.IssuedToken {
	s.t.Helper()
	issued, err := s.tokens.Issue(s.t.Context(), by(u), auth.TokenRequest{Scopes: scopes})
	if err != nil {
		s.t.Fatalf("issue a token: %v", err)
	}
	return issued
}

var refusesStatus = refusaltest.Status

func by(u store.User) *auth.Principal {
	return &auth.Principal{ID: u.ID, Name: u.Name, Admin: u.Admin, Auditor: u.Auditor,
		Scopes: auth.Unrestricted, Credential: auth.CredentialSession}
}

func bearer(issued auth.IssuedToken) string {
	return "Authorization: Bearer " + issued.AccessToken.Reveal()
}

func basicLine(user, password string) string {
	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(user, password)
	return "Authorization: " + r.Header.Get("Authorization")
}

// send serves a request with header lines "Name: value" to h.
func send(h http.Handler, method, target string, lines ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "192.0.2.1:4711"
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header[name] = append(r.Header[name], value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func (s *system) send(method, target string, lines ...string) *httptest.ResponseRecorder {
	return send(s.handler, method, target, lines...)
}

// cookie returns the session cookie that a reply sets, as a Cookie line, and ""
// if it sets none.
func (s *system) cookie(w *httptest.ResponseRecorder) string {
	s.t.Helper()
	var line string
	for _, c := range w.Result().Cookies() {
		if c.Name != s.session.CookieName() {
			continue
		}
		if line != "" {
			s.t.Errorf("the reply sets more than one session cookie: %q", w.Header()["Set-Cookie"])
		}
		line = "Cookie: " + c.Name + "=" + c.Value
	}
	return line
}

// login returns the cookie of a new session of u.
func (s *system) login(u store.User, lines ...string) string {
	s.t.Helper()
	w := s.send("POST", "/login?u="+u.Name, lines...)
	cookie := s.cookie(w)
	if w.Code != http.StatusOK || cookie == "" {
		s.t.Fatalf("login: status %d, cookie %q", w.Code, cookie)
	}
	return cookie
}

// me returns who a probe says is asking with the given credentials, or the
// status of the refusal.
func (s *system) me(lines ...string) string {
	s.t.Helper()
	return who(s.t, s.send("GET", "/probe/", lines...))
}

func who(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	if w.Code != http.StatusOK {
		return fmt.Sprint(w.Code)
	}
	var body struct{ User, Credential string }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("body %q: %v", w.Body, err)
	}
	return body.User + " by " + body.Credential
}

// events returns the records that f causes.
func (s *system) events(f func()) []map[string]any {
	s.t.Helper()
	n := len(s.log.String())
	f()
	var list []map[string]any
	for line := range bytes.Lines([]byte(s.log.String()[n:])) {
		var record map[string]any
		if err := json.Unmarshal(line, &record); err != nil {
			s.t.Fatalf("log line %q: %v", line, err)
		}
		delete(record, "time")
		list = append(list, record)
	}
	return list
}

// refused is the refusal as a client sees it.
type refused struct {
	Status     int
	Challenge  []string
	RetryAfter string
	Body       string
}

func refusalOf(w *httptest.ResponseRecorder) refused {
	return refused{w.Code, w.Header()["Www-Authenticate"], w.Header().Get("Retry-After"), w.Body.String()}
}

// The documented refusals.
const (
	body401 = `{"detail":"Authentication credentials were not provided."}`
	body403 = `{"detail":"You do not have permission to perform this action."}`
	body503 = `{"detail":"The service is temporarily unavailable."}`
)

// e401 is the refusal with bare or, if error is given, with an error challenge.
func e401(params string) refused {
	challenge := `Bearer realm="api"`
	if params != "" {
		challenge += ", " + params
	}
	return refused{Status: 401, Challenge: []string{challenge}, Body: body401}
}
