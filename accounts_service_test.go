package auth_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/refusaltest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// robot adds a service account that has a password all the same, as a table of a
// host could.
func (s *system) robot(u store.User) store.User {
	s.t.Helper()
	u.Name, u.Active, u.Service = "robot", true, true
	return s.addUser(u)
}

// loggedAccounts is newAccounts with the log of s.
func loggedAccounts(s *system) *auth.Accounts {
	return auth.Must(auth.NewAccounts(s.db, s.passwords, &auth.AccountsOptions{Logger: slog.New(slog.NewJSONHandler(s.log, nil))}))
}

// named returns the request for a token of a service account.
func named(name string) auth.TokenRequest { return auth.TokenRequest{Description: name} }

// robotToken returns the principal of a token that root issued to the account.
func (s *system) robotToken(robot store.User) *auth.Principal {
	s.t.Helper()
	issued, err := s.tokens.IssueTo(s.t.Context(), &operator, robot.ID, named("nightly"))
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := s.tokens.Verify(s.t.Context(), issued.AccessToken.Reveal())
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// The right password of a service account is like a wrong one: the same answer
// after the same comparison.
func TestServiceAccountHasNoPassword(t *testing.T) {
	s := newSystem(t, nil)
	s.robot(store.User{})
	var refusals []error
	for _, tt := range []struct{ user, password string }{{"robot", goodPassword}, {"robot", "wrong"}, {"alice", "wrong"}, {"nobody", "wrong"}} {
		before := s.hasher.verifies.Load()
		_, err := s.passwords.Verify(t.Context(), tt.user, tt.password)
		refusals = append(refusals, err)
		if n := s.hasher.verifies.Load() - before; n != 1 {
			t.Errorf("%s: %d comparisons", tt.user, n)
		}
		if w := s.send("GET", "/probe/", basicLine(tt.user, tt.password)); w.Code != 401 {
			t.Errorf("%s by Basic: %d", tt.user, w.Code)
		}
	}
	for _, err := range refusals {
		if statusOf(err) != 401 || err != refusals[3] {
			t.Errorf("refusals %v", refusals)
		}
	}
	if e := lastEvent(t, s, audit.PasswordRefused); e[audit.KeyReason] != "wrong user name or password" {
		t.Errorf("the reason for nobody: %v", e)
	}
	_, _ = s.passwords.Verify(t.Context(), "robot", goodPassword)
	if e := lastEvent(t, s, audit.PasswordRefused); e[audit.KeyReason] != "service account" {
		t.Errorf("the reason: %v", e)
	}
	if w := s.send("GET", "/login?u=robot"); w.Code != 401 || len(w.Result().Cookies()) != 0 {
		t.Errorf("Session.Login: %d %v", w.Code, w.Result().Cookies())
	}
}

// flagged is a table of a host that knows service accounts and changes no epoch.
type flagged struct {
	store.Users
	service atomic.Bool
}

func (f *flagged) UserByID(ctx context.Context, id string) (store.User, error) {
	u, err := f.Users.UserByID(ctx, id)
	u.Service = f.service.Load()
	return u, err
}

func (f *flagged) UserByName(ctx context.Context, name string) (store.User, error) {
	u, err := f.Users.UserByName(ctx, name)
	u.Service = f.service.Load()
	return u, err
}

// A session, a cached Basic password and a token that came through an application
// end when their user becomes a service account, even if the epoch stays.
func TestBecomesServiceAccount(t *testing.T) {
	s := newSystem(t, nil)
	users := &flagged{Users: s.db.Store}
	db := memory.NewWithUsers(users)
	passwords := auth.Must(auth.NewPasswords(users, db, &auth.PasswordsOptions{Hasher: s.hasher, Logger: quiet}))
	session := auth.Must(auth.NewSession(db, users, &auth.SessionOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(db, users, &auth.TokensOptions{Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), &auth.GateOptions{Logger: quiet})
	mux := http.NewServeMux()
	mux.Handle("/probe", gate.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) {
		if err := session.Login(r, s.alice); err != nil {
			t.Error(err)
		}
	})
	handler := session.Handler(mux)
	app := auth.Must(db.InsertApplication(t.Context(), store.Application{Name: "app", ClientID: "app"}))
	through := auth.Must(tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{}))
	through.Token.ID, through.Token.Family, through.ApplicationID, through.Digest = 0, 0, app.ID, store.DigestOf("x")
	tok := auth.Must(db.InsertToken(t.Context(), through.Token, store.InsertLimits{}))
	own := auth.Must(tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{}))
	c := send(handler, "GET", "/login").Result().Cookies()[0]
	credentials := map[string]string{"session": "Cookie: " + c.Name + "=" + c.Value, "Basic": basicLine("alice", goodPassword), "own token": bearer(own)}
	for _, service := range []bool{false, true} {
		users.service.Store(service)
		if list, _, err := session.Search(t.Context(), &operator, store.SessionFilter{All: true}, store.Page{Limit: 9}); err != nil || len(list) != map[bool]int{false: 1}[service] {
			t.Errorf("service %v: all sessions %v, %v", service, list, err)
		}
		for name, line := range credentials {
			want := 200
			if service && name != "own token" {
				want = 401
			}
			if w := send(handler, "GET", "/probe", line); w.Code != want {
				t.Errorf("service %v: %s: %d, want %d", service, name, w.Code, want)
			}
		}
		if _, ok, err := tokens.OwnerOf(t.Context(), tok); err != nil || ok == service {
			t.Errorf("service %v: the token of an application: %v %v", service, ok, err)
		}
		if list, _, err := session.List(t.Context(), &operator, s.alice.ID, store.Page{Limit: 9}); err != nil || len(list) != map[bool]int{false: 1}[service] {
			t.Errorf("service %v: sessions %v, %v", service, list, err)
		}
	}
}

