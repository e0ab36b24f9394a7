package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"
	gorilla "github.com/gorilla/sessions"

	"github.com/ostiary/auth/bench"
)

// sessionRivals are scs with its codec, gob, and its store in memory, and the signed
// cookie of gorilla/sessions, which has no store.
func sessionRivals() []bench.Contestant {
	m := scs.New()
	m.Store = memstore.NewWithCleanupInterval(0)
	m.HashTokenInStore = true
	serve := func(f func(ctx context.Context)) http.Handler {
		return m.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := m.GetString(r.Context(), "user")
			f(r.Context())
			alice(w, name)
		}))
	}
	login := serve(func(ctx context.Context) { bench.PutValues(m, ctx) })
	var cookies []string
	for range bench.Presented {
		w := httptest.NewRecorder()
		login.ServeHTTP(w, bench.NewRequest(http.Header{}))
		cookies = append(cookies, cookieOf(w))
	}
	fields := bench.Fields("Cookie", cookies)

	key := []byte(strings.Repeat("k", 32))
	store := gorilla.NewCookieStore(key)
	signed := func(w http.ResponseWriter, r *http.Request) (*gorilla.Session, string) {
		s, _ := store.Get(r, "session")
		name, _ := s.Values["user"].(string)
		return s, name
	}
	w := httptest.NewRecorder()
	r := bench.NewRequest(http.Header{})
	s, _ := signed(w, r)
	for _, k := range []string{"backend", "hash", "csrf"} {
		s.Values[k] = strings.Repeat("x", 40)
	}
	s.Values["user"] = "alice"
	if err := s.Save(r, w); err != nil {
		panic(err)
	}
	return []bench.Contestant{
		bench.Serving("scs, gob, values read", serve(func(ctx context.Context) { _ = m.GetString(ctx, "backend") }), bench.Passed, fields),
		bench.Serving("scs, gob, equal value put", serve(func(ctx context.Context) { m.Put(ctx, "backend", "model") }), bench.Passed, fields),
		bench.Serving("gorilla/sessions, signed cookie, read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, name := signed(w, r.WithContext(r.Context())) // gorilla keeps what it has decoded in the request
			alice(w, name)
		}), bench.Passed, bench.Fields("Cookie", []string{cookieOf(w)})),
	}
}

func cookieOf(w *httptest.ResponseRecorder) string {
	cookie, _, _ := strings.Cut(w.Header().Get("Set-Cookie"), ";")
	return cookie
}
