package authtest

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth"
)

// A Router tells its routes. [Mux] is one.
type Router interface {
	// Patterns returns the patterns of all routes, in the form of
	// [http.ServeMux].
	Patterns() []string

	// Pattern returns the pattern of the route that takes r.
	Pattern(r *http.Request) string
}

// A Rule says who passes a route.
type Rule string

// The rules of routes. See [RuleScope] for another one.
const (
	RuleOpen     Rule = "open"      // is outside the gate: every request passes
	RulePublic   Rule = "public"    // is behind [auth.Gate.Identify]
	RuleGuarded  Rule = "guarded"   // is behind [auth.Gate.Require]
	RuleAnyScope Rule = "any scope" // is behind [auth.Gate.RequireAnyScope]

	// RuleMounted is a handler with routes and rules of its own, such as that of
	// package httpapi. AuditRoutes looks for outages only.
	RuleMounted Rule = "mounted"
)

const scoped = "scope "

// RuleScope is the rule of a route that is behind [auth.Gate.RequireScope] with the
// same names.
func RuleScope(name string, further ...string) Rule {
	return Rule(scoped + strings.Join(append([]string{name}, further...), " "))
}

// RouteAudit is what [AuditRoutes] must know of a host.
type RouteAudit struct {
	// Rules has the rule of each pattern.
	Rules map[string]Rule

	// Paths has a path for a pattern whose wildcards do not take "1".
	Paths map[string]string

	// Each of these puts a credential into a request: a bearer token with the
	// scope read, one with the scope write, the cookie of a session, a
	// password. A nil one is not tried. Their user must have every right, so
	// that only a gate refuses.
	Read, Write, Session, Basic func(*http.Request)
}

// AuditRoutes calls every route of a router without a credential, with a made-up
// one and with each kind of credential. It reports an error for a route without
// a rule, for a rule without a route, and for an answer that contradicts the
// rule. H must be the handler of the server, with the middleware in front of the
// router. A pattern without a method is called by GET and by POST with an
// empty body, so the routes do what they do, with the data of the test.
func AuditRoutes(t testing.TB, router Router, h http.Handler, a RouteAudit) {
	t.Helper()
	patterns := router.Patterns()
	if len(patterns) == 0 {
		t.Error("authtest: the router has no routes")
	}
	if a.Read == nil && a.Write == nil && a.Session == nil && a.Basic == nil {
		t.Error("authtest: there is no credential to audit routes with")
	}
	for pattern := range a.Rules {
		if !slices.Contains(patterns, pattern) {
			t.Errorf("authtest: there is a rule for %q and no such route", pattern)
		}
	}
	for _, pattern := range patterns {
		rule, ok := a.Rules[pattern]
		switch {
		case !ok:
			t.Errorf("authtest: the route %q has no rule", pattern)
			continue
		case !rule.known():
			t.Errorf("authtest: the route %q has the rule %q, which is none", pattern, rule)
			continue
		}
		for _, target := range targets(pattern, a.Paths[pattern]) {
			if got := router.Pattern(target(t)); got != pattern {
				t.Errorf("authtest: %s goes to the route %q and not to %q: give RouteAudit.Paths a path of it", name(target(t)), got, pattern)
				continue
			}
			a.audit(t, h, pattern, rule, target)
		}
	}
}

func (rule Rule) known() bool {
	name, hasScope := strings.CutPrefix(string(rule), scoped)
	return hasScope && name != "" || slices.Contains([]Rule{RuleOpen, RulePublic, RuleGuarded, RuleAnyScope, RuleMounted}, rule)
}

// audit calls one route with everything.
func (a RouteAudit) audit(t testing.TB, h http.Handler, pattern string, rule Rule, target func(testing.TB) *http.Request) {
	t.Helper()
	for _, c := range []struct {
		kind credential
		set  func(*http.Request)
	}{
		{nobody, func(*http.Request) {}},
		{madeUp, func(r *http.Request) { r.Header.Set("Authorization", "Bearer made-up") }},
		{readToken, a.Read},
		{writeToken, a.Write},
		{session, a.Session},
		{basic, a.Basic},
	} {
		if c.set == nil {
			continue
		}
		r := target(t)
		c.set(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := rule.verdict(c.kind, r.Method)
		if why := want.contradicts(w.Result()); why != "" {
			t.Errorf("authtest: %s with %s is answered %d, and the rule of %q is %s: %s", name(r), c.kind, w.Code, pattern, rule, why)
		}
	}
}

func name(r *http.Request) string { return r.Method + " " + r.URL.Path }

type credential string

const (
	nobody     credential = "no credential"
	madeUp     credential = "a made-up token"
	readToken  credential = "a token for read"
	writeToken credential = "a token for write"
	session    credential = "a session"
	basic      credential = "a password"
)

// A verdict is what a rule says about a request.
type verdict uint8

const (
	either    verdict = iota // the handler decides
	passes                   // no gate refuses
	needs                    // 401 with a challenge
	forbidden                // 403
)

// verdict returns what the rule says about a request with a credential.
func (rule Rule) verdict(c credential, method string) verdict {
	switch {
	case rule == RuleMounted:
		return either
	case rule == RuleOpen:
		return passes
	case c == madeUp:
		return needs
	case c == nobody && rule == RulePublic:
		if auth.Scopes(auth.ScopeRead).Permit(method) {
			return passes
		}
		return either
	case c == nobody:
		return needs
	case c == session || c == basic:
		return passes
	}
	scopes := auth.Scopes(auth.ScopeRead)
	if c == writeToken {
		scopes = auth.ScopeWrite
	}
	permits := scopes.Permit(method)
	if scope, ok := strings.CutPrefix(string(rule), scoped); ok {
		permits = auth.Scopes(scope).Within(scopes)
	}
	switch {
	case permits:
		return passes
	case rule == RuleAnyScope:
		return either // the handler checks the scope
	}
	return forbidden
}

// contradicts returns why an answer is another one than v, or "".
func (v verdict) contradicts(w *http.Response) string {
	refused := w.StatusCode == http.StatusUnauthorized || w.StatusCode == http.StatusForbidden
	switch {
	case w.StatusCode >= 500:
		return "it is an outage"
	case v == passes && refused:
		return "it must pass"
	case v == needs && w.StatusCode != http.StatusUnauthorized:
		return "it must be 401"
	case v == needs && w.Header.Get("WWW-Authenticate") == "":
		return "it must have a challenge"
	case v == forbidden && w.StatusCode != http.StatusForbidden:
		return "it must be 403"
	}
	return ""
}

var wildcard = regexp.MustCompile(`\{[^{}]*\}`)

// targets returns requests for a pattern of [http.ServeMux], "[METHOD ][HOST]/[PATH]".
func targets(pattern, path string) (list []func(testing.TB) *http.Request) {
	method, rest, hasMethod := strings.Cut(pattern, " ")
	if !hasMethod {
		method, rest = "", pattern
	}
	host, below, _ := strings.Cut(strings.TrimLeft(rest, " \t"), "/")
	if path == "" {
		path = "/" + wildcard.ReplaceAllStringFunc(below, func(w string) string {
			if w == "{$}" || strings.HasSuffix(w, "...}") {
				return ""
			}
			return "1"
		})
	}
	methods := []string{method}
	if method == "" {
		methods = []string{http.MethodGet, http.MethodPost}
	}
	for _, method := range methods {
		list = append(list, func(t testing.TB) *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
			if host != "" {
				r.Host = host
			}
			return r
		})
	}
	return list
}
