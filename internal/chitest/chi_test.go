package chitest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

const password = "a long enough password"

// parts are what a host has to mount.
type parts struct {
	session *auth.Session
	gate    *auth.Gate
	api     http.Handler
}

func newParts(t *testing.T) parts {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	authtest.AddUser(t, db, store.User{Name: "al/ice"}, password)
	passwords := auth.Must(auth.NewPasswords(db, db, &auth.PasswordsOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{InsecureCookie: true, Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(passwords, nil)), &auth.GateOptions{Logger: quiet})
	return parts{session, gate, auth.Must(httpapi.New(httpapi.Config{
		Gate: gate, Users: db, Passwords: passwords, Session: session, Tokens: tokens,
	}))}
}

// whoami is a route of the host.
func whoami(w http.ResponseWriter, r *http.Request) {
	p, _ := auth.FromContext(r.Context())
	fmt.Fprint(w, p.Name, " ", chi.URLParam(r, "id"))
}

// quiet is chi's log of requests, which wraps the response writer.
var quiet = middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: discard{}, NoColor: true})

type discard struct{}

func (discard) Print(...any) {}

func TestMounting(t *testing.T) {
	for name, mount := range map[string]func(chi.Router, parts){
		"Mount":      func(r chi.Router, p parts) { r.Use(p.session.Handler); r.Mount("/api", p.api) },
		"Handle":     func(r chi.Router, p parts) { r.Use(p.session.Handler); r.Handle("/api/*", p.api) },
		"no session": func(r chi.Router, p parts) { r.Mount("/api/", p.api) },
		"in a group": func(r chi.Router, p parts) {
			r.Group(func(r chi.Router) { r.Use(p.session.Handler); r.Mount("/api/", p.api) })
		},
		"in a route": func(r chi.Router, p parts) {
			r.Route("/api", func(r chi.Router) { r.Use(p.session.Handler); r.Handle("/*", p.api) })
		},
		"with chi's middleware": func(r chi.Router, p parts) {
			r.Use(middleware.RequestID, quiet, middleware.Recoverer, middleware.Compress(5), middleware.Timeout(time.Minute),
				middleware.CleanPath, middleware.GetHead, p.session.Handler)
			r.Mount("/api", p.api)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts(t)
			r := chi.NewRouter()
			mount(r, p)
			r.With(p.gate.Require).HandleFunc("/jobs/{id}", whoami)
			srv := httptest.NewServer(r)
			defer srv.Close()
			client := srv.Client()
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			send := func(want int, method, path, content string, header ...string) (*http.Response, string) {
				t.Helper()
				r, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(content))
				if err != nil {
					t.Fatal(err)
				}
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != want {
					t.Fatalf("%s %s: %s, want %d: %s (%v)", method, path, resp.Status, want, b, err)
				}
				return resp, string(b)
			}
			resp, _ := send(302, "POST", "/api/login/", "username=al%2Fice&password="+strings.ReplaceAll(password, " ", "+"),
				"Content-Type", "application/x-www-form-urlencoded")
			var cookie string
			for _, c := range resp.Cookies() {
				if c.Name == "session" {
					cookie += c.Name + "=" + c.Value // a second one would make it ambiguous
				}
			}
			_, body := send(201, "POST", "/api/v2/users/al%2Fice/personal_tokens/", `{"scope":"read"}`,
				"Content-Type", "application/json", "Cookie", cookie)
			var token struct{ Token string }
			if err := json.Unmarshal([]byte(body), &token); err != nil {
				t.Fatal(err)
			}
			bearer := []string{"Authorization", "Bearer " + token.Token}
			if _, body := send(200, "GET", "/api/v2/me/", "", bearer...); !strings.Contains(body, `"username":"al/ice"`) {
				t.Errorf("me: %s", body)
			}
			if _, body := send(200, "GET", "/jobs/7", "", bearer...); body != "al/ice 7" {
				t.Errorf("a route of the host: %s", body)
			}
			send(403, "POST", "/jobs/7", "", bearer...)
			send(401, "GET", "/jobs/7", "")
			send(401, "GET", "/api/v2/me/", "", "Authorization", "Bearer dead")
			send(301, "GET", "/api/v2/me", "")
			send(308, "POST", "/api/v2/tokens", "")
			send(404, "POST", "/api/gateway/v1/tokens/", "", bearer...)
			send(405, "PUT", "/api/v2/me/", "", "Cookie", cookie)
			send(302, "GET", "/api/logout/", "", "Cookie", cookie)
			send(401, "GET", "/api/v2/me/", "", "Cookie", cookie)
		})
	}
}

// TestSessionsInRoutes has the host's own routes under Require, with the session
// loaded by one middleware for all.
func TestSessionsInRoutes(t *testing.T) {
	p := newParts(t)
	r := chi.NewRouter()
	r.Use(p.session.Handler)
	r.Group(func(r chi.Router) {
		r.Use(p.gate.RequireScope(auth.ScopeRead))
		r.Get("/reports/{id}/", whoami)
	})
	r.Mount("/api", p.api)
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/reports/1/", nil))
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Bearer realm="api"` {
		t.Errorf("anonymous: %d %v", w.Code, w.Header())
	}
	q := httptest.NewRequest("GET", "/reports/1/", nil)
	q.SetBasicAuth("al/ice", password)
	w = httptest.NewRecorder()
	r.ServeHTTP(w, q)
	if w.Code != 200 || w.Body.String() != "al/ice 1" {
		t.Errorf("with Basic: %d %s", w.Code, w.Body)
	}
}
