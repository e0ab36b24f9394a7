package main

import (
	"strings"
	"testing"
)

// TestUsersAreServed is G7 with the example server: what is created by curl logs
// in, and what is deleted does not.
func TestUsersAreServed(t *testing.T) {
	s := start(t, t.TempDir())
	const jsonBody = " -H 'Content-Type: application/json' -d "
	admin := "-u admin:" + testPassword
	u := s.get("201", "/api/v2/users/", admin+jsonBody+`'{"username":"erika","password":"drei Wörter: 100%","email":"e@example.com"}'`)
	if u["username"] != "erika" || u["password"] != "$encrypted$" {
		t.Errorf("created %v", u)
	}
	erika := "-u 'erika:drei Wörter: 100%'"
	if me := s.get("200", "/api/v2/me/", erika); me["email"] != "e@example.com" {
		t.Errorf("me %v", me)
	}
	if list := s.get("200", "/api/v2/users/?username__icontains=ERI", admin); list["count"] != 1.0 {
		t.Errorf("found %v", list)
	}
	s.get("409", "/api/v2/users/1/", admin+" -X PATCH"+jsonBody+`'{"is_superuser":false}'`)
	s.get("403", "/api/v2/users/1/", erika+" -X DELETE")
	path, _ := u["url"].(string)
	if !strings.HasPrefix(path, "/api/v2/users/") {
		t.Fatalf("url %q", path)
	}
	s.get("204", path, admin+" -X DELETE")
	s.get("401", "/api/v2/me/", erika)
	for _, name := range []string{"projects", "inventories", "organizations", "job_templates"} {
		s.get("200", "/api/v2/"+name+"/", admin+" -X OPTIONS")
	}
}
