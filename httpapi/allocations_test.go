package httpapi_test

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// What an answer allocates, in memory and by a bearer token: little, nothing for each
// row of a list, and as much for many users as for few. A request is copied once, and a
// row of a list once, which shows in the bytes.
func TestAllocations(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	type cost struct{ allocations, bytes float64 }
	costs := func(users int) map[string]cost {
		db := memory.New()
		tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
		session := auth.Must(auth.NewSession(db, db, &auth.SessionOptions{Logger: quiet}))
		gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), &auth.GateOptions{Logger: quiet})
		h := auth.Must(httpapi.New(httpapi.Config{Gate: gate, Users: db, Tokens: tokens, Session: session, LoginPage: "/login/"}))
		var u store.User
		for i := range users {
			u = authtest.AddUser(t, db, store.User{Name: fmt.Sprint("user", i), Email: "user@example.com", FirstName: "Jörg"}, "")
		}
		secret := authtest.AddToken(t, tokens, u, auth.ScopeRead)
		now := time.Now()
		for i := range 200 {
			_, err := db.InsertToken(t.Context(), store.Token{
				Digest: store.DigestOf(fmt.Sprint(i)), UserID: u.ID, Scopes: "read", Created: now, Modified: now, Expires: now.Add(time.Hour),
			}, store.InsertLimits{})
			if err != nil {
				t.Fatal(err)
			}
		}
		got := make(map[string]cost)
		for _, path := range []string{"/api/v2/", "/api/v2/me/", "/api/v2/users/" + u.ID + "/", "/api/v2/tokens/1/", "/api/v2/tokens/?page_size=100", "/api/v2/tokens/?page_size=200"} {
			r, err := http.NewRequest(http.MethodGet, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.RemoteAddr = "192.0.2.1:1234"
			r.Header.Set("Authorization", "Bearer "+secret)
			w := &sink{header: http.Header{}}
			least := cost{math.Inf(1), math.Inf(1)}
			var before, after runtime.MemStats
			for range 100 { // the least: the race detector empties pools at random
				clear(w.header)
				runtime.ReadMemStats(&before)
				h.ServeHTTP(w, r)
				runtime.ReadMemStats(&after)
				least.allocations = min(least.allocations, float64(after.Mallocs-before.Mallocs))
				least.bytes = min(least.bytes, float64(after.TotalAlloc-before.TotalAlloc))
			}
			got[path] = least
			if w.status != http.StatusOK {
				t.Fatalf("%s: %d %s", path, w.status, w.body)
			}
		}
		return got
	}
	for _, users := range []int{10, 2000} {
		got := costs(users)
		t.Logf("%d users: %v", users, got)
		for path, most := range map[string]cost{
			"/api/v2/": {3, 700}, "/api/v2/me/": {4, 700}, fmt.Sprintf("/api/v2/users/%d/", users): {5, 800}, "/api/v2/tokens/1/": {6, 1000},
			"/api/v2/tokens/?page_size=100": {52, 75_000}, "/api/v2/tokens/?page_size=200": {52, 150_000},
		} {
			if c := got[path]; c.allocations > most.allocations || c.bytes > most.bytes {
				t.Errorf("%d users: %s allocates %v times, %v bytes, want at most %v", users, path, c.allocations, c.bytes, most)
			}
		}
	}
}
