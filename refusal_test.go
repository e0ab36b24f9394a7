package auth_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
)

// A middleware may rewrite a challenge in place. It must not change those to come.
func TestChallengesAreNotShared(t *testing.T) {
	s := newBenchSystem(t)
	gate := auth.NewGate(s.chain, &auth.GateOptions{Basic: true, Scope: "read", Logger: slog.New(slog.DiscardHandler)})
	h := gate.Require(http.NotFoundHandler())
	page := func(w http.ResponseWriter, _ *http.Request, e *auth.Error) { w.WriteHeader(e.Status) }
	answers := map[string]func(http.ResponseWriter, *http.Request){
		"by a gate": h.ServeHTTP,
		"as a page": func(w http.ResponseWriter, r *http.Request) { gate.DenyWith(w, r, auth.ErrNoCredentials, page) },
		"not prepared": func(w http.ResponseWriter, r *http.Request) {
			gate.Deny(w, r, &auth.Error{Status: 401, Err: errors.New("x")})
		},
		"of the session": s.session.Handler(h).ServeHTTP,
	}
	for cause, r := range refusedRequests(t, s) {
		for how, answer := range answers {
			spoil(t, how+", "+cause, answer, r, "Www-Authenticate")
		}
	}
	r := request(t, func(http.Header) {})
	r.Method = http.MethodTrace
	spoil(t, "a method that is never allowed", h.ServeHTTP, r, "Allow")
}

// spoil changes the values of a field of an answer in place and compares it with that
// of the next answer.
func spoil(t *testing.T, what string, answer func(http.ResponseWriter, *http.Request), r *http.Request, field string) {
	t.Helper()
	var want []string
	for range 2 {
		w := httptest.NewRecorder()
		answer(w, r)
		values := w.Header()[field]
		if want == nil {
			want = append(want, values...)
		}
		if diff := cmp.Diff(want, values); diff != "" || len(values) == 0 {
			t.Errorf("%s: %s (-before +after):\n%s", what, field, diff)
		}
		for i := range values {
			values[i] = "spoilt"
		}
	}
}
