package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/internal/logtest"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// cheap is a password hasher for tests in which hashing is not the point.
type cheap struct{}

func (cheap) Hash(password string) (string, error) { return "cheap$" + password, nil }

func (cheap) Verify(hash, password string) (ok, outdated bool, err error) {
	return hash == "cheap$"+password, false, nil
}

// database is what the fixture needs of a store.
type database interface {
	store.Accounts
	store.OAuth
	store.Sessions
	store.Attempts
}

// A system is the API with its users, behind a mux with two probes.
type system struct {
	t         testing.TB
	db        database
	passwords *auth.Passwords
	tokens    *auth.Tokens
	accounts  *auth.Accounts
	session   *auth.Session
	gate      *auth.Gate
	handler   http.Handler
	document  atomic.Pointer[described] // of handler, once it was read; reset with each new one
	logs      *logtest.Buffer
	oauth     oauth.Options
	stream    *activity.Stream // nil unless asked for

	admin, auditor, alice, bob, dora store.User
}

// options change what newSystem builds.
type options struct {
	db        func(*memory.Store) database
	passwords auth.PasswordsOptions
	tokens    auth.TokensOptions
	oauth     oauth.Options
	session   auth.SessionOptions
	gate      auth.GateOptions
	basicOff  bool
	activity  bool
}

func newSystem(t testing.TB, opts ...func(*options)) *system {
	t.Helper()
	s := &system{t: t, logs: new(logtest.Buffer)}
	log := slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var o options
	o.session.InsecureCookie = true
	for _, set := range opts {
		set(&o)
	}
	mem := memory.New()
	s.db = mem
	add := func(u store.User, password string) store.User {
		u.Active = true
		u = authtest.AddUser(t, mem, u, "")
		if err := mem.SetPasswordHash(t.Context(), u.ID, "cheap$"+password); err != nil {
			t.Fatal(err)
		}
		u, err := mem.UserByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	s.admin = add(store.User{Name: "admin", Email: "admin@example.com", Admin: true}, "admin-pw")
	s.auditor = add(store.User{Name: "auditor", Auditor: true}, "auditor-pw")
	s.alice = add(store.User{Name: "alice"}, "alice-pw")
	s.bob = add(store.User{Name: "bob"}, "bob-pw")
	s.dora = add(store.User{Name: "dora"}, "dora-pw")
	s.setActive(s.dora, false)
	if o.db != nil {
		s.db = o.db(mem)
	}

	if o.activity {
		s.stream = auth.Must(activity.NewStream(mem, &activity.Options{Organizations: o.tokens.Organizations, Applications: mem, Logger: log}))
		log = slog.New(s.stream.Handler(log.Handler()))
	}
	o.passwords.Hasher, o.passwords.Logger = cheap{}, log
	o.tokens.Logger, o.session.Logger, o.oauth.Logger, o.gate.Logger = log, log, log, log
	s.oauth = o.oauth
	s.passwords = auth.Must(auth.NewPasswords(s.db, s.db, &o.passwords))
	s.tokens = auth.Must(auth.NewTokens(s.db, s.db, &o.tokens))
	s.accounts = auth.Must(auth.NewAccounts(s.db, s.passwords, &auth.AccountsOptions{Logger: log}))
	s.session = auth.Must(auth.NewSession(s.db, s.db, &o.session))
	s.gate = auth.NewGate(auth.FirstOf(
		auth.NewBearer(s.tokens), s.session,
		auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: func() bool { return !o.basicOff }}),
	), &o.gate)
	mux := http.NewServeMux()
	mux.Handle("/api/", auth.Must(httpapi.New(httpapi.Config{
		Gate: s.gate, Users: s.db, Passwords: s.passwords, Session: s.session, Tokens: s.tokens,
		Accounts: s.accounts, EmptyResources: true, Activity: s.stream,
	})))
	mux.Handle("/probe/", s.gate.Require(http.HandlerFunc(probe)))
	mux.Handle("/public/", s.gate.Identify(http.HandlerFunc(probe)))
	s.handler = s.session.Handler(mux)
	return s
}

// probe answers with the principal.
func probe(w http.ResponseWriter, r *http.Request) {
	p, ok := auth.FromContext(r.Context())
	if !ok {
		p = &auth.Principal{Name: "anonymous"}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"user": p.Name, "credential": p.Credential.String(), "token": p.TokenID, "method": r.Method})
}

func (s *system) setActive(u store.User, active bool) {
	s.t.Helper()
	u.Active = active
	if err := s.db.UpdateUser(s.t.Context(), u); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) token(u store.User, scopes auth.Scopes) string {
	return authtest.AddToken(s.t, s.tokens, u, scopes)
}

// A reply is a response as a client sees it.
type reply struct {
	s      *system
	status int
	header http.Header
	body   string
}

// A request is built by one function for each thing that it has.
type with func(*http.Request)

func header(name string, values ...string) with {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

func bearer(token string) with { return header("Authorization", "Bearer "+token) }

func basic(user, password string) with {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func body(contentType, content string) with {
	return func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(content))
		r.ContentLength = int64(len(content))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
	}
}

func jsonBody(content string) with { return body("application/json", content) }

func form(pairs ...string) with {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return body("application/x-www-form-urlencoded", v.Encode())
}

