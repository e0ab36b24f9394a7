package authtest_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

var quiet = slog.New(slog.DiscardHandler)

// A tape is a testing.TB that keeps the errors.
type tape struct {
	testing.TB
	errors []string
}

func (t *tape) Helper()                      {}
func (t *tape) Error(args ...any)            { t.errors = append(t.errors, fmt.Sprint(args...)) }
func (t *tape) Errorf(f string, args ...any) { t.errors = append(t.errors, fmt.Sprintf(f, args...)) }

// newAudit returns a gate and an audit with all credentials that it takes.
func newAudit(t testing.TB) (*auth.Gate, authtest.RouteAudit) {
	db := memory.New()
	tokens := auth.Must(auth.NewTokens(db, db, nil))
	alice := authtest.AddUser(t, db, store.User{Name: "alice", Admin: true}, "pw")
	passwords := auth.Must(auth.NewPasswords(db, db, nil))
	with := func(scope auth.Scopes) func(*http.Request) {
		token := authtest.AddToken(t, tokens, alice, scope)
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	return auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), auth.NewBasic(passwords, nil)), &auth.GateOptions{Logger: quiet}), authtest.RouteAudit{
		Read: with(auth.ScopeRead), Write: with(auth.ScopeWrite),
		Basic: func(r *http.Request) { r.SetBasicAuth("alice", "pw") },
	}
}

func TestAuditRoutes(t *testing.T) {
	gate, audit := newAudit(t)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	wrap := map[authtest.Rule]http.Handler{
		authtest.RuleOpen: ok, authtest.RulePublic: gate.Identify(ok), authtest.RuleGuarded: gate.Require(ok),
		authtest.RuleAnyScope: gate.RequireAnyScope(ok), authtest.RuleScope("deploy"): gate.RequireScope("deploy")(ok),
		authtest.RuleScope("read"): gate.RequireScope("read")(ok), authtest.RuleScope("write"): gate.RequireScope("write")(ok),
		authtest.RuleScope("deploy", "read"): gate.RequireScope("deploy", "read")(ok),
	}
	// A handler behind RequireAnyScope may check the scope itself, and both tokens
	// have the scope read and not deploy: these cannot be told apart.
	anyScope, read := authtest.RuleAnyScope, authtest.RuleScope("read")
	deploy, more := authtest.RuleScope("deploy"), authtest.RuleScope("deploy", "read")
	same := map[[2]authtest.Rule]bool{{read, anyScope}: true, {anyScope, read}: true, {anyScope, authtest.RuleGuarded}: true, {deploy, more}: true, {more, deploy}: true}
	for declared := range wrap {
		for actual, h := range wrap {
			mux, rec := &authtest.Mux{}, &tape{TB: t}
			for _, pattern := range []string{"/a/", "POST /b/{id}", "DELETE x.example/c/{rest...}", "GET /{$}"} {
				mux.Handle(pattern, h)
			}
			audit.Rules = map[string]authtest.Rule{"/a/": declared, "POST /b/{id}": declared, "DELETE x.example/c/{rest...}": declared, "GET /{$}": declared}
			authtest.AuditRoutes(rec, mux, mux, audit)
			if good := len(rec.errors) == 0; good != (declared == actual || same[[2]authtest.Rule{declared, actual}]) {
				t.Errorf("declared as %s and behind %s: %q", declared, actual, rec.errors)
			}
		}
	}
}

func TestAuditRoutesFindsMistakes(t *testing.T) {
	gate, audit := newAudit(t)
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	status := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	for name, tt := range map[string]struct {
		routes map[string]http.Handler
		rules  map[string]authtest.Rule
		paths  map[string]string
		want   string // part of an error, "" for none
	}{
		"no rule":                   {map[string]http.Handler{"/a": gate.Require(ok), "/b": ok}, map[string]authtest.Rule{"/a": authtest.RuleGuarded}, nil, `"/b" has no rule`},
		"no route":                  {map[string]http.Handler{"/a": ok}, map[string]authtest.Rule{"/a": authtest.RuleOpen, "/b": authtest.RuleOpen}, nil, `"/b" and no such route`},
		"a rule that is none":       {map[string]http.Handler{"/a": ok}, map[string]authtest.Rule{"/a": "opne"}, nil, "is none"},
		"an empty scope":            {map[string]http.Handler{"/a": ok}, map[string]authtest.Rule{"/a": authtest.RuleScope("")}, nil, "is none"},
		"no routes at all":          {nil, nil, nil, "no routes"},
		"an outage":                 {map[string]http.Handler{"/a": status(500)}, map[string]authtest.Rule{"/a": authtest.RuleMounted}, nil, "outage"},
		"401 without a challenge":   {map[string]http.Handler{"GET /a": status(401)}, map[string]authtest.Rule{"GET /a": authtest.RuleGuarded}, nil, "challenge"},
		"another route takes it":    {map[string]http.Handler{"GET /{id}": ok, "GET /1": ok}, map[string]authtest.Rule{"GET /{id}": authtest.RuleOpen, "GET /1": authtest.RuleOpen}, nil, "RouteAudit.Paths"},
		"which a path helps":        {map[string]http.Handler{"GET /{id}": ok, "GET /1": ok}, map[string]authtest.Rule{"GET /{id}": authtest.RuleOpen, "GET /1": authtest.RuleOpen}, map[string]string{"GET /{id}": "/2"}, ""},
		"mounted with its own":      {map[string]http.Handler{"/a": gate.Require(ok)}, map[string]authtest.Rule{"/a": authtest.RuleMounted}, nil, ""},
		"not found behind the gate": {map[string]http.Handler{"/a": gate.Require(http.NotFoundHandler())}, map[string]authtest.Rule{"/a": authtest.RuleGuarded}, nil, ""},
	} {
		mux, rec := &authtest.Mux{}, &tape{TB: t}
		for pattern, h := range tt.routes {
			mux.Handle(pattern, h)
		}
		audit.Rules, audit.Paths = tt.rules, tt.paths
		authtest.AuditRoutes(rec, mux, mux, audit)
		if found := slices.ContainsFunc(rec.errors, func(e string) bool { return strings.Contains(e, tt.want) }); found != (tt.want != "") && tt.want != "" || tt.want == "" && len(rec.errors) > 0 {
			t.Errorf("%s: errors are %q, want %q", name, rec.errors, tt.want)
		}
	}
	mux, rec := &authtest.Mux{}, &tape{TB: t}
	mux.HandleFunc("/a", ok)
	authtest.AuditRoutes(rec, mux, mux, authtest.RouteAudit{Rules: map[string]authtest.Rule{"/a": authtest.RuleOpen}})
	if len(rec.errors) != 1 || !strings.Contains(rec.errors[0], "no credential") {
		t.Errorf("without credentials: %q", rec.errors)
	}
}
