package misusetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/activity"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/gateway"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

func proofNow(t *testing.T) string {
	t.Helper()
	s := auth.Must(gateway.NewSigner(gatewayKey(), &gateway.SignerOptions{FirstVersion: true}))
	return auth.Must(s.Proof(time.Now()))
}

// TestNobody: E8. A host that asks for the principal of nobody gets a refusal that
// explains itself in the log, whatever it asks for.
func TestNobody(t *testing.T) {
	h := newHost(t)
	ctx, db, srv := t.Context(), h.tokens, auth.Must(oauth.NewServer(h.tokens, h.db, h.db, &oauth.Options{Issuer: "https://api.example", Devices: &oauth.DeviceOptions{}}))
	app := auth.Must(h.db.InsertApplication(ctx, store.Application{ClientID: "c", Name: "a"}))
	tok := auth.Must(db.Issue(ctx, &auth.Principal{ID: h.alice.ID, Scopes: auth.Unrestricted}, auth.TokenRequest{}))
	accounts := auth.Must(auth.NewAccounts(h.db, auth.Must(auth.NewPasswords(h.db, h.db, nil)), nil))
	stream := auth.Must(activity.NewStream(h.db, nil))
	second := func(_, _ any, err error) error { return err }
	calls := map[string]func() error{
		"Tokens.Issue": func() error { return last(db.Issue(ctx, nil, auth.TokenRequest{})) },
		"Tokens.Prepare": func() error {
			_, _, err := db.Prepare(ctx, nil, auth.TokenRequest{}, time.Hour, time.Hour)
			return err
		},
		"Tokens.OwnerBy":            func() error { return last(db.OwnerBy(ctx, nil)) },
		"Tokens.Token":              func() error { return last(db.Token(ctx, nil, tok.ID)) },
		"Tokens.Visible":            func() error { return last(db.Visible(ctx, nil)) },
		"Tokens.List":               func() error { return second(db.List(ctx, nil, store.TokenFilter{}, store.Page{Limit: 1})) },
		"Tokens.Change":             func() error { return last(db.Change(ctx, nil, tok.ID, auth.TokenChange{})) },
		"Tokens.Rotate":             func() error { return last(db.Rotate(ctx, nil, tok.ID)) },
		"Tokens.End":                func() error { return db.End(ctx, nil, tok.ID) },
		"Tokens.EndTree":            func() error { return db.EndTree(ctx, nil, tok.ID) },
		"Organizations.Memberships": func() error { return last(db.Organizations().Memberships(ctx, nil)) },
		"Server.Application":        func() error { return last(srv.Application(ctx, nil, app.ID)) },
		"Server.ListApplications": func() error {
			return second(srv.ListApplications(ctx, nil, store.ApplicationFilter{}, store.Page{Limit: 1}))
		},
		"Server.CreateApplication": func() error { return last(srv.CreateApplication(ctx, nil, oauth.ApplicationRequest{})) },
		"Server.ChangeApplication": func() error { return last(srv.ChangeApplication(ctx, nil, app.ID, oauth.ApplicationChange{})) },
		"Server.RotateSecret":      func() error { return last(srv.RotateSecret(ctx, nil, app.ID, 0)) },
		"Server.DeleteApplication": func() error { return srv.DeleteApplication(ctx, nil, app.ID) },
		"Server.Summarize":         func() error { return last(srv.Summarize(ctx, nil, []store.Application{app}, 1)) },
		"Server.ListConsents":      func() error { return second(srv.ListConsents(ctx, nil, store.Page{Limit: 1})) },
		"Server.WithdrawConsent":   func() error { return srv.WithdrawConsent(ctx, nil, app.ID) },
		"Server.FindDevice":        func() error { return last(srv.FindDevice(ctx, nil, "BCDF-GHJK")) },
		"Server.DecideDevice":      func() error { return srv.DecideDevice(ctx, nil, oauth.DeviceRequest{}, true) },
		"Server.DecidedDevice":     func() error { return last(srv.DecidedDevice(ctx, nil, "BCDF-GHJK")) },
		"Server.NeedsConsent":      func() error { return last(srv.NeedsConsent(ctx, nil, oauth.Authorization{Application: app}, false)) },
		"Server.Authorize":         func() error { return last(srv.Authorize(ctx, nil, oauth.Authorization{Application: app})) },
		"Server.IssueFor":          func() error { return last(srv.IssueFor(ctx, nil, app.ID, auth.TokenRequest{})) },
		"Tokens.IssueTo":           func() error { return last(db.IssueTo(ctx, nil, h.alice.ID, auth.TokenRequest{})) },
		"Tokens.Insert":            func() error { return last(db.Insert(ctx, h.db, nil, tok.Token, store.Token{})) },
		"Tokens.EndAll":            func() error { return db.EndAll(ctx, nil, h.alice.ID) },
		"Tokens.EndSelected":       func() error { return db.EndSelected(ctx, nil, store.Selection{All: true}) },
		"Tokens.EndReported":       func() error { return db.EndReported(ctx, nil, tok.AccessToken) },
		"Server.EndReported":       func() error { return srv.EndReported(ctx, nil, tok.AccessToken) },
		"Server.ListConsentsOf":    func() error { return second(srv.ListConsentsOf(ctx, nil, h.alice.ID, store.Page{Limit: 1})) },
		"Server.WithdrawConsentOf": func() error { return srv.WithdrawConsentOf(ctx, nil, h.alice.ID, app.ID) },
		"Accounts.List":            func() error { return second(accounts.List(ctx, nil, store.UserFilter{}, store.Page{Limit: 1})) },
		"Accounts.Create": func() error {
			return last(accounts.Create(ctx, nil, store.User{Name: "new", Active: true}, "correct horse battery"))
		},
		"Accounts.Change": func() error { return last(accounts.Change(ctx, nil, h.alice.ID, auth.AccountChange{})) },
		"Accounts.Delete": func() error { return accounts.Delete(ctx, nil, h.alice.ID) },
		"Session.List":    func() error { return second(h.session.List(ctx, nil, h.alice.ID, store.Page{Limit: 1})) },
		"Session.Find":    func() error { return last(h.session.Find(ctx, nil, h.alice.ID, 1)) },
		"Session.Search": func() error {
			return second(h.session.Search(ctx, nil, store.SessionFilter{All: true}, store.Page{Limit: 1}))
		},
		"Session.EndOne":    func() error { return h.session.EndOne(ctx, nil, h.alice.ID, 1) },
		"Session.EndOthers": func() error { return last(h.session.EndOthers(ctx, nil, h.alice.ID)) },
		"Stream.List":       func() error { return second(stream.List(ctx, nil, store.ActivityFilter{}, store.Page{Limit: 1})) },
		"Stream.Entry":      func() error { return last(stream.Entry(ctx, nil, 1)) },
	}
	for name, f := range calls {
		e, refused := errors.AsType[*auth.Error](refusal(f))
		if !refused || e.Status != 401 || e.Err == nil || !strings.Contains(e.Err.Error(), "put Gate.Require around the handler") {
			t.Errorf("%s of nobody: %v, want 401 and the remedy", name, refusal(f))
		}
	}
	if accounts.MayChange(nil, h.alice) || accounts.MayDelete(nil, h.alice) {
		t.Error("nobody may change a user")
	}
	for _, m := range regexp.MustCompile(`(?m)type (\w+), method \*?(\w+)\(ctx context.Context, by \*(auth\.)?Principal`).FindAllStringSubmatch(string(auth.Must(os.ReadFile("../../doc/api.txt"))), -1) {
		if name := m[1] + "." + m[2]; calls[name] == nil {
			t.Errorf("%s is not asked", name)
		}
	}
}

