package auth_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// basket is a value of a host that only gob encodes.
type basket struct {
	Goods []string
	Price map[string]int
}

// countedGob counts how often it is encoded.
type countedGob struct{ encoded *int }

func (c countedGob) GobEncode() ([]byte, error) { *c.encoded++; return []byte("x"), nil }
func (*countedGob) GobDecode([]byte) error      { return nil }

// FuzzValuesLikePlainSCS does the same with values of a Session and with those of plain
// scs and its codec, gob: whatever a handler can see is the same.
func FuzzValuesLikePlainSCS(f *testing.F) {
	gob.Register(basket{})
	gob.Register(time.Time{})
	gob.Register(map[string]string{})
	dice := rand.New(rand.NewPCG(1, 2))
	for range 12 {
		ops := make([]byte, 300)
		for i := range ops {
			ops[i] = byte(dice.Uint32())
		}
		f.Add(ops)
	}
	f.Fuzz(func(t *testing.T, ops []byte) {
		if len(ops) > 1000 {
			return
		}
		quiet := slog.New(slog.DiscardHandler)
		db := memory.New()
		session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
		want := play(plainSCS(nil), nil, ops, true)
		got := play(session.Manager(), session.Handler, ops, true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what handlers see of plain scs and of Session (-want +got):\n%s", diff)
		}
		user := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
		want = play(plainSCS(nil), nil, ops, false)
		got = play(session.Manager(), func(h http.Handler) http.Handler { return loginFirst(t, session, user, h) }, ops, false)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what handlers see of plain scs and of a Session with a login (-want +got):\n%s", diff)
		}
	})
}

// loginFirst logs a user in with requests that have no cookie.
func loginFirst(t *testing.T, s *auth.Session, u store.User, next http.Handler) http.Handler {
	return s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Cookie") == "" {
			if err := s.Login(r, u); err != nil {
				t.Error(err)
			}
		}
		next.ServeHTTP(w, r)
	}))
}

// play serves requests of one client to a handler that does with its values what
// ops say, and returns what the handler saw. It may renew sessions, which ends those of
// a user with their values.
func play(m *scs.SessionManager, around func(http.Handler) http.Handler, ops []byte, renews bool) (seen []string) {
	if around == nil {
		around = m.LoadAndSave
	}
	next := func() int {
		if len(ops) == 0 {
			return 0
		}
		n := ops[0]
		ops = ops[1:]
		return int(n)
	}
	see := func(v any) {
		if p, ok := v.(*int); ok {
			v = []any{"pointer to", *p}
		}
		seen = append(seen, fmt.Sprintf("%T %#v", v, v))
	}
	handler := around(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		for range next() % 8 {
			key := string(rune('a' + next()%4))
			switch op := next() % 24; op {
			case 0:
				see(m.Get(ctx, key))
			case 1:
				see(m.Pop(ctx, key))
			case 2:
				m.Remove(ctx, key)
			case 3:
				see(m.Exists(ctx, key))
			case 4:
				see(m.Keys(ctx))
			case 5:
				see(m.Clear(ctx))
			case 6:
				see([]any{m.GetString(ctx, key), m.GetInt(ctx, key), m.GetInt64(ctx, key), m.GetFloat(ctx, key), m.GetBool(ctx, key), m.GetBytes(ctx, key), m.GetTime(ctx, key).UnixNano(), m.GetInt32(ctx, key)})
			case 7:
				see([]any{m.PopString(ctx, key), m.PopInt(ctx, key)})
			case 8:
				m.Put(ctx, key, m.Get(ctx, key)) // which is nil, perhaps
			case 9:
				see(m.Status(ctx))
			case 10:
				if n := next(); n < 32 {
					see(m.Destroy(ctx))
				} else if n < 64 && renews {
					see(m.RenewToken(ctx))
				}
			case 11: // changed in place, which counts only if something is put
				switch v := m.Get(ctx, key).(type) {
				case []byte:
					if len(v) > 0 {
						v[0]++
					}
				case map[string]string:
					if v != nil {
						v["more"] = "x"
					}
				case basket:
					if len(v.Goods) > 0 {
						v.Goods[0] += "!"
					}
				}
			default:
				m.Put(ctx, key, anyValue(next()))
			}
		}
	}))
	cookie := ""
	for len(ops) > 0 {
		w := send(handler, "GET", "/", "Cookie: "+cookie)
		for _, c := range w.Result().Cookies() {
			cookie = c.Name + "=" + c.Value
			if c.MaxAge < 0 {
				cookie = ""
			}
		}
		// What the next request finds.
		send(around(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for _, key := range m.Keys(r.Context()) {
				see(key)
				see(m.Get(r.Context(), key))
			}
		})), "GET", "/", "Cookie: "+cookie)
	}
	return seen
}

