package httpapi_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/ostiary/auth/store"
)

// Superusers that demote, disable or delete each other at the same time leave one.
func TestLastSuperuserRace(t *testing.T) {
	for name, ends := range map[string]struct {
		method string
		body   with
	}{
		"demote":  {"PATCH", object("is_superuser", false)},
		"disable": {"PUT", object("is_active", "off")},
		"delete":  {"DELETE", header("X-Nothing", "")},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				s := newSystem(t)
				admins := []store.User{s.admin}
				for _, u := range []store.User{s.bob, s.alice} {
					s.do("PATCH", "/api/v2/users/"+u.ID+"/", as("admin"), object("is_superuser", true)).wants(200)
					admins = append(admins, u)
				}
				var tokens []string
				for _, by := range admins {
					tokens = append(tokens, s.token(by, "write"))
				}
				var all sync.WaitGroup
				for i, token := range tokens {
					of := admins[(i+1)%len(admins)]
					all.Go(func() {
						r := s.do(ends.method, "/api/v2/users/"+of.ID+"/", bearer(token), ends.body)
						switch r.status {
						case 200, 204, 401, 403, 404, 409: // 401, 403: too late
						default:
							t.Errorf("status %d: %s", r.status, r.body)
						}
					})
				}
				all.Wait()
				left := 0
				for _, u := range admins {
					if have, err := s.db.UserByID(t.Context(), u.ID); err == nil && have.Admin && have.Active {
						left++
					}
				}
				if left == 0 {
					t.Fatal("no superuser is left of " + strconv.Itoa(len(admins)))
				}
			}
		})
	}
}
