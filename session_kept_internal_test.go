package auth

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// keptSystem is a Session over a memory.Store with two users.
type keptSystem struct {
	*Session
	t     *testing.T
	users map[string]store.User
}

func newKeptSystem(t *testing.T) *keptSystem {
	db := memory.New()
	k := &keptSystem{Must(NewSession(db, db, &SessionOptions{Logger: slog.New(slog.DiscardHandler)})), t, map[string]store.User{}}
	for _, name := range []string{"alice", "bob"} {
		u, err := db.InsertUser(t.Context(), store.User{Name: name, Active: true})
		if err != nil {
			t.Fatal(err)
		}
		k.users[name] = u
	}
	return k
}

// do runs f with a request that has that cookie, and returns the cookie that the
// client has then.
func (k *keptSystem) do(cookie string, f func(w http.ResponseWriter, r *http.Request)) string {
	r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
	r.Header.Set("Cookie", cookie)
	k.Handler(http.HandlerFunc(f)).ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		cookie = c.Name + "=" + c.Value
	}
	return cookie
}

func (k *keptSystem) login(name, value string) string {
	return k.do("", func(_ http.ResponseWriter, r *http.Request) {
		if err := k.Login(r, k.users[name]); err != nil {
			k.t.Error(err)
		}
		k.Manager().Put(r.Context(), "k", value)
	})
}

func (k *keptSystem) read(cookie string) (value string) {
	k.do(cookie, func(_ http.ResponseWriter, r *http.Request) { value = k.Manager().GetString(r.Context(), "k") })
	return value
}

// kept returns the number of sessions whose values are kept.
func (k *keptSystem) kept() (n int) {
	for i := range k.decoded.kept {
		if k.decoded.kept[i].Load() != nil {
			n++
		}
	}
	return n
}

// A goroutine of a request decodes values while another one saves new ones, or logs in:
// what it has decoded is kept as the values that it has read, and not as the new ones.
func TestLateValuesAreNotKeptForOthers(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(k *keptSystem, w http.ResponseWriter, r *http.Request)
		want   string
	}{
		"a save": {func(k *keptSystem, w http.ResponseWriter, r *http.Request) {
			k.Manager().Put(r.Context(), "k", "new")
			w.WriteHeader(http.StatusOK)
		}, "new"},
		"a login of another user": {func(k *keptSystem, _ http.ResponseWriter, r *http.Request) {
			if err := k.Login(r, k.users["bob"]); err != nil {
				k.t.Error(err)
			}
		}, ""},
	} {
		k := newKeptSystem(t)
		cookie := k.do(k.login("alice", "old"), func(w http.ResponseWriter, r *http.Request) {
			st := k.state(r.Context())
			old, _ := st.data()
			tt.change(k, w, r)
			for range 3 {
				if _, _, err := old.decode(st); err != nil {
					t.Error(err)
				}
			}
		})
		for i := range 3 {
			if got := k.read(cookie); got != tt.want {
				t.Errorf("%s: %q at the read %d, want %q", name, got, i, tt.want)
			}
		}
	}
}