// TestLoginMistakes: E2, E8. Sessions are used where there are none.
func TestLoginMistakes(t *testing.T) {
	h := newHost(t)
	outside := httptest.NewRequest("POST", "/", nil)
	for name, tt := range map[string]struct {
		f    func() error
		says string
	}{
		"login outside Handler":  {func() error { return h.session.Login(outside, h.alice) }, "wrap the whole mux"},
		"logout outside Handler": {func() error { return h.session.Logout(outside) }, "wrap the whole mux"},
		"login after the answer": {func() (err error) {
			h.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "hello")
				err = h.session.Login(r, h.alice)
			})).ServeHTTP(httptest.NewRecorder(), outside)
			return err
		}, "the response has begun"},
		"login of a record from before Set": {func() (err error) {
			if err := h.passwords.Set(h.t.Context(), h.alice.ID, "a password of many characters"); err != nil {
				return nil
			}
			h.session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				err = errors.Unwrap(h.session.Login(r, h.alice))
			})).ServeHTTP(httptest.NewRecorder(), outside)
			return err
		}, "read the user again after Passwords.Set"},
		"two Sessions with one manager": {func() error {
			inner := auth.Must(auth.NewSession(h.db, h.db, &auth.SessionOptions{Manager: h.session.Manager(), CookieName: "other", Logger: h.logger}))
			if res := ask(h.session.Handler(inner.Handler(ok)), "GET", "/"); res.StatusCode != 503 {
				return nil
			}
			return errors.New(h.log.String())
		}, "set SessionOptions.Manager"},
	} {
		if err := refusal(tt.f); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// TestDenyThatRefusesNothing: a body function of the host that writes no status, or
// that of a success, does not let anybody believe that a request was allowed.
func TestDenyThatRefusesNothing(t *testing.T) {
	h := newHost(t)
	for name, tt := range map[string]struct {
		deny   func(http.ResponseWriter, *http.Request, *auth.Error)
		status int
		body   string
	}{
		"nothing": {func(http.ResponseWriter, *http.Request, *auth.Error) {}, 401, `{"detail":"Authentication credentials were not provided."}`},
		"a body alone": {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) {
			_, _ = io.WriteString(w, "no")
		}, 401, "no"},
		"200":     {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) { w.WriteHeader(200) }, 401, ""},
		"204":     {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) { w.WriteHeader(204) }, 401, ""},
		"a flush": {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) { _ = http.NewResponseController(w).Flush() }, 401, ""},
		"a copy": {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) {
			_, _ = io.Copy(w, strings.NewReader("no"))
		}, 401, "no"},
		"a hint": {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) { w.WriteHeader(103) }, 401, `{"detail":"Authentication credentials were not provided."}`},
		"a login": {func(w http.ResponseWriter, r *http.Request, _ *auth.Error) {
			http.Redirect(w, r, "/login/", http.StatusSeeOther)
		}, 303, ""},
		"the same": {func(w http.ResponseWriter, _ *http.Request, e *auth.Error) { w.WriteHeader(e.Status) }, 401, ""},
		"another":  {func(w http.ResponseWriter, _ *http.Request, _ *auth.Error) { http.NotFound(w, nil) }, 404, "404 page not found\n"},
	} {
		gate := auth.NewGate(h.bearer, &auth.GateOptions{Deny: tt.deny, Logger: h.logger})
		srv := httptest.NewServer(gate.Require(ok))
		client := srv.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		res, err := client.Post(srv.URL, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != tt.status || string(body) != tt.body || err != nil {
			t.Errorf("%s: %d %q %v, want %d %q", name, res.StatusCode, body, err, tt.status, tt.body)
		}
		_ = res.Body.Close()
		client.CloseIdleConnections()
		srv.Close()
	}
}

