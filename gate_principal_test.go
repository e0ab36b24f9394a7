package auth_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/observe"
)

// TestRequirePrincipal holds that RequirePrincipal answers, logs and reports as Require
// and RequireScope do, and hands over the same principal.
func TestRequirePrincipal(t *testing.T) {
	var observed []observe.Event
	basic := true
	s := newSystem(t, func(o *settings) {
		o.gate.WarnBefore = 24 * time.Hour
		o.gate.Observe = func(_ context.Context, e observe.Event) {
			e.Duration = 0
			observed = append(observed, e)
		}
		o.basic.Enabled = func() bool { return basic }
	})
	var got *auth.Principal
	wrapped := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, _ = auth.FromContext(r.Context())
		_, _ = w.Write([]byte("in"))
	})
	plain := func(w http.ResponseWriter, r *http.Request, p auth.Principal) {
		if _, ok := auth.FromContext(r.Context()); ok {
			t.Error("the request carries a principal")
		}
		got = &p
		_, _ = w.Write([]byte("in"))
	}
	near, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Scopes: "read jobs", Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	cookie := s.login(s.alice)
	for _, tt := range []struct {
		name, method string
		lines        []string
		basicOff     bool
	}{
		{"no credential", "GET", nil, false},
		{"token", "GET", []string{bearer(s.issue(s.alice, "read"))}, false},
		{"token, unsafe method", "POST", []string{bearer(s.issue(s.alice, "read"))}, false},
		{"token that expires soon", "GET", []string{bearer(near)}, false},
		{"token of other addresses", "GET", []string{bearer(elsewhere)}, false},
		{"unknown token", "GET", []string{"Authorization: Bearer nobody"}, false},
		{"two fields", "GET", []string{"Authorization: Bearer a", "Authorization: Bearer b"}, false},
		{"empty field", "GET", []string{"Authorization: "}, false},
		{"unknown scheme", "GET", []string{"Authorization: Digest a"}, false},
		{"session", "POST", []string{cookie}, false},
		{"session of another site", "POST", []string{cookie, "Origin: https://evil.example"}, false},
		{"password", "GET", []string{basicLine("alice", goodPassword)}, false},
		{"password and session, Basic off", "GET", []string{basicLine("alice", goodPassword), cookie}, true},
		{"TRACE", "TRACE", []string{bearer(near)}, false},
	} {
		basic = !tt.basicOff
		for _, names := range [][]string{nil, {"jobs"}, {"jobs", "read"}} {
			want, have := s.gate.Require(wrapped), s.gate.RequirePrincipal(plain, names...)
			if names != nil {
				want = s.gate.RequireScope(names[0], names[1:]...)(wrapped)
			}
			type outcome struct {
				Status    int
				Header    http.Header
				Body      string
				Log       []map[string]any
				Observed  []observe.Event
				Principal *auth.Principal
			}
			run := func(h http.Handler) (o outcome) {
				observed, got = nil, nil
				o.Log = s.events(func() {
					w := send(s.session.Handler(h), tt.method, "/x", tt.lines...)
					o.Status, o.Header, o.Body = w.Code, w.Header(), w.Body.String()
				})
				o.Observed, o.Principal = observed, got
				for _, record := range o.Log {
					if record[audit.KeyUserID] != nil && o.Status == http.StatusUnauthorized {
						t.Errorf("%s: a credential that is no good names a user: %v", tt.name, record)
					}
				}
				if len(o.Header["Session-Timeout"]) > 0 {
					o.Header["Session-Timeout"] = []string{"is of the time of the request"}
				}
				if got != nil && got.Credential == auth.CredentialBasic {
					got.Proved = time.Time{} // is the time of the request
				}
				return o
			}
			if diff := cmp.Diff(run(want), run(have)); diff != "" {
				t.Errorf("%s, scopes %q (-Require +RequirePrincipal):\n%s", tt.name, names, diff)
			}
		}
	}
}

func TestRequirePrincipalPanics(t *testing.T) {
	gate := newSystem(t, nil).gate
	for name, f := range map[string]func(){
		"nil function": func() { gate.RequirePrincipal(nil) },
		"bad scope": func() {
			gate.RequirePrincipal(func(http.ResponseWriter, *http.Request, auth.Principal) {}, "two words")
		},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// TestPrincipalAllocations holds that a request costs no allocation if the handler takes
// the principal as an argument, and one behind Session.Handler, whose request has room
// for that of the gate. A password that was seen before costs none.
func TestPrincipalAllocations(t *testing.T) {
	s := newBenchSystem(t)
	token := authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	r := request(t, func(h http.Header) { h.Set("Authorization", "Bearer "+token) })
	reached := 0
	plain := s.gate.RequirePrincipal(func(_ http.ResponseWriter, _ *http.Request, p auth.Principal) {
		if p.Name == "alice" {
			reached++
		}
	})
	password := request(t, func(http.Header) {})
	password.SetBasicAuth("alice", "correct horse battery")
	for _, tt := range []struct {
		name string
		h    http.Handler
		r    *http.Request
		want float64
	}{
		{"RequirePrincipal", plain, r, 0},
		{"RequirePrincipal behind Session.Handler", s.session.Handler(plain), r, 1},
		{"Require behind Session.Handler", s.session.Handler(s.gate.Require(counting(&reached))), r, 1},
		{"Require, password seen before", s.gate.Require(counting(&reached)), password, 1},
		{"RequirePrincipal, password seen before", plain, password, 0},
	} {
		reached = 0
		w := &nowhere{make(http.Header)}
		if n := testing.AllocsPerRun(1000, func() {
			clear(w.header)
			tt.h.ServeHTTP(w, tt.r)
		}); n > tt.want || reached == 0 {
			t.Errorf("%s: %v allocations, want %v; %d requests passed", tt.name, n, tt.want, reached)
		}
	}
}

// TestGatesBehindOneHandler holds that gates behind one Session.Handler share no request
// and no principal, and that the requests outside have none.
func TestGatesBehindOneHandler(t *testing.T) {
	s := newBenchSystem(t)
	others := newBenchSystem(t)
	alice := authtest.AddToken(t, s.tokens, s.alice, auth.ScopeRead)
	bob := authtest.AddToken(t, others.tokens, others.alice, auth.ScopeRead)
	second := auth.NewGate(auth.NewBearer(others.tokens), &auth.GateOptions{Logger: slog.New(slog.DiscardHandler)})

	var seen []*http.Request
	keep := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = append(seen, r) })
	var outer *http.Request
	s.session.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer = r
		s.gate.Require(keep).ServeHTTP(w, r)
		r.Header = http.Header{"Authorization": {"Bearer " + bob}}
		second.Require(keep).ServeHTTP(w, r)
	})).ServeHTTP(&nowhere{make(http.Header)}, request(t, func(h http.Header) { h.Set("Authorization", "Bearer "+alice) }))

	if len(seen) != 2 || seen[0] == seen[1] || seen[0] == outer {
		t.Fatalf("requests %v of %v", seen, outer)
	}
	if p, ok := auth.FromContext(outer.Context()); ok {
		t.Errorf("the request outside the gates has %v", p)
	}
	p, _ := auth.FromContext(seen[0].Context())
	q, _ := auth.FromContext(seen[1].Context())
	if p == q || p.ID != s.alice.ID || q.ID != others.alice.ID || p.TokenDigest == q.TokenDigest {
		t.Errorf("principals %v and %v", p, q)
	}
}