func from(addr string) with { return func(r *http.Request) { r.RemoteAddr = addr } }

// do sends a request, and holds the exchange against the API's own description.
func (s *system) do(method, target string, parts ...with) reply {
	s.t.Helper()
	got, r, sent := s.exchange(method, target, parts)
	s.compare(r, sent, got)
	return got
}

// send is do for very many requests, whose exchanges other tests compare.
func (s *system) send(method, target string, parts ...with) reply {
	s.t.Helper()
	got, _, _ := s.exchange(method, target, parts)
	return got
}

func (s *system) exchange(method, target string, parts []with) (got reply, r *http.Request, sent []byte) {
	s.t.Helper()
	r = httptest.NewRequest(method, "http://app.example/", nil)
	u, err := url.Parse("http://app.example" + target)
	if err != nil {
		s.t.Fatal(err)
	}
	r.URL = u
	for _, part := range parts {
		part(r)
	}
	var read bytes.Buffer // as far as the handler reads it
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, &read), r.Body}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return reply{s, w.Code, w.Header(), w.Body.String()}, r, read.Bytes()
}

// compare holds an exchange against the document that the handler serves.
func (s *system) compare(r *http.Request, sent []byte, got reply) {
	s.t.Helper()
	if s.gate != nil && s.gate.HasDeny() && got.status >= 400 {
		return // the host's own words
	}
	doc := s.document.Load()
	if doc == nil {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", "http://app.example/api/v2/schema/", nil))
		doc = new(described)
		if w.Code == 200 { // else the handler has no API, or has it elsewhere
			*doc = parse(s.t, w.Body.String())
		}
		s.document.Store(doc)
	}
	if *doc == nil {
		return
	}
	for _, wrong := range doc.disagreements(r, sent, got) {
		s.t.Errorf("OpenAPI: %s %s: %d: %s", r.Method, r.URL, got.status, wrong)
	}
}

// cookies returns the cookies that a reply sets, by name, the last of each.
func (r reply) cookies() map[string]*http.Cookie {
	set := make(map[string]*http.Cookie)
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		set[c.Name] = c
	}
	return set
}

func cookie(c *http.Cookie) with {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value}) }
}

func (r reply) wants(status int) reply {
	r.s.t.Helper()
	if r.status != status {
		r.s.t.Fatalf("status %d, want %d; %v\n%s", r.status, status, r.header, r.body)
	}
	return r
}

// json returns the body as an object.
func (r reply) json() map[string]any {
	r.s.t.Helper()
	var doc map[string]any
	if err := json.Unmarshal([]byte(r.body), &doc); err != nil || r.header.Get("Content-Type") != "application/json" {
		r.s.t.Fatalf("not a JSON object, but %s %q (%v)", r.header.Get("Content-Type"), r.body, err)
	}
	return doc
}

const (
	sentence401 = "Authentication credentials were not provided."
	sentence403 = "You do not have permission to perform this action."
	mask        = "************"
)

// is401 checks all that the cases mean by E401.
func (r reply) is401() reply {
	r.s.t.Helper()
	r.wants(401).hasDetail(sentence401)
	challenge := r.header.Get("WWW-Authenticate")
	if !strings.HasPrefix(challenge, `Bearer realm="api"`) || strings.Contains(strings.Join(r.header.Values("WWW-Authenticate"), ","), "Basic") {
		r.s.t.Errorf("challenge %q", challenge)
	}
	return r
}

func (r reply) is403() reply {
	r.s.t.Helper()
	return r.wants(403).hasDetail(sentence403)
}

// hasDetail checks that the body is nothing but this detail.
func (r reply) hasDetail(detail string) reply {
	r.s.t.Helper()
	if doc := r.json(); len(doc) != 1 || doc["detail"] != detail {
		r.s.t.Errorf("body %s, want only the detail %q", r.body, detail)
	}
	return r
}

// blames checks for a 400 that names exactly these fields.
func (r reply) blames(fields ...string) reply {
	r.s.t.Helper()
	doc := r.wants(400).json()
	if got := slices.Sorted(maps.Keys(doc)); !slices.Equal(got, fields) {
		r.s.t.Errorf("fields %v are blamed, want %v: %s", got, fields, r.body)
	}
	for name, list := range doc {
		if texts, ok := list.([]any); !ok || len(texts) == 0 || fmt.Sprint(texts[0]) == "" {
			r.s.t.Errorf("%s: %v is not a list of texts", name, list)
		}
	}
	return r
}

// login returns the session cookie of a login.
func (s *system) login(user, password string, parts ...with) *http.Cookie {
	s.t.Helper()
	r := s.do("POST", "/api/login/", append([]with{form("username", user, "password", password)}, parts...)...).wants(302)
	c := r.cookies()[s.session.CookieName()]
	if c == nil {
		s.t.Fatalf("login set no session cookie: %v", r.header)
	}
	return c
}

// whoami returns the name in me, or "" for a 401.
func (s *system) whoami(parts ...with) string {
	s.t.Helper()
	r := s.do("GET", "/api/v2/me/", parts...)
	if r.status == 401 {
		r.is401()
		return ""
	}
	name, _ := r.wants(200).json()["username"].(string)
	return name
}