// anyValue returns the n-th of some values, of different types.
func anyValue(n int) any {
	text := strings.Repeat("x", n)
	return []any{
		text, n, int8(n), int16(n * 100), int32(-n), int64(n), uint(n), uint8(n), uint16(n), uint32(n), uint64(n), n%2 == 0, float32(n), -float64(n),
		[]byte(text), []byte{}, []byte(nil), []string{text, "y"}, []string{}, map[string]string{"k": text, "l": ""}, map[string]string(nil),
		time.Unix(int64(n), 0).UTC(), time.Unix(int64(n), 0), time.Unix(int64(n), 0).In(time.FixedZone("", n*60)), time.Time{}, nil,
		basket{[]string{text}, map[string]int{"a": n}}, []int{n, 1}, complex(float64(n), 1), &n,
	}[n%30]
}

// Values that nobody reads cost what no values cost, and a request allocates for itself
// once.
func TestSessionAllocations(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	db := memory.New()
	session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
	alice := authtest.AddUser(t, db, store.User{Name: "alice"}, "")
	login := func() *http.Request { return loggedIn(t, session, alice) }
	bare, full, inGob, some := login(), login(), login(), login()
	serve := func(r *http.Request, h http.Handler) float64 {
		w := &nowhere{make(http.Header)}
		return testing.AllocsPerRun(100, func() {
			clear(w.header)
			h.ServeHTTP(w, r)
		})
	}
	m := session.Manager()
	serve(full, session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for i := range 100 {
			m.Put(r.Context(), fmt.Sprint("key", i), []any{"x", i, []string{"y"}, map[string]string{"z": ""}, []byte("b"), 1.5, true}[i%7])
		}
	})))
	gob.Register(basket{})
	serve(inGob, session.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { m.Put(r.Context(), "k", basket{}) })))
	use := func(f func(context.Context)) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(r.Context()) })
	}
	serve(some, session.Handler(use(func(ctx context.Context) {
		for _, key := range []string{"a", "b", "c", "d"} {
			m.Put(ctx, key, "x")
		}
	})))
	n := 0
	gate := auth.NewGate(session, &auth.GateOptions{Logger: quiet})
	for _, tt := range []struct {
		name string
		r    *http.Request
		h    http.Handler
		most float64
	}{
		{"no cookie", request(t, func(http.Header) {}), session.Handler(counted(&n)), 1},
		{"no values", bare, session.Handler(counted(&n)), 1},
		{"values that nobody reads", full, session.Handler(counted(&n)), 1},
		{"gob that nobody reads", inGob, session.Handler(counted(&n)), 1},
		{"behind a gate", full, session.Handler(gate.Require(counting(&n))), 1},
		{"gate alone", full, gate.Require(counting(&n)), 1},
		{"values read", some, session.Handler(use(func(ctx context.Context) { _ = m.GetString(ctx, "a") })), 5},
		{"equal value put", some, session.Handler(use(func(ctx context.Context) { m.Put(ctx, "a", "x") })), 5},
	} {
		if got := serve(tt.r, tt.h); got > tt.most {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.most)
		}
	}
}

// A value of the host is encoded once when it is written.
func TestValuesAreEncodedOnce(t *testing.T) {
	s := newSystem(t, nil)
	gob.Register(countedGob{new(int)})
	cookie := s.login(s.alice)
	n := 0
	calls := s.db.during(func() {
		s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
			s.session.Manager().Put(r.Context(), "k", countedGob{&n})
		})
	})
	if diff := cmp.Diff([]string{"SessionByDigest", "SaveSession"}, calls); diff != "" || n != 1 {
		t.Errorf("encoded %d times; store calls (-want +got):\n%s", n, diff)
	}
}

