package auth_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// Values that the process keeps decoded are those of each request alone: what one
// changes, another one sees only once it is saved, and nobody sees those of a session
// that has ended.
func TestDecodedValuesAreOfOneRequest(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.inMemory = true })
	m := s.session.Manager()
	cookie := s.login(s.alice)
	s.put(cookie, "a", "1")
	s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "bytes", []byte("bytes"))
		m.Put(r.Context(), "strings", []string{"string"})
	})
	mixed, plain := cookie, s.login(s.bob)
	s.put(plain, "a", "1")
	for name, cookie := range map[string]string{"some can be changed in place": mixed, "none can": plain} {
		read := func(where string, r *http.Request, want string) {
			t.Helper()
			got := m.GetString(r.Context(), "a") + fmt.Sprintf(" %d %s %s", len(m.Keys(r.Context())), m.GetBytes(r.Context(), "bytes"), m.Get(r.Context(), "strings"))
			if cookie == plain {
				got, want = strings.TrimSuffix(got, "  %!s(<nil>)"), strings.TrimSuffix(want, " bytes [string]")
				want = strings.Replace(want, " 3", " 1", 1)
			}
			if got != want {
				t.Errorf("%s, %s: %q, want %q", name, where, got, want)
			}
		}
		for i := range 5 { // from the third time on they are kept
			s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
				read(fmt.Sprint("time ", i), r, "1 3 bytes [string]")
				if cookie == mixed {
					m.GetBytes(r.Context(), "bytes")[0] = 'X'
					m.Get(r.Context(), "strings").([]string)[0] = "X"
				}
				s.run(cookie, func(_ http.ResponseWriter, r *http.Request) { read("inside", r, "1 3 bytes [string]") })
			})
			s.run(cookie, func(_ http.ResponseWriter, r *http.Request) { // puts back what it has changed
				m.GetString(r.Context(), "a")
				other := r.Context()
				s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
					m.GetString(r.Context(), "a")
					m.Put(other, "a", fmt.Sprint("unsaved ", i))
					read("beside a change", r, "1 3 bytes [string]")
				})
				m.Put(other, "a", "1")
			})
		}
		s.put(cookie, "a", "2")
		for range 3 {
			s.run(cookie, func(_ http.ResponseWriter, r *http.Request) { read("changed", r, "2 3 bytes [string]") })
		}
		s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
			if err := s.session.Logout(r); err != nil {
				t.Error(err)
			}
			if got := m.Keys(r.Context()); len(got) != 0 {
				t.Errorf("%s: %q after the logout", name, got)
			}
		})
		s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
			if got := m.Keys(r.Context()); len(got) != 0 {
				t.Errorf("%s: %q of a dead session", name, got)
			}
		})
	}
}

// What requests do at the same time with values that are kept decoded loses nothing.
func TestDecodedValuesAreMerged(t *testing.T) {
	s := newSystem(t, func(o *settings) { o.inMemory = true })
	m := s.session.Manager()
	cookie := s.login(s.alice)
	s.put(cookie, "a", "1")
	for range 3 {
		s.value(cookie, "a")
	}
	s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "b", m.GetString(r.Context(), "a")) // decodes the first revision
		s.put(cookie, "a", "2")
		s.put(cookie, "c", "3")
	})
	if got := s.value(cookie, "a") + s.value(cookie, "b") + s.value(cookie, "c"); got != "213" {
		t.Errorf("%q", got)
	}
}

// A session at a gate allocates once, and no copy of a request that is refused.
func TestSessionGateAllocations(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session, auth.NewBasic(auth.Must(auth.NewPasswords(db, db, nil)), nil)), &auth.GateOptions{Logger: quiet})
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
	good := loggedIn(t, session, alice)
	with := func(lines ...string) *http.Request {
		return request(t, func(h http.Header) {
			h["Cookie"] = good.Header["Cookie"]
			for _, line := range lines {
				name, value, _ := strings.Cut(line, ": ")
				h[name] = []string{value}
			}
		})
	}
	post := with("Sec-Fetch-Site: same-origin")
	post.Method = "POST"
	n := 0
	for _, tt := range []struct {
		name string
		r    *http.Request
		h    http.Handler
		most float64
	}{
		{"Require", good, gate.Require(counting(&n)), 1},
		{"Identify", good, gate.Identify(counting(&n)), 1},
		{"RequireLogin", good, gate.RequireLogin("/login/")(counting(&n)), 1},
		{"an unsafe method", post, gate.Require(counting(&n)), 1},
		{"refused, no cookie", request(t, func(http.Header) {}), gate.Require(counting(&n)), 2}, // one for the challenge
		{"refused, dead", with("Cookie: __Host-session=" + strings.Repeat("d", 43)), gate.Require(counting(&n)), 2},
	} {
		w := &nowhere{make(http.Header)}
		h := session.Handler(tt.h)
		got := testing.AllocsPerRun(100, func() {
			clear(w.header)
			h.ServeHTTP(w, tt.r)
		})
		if got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}
