package httpapi_test

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/httpapi"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// What an answer allocates, in memory and by a bearer token: little, nothing for each
// row of a list, and as much for many users as for few.
func TestAllocations(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	allocations := func(users int) map[string]float64 {
		db := memory.New()
		tokens := auth.Must(auth.NewTokens(db, db, &auth.TokensOptions{Logger: quiet}))
		h := auth.Must(httpapi.New(httpapi.Config{Gate: auth.NewGate(auth.NewBearer(tokens), &auth.GateOptions{Logger: quiet}), Users: db, Tokens: tokens}))
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
		got := make(map[string]float64)
		for _, path := range []string{"/api/v2/", "/api/v2/me/", "/api/v2/users/" + u.ID + "/", "/api/v2/tokens/1/", "/api/v2/tokens/?page_size=100", "/api/v2/tokens/?page_size=200"} {
			r, err := http.NewRequest(http.MethodGet, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.RemoteAddr = "192.0.2.1:1234"
			r.Header.Set("Authorization", "Bearer "+secret)
			w := &sink{header: http.Header{}}
			got[path] = math.Inf(1)
			for range 100 { // the least: the race detector empties pools at random
				got[path] = min(got[path], testing.AllocsPerRun(1, func() {
					clear(w.header)
					h.ServeHTTP(w, r)
				}))
			}
			if w.status != http.StatusOK {
				t.Fatalf("%s: %d %s", path, w.status, w.body)
			}
		}
		return got
	}
	for _, users := range []int{10, 2000} {
		got := allocations(users)
		t.Logf("%d users: %v", users, got)
		for path, most := range map[string]float64{
			"/api/v2/": 3, "/api/v2/me/": 4, fmt.Sprintf("/api/v2/users/%d/", users): 5, "/api/v2/tokens/1/": 6,
			"/api/v2/tokens/?page_size=100": 52, "/api/v2/tokens/?page_size=200": 52,
		} {
			if got[path] > most {
				t.Errorf("%d users: %s allocates %v times, want at most %v", users, path, got[path], most)
			}
		}
	}
}
