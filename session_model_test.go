package auth_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ostiary/auth/store"
)

// whatever a handler does to its session, the next request finds what a
// plain map would have, and the user that logged in last.
func TestSessionIsLikeAMap(t *testing.T) {
	for seed := range uint64(30) {
		s := newSystem(t, nil)
		m, random := s.session.Manager(), rand.New(rand.NewPCG(seed, 1))
		cookie, user, values := "", "", map[string]any{}
		left := false // the values may be those of a user whose session has ended
		var done []string
		for range 12 {
			w := s.run(cookie, func(_ http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				for range 1 + random.IntN(4) {
					key := string(rune('a' + random.IntN(3)))
					var err error
					switch op := random.IntN(12); op {
					case 0, 1, 2:
						v := []any{"x", "", 7, true, nil, []byte("b"), []string{"y"}}[random.IntN(7)]
						done = append(done, fmt.Sprint("put ", key, v))
						m.Put(ctx, key, v)
						values[key] = v
					case 3: // put again
						done = append(done, "again "+key)
						if v, ok := values[key]; ok {
							m.Put(ctx, key, v)
						}
					case 4:
						done = append(done, "remove "+key)
						m.Remove(ctx, key)
						delete(values, key)
					case 5:
						done = append(done, "pop "+key)
						if diff := cmp.Diff(values[key], m.Pop(ctx, key)); diff != "" {
							t.Errorf("seed %d, %q: popped (-want +got):\n%s", seed, done, diff)
						}
						delete(values, key)
					case 6:
						done = append(done, "clear")
						err = m.Clear(ctx)
						clear(values)
					case 7:
						done = append(done, "renew")
						err = m.RenewToken(ctx)
						user, left = "", left || user != ""
					case 8:
						done = append(done, "destroy")
						err = m.Destroy(ctx)
						user, left = "", left || user != ""
						clear(values)
					case 9:
						done = append(done, "logout")
						err = s.session.Logout(r)
						user, left = "", false
						clear(values)
					case 10, 11:
						u := []store.User{s.alice, s.bob}[op-10]
						done = append(done, "login "+u.Name)
						err = s.session.Login(r, u)
						if left || user != "" && user != u.Name {
							clear(values)
						}
						user, left = u.Name, false
					}
					if err != nil {
						t.Fatalf("seed %d, %q: %v", seed, done, err)
					}
					if diff := cmp.Diff(values, valuesOf(ctx, m)); diff != "" {
						t.Fatalf("seed %d, %q: inside (-want +got):\n%s", seed, done, diff)
					}
				}
			})
			done = append(done, "|")
			for _, line := range w.Header()["Set-Cookie"] {
				cookie, _, _ = strings.Cut("Cookie: "+line, ";")
				if strings.HasSuffix(cookie, "=") {
					cookie, left = "", false
				}
			}
			var found map[string]any
			s.run(cookie, func(_ http.ResponseWriter, r *http.Request) { found = valuesOf(r.Context(), m) })
			if diff := cmp.Diff(values, found); diff != "" {
				t.Fatalf("seed %d, %q: the next request finds (-want +got):\n%s", seed, done, diff)
			}
			want := "401"
			if user != "" {
				want = user + " by session"
			}
			if got := s.me(cookie); got != want {
				t.Fatalf("seed %d, %q: %s, want %s", seed, done, got, want)
			}
		}
	}
}

// valuesOf returns the values of a request.
func valuesOf(ctx context.Context, m interface {
	Keys(context.Context) []string
	Get(context.Context, string) any
}) map[string]any {
	values := make(map[string]any)
	for _, k := range m.Keys(ctx) {
		values[k] = m.Get(ctx, k)
	}
	return values
}
