package auth_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// TestSessionsInMemoryAreReadAsOthers holds that sessions in a memory.Store, which is
// read in a way of its own, are worth what they are worth in any other store.
func TestSessionsInMemoryAreReadAsOthers(t *testing.T) {
	now := time.Now()
	header := append([]byte{1}, make([]byte, 8)...)
	for _, tt := range []struct {
		name   string
		change func(x *store.Session, u *store.User)
		good   bool
	}{
		{"good", func(*store.Session, *store.User) {}, true},
		{"with values", func(x *store.Session, _ *store.User) { x.Data = append(header, "\x81\x01\x01k\x02\x01v"...) }, true},
		{"administrator", func(_ *store.Session, u *store.User) { u.Admin, u.Auditor = true, true }, true},
		{"not logged in", func(x *store.Session, _ *store.User) { x.UserID = "" }, false},
		{"unknown user", func(x *store.Session, _ *store.User) { x.UserID = "nobody" }, false},
		{"inactive user", func(_ *store.Session, u *store.User) { u.Active = false }, false},
		{"service account", func(_ *store.Session, u *store.User) { u.Service = true }, false},
		{"other epoch", func(x *store.Session, _ *store.User) { x.Epoch++ }, false},
		{"expired", func(x *store.Session, _ *store.User) { x.Expires = now }, false},
		{"too old", func(x *store.Session, _ *store.User) { x.Created = now.Add(-13 * time.Hour) }, false},
		{"logged out", func(x *store.Session, _ *store.User) { x.Ended, x.Reason = now, store.EndedLogout }, false},
		{"beyond the limit", func(x *store.Session, _ *store.User) { x.Ended, x.Reason = now, store.EndedLimit }, false},
	} {
		for _, where := range []string{"users of the store", "users of the host"} {
			// replies returns how the gate and the handler answer, and what is left in the store.
			replies := func(other bool) (list []string) {
				users := memory.New()
				db := users
				if where == "users of the host" {
					db = memory.NewWithUsers(users)
				}
				u := authtest.AddUser(t, users, store.User{Name: "alice"}, "")
				const id = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopq"
				x := store.Session{
					Digest: store.DigestOf(id), UserID: u.ID, Epoch: u.Epoch, Data: header,
					Created: now.Add(-time.Minute), Seen: now.Add(-time.Minute), Expires: now.Add(20 * time.Minute),
				}
				tt.change(&x, &u)
				if err := users.UpdateUser(t.Context(), u); err != nil {
					t.Fatal(err)
				}
				if _, _, err := db.InsertSession(t.Context(), x, store.Digest{}, 0); err != nil {
					t.Fatal(err)
				}
				sessions := store.Sessions(db)
				if other {
					sessions = struct{ *memory.Store }{db} // is no memory.Store
				}
				s := auth.Must(auth.NewSession(sessions, users, &auth.SessionOptions{Logger: slog.New(slog.DiscardHandler)}))
				gate := auth.NewGate(s, &auth.GateOptions{Logger: slog.New(slog.DiscardHandler)})
				show := gate.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					p, _ := auth.FromContext(r.Context())
					fmt.Fprintf(w, "%+v", *p)
				}))
				values := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					fmt.Fprintf(w, "%s %d", s.Manager().GetString(r.Context(), "k"), s.Current(r.Context()))
				})
				for _, h := range []http.Handler{show, s.Handler(show), s.Handler(values), s.Handler(values), show} {
					w := send(h, "GET", "/", "Cookie: "+s.CookieName()+"="+id)
					list = append(list, fmt.Sprint(w.Code, w.Header(), w.Body))
				}
				row, _, err := db.SessionByDigest(t.Context(), x.Digest)
				return append(list, fmt.Sprint(row.Reason, row.Ended.IsZero(), err))
			}
			got, want := replies(false), replies(true)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: (-other store +memory):\n%s", tt.name, where, diff)
			}
			if strings.HasPrefix(got[0], "200") != tt.good {
				t.Errorf("%s, %s: %s", tt.name, where, got[0])
			}
		}
	}
}

// Values that were good at the last request are read when the handler asks for the first
// one. They are those of that instant, with their revision: a change of them loses
// nothing, and what has become of them meanwhile is no panic.
func TestValuesReadLater(t *testing.T) {
	garbage := func(s *system, id string) {
		if err := s.db.Store.SaveSession(t.Context(), store.DigestOf(id), []byte("garbage"), 2, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name      string
		meanwhile func(s *system, cookie, id string)
		read      string
		status    int
		later     string // the values a and b of the next request
	}{
		{"nothing", func(*system, string, string) {}, "1", 200, "1 2"},
		{"another request changes them", func(s *system, cookie, _ string) { s.put(cookie, "a", "new") }, "new", 200, "new 2"},
		{"logged out elsewhere", func(s *system, cookie, _ string) { s.send("POST", "/logout", cookie) }, "1", 200, " "},
		{"purged", func(s *system, cookie, _ string) {
			s.send("POST", "/logout", cookie)
			if n, err := s.session.Purge(t.Context(), time.Now().Add(time.Hour)); n != 1 || err != nil {
				t.Errorf("%d purged, %v", n, err)
			}
			s.put(s.login(s.bob), "a", "another's") // in the same place of the store
		}, "", 200, " "},
		{"spoilt", func(s *system, _, id string) { garbage(s, id) }, "", 200, " 2"},
	} {
		s := newSystem(t, func(o *settings) { o.inMemory = true })
		m := s.session.Manager()
		cookie := s.login(s.alice)
		_, id, _ := strings.Cut(cookie, "=")
		s.put(cookie, "a", "1")
		s.me(cookie)
		w := s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
			tt.meanwhile(s, cookie, id)
			if got := m.GetString(r.Context(), "a"); got != tt.read {
				t.Errorf("%s: read %q, want %q", tt.name, got, tt.read)
			}
			m.Put(r.Context(), "b", "2")
		})
		if later := s.value(cookie, "a") + " " + s.value(cookie, "b"); w.Code != tt.status || later != tt.later {
			t.Errorf("%s: status %d, then %q, want %q", tt.name, w.Code, later, tt.later)
		}
	}
}

// hasty is a user table of the host that notes look-ups without a bound on their time.
type hasty struct {
	store.Users
	unbounded int
}

func (h *hasty) UserByID(ctx context.Context, id string) (store.User, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		h.unbounded++
	}
	return h.Users.UserByID(ctx, id)
}

// A write that the client cannot cancel ends some time, also if the host is asked for a
// user on the way.
func TestMergeInMemoryHasABound(t *testing.T) {
	users := &hasty{Users: memory.New()}
	u := authtest.AddUser(t, users.Users.(*memory.Store), store.User{Name: "alice"}, "")
	s := auth.Must(auth.NewSession(memory.NewWithUsers(users), users, &auth.SessionOptions{Logger: slog.New(slog.DiscardHandler)}))
	m := s.Manager()
	w := send(s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := s.Login(r, u); err != nil {
			t.Error(err)
		}
	})), "GET", "/")
	cookie, _, _ := strings.Cut("Cookie: "+w.Header().Get("Set-Cookie"), ";")
	put := func(key string, meanwhile func()) {
		send(s.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			m.Put(r.Context(), key, "v")
			meanwhile()
		})), "GET", "/", cookie)
	}
	put("a", func() { put("b", func() { users.unbounded = 0 }) })
	if users.unbounded > 0 {
		t.Errorf("%d look-ups without a bound", users.unbounded)
	}
}