// A value that only gob can decode is decoded before the handler, because a request whose
// values cannot be decoded has no session.
func TestUndecodableGob(t *testing.T) {
	for in, settings := range sessionStores {
		s := newSystem(t, settings)
		cookie := s.login(s.alice)
		_, id, _ := strings.Cut(cookie, "=")
		data := append(append([]byte{1}, make([]byte, 8)...), "\x81\x01\x01k\x00\x03abc"...)
		if err := s.db.Store.SaveSession(t.Context(), store.DigestOf(id), data, 1, time.Now()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if w := s.send("GET", "/probe/", cookie); w.Code != 401 || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
				t.Errorf("%s: status %d, Set-Cookie %q", in, w.Code, w.Header()["Set-Cookie"])
			}
		}
	}
}

// Values of a user end with the session, however the request ends it. What the request
// puts then is in a session without them, which the next user may log in to.
func TestValuesEndWithTheLogin(t *testing.T) {
	for name, end := range map[string]func(*system, *http.Request) error{
		"EndOne": func(s *system, r *http.Request) error {
			return s.session.EndOne(r.Context(), by(s.alice), s.alice.ID, s.session.Current(r.Context()))
		},
		"Logout":     func(s *system, r *http.Request) error { return s.session.Logout(r) },
		"Destroy":    func(s *system, r *http.Request) error { return s.session.Manager().Destroy(r.Context()) },
		"RenewToken": func(s *system, r *http.Request) error { return s.session.Manager().RenewToken(r.Context()) },
		// The others end the session behind the request, which keeps it until it is over.
		"EndOne of another request": func(s *system, r *http.Request) error {
			return s.session.EndOne(t.Context(), by(s.alice), s.alice.ID, s.session.Current(r.Context()))
		},
		"End": func(s *system, _ *http.Request) error {
			_, err := s.session.End(t.Context(), store.SessionSelection{UserID: s.alice.ID})
			return err
		},
		"a password": func(s *system, _ *http.Request) error {
			return s.passwords.Set(t.Context(), s.alice.ID, "another password")
		},
		"a change": func(s *system, _ *http.Request) error {
			_, err := s.db.ChangeUser(t.Context(), s.alice.ID, store.UserChange{Active: new(false)})
			return err
		},
		"a deletion": func(s *system, _ *http.Request) error { return s.db.DeleteUser(t.Context(), s.alice.ID, time.Now()) },
	} {
		for _, seen := range []bool{true, false} {
			s := newSystem(t, nil)
			m, cookie := s.session.Manager(), s.login(s.alice)
			s.put(cookie, "hers", "v")
			w := s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
				if seen {
					m.Get(r.Context(), "hers")
				}
				if err := end(s, r); err != nil {
					t.Error(err)
				}
				m.Put(r.Context(), "notice", "logged out")
			})
			now, want := s.cookie(w), map[string]any{"notice": "logged out"}
			if now == "" {
				now, want = cookie, map[string]any{}
			}
			s.run(s.login(s.bob, now), func(_ http.ResponseWriter, r *http.Request) {
				if diff := cmp.Diff(want, valuesOf(r.Context(), m)); diff != "" {
					t.Errorf("%s, read before %v: what the next user has (-want +got):\n%s", name, seen, diff)
				}
			})
		}
	}
}

// Goroutines of a handler may ask for the first value at once.
func TestValuesAtOnce(t *testing.T) {
	for _, settings := range sessionStores {
		s := newSystem(t, settings)
		cookie := s.login(s.alice)
		s.put(cookie, "k", "v")
		s.me(cookie) // in memory its values are read at the first question then
		s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					m, ctx := s.session.Manager(), context.WithValue(r.Context(), http.LocalAddrContextKey, i)
					m.Put(ctx, fmt.Sprint(i), i)
					if got := m.GetString(ctx, "k"); got != "v" {
						t.Errorf("value %q", got)
					}
				})
			}
			all.Wait()
		})
		for i := range 8 {
			s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
				if got := s.session.Manager().GetInt(r.Context(), fmt.Sprint(i)); got != i {
					t.Errorf("value %d is %d", i, got)
				}
			})
		}
	}
}
