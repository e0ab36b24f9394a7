package auth_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// A gate right behind Session.Handler gets the context with the session beside the
// request. Nobody may see a difference to a gate with a handler of the host between:
// neither the host's functions, nor a handler that changes the session, nor the client.
func TestGateRightBehindReadSessions(t *testing.T) {
	type system struct {
		s      *auth.Session
		second *auth.Session
		users  map[string]store.User
	}
	handlers := map[string]func(s *system, w http.ResponseWriter, r *http.Request){
		"writes": func(_ *system, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "body") },
		"puts": func(s *system, w http.ResponseWriter, r *http.Request) {
			s.s.Manager().Put(r.Context(), "new", "value")
			w.WriteHeader(http.StatusAccepted)
			s.s.Manager().Put(r.Context(), "late", "value")
		},
		"logs in again": func(s *system, w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, s.s.Login(r, s.users["alice"]), s.s.Manager().GetString(r.Context(), "k"))
		},
		"logs in another": func(s *system, w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, s.s.Login(r, s.users["bob"]), s.s.Manager().GetString(r.Context(), "k"))
		},
		"logs out": func(s *system, w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, s.s.Manager().GetString(r.Context(), "k"), s.s.Logout(r), s.s.Manager().GetString(r.Context(), "k"))
		},
		"reads from": func(_ *system, w http.ResponseWriter, _ *http.Request) {
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("file"))
			fmt.Fprint(w, err)
		},
		"flushes": func(_ *system, w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, http.NewResponseController(w).Flush())
		},
		"hijacks": func(s *system, w http.ResponseWriter, r *http.Request) {
			s.s.Manager().Put(r.Context(), "new", "value")
			_, _, err := http.NewResponseController(w).Hijack()
			fmt.Fprint(w, err)
		},
		"aborts": func(s *system, _ http.ResponseWriter, r *http.Request) {
			s.s.Manager().Put(r.Context(), "new", "value")
			panic(http.ErrAbortHandler)
		},
		"serves again": func(s *system, w http.ResponseWriter, r *http.Request) { // two gates, and two requests of one context
			gate := auth.NewGate(s.s, &auth.GateOptions{Logger: slog.New(slog.DiscardHandler)})
			for _, h := range []http.Handler{gate.Require(http.HandlerFunc(func(w http.ResponseWriter, inner *http.Request) {
				p, _ := auth.FromContext(inner.Context())
				q, _ := auth.FromContext(r.Context())
				fmt.Fprint(w, p.Name, q.Name, p == q)
			}))} {
				h.ServeHTTP(w, r)
				h.ServeHTTP(w, r.Clone(r.Context()))
			}
		},
		"rechecks": func(s *system, w http.ResponseWriter, r *http.Request) {
			gate := auth.NewGate(s.s, &auth.GateOptions{Logger: slog.New(slog.DiscardHandler)})
			p, err := gate.Recheck(r)
			fmt.Fprint(w, p != nil, err, s.s.Logout(r))
			p, err = gate.Recheck(r)
			fmt.Fprint(w, p != nil, err)
		},
	}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "upstream ", r.URL.Path) }))
	defer upstream.Close()
	to, _ := url.Parse(upstream.URL)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) }}
	handlers["is a proxy"] = func(_ *system, w http.ResponseWriter, r *http.Request) { proxy.ServeHTTP(w, r) }

	requests := map[string]func(r *http.Request, cookie, guest string){
		"session":   func(r *http.Request, cookie, _ string) { r.Header.Set("Cookie", cookie) },
		"no cookie": func(*http.Request, string, string) {},
		"dead":      func(r *http.Request, _, _ string) { r.Header.Set("Cookie", "__Host-session="+strings.Repeat("d", 43)) },
		"doubled":   func(r *http.Request, cookie, _ string) { r.Header.Set("Cookie", cookie+"; "+cookie) },
		"anonymous": func(r *http.Request, _, guest string) { r.Header.Set("Cookie", guest) },
		"another origin": func(r *http.Request, cookie, _ string) {
			r.Method = "POST"
			r.Header.Set("Cookie", cookie)
			r.Header.Set("Origin", "https://evil.example")
		},
		"own origin": func(r *http.Request, cookie, _ string) {
			r.Method = "POST"
			r.Header.Set("Cookie", cookie)
			r.Header.Set("Origin", "http://example.com")
		},
		"page":  func(r *http.Request, _, _ string) { r.Header.Set("Accept", "text/html") },
		"trace": func(r *http.Request, cookie, _ string) { r.Method = "TRACE"; r.Header.Set("Cookie", cookie) },
		"field": func(r *http.Request, cookie, _ string) {
			r.Header.Set("Cookie", cookie)
			r.Header.Set("Authorization", "Bearer x")
		},
	}
	kinds := map[string]func(g *auth.Gate, h http.Handler) http.Handler{
		"Require":      func(g *auth.Gate, h http.Handler) http.Handler { return g.Require(h) },
		"Identify":     func(g *auth.Gate, h http.Handler) http.Handler { return g.Identify(h) },
		"RequireLogin": func(g *auth.Gate, h http.Handler) http.Handler { return g.RequireLogin("/login/")(h) },
		"RequireScope": func(g *auth.Gate, h http.Handler) http.Handler { return g.RequireScope("write")(h) },
		"in a mux": func(g *auth.Gate, h http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/{x}/", g.Require(h))
			return mux
		},
		"twice": func(g *auth.Gate, h http.Handler) http.Handler { return g.Require(g.Identify(h)) },
	}
	// ask returns all that anybody sees.
	ask := func(handle func(*system, http.ResponseWriter, *http.Request), ready func(*http.Request, string, string), kind func(*auth.Gate, http.Handler) http.Handler, between, nested bool) any {
		var seen []string
		note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
		quiet := slog.New(slog.DiscardHandler)
		db := memory.New()
		sys := &system{users: map[string]store.User{}}
		for _, name := range []string{"alice", "bob"} {
			sys.users[name] = authtest.AddUser(t, db, store.User{Name: name}, "")
		}
		sys.s = auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
		sys.second = auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet, CookieName: "__Host-second"}))
		look := func(where string, ctx context.Context, r *http.Request) {
			p, ok := auth.FromContext(ctx)
			name := ""
			if ok {
				name = p.Name
			}
			value := "none"
			if sys.s.Current(ctx) != 0 || r != nil {
				value = sys.s.Manager().GetString(ctx, "k")
			}
			note("%s: principal %q, session %v, value %q, host %v", where, name, sys.s.Current(ctx) != 0, value, ctx.Value(hostKey{}))
			if r != nil {
				note("client %v, %s %q %q, its own context %v", auth.ClientAddr(r), r.Method, r.Pattern, r.PathValue("x"), r.Context() == ctx)
			}
		}
		gate := auth.NewGate(auth.FirstOf(sys.s, sys.second), &auth.GateOptions{
			Logger:  quiet,
			Observe: func(ctx context.Context, e observe.Event) { look(fmt.Sprint(e.Name, e.Kind, e.Reason), ctx, nil) },
			Deny: func(w http.ResponseWriter, r *http.Request, e *auth.Error) {
				look("deny", r.Context(), r)
				w.WriteHeader(e.Status)
			},
		})
		once := func(h http.Handler, ready func(*http.Request, string, string), cookie, guest string) *httptest.ResponseRecorder {
			r := httptest.NewRequest("GET", "/a/", http.NoBody)
			r = r.WithContext(context.WithValue(r.Context(), hostKey{}, "outer"))
			ready(r, cookie, guest)
			w := httptest.NewRecorder()
			func() {
				defer func() {
					if p := recover(); p != nil {
						note("panic %v", p)
					}
				}()
				h.ServeHTTP(w, r)
			}()
			return w
		}
		named := func(w *httptest.ResponseRecorder) string {
			pair, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
			return pair
		}
		cookie := named(once(sys.s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			note("%v", sys.s.Login(r, sys.users["alice"]))
			sys.s.Manager().Put(r.Context(), "k", "of alice")
		})), requests["no cookie"], "", ""))
		guest := named(once(sys.s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			sys.s.Manager().Put(r.Context(), "k", "of nobody")
		})), requests["no cookie"], "", ""))

		next := kind(gate, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			look("handler", r.Context(), r)
			handle(sys, w, r)
			if r.Header.Get("Authorization") == "" {
				look("afterwards", r.Context(), r)
			}
		}))
		h := next
		if between {
			h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
		}
		if nested {
			h = sys.second.Handler(h)
		}
		var replies []any
		for range 3 { // the values are unknown to the process, then known to be good, then decoded
			w := once(sys.s.Handler(h), ready, cookie, guest)
			header := w.Header().Clone()
			header.Del("Date") // of the upstream server
			for i, line := range header["Set-Cookie"] {
				name, rest, _ := strings.Cut(line, "=")
				value, attributes, _ := strings.Cut(rest, ";")
				header["Set-Cookie"][i] = fmt.Sprint(name, len(value), attributes)
			}
			replies = append(replies, map[string]any{"status": w.Code, "header": header, "body": w.Body.String(), "flushed": w.Flushed})
		}
		left := ""
		for _, name := range []string{"alice", "bob"} {
			rows, _, err := db.ListSessions(t.Context(), store.SessionFilter{UserID: sys.users[name].ID}, time.Now(), store.Page{Limit: 10})
			left += fmt.Sprint(" ", name, len(rows), err)
		}
		return map[string]any{"seen": seen, "replies": replies, "left": left}
	}
	for handler, handle := range handlers {
		for request, ready := range requests {
			for kind, of := range kinds {
				for _, nested := range []bool{false, true}[:1+min(1, strings.Count(kind, "Identify"))] {
					if diff := cmp.Diff(ask(handle, ready, of, true, nested), ask(handle, ready, of, false, nested)); diff != "" {
						t.Errorf("%s, %s, %s, nested %t: a handler between makes a difference (-between +without):\n%s", handler, request, kind, nested, diff)
					}
				}
			}
		}
	}
}