func TestServiceAccountsAreMade(t *testing.T) {
	s := newSystem(t, nil)
	a := loggedAccounts(s)
	root := by(s.admin)
	if _, err := a.Create(t.Context(), root, store.User{Name: "robot", Service: true}, goodPassword); !refusesField(err, "Password") {
		t.Errorf("with a password: %v", err)
	}
	hashes := s.hasher.hashes.Load()
	robot, err := a.Create(t.Context(), root, store.User{Name: "robot", Active: true, Service: true, Auditor: true}, "")
	if err != nil || !robot.Service || !robot.Active || s.hasher.hashes.Load() != hashes {
		t.Fatalf("created %+v, %v", robot, err)
	}
	if e := lastEvent(t, s, audit.UserCreated); e[audit.KeyService] != true {
		t.Errorf("the event %v", e)
	}
	if _, err := a.Create(t.Context(), root, store.User{Name: "person", Active: true}, ""); !refusesField(err, "Password") {
		t.Errorf("a person without a password: %v", err)
	}
	change := func(service *bool, password *string) auth.AccountChange {
		return auth.AccountChange{UserChange: store.UserChange{Service: service}, Password: password}
	}
	for name, tt := range map[string]struct {
		by     *auth.Principal
		id     string
		c      auth.AccountChange
		status int
		field  string
	}{
		"a password":                    {root, robot.ID, change(nil, new(goodPassword)), 400, "Password"},
		"a password, as it is":          {root, robot.ID, change(new(true), new(goodPassword)), 400, "Password"},
		"a person without a password":   {root, robot.ID, change(new(false), nil), 400, "Password"},
		"with a bad one":                {root, robot.ID, change(new(false), new("short")), 400, "Password"},
		"both at once":                  {root, s.alice.ID, change(new(true), new(goodPassword)), 400, "Password"},
		"the last superuser":            {&operator, s.admin.ID, change(new(true), nil), 409, ""},
		"a superuser, itself":           {root, s.admin.ID, change(new(true), nil), 403, ""},
		"a user, itself":                {by(s.alice), s.alice.ID, change(new(true), nil), 403, ""},
		"a user, another":               {by(s.alice), s.bob.ID, change(new(true), nil), 403, ""},
		"a user, a service account":     {by(s.alice), robot.ID, change(new(false), new(goodPassword)), 403, ""},
		"an auditor":                    {&auth.Principal{ID: s.bob.ID, Auditor: true}, robot.ID, change(new(false), new(goodPassword)), 403, ""},
		"the account, a person":         {s.robotToken(robot), robot.ID, change(new(false), new(goodPassword)), 403, ""},
		"the account, a password":       {s.robotToken(robot), robot.ID, change(nil, new(goodPassword)), 400, "Password"},
		"a superuser's token of an app": {&auth.Principal{ID: s.admin.ID, Admin: true, ApplicationID: 1}, robot.ID, change(new(false), new(goodPassword)), 403, ""},
	} {
		_, err := a.Change(t.Context(), tt.by, tt.id, tt.c)
		if statusOf(err) != tt.status || tt.field != "" && !refusesField(err, tt.field) {
			t.Errorf("%s: %v, want %d", name, err, tt.status)
		}
	}
	if err := s.passwords.Set(t.Context(), robot.ID, goodPassword); !refusesField(err, "Password") {
		t.Errorf("Set: %v", err)
	}
	if hash, err := s.db.PasswordHash(t.Context(), robot.ID); err != nil || hash != "" {
		t.Errorf("the hash %q, %v", hash, err)
	}
	// An account with all rights is no person, either.
	robot, err = a.Change(t.Context(), root, robot.ID, auth.AccountChange{UserChange: store.UserChange{Admin: new(true), Service: new(true)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Change(t.Context(), s.robotToken(robot), robot.ID, change(new(false), new(goodPassword))); statusOf(err) != 403 {
		t.Errorf("a superuser account makes itself a person: %v", err)
	}
	// The way back, by an administrator and with a password.
	person, err := a.Change(t.Context(), root, robot.ID, change(new(false), new("another battery horse")))
	if err != nil || person.Service || person.Epoch == robot.Epoch {
		t.Fatalf("a person: %+v, %v", person, err)
	}
	if _, err := s.passwords.Verify(t.Context(), "robot", "another battery horse"); err != nil {
		t.Errorf("the new password: %v", err)
	}
	for range 2 { // and there again: an old password never comes back
		if _, err = a.Change(t.Context(), root, robot.ID, change(new(true), nil)); err != nil {
			t.Fatal(err)
		}
	}
	if e := lastEvent(t, s, audit.UserChanged); e[audit.KeyService] != true {
		t.Errorf("the event %v", e)
	}
	if hash, err := s.db.PasswordHash(t.Context(), robot.ID); err != nil || hash != "" {
		t.Errorf("the hash of the account that was a person: %q, %v", hash, err)
	}
}

// refusesField reports whether err is a refusal of that field.
func refusesField(err error, field string) bool {
	for _, e := range refusaltest.All(err) {
		if e.Status == 400 && e.Field == field {
			return true
		}
	}
	return false
}

func TestServiceTokensHaveNames(t *testing.T) {
	s := newSystem(t, nil)
	robot := s.robot(store.User{})
	for _, name := range []string{"", " ", "\t\n"} {
		if _, err := s.tokens.IssueTo(t.Context(), &operator, robot.ID, named(name)); !refusesField(err, "Description") {
			t.Errorf("%q: %v", name, err)
		}
	}
	p := s.robotToken(robot)
	if _, err := s.tokens.Change(t.Context(), &operator, p.TokenID, auth.TokenChange{Description: new(" ")}); !refusesField(err, "Description") {
		t.Errorf("a name is taken away: %v", err)
	}
	if tok, err := s.tokens.Change(t.Context(), p, p.TokenID, auth.TokenChange{Description: new("weekly")}); err != nil || tok.Description != "weekly" {
		t.Errorf("another name: %+v, %v", tok, err)
	}
	if _, err := s.tokens.Issue(t.Context(), p, named("")); !refusesField(err, "Description") {
		t.Errorf("a token that it mints: %v", err)
	}
	if _, err := s.tokens.Issue(t.Context(), p, named("step")); err != nil {
		t.Errorf("a token that it mints, with a name: %v", err)
	}
	if _, err := s.tokens.IssueTo(t.Context(), p, robot.ID, named("sibling")); statusOf(err) != 403 {
		t.Errorf("a sibling that would outlive it: %v", err)
	}
	if issued := s.issue(s.alice, ""); issued.Description != "" {
		t.Errorf("a person's token: %+v", issued.Token)
	}
}

// A token of a service account ends with the account, and not with the person who
// issued it.
func TestServiceTokensOutliveTheirIssuer(t *testing.T) {
	for _, endWithPassword := range []bool{false, true} {
		s := newSystem(t, func(o *settings) { o.tokens.EndWithPassword = endWithPassword })
		a := loggedAccounts(s)
		robot := s.robot(store.User{})
		issuer := s.addUser(store.User{Name: "issuer", Admin: true, Active: true})
		issued, err := s.tokens.IssueTo(t.Context(), by(issuer), robot.ID, named("nightly"))
		if err != nil {
			t.Fatal(err)
		}
		e := lastEvent(t, s, audit.TokenIssued)
		if diff := cmp.Diff([]any{"issuer", issuer.ID, robot.ID}, []any{e[audit.KeyActor], e[audit.KeyActorID], e[audit.KeyUserID]}); diff != "" {
			t.Errorf("the event (-want +got):\n%s", diff)
		}
		alive := func(what string, want bool) {
			t.Helper()
			p, err := s.tokens.Verify(t.Context(), issued.AccessToken.Reveal())
			if (err == nil) != want || err == nil && (p.ID != robot.ID || p.Admin) {
				t.Errorf("%s: %+v, %v", what, p, err)
			}
		}
		set := func(id string, c store.UserChange) {
			t.Helper()
			if _, err := a.Change(t.Context(), &operator, id, auth.AccountChange{UserChange: c}); err != nil {
				t.Fatal(err)
			}
		}
		alive("new", true)
		set(issuer.ID, store.UserChange{Admin: new(false)})
		alive("the issuer is demoted", true)
		set(issuer.ID, store.UserChange{Service: new(true)})
		alive("the issuer is a service account", true)
		set(issuer.ID, store.UserChange{Active: new(false)})
		alive("the issuer is disabled", true)
		if err := s.tokens.EndAll(t.Context(), &operator, issuer.ID); err != nil {
			t.Fatal(err)
		}
		alive("the tokens of the issuer end", true)
		if err := a.Delete(t.Context(), &operator, issuer.ID); err != nil {
			t.Fatal(err)
		}
		alive("the issuer is deleted", true)
		set(robot.ID, store.UserChange{Active: new(false)})
		alive("the account is disabled", false)
		if _, err := s.tokens.IssueTo(t.Context(), &operator, robot.ID, named("x")); statusOf(err) != 403 {
			t.Errorf("a token of a disabled account: %v", err)
		}
		set(robot.ID, store.UserChange{Active: new(true)})
		alive("the account is enabled", !endWithPassword)
		if err := a.Delete(t.Context(), &operator, robot.ID); err != nil {
			t.Fatal(err)
		}
		alive("the account is deleted", false)
	}
}

func TestGatewayNeverLogsServiceAccountsIn(t *testing.T) {
	s := newSystem(t, nil)
	s.robot(store.User{})
	p := auth.Must(auth.NewProxy(&auth.ProxyOptions{
		Peers: peers("10.0.0.0/8"), UserField: "X-Remote-User", InsecureAddressAlone: true, Logger: slog.New(slog.NewJSONHandler(s.log, nil)),
	}))
	gate := auth.NewGate(auth.Must(auth.NewProxyUsers(p, s.db, nil)), &auth.GateOptions{Logger: quiet})
	handler := p.Handler(gate.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for name, want := range map[string]int{"alice": 200, "robot": 401} {
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, from("10.0.0.1:1", "X-Remote-User: "+name)); w.Code != want {
			t.Errorf("%s: %d, want %d", name, w.Code, want)
		}
	}
	if e := lastEvent(t, s, audit.GatewayUserRefused); e[audit.KeyReason] != "service account" {
		t.Errorf("the event %v", e)
	}
}
