package httpapi_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// robot makes a service account and a token for it, as admin.
func (o *oauthSystem) robot(pairs ...any) (path, token string) {
	o.t.Helper()
	path = o.do("POST", "/api/v2/users/", as("admin"), object(append([]any{"username", "robot", "is_service_account", true}, pairs...)...)).wants(201).json()["url"].(string)
	return path, o.do("POST", path+"personal_tokens/", as("admin"), object("description", "nightly", "scope", "write")).wants(201).json()["token"].(string)
}

// A service account is a user on the wire, with a field of its own.
func TestServiceAccountLife(t *testing.T) {
	s := newOAuth(t, func(o *options) { o.activity = true })
	users := "/api/v2/users/"
	s.do("POST", users, as("admin"), object("username", "robot", "is_service_account", true, "password", newPassword)).blames("password")
	s.do("POST", users, as("admin"), object("username", "robot", "is_service_account", false)).blames("password")
	s.do("POST", users, as("admin"), object("username", "robot", "is_service_account", nil, "password", newPassword)).blames("is_service_account")
	s.do("POST", users, as("admin"), object("username", "robot", "is_service_account", "maybe", "password", newPassword)).blames("is_service_account")
	path, token := s.robot("password", "", "first_name", "Nightly")
	doc := s.do("GET", path, as("admin")).wants(200).json()
	person := s.do("GET", users+"alice/", as("admin")).wants(200).json()
	for name := range person {
		if _, there := doc[name]; there == (name == "password") {
			t.Errorf("%s of a service account: %v", name, doc[name])
		}
	}
	if doc["is_service_account"] != true || person["is_service_account"] != false || doc["is_active"] != true || len(doc) != len(person)-1 {
		t.Errorf("the account %v", doc)
	}
	s.do("PUT", path, as("admin"), jsonBody(s.do("GET", path, as("admin")).body)).wants(200)
	s.do("PUT", path, bearer(token), jsonBody(s.do("GET", path, bearer(token)).body)).wants(200)
	if who := s.whoami(bearer(token)); who != "robot" {
		t.Errorf("the token is of %q", who)
	}
	for query, want := range map[string]string{
		"?is_service_account=true": "robot", "?not__is_service_account=false": "robot", "?is_service_account=0&is_superuser=1": "admin",
		"?or__is_service_account=true&or__username=bob": "bob robot",
	} {
		var names []string
		for _, u := range s.do("GET", users+query, as("admin")).wants(200).json()["results"].([]any) {
			names = append(names, u.(map[string]any)["username"].(string))
		}
		if diff := cmp.Diff(want, strings.Join(names, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	s.do("GET", users+"?is_service_account=maybe", as("admin")).wants(400)
	for action, one := range s.do("OPTIONS", users, as("admin")).wants(200).json()["actions"].(map[string]any) {
		field, _ := one.(map[string]any)["is_service_account"].(map[string]any)
		if field["type"] != "boolean" || field["required"] != false || field["read_only"] != false {
			t.Errorf("OPTIONS, %s: %v", action, field)
		}
	}
	// Nobody logs in, whatever the password is.
	for _, password := range []string{"", "$encrypted$", newPassword} {
		s.do("GET", "/probe/", basic("robot", password)).wants(401)
	}
	s.do("POST", "/api/login/", form("username", "robot", "password", newPassword)).wants(401)
	s.pc.token(s, "grant_type", "password", "username", "robot", "password", newPassword).fails(400, "invalid_grant")

	s.do("PATCH", path, as("admin"), object("password", newPassword)).blames("password")
	s.do("PATCH", path, as("admin"), object("is_service_account", false)).blames("password")
	s.do("POST", path+"personal_tokens/", as("admin"), object()).blames("description")
	s.do("POST", path+"tokens/", as("admin"), object("description", " ")).blames("description")
	s.do("PATCH", "/api/v2/tokens/self/", bearer(token), object("description", "")).blames("description")
	s.do("POST", path+"tokens/", as("admin"), object("description", "weekly")).wants(201)
	s.do("POST", path+"tokens/", as("admin"), object("description", "app", "application", s.cc.id)).wants(403)
	s.do("POST", path+"authorized_tokens/", as("admin"), object("description", "app", "application", s.cc.id)).wants(403)
	s.do("POST", "/api/v2/tokens/", bearer(token), object("description", "app", "application", s.cc.id)).wants(400)
	if n := s.do("GET", path+"personal_tokens/", as("admin")).wants(200).json()["count"]; n != 2.0 {
		t.Errorf("%v tokens", n)
	}
	// The way back needs a password, and there again removes it.
	s.do("PATCH", path, as("admin"), object("is_service_account", false, "password", newPassword)).wants(200)
	session := s.login("robot", newPassword)
	s.do("PATCH", path, as("admin"), object("is_service_account", true)).wants(200)
	if s.whoami(cookie(session)) != "" || s.whoami(basic("robot", newPassword)) != "" || s.whoami(bearer(token)) != "robot" {
		t.Error("a session or a password lives on, or the token has ended")
	}
	s.drain()
	if changes := s.do("GET", streamPath+"?operation=update&object1=user", as("admin")).wants(200).body; !strings.Contains(changes, `"is_service_account":[false,true]`) {
		t.Errorf("the stream: %s", changes)
	}
	s.do("DELETE", path, as("admin")).wants(204)
	if who := s.whoami(bearer(token)); who != "" {
		t.Errorf("the token of a deleted account is of %q", who)
	}
}

// Only superusers make, change and equip service accounts, and only in person where
// a token comes of it.
func TestServiceAccountsAreForSuperusers(t *testing.T) {
	for _, superuser := range []bool{false, true} {
		s := newOAuth(t)
		path, token := s.robot("is_superuser", superuser)
		robot, err := s.db.UserByName(t.Context(), "robot")
		if err != nil {
			t.Fatal(err)
		}
		personal := fmt.Sprintf("%spersonal_tokens/", path)
		list := s.do("GET", personal, as("admin")).wants(200).json()["results"].([]any)
		one := list[0].(map[string]any)["url"].(string)
		state := func() any {
			var users []store.User
			for _, name := range []string{"admin", "alice", "orgadmin", "member", "robot"} {
				u, err := s.db.UserByName(t.Context(), name)
				users = append(users, u)
				if err != nil {
					t.Fatal(err)
				}
			}
			_, n, err := s.db.ListTokens(t.Context(), store.TokenFilter{All: true, OwnerID: robot.ID}, store.Page{})
			if err != nil {
				t.Fatal(err)
			}
			return []any{users, n}
		}
		before := state()
		callers := map[string]with{
			"org admin": basic("orgadmin", "orgadmin-pw"), "member": basic("member", "member-pw"), "user": basic("alice", "alice-pw"),
			"auditor": basic("auditor", "auditor-pw"), "org admin's token": bearer(s.token(s.orgadmin, "write")), "nobody": header("X", ""),
			"read token of admin": bearer(s.token(s.admin, "read")),
			"application of admin": bearer(s.pc.token(s, "grant_type", "password", "username", "admin", "password", "admin-pw", "scope", "write").
				wants(200).json()["access_token"].(string)),
		}
		if !superuser {
			callers["the account"] = bearer(token)
		}
		for who, credential := range callers {
			for _, tt := range []struct{ method, target, body string }{
				{"POST", "/api/v2/users/", `{"username":"evil","is_service_account":true}`},
				{"POST", "/api/v2/users/", `{"username":"evil","is_service_account":true,"is_superuser":true}`},
				{"PATCH", path, `{"is_service_account":false,"password":"a long enough password"}`},
				{"PATCH", path, `{"is_service_account":false}`},
				{"PATCH", path, `{"password":"a long enough password","current_password":""}`},
				{"PATCH", path, `{"is_superuser":` + fmt.Sprint(!superuser) + `}`},
				{"PATCH", path, `{"username":"evil"}`},
				{"PATCH", "/api/v2/users/member/", `{"is_service_account":true}`},
				{"PATCH", "/api/v2/users/alice/", `{"is_service_account":true}`},
				{"PATCH", "/api/v2/users/orgadmin/", `{"is_service_account":true}`},
				{"PATCH", "/api/v2/users/admin/", `{"is_service_account":true}`},
			} {
				if r := s.send(tt.method, tt.target, credential, jsonBody(tt.body)); r.status < 400 || r.status >= 500 {
					t.Errorf("%s: %s %s %s: %d %s", who, tt.method, tt.target, tt.body, r.status, r.body)
				}
			}
			if who == "the account" {
				continue // it mints, as every token may
			}
			for _, tt := range []struct{ method, target string }{
				{"POST", personal}, {"POST", path + "tokens/"}, {"POST", path + "authorized_tokens/"}, {"POST", one + "rotate/"}, {"DELETE", path},
				{"PATCH", one}, {"DELETE", one},
			} {
				if who == "application of admin" && strings.HasPrefix(tt.target, one) && tt.method != "POST" {
					continue // as today: a superuser's token changes and ends all tokens
				}
				if r := s.send(tt.method, tt.target, credential, object("description", "evil")); r.status < 400 || r.status >= 500 {
					t.Errorf("%s: %s %s: %d %s", who, tt.method, tt.target, r.status, r.body)
				}
			}
		}
		// Not even a superuser's token takes a token of it, nor the account itself a person.
		own := bearer(s.token(s.admin, auth.ScopeWrite))
		s.do("POST", personal, own, object("description", "evil")).wants(403)
		s.do("PATCH", path, bearer(token), object("is_service_account", false, "password", newPassword)).wants(403)
		s.do("PATCH", path, bearer(token), object("password", newPassword)).blames("password")
		s.do("POST", "/api/v2/users/alice/personal_tokens/", as("admin"), object("description", "a person's")).wants(403)
		s.do("POST", "/api/v2/users/alice/personal_tokens/", bearer(token), object("description", "a person's")).wants(map[bool]int{false: 404, true: 403}[superuser])
		if diff := cmp.Diff(before, state()); diff != "" {
			t.Errorf("superuser %v: somebody changed something (-want +got):\n%s", superuser, diff)
		}
	}
}
