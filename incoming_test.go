package auth_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
)

// A gate that is the next handler behind Session.Handler copies a request once. What
// sees the request notices nothing: a hook before the decision, the handler, and a gate
// further in see what they see where another handler stands between the two.
func TestOneCopyOfARequest(t *testing.T) {
	type key struct{}
	type seen struct {
		Hook, Handler, Inner []string
		Status               int
	}
	between := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) })
	}
	s := newSystem(t, nil)
	token, cookie := bearer(s.issue(s.alice, "write jobs")), s.login(s.alice)
	s.put(cookie, "cart", "apples")
	visit := func(lines []string, between func(http.Handler) http.Handler) (got seen) {
		manager := s.session.Manager()
		note := func(ctx context.Context) []string {
			p, ok := auth.FromContext(ctx)
			if !ok {
				p = &auth.Principal{}
			}
			r := (&http.Request{RemoteAddr: "203.0.113.9:1"}).WithContext(ctx)
			facts := []string{p.Name, fmt.Sprint(ctx.Value(key{})), auth.ClientAddr(r).String(), manager.GetString(ctx, "cart")}
			manager.Put(ctx, "cart", "pears")
			return append(facts, manager.GetString(ctx, "cart"))
		}
		var before []context.Context
		gate := auth.NewGate(auth.FirstOf(auth.NewBearer(s.tokens), s.session), &auth.GateOptions{
			Observe: func(ctx context.Context, e observe.Event) {
				before = append(before, ctx)
				got.Hook = append(got.Hook, append(note(ctx), e.Name.String())...)
			},
		})
		inner := gate.RequireScope("jobs")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got.Inner = note(r.Context())
		}))
		h := gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RemoteAddr = "" // what a handler changes later is not asked
			got.Handler = note(r.Context())
			if p, ok := auth.FromContext(before[0]); ok {
				t.Errorf("the context of a hook has got %s later", p.Name)
			}
			for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
				text := fmt.Sprintf(verb, before[0]) + fmt.Sprintf(verb, r.Context())
				if strings.Contains(text, strings.TrimPrefix(lines[0], "Authorization: Bearer ")) {
					t.Errorf("%s prints the credential: %s", verb, text)
				}
			}
			inner.ServeHTTP(w, r)
		}))
		if between != nil {
			h = between(h)
		}
		h = s.session.Handler(h)
		got.Status = send(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "outside")))
			if r.RemoteAddr == "" {
				t.Error("the request of the caller has changed")
			}
		}), "POST", "/", lines...).Code
		return got
	}
	for _, tt := range []struct {
		name   string
		lines  []string
		status int
	}{
		{"a token", []string{token}, 200},
		{"a token and a cookie", []string{token, cookie}, 200},
		{"a dead token", []string{"Authorization: Bearer ostiary_dead", cookie}, 401},
		{"another scheme", []string{"Authorization: Digest x", cookie}, 401},
	} {
		want, got := visit(tt.lines, between), visit(tt.lines, nil)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-with a handler between +without):\n%s", tt.name, diff)
		}
		if got.Status != tt.status || len(got.Hook) == 0 || got.Hook[0] != "" || got.Hook[1] != "outside" || got.Hook[3] != "" || (got.Handler == nil) != (tt.status != 200) {
			t.Errorf("%s: %+v", tt.name, got)
		}
	}
	if got := s.value(cookie, "cart"); got != "apples" {
		t.Errorf("the session has %q", got)
	}
}

// asking is an authenticator of a host, which changes the request that it gets.
type asking struct{ got []*http.Request }

type askedKey struct{}

func (a *asking) Authenticate(r *http.Request) (*auth.Principal, error) {
	a.got = append(a.got, r)
	*r = *r.WithContext(context.WithValue(r.Context(), askedKey{}, r.URL.Path))
	if r.URL.Path == "/refused/" {
		return nil, &auth.Error{Status: http.StatusForbidden}
	}
	return &auth.Principal{ID: "7", Name: "robot", Scopes: auth.Unrestricted}, nil
}

// An authenticator of a host gets a request with the whole context, and what it changes
// of it reaches the handler, or Deny, and nobody outside.
func TestHostChangesItsRequest(t *testing.T) {
	s := newSystem(t, nil)
	host := &asking{}
	var denied []*http.Request
	var found []any
	see := func(r *http.Request) {
		found = append(found, r.Context().Value(askedKey{}), s.session.Manager().GetString(r.Context(), "cart"))
	}
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(s.tokens), host), &auth.GateOptions{
		Deny: func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
			denied = append(denied, r)
			see(r)
			w.WriteHeader(e.Status)
		},
	})
	h := s.session.Handler(gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { see(r) })))
	for _, path := range []string{"/let-in/", "/refused/"} {
		send(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			if r.Context().Value(askedKey{}) != nil {
				t.Errorf("%s: the request of the caller has changed", path)
			}
		}), "GET", path, "Authorization: Signature x")
	}
	if want := []any{"/let-in/", "", "/refused/", ""}; !slices.Equal(found, want) {
		t.Errorf("they find %q, want %q", found, want)
	}
	if len(host.got) != 2 || len(denied) != 1 || denied[0] != host.got[1] {
		t.Errorf("the host got %p, Deny %p", host.got, denied)
	}
}

// Goroutines that ask one context for a session that was not read get the same values.
func TestOneSkippedSession(t *testing.T) {
	s := newSystem(t, nil)
	token := bearer(s.issue(s.alice, "read"))
	manager := s.session.Manager()
	send(s.session.Handler(s.gate.Require(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() { manager.Put(r.Context(), fmt.Sprint(i), "put") })
		}
		all.Wait()
		if keys := manager.Keys(r.Context()); len(keys) != 8 {
			t.Errorf("the values are %q", keys)
		}
	}))), "GET", "/", token)
}
