package httpapi_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// A superuser's token without the scope write changes no user, on no path and by no
// spelling of a method.
func TestNarrowTokensManageNobody(t *testing.T) {
	s := newSystem(t, func(o *options) { o.tokens.Scopes = []string{"deploy"} })
	root, err := s.db.UserByName(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	users := func() []store.User {
		list, _, err := s.db.ListUsers(t.Context(), store.UserFilter{}, store.Page{Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	before := users()
	for _, scope := range []auth.Scopes{"read", "deploy", "read deploy"} {
		token := bearer(s.token(root, scope))
		for _, target := range []string{"/api/v2/users/", "/api/v2/users/alice/", "/api/v2/users/admin/", "/api/v2/users/alice", "/api/v2/me/"} {
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "post", "Patch", "PURGE"} {
				for _, override := range []with{header("X-HTTP-Method-Override", "GET"), header("X-Http-Method", "DELETE")} {
					r := s.do(method, target, token, override, object("username", "evil", "password", newPassword, "email", "evil@example.com"))
					if r.status < 300 {
						t.Errorf("a token to %s: %s %s: %d %s", scope, method, target, r.status, r.body)
					}
				}
			}
			for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
				s.do(method, target, token, header("X-HTTP-Method-Override", "DELETE"), object("email", "evil@example.com"))
			}
		}
	}
	if diff := cmp.Diff(before, users()); diff != "" {
		t.Errorf("users (-before +after):\n%s", diff)
	}
}