// What is kept goes with the session: at its logout, and at a purge. Sessions with many
// values are not kept, because a map takes more room than what it is decoded from.
func TestKeptValuesGo(t *testing.T) {
	k := newKeptSystem(t)
	keep := func() string {
		t.Helper()
		cookie := k.login("alice", "secret")
		for range 3 {
			k.read(cookie)
		}
		if n := k.kept(); n != 1 {
			t.Fatalf("%d sessions kept, want 1", n)
		}
		return cookie
	}
	k.do(keep(), func(_ http.ResponseWriter, r *http.Request) {
		if err := k.Logout(r); err != nil {
			t.Error(err)
		}
	})
	if n := k.kept(); n != 0 {
		t.Errorf("%d sessions kept after the logout", n)
	}
	keep()
	if _, err := k.End(t.Context(), store.SessionSelection{UserID: k.users["alice"].ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Purge(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := k.kept(); n != 0 {
		t.Errorf("%d sessions kept after the purge", n)
	}
	cookie := k.do(k.login("alice", "secret"), func(_ http.ResponseWriter, r *http.Request) {
		for i := range maxKeptKeys {
			k.Manager().Put(r.Context(), fmt.Sprint(i), strings.Repeat("x", i%2))
		}
	})
	for range 3 {
		k.read(cookie)
	}
	if n := k.kept(); n != 0 {
		t.Errorf("%d sessions kept with %d values", n, maxKeptKeys+1)
	}
}

// Two Sessions share a store, and requests of many sessions put, read and end them at the
// same time: nobody reads a value that is older than the last one that was saved before
// the request began, or one of another session, and nobody reads values of a session
// whose end came before.
func TestKeptValuesAreNeverStale(t *testing.T) {
	a := newKeptSystem(t)
	b := &keptSystem{Must(NewSession(a.memory, a.memory, &SessionOptions{Logger: slog.New(slog.DiscardHandler)})), t, a.users}
	const lanes, steps = 4, 1000
	var lane [lanes]struct {
		sync.RWMutex        // held for writing while the session is replaced
		cookie       string // of the session
		generation   int64
		saved        atomic.Int64
	}
	begin := func(i int, k *keptSystem) {
		l := &lane[i]
		l.generation++
		l.saved.Store(0)
		l.cookie = k.login([]string{"alice", "bob"}[i%2], fmt.Sprintf("%d %d 0", i, l.generation))
	}
	for i := range lane {
		begin(i, a)
	}
	var wg sync.WaitGroup
	for worker := range 2 * lanes {
		wg.Go(func() {
			i := worker / 2 // one of two writes
			l := &lane[i]
			rnd := rand.New(rand.NewPCG(1, uint64(worker)))
			for range steps {
				k := []*keptSystem{a, b}[rnd.IntN(2)]
				switch n := rnd.IntN(40); {
				case worker%2 == 0 && n == 0:
					l.Lock()
					old := l.cookie
					switch rnd.IntN(4) {
					case 0:
						k.do(old, func(_ http.ResponseWriter, r *http.Request) { _ = k.Logout(r) })
					case 1:
						k.do(old, func(_ http.ResponseWriter, r *http.Request) { _ = k.Manager().RenewToken(r.Context()) })
					case 2:
						_, _ = k.End(t.Context(), store.SessionSelection{Digest: store.DigestOf(old[strings.Index(old, "=")+1:])})
					case 3:
						k.do(old, func(_ http.ResponseWriter, r *http.Request) { _ = k.Login(r, k.users["alice"]) })
					}
					if rnd.IntN(2) == 0 { // whose place another session takes
						_, _ = k.Purge(t.Context(), time.Now().Add(time.Second))
					}
					if got := a.read(old) + b.read(old); got != "" {
						t.Errorf("%q of a session that has ended", got)
					}
					begin(i, k)
					l.Unlock()
				case worker%2 == 0 && n < 10:
					next := l.saved.Load() + 1
					k.do(l.cookie, func(_ http.ResponseWriter, r *http.Request) {
						if rnd.IntN(2) == 0 {
							_ = k.Manager().GetString(r.Context(), "k")
						}
						k.Manager().Put(r.Context(), "k", fmt.Sprintf("%d %d %d", i, l.generation, next))
					})
					l.saved.Store(next)
				default:
					l.RLock()
					least := l.saved.Load()
					var lane int
					var generation, saved int64
					text := k.read(l.cookie)
					_, err := fmt.Sscan(text, &lane, &generation, &saved)
					if err != nil || lane != i || generation != l.generation || saved < least {
						t.Errorf("%q: want lane %d, generation %d, value %d or later", text, i, l.generation, least)
					}
					l.RUnlock()
				}
			}
		})
	}
	wg.Wait()
	if a.kept()+b.kept() == 0 {
		t.Error("nothing was kept")
	}
}