// spy is a testing.TB that keeps what a helper reports.
type spy struct {
	testing.TB
	errors []string
}

func (s *spy) Helper() {}
func (s *spy) Errorf(format string, args ...any) {
	s.errors = append(s.errors, fmt.Sprintf(format, args...))
}
func (s *spy) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(s) // as FailNow ends a test
}
func (s *spy) Context() context.Context { return s.TB.Context() }
func (s *spy) Name() string             { return "TestOfAHost" }

// TestFlagged has the mistakes that a test of the host finds by package authtest.
func TestFlagged(t *testing.T) {
	for _, tt := range []struct {
		mistake string
		test    func(t testing.TB, h *host)
		says    string // "" if it is none
	}{
		{"a route outside the gate", func(t testing.TB, h *host) {
			mux := http.NewServeMux()
			mux.Handle("/jobs/", h.gate.Require(ok))
			mux.Handle("/admin/", ok)
			authtest.Guarded(t, h.session.Handler(mux), "GET /jobs/", "POST /admin/")
		}, "POST /admin/ without a credential is answered 200, want 401 with a challenge: put Gate.Require"},
		{"Identify in place of Require", func(t testing.TB, h *host) { authtest.Guarded(t, h.gate.Identify(ok), "DELETE /jobs/1/") }, "put Gate.Require"},
		{"a route that is not there", func(t testing.TB, h *host) { authtest.Guarded(t, http.NotFoundHandler(), "GET /job/") }, "answered 404"},
		{"a target without a method", func(t testing.TB, h *host) { authtest.Guarded(t, ok, "/jobs/") }, `of the form "GET /path"`},
		{"all behind the gate", func(t testing.TB, h *host) {
			authtest.Guarded(t, h.gate.RequireScope("deploy")(ok), "GET /jobs/", "POST /jobs/")
		}, ""},
		{"the API below a prefix", func(t testing.TB, h *host) { authtest.Mounted(t, http.StripPrefix("/auth", h.api())) }, "mount the handler of httpapi at the root"},
		{"the API on its first page only", func(t testing.TB, h *host) {
			mux := http.NewServeMux()
			mux.Handle("/api/{$}", h.api())
			mux.Handle("/api/v2/{$}", h.api())
			mux.Handle("/api/o/", h.api())
			authtest.Mounted(t, mux)
		}, "which is not found: pass everything below /api/"},
		{"the API where it belongs", func(t testing.TB, h *host) { authtest.Mounted(t, h.session.Handler(h.api())) }, ""},
		{"a user twice", func(t testing.TB, h *host) { authtest.AddUser(t, h.db, store.User{Name: "alice"}, "") }, `add user "alice"`},
		{"the password of nobody", func(t testing.TB, h *host) { authtest.SetPassword(t, h.db, "99", "pw") }, `password of user "99"`},
		{"a token with a misspelt scope", func(t testing.TB, h *host) { authtest.AddToken(t, h.tokens, h.alice, "wrtie") }, "read, write, deploy"},
		{"a token of a user who was not stored", func(t testing.TB, h *host) { authtest.AddToken(t, h.tokens, store.User{Name: "bob"}, "read") }, `token of user "bob"`},
		{"a principal that is nil", func(t testing.TB, h *host) {
			_, known := auth.FromContext(authtest.WithPrincipal(httptest.NewRequest("GET", "/", nil), nil).Context())
			if known {
				t.Errorf("nobody is known")
			}
		}, ""},
	} {
		t.Run(tt.mistake, func(t *testing.T) {
			s := &spy{TB: t}
			func() {
				defer func() {
					if v := recover(); v != nil && v != any(s) {
						panic(v)
					}
				}()
				tt.test(s, newHost(t))
			}()
			got := strings.Join(s.errors, "\n")
			if tt.says == "" && got != "" || !strings.Contains(got, tt.says) {
				t.Errorf("reported %q, want %q", got, tt.says)
			}
		})
	}
}
