package chitest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/ostiary/auth/authtest"
)

// A walker tells the routes of chi to [authtest.AuditRoutes].
type walker struct{ chi.Router }

// Patterns implements [authtest.Router].
func (w walker) Patterns() (list []string) {
	_ = chi.Walk(w.Router, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		list = append(list, method+" "+route)
		return nil
	})
	return list
}

// Pattern implements [authtest.Router].
func (w walker) Pattern(r *http.Request) string {
	return r.Method + " " + w.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
}

// A recorder is a testing.TB that keeps the errors.
type recorder struct {
	testing.TB
	errors []string
}

func (t *recorder) Helper() {}
func (t *recorder) Errorf(f string, args ...any) {
	t.errors = append(t.errors, fmt.Sprintf(f, args...))
}

func TestAuditRoutesOfChi(t *testing.T) {
	p := newParts(t)
	r := chi.NewRouter()
	r.Get("/", func(http.ResponseWriter, *http.Request) {})
	r.Route("/jobs", func(r chi.Router) {
		r.Use(p.gate.Require)
		r.Get("/{id}", whoami)
		r.Post("/{id}", whoami)
	})
	audit := authtest.RouteAudit{
		Basic: func(r *http.Request) { r.SetBasicAuth("al/ice", password) },
		Rules: map[string]authtest.Rule{
			"GET /jobs/{id}": authtest.RuleGuarded, "POST /jobs/{id}": authtest.RuleGuarded,
		},
	}
	rec := &recorder{TB: t}
	authtest.AuditRoutes(rec, walker{r}, r, audit)
	if len(rec.errors) != 1 || !strings.Contains(rec.errors[0], `"GET /" has no rule`) {
		t.Errorf("errors are %q, want one about a route without a rule", rec.errors)
	}
	audit.Rules["GET /"] = authtest.RuleGuarded
	rec = &recorder{TB: t}
	if authtest.AuditRoutes(rec, walker{r}, r, audit); len(rec.errors) == 0 {
		t.Error("an open route passes for a guarded one")
	}
	delete(audit.Rules, "GET /")
	r = chi.NewRouter()
	r.With(p.gate.Require).Get("/jobs/{id}", whoami)
	r.With(p.gate.Require).Post("/jobs/{id}", whoami)
	authtest.AuditRoutes(t, walker{r}, r, audit)
}
