package auth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
)

type hostKey struct{}

// A gate right behind Session.Handler gets the context of a request beside it. Nobody
// may see a difference to a gate with a handler of the host between.
func TestGateRightBehindSessions(t *testing.T) {
	var seen []string // by code of the host
	note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	var options auth.GateOptions
	s := newSystem(t, func(o *settings) {
		o.gate.Observe = func(ctx context.Context, e observe.Event) {
			p, ok := auth.FromContext(ctx)
			note("observe %v %v %v, a principal %v %v, host %v", e.Name, e.Kind, e.Reason, p != nil, ok, ctx.Value(hostKey{}))
		}
		options = o.gate
	})
	second := auth.Must(auth.NewSession(s.db, s.db, &auth.SessionOptions{CookieName: "__Host-second", Logger: options.Logger}))
	value := func(ctx context.Context, of *auth.Session) (v string) {
		defer func() {
			if p := recover(); p != nil {
				v = fmt.Sprint(p)
			}
		}()
		v = of.Manager().GetString(ctx, "k")
		of.Manager().Put(ctx, "k", "put")
		return v + of.Manager().GetString(ctx, "k")
	}
	look := func(where string, r *http.Request) {
		p, ok := auth.FromContext(r.Context())
		name := ""
		if ok {
			name = p.Name
		}
		note("%s: principal %q %v, host %v, client %v, x %q, pattern %q, values %q and %q, set by the host %v, context %v", where, name, ok,
			r.Context().Value(hostKey{}), auth.ClientAddr(r), r.PathValue("x"), r.Pattern, value(r.Context(), s.session), value(r.Context(), second),
			r.Header["X-Set"], r.Context().Value(http.ServerContextKey) != nil)
	}
	host := auth.AuthenticatorFunc(func(r *http.Request) (*auth.Principal, error) {
		look("authenticator", r)
		*r = *r.WithContext(context.WithValue(r.Context(), hostKey{}, "by the authenticator"))
		r.Header = r.Header.Clone()
		r.Header.Set("X-Set", "yes")
		switch r.Header.Get("Authorization") {
		case "Host good":
			return &auth.Principal{ID: "9", Name: "hosted", Scopes: auth.Unrestricted}, nil
		case "Host bad":
			return nil, errors.New("outage")
		}
		return nil, auth.ErrNoCredentials
	})
	options.Deny = func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
		look("deny", r)
		w.WriteHeader(e.Status)
	}
	basic := func(on bool) *auth.Basic {
		return auth.NewBasic(s.passwords, &auth.BasicOptions{Enabled: func() bool { return on }})
	}
	gates := map[string]*auth.Gate{
		"ours":           s.gate,
		"host first":     auth.NewGate(auth.FirstOf(host, auth.NewBearer(s.tokens), s.session, second), &options),
		"bearer first":   auth.NewGate(auth.FirstOf(auth.NewBearer(s.tokens), s.session, basic(true), host), &options),
		"basic switched": auth.NewGate(auth.FirstOf(s.session, basic(false), auth.NewBearer(s.tokens), host), &options),
	}
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		look("handler", r)
		r.Pattern = "changed"
		_, err := s.gate.Recheck(r)
		note("recheck %v", err)
	})
	kinds := map[string]func(*auth.Gate) http.Handler{
		"Require":         func(g *auth.Gate) http.Handler { return g.Require(inner) },
		"RequireScope":    func(g *auth.Gate) http.Handler { return g.RequireScope("jobs")(inner) },
		"RequireAnyScope": func(g *auth.Gate) http.Handler { return g.RequireAnyScope(inner) },
		"RequireLogin":    func(g *auth.Gate) http.Handler { return g.RequireLogin("/login/")(inner) },
		"Identify":        func(g *auth.Gate) http.Handler { return g.Identify(inner) },
		"RequirePrincipal": func(g *auth.Gate) http.Handler {
			return g.RequirePrincipal(func(w http.ResponseWriter, r *http.Request, p auth.Principal) { note("%s", p.Name); inner(w, r) })
		},
		"nested": func(g *auth.Gate) http.Handler { return g.Identify(s.gate.Require(inner)) },
	}
	wrappings := map[string]func(http.Handler) http.Handler{
		"one":        s.session.Handler,
		"two":        func(h http.Handler) http.Handler { return s.session.Handler(second.Handler(h)) },
		"same twice": func(h http.Handler) http.Handler { return s.session.Handler(s.session.Handler(h)) },
	}
	bound := auth.Must(s.tokens.Issue(t.Context(), by(s.alice), auth.TokenRequest{Scopes: "read", Addresses: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}))
	requests := map[string]string{
		"nothing":     "Accept: text/html",
		"good":        bearer(s.issue(s.alice, "read write")),
		"read only":   bearer(s.issue(s.bob, "read")),
		"jobs":        bearer(s.issue(s.bob, "jobs")),
		"bound":       bearer(bound),
		"unknown":     "Authorization: Bearer ost_unknown",
		"malformed":   "Authorization: Bearer a b",
		"empty":       "Authorization: ",
		"scheme":      "Authorization: Digest x",
		"host good":   "Authorization: Host good",
		"host outage": "Authorization: Host bad",
		"basic":       basicLine("alice", goodPassword),
		"no basic":    "Authorization: Basic x",
	}
	cookie := s.login(s.alice)
	s.me(requests["basic"])   // a password that was proved takes other steps
	s.put(cookie, "k", "put") // as every handler does
	for wrapping, wrap := range wrappings {
		for gate, g := range gates {
			for kind, of := range kinds {
				for name, line := range requests {
					ask := func(h http.Handler) any {
						seen = nil
						mux := http.NewServeMux()
						mux.Handle("/{x}/", h)
						r := httptest.NewRequest("POST", "/a/", strings.NewReader("body"))
						r = r.WithContext(context.WithValue(r.Context(), hostKey{}, "outer"))
						r.Header["Sec-Fetch-Site"] = []string{"same-origin"}
						for _, line := range []string{line, cookie} {
							name, value, _ := strings.Cut(line, ": ")
							r.Header[name] = []string{value}
						}
						w := httptest.NewRecorder()
						events := s.events(func() { mux.ServeHTTP(w, r) })
						header := w.Header().Clone()
						header.Del("Session-Timeout")
						for i, line := range header["Set-Cookie"] {
							header["Set-Cookie"][i], _, _ = strings.Cut(line, "=")
						}
						return map[string]any{"status": w.Code, "header": header, "body": w.Body.String(), "events": events, "seen": seen}
					}
					h := of(g)
					between := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(w, r) })
					if diff := cmp.Diff(ask(wrap(between)), ask(wrap(h))); diff != "" {
						t.Errorf("%s, gate %s, %s, %s: a handler between makes a difference (-between +without):\n%s", wrapping, gate, kind, name, diff)
					}
				}
			}
		}
	}
}
