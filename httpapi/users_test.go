package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/httpapi"
)

const newPassword = "Grüße: 100% +1, 15 Zeichen"

// object writes names and values as a JSON object.
func object(pairs ...any) with {
	o := make(map[string]any)
	for i := 0; i < len(pairs); i += 2 {
		o[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return jsonBody(string(b))
}

// G7: what AWX's client does with users, from the first to the last day.
func TestUserLife(t *testing.T) {
	s := newSystem(t)
	if links := s.do("GET", "/api/v2/").wants(200).json(); links["users"] != "/api/v2/users/" {
		t.Errorf("links %v", links)
	}
	created := s.do("POST", "/api/v2/users/", as("admin"), object("username", "erika", "password", newPassword, "first_name", "Erika",
		"email", "erika@example.com", "is_superuser", "false")).wants(201)
	doc := created.json()
	path := doc["url"].(string)
	if created.header.Get("Location") != path || path != fmt.Sprintf("/api/v2/users/%v/", doc["id"]) {
		t.Errorf("location %q, url %q", created.header.Get("Location"), path)
	}
	if strings.Contains(created.body, "100%") || doc["password"] != "$encrypted$" {
		t.Errorf("the password is shown: %s", created.body)
	}
	s.do("POST", "/api/v2/users/", as("admin"), object("username", "erika", "password", newPassword)).blames("username")
	if r := s.do("POST", "/api/v2/users/", as("admin"), object("username", "erika", "password", newPassword)); !strings.Contains(r.body, "already exists") {
		t.Errorf("a duplicate: %s", r.body)
	}
	// By form, and by Basic in UTF-8 and in Latin-1.
	session := s.login("erika", newPassword)
	latin1 := make([]byte, 0, len(newPassword))
	for _, r := range "erika:" + newPassword {
		latin1 = append(latin1, byte(r))
	}
	for name, credential := range map[string]with{
		"session": cookie(session), "UTF-8": basic("erika", newPassword),
		"Latin-1": header("Authorization", "Basic "+base64.StdEncoding.EncodeToString(latin1)),
	} {
		if who := s.whoami(credential); who != "erika" {
			t.Errorf("%s: %q", name, who)
		}
	}
	token := s.do("POST", "/api/v2/users/erika/personal_tokens/", basic("erika", newPassword), object("scope", "write", "application", nil)).wants(201).json()["token"].(string)
	got := s.do("GET", "/api/v2/users/?username=erika", as("admin")).wants(200).json()
	if got["count"] != 1.0 {
		t.Errorf("found %v", got["count"])
	}
	s.do("PATCH", path, as("admin"), object("last_name", "Muster", "is_system_auditor", true)).wants(200)
	doc = s.do("GET", "/api/v2/users/erika/", as("admin")).wants(200).json()
	if doc["last_name"] != "Muster" || doc["first_name"] != "Erika" || doc["is_system_auditor"] != true {
		t.Errorf("after a PATCH: %v", doc)
	}
	if r := s.do("DELETE", path, as("admin")).wants(204); r.body != "" {
		t.Errorf("body %q", r.body)
	}
	for name, credential := range map[string]with{"token": bearer(token), "session": cookie(session), "Basic": basic("erika", newPassword)} {
		if who := s.whoami(credential); who != "" {
			t.Errorf("%s of a deleted user lets %q in", name, who)
		}
	}
	s.do("GET", path, as("admin")).wants(404)
	s.do("DELETE", path, as("admin")).wants(404)
	s.do("PATCH", path, as("admin"), object("email", "")).wants(404)
	for _, event := range []string{"auth: user created", "auth: user changed", "auth: user deleted"} {
		if !strings.Contains(s.logs.String(), event) {
			t.Errorf("no event %q", event)
		}
	}
	if strings.Contains(s.logs.String(), "100%") {
		t.Error("the password is in the log")
	}
}

// G3: what was read is sent back as it is, by PUT, and changes nothing.
func TestUserRoundTrip(t *testing.T) {
	s := newSystem(t)
	for _, who := range []string{"alice", "admin"} {
		mine := basic(who, who+"-pw")
		before := s.do("GET", "/api/v2/users/"+who+"/", mine).wants(200)
		after := s.do("PUT", "/api/v2/users/"+who+"/", mine, jsonBody(before.body)).wants(200)
		if diff := cmp.Diff(before.json(), after.json()); diff != "" {
			t.Errorf("%s (-before +after):\n%s", who, diff)
		}
		if s.whoami(mine) != who {
			t.Errorf("%s cannot log in any more", who)
		}
	}
	s.do("PATCH", "/api/v2/users/alice/", as("admin"), object("password", "************", "first_name", nil, "email", nil, "last_login", nil)).wants(200)
	s.do("PATCH", "/api/v2/users/alice/", as("admin"), object("password", "")).wants(200)
	if s.whoami(basic("alice", "alice-pw")) != "alice" {
		t.Error("a mask became the password")
	}
	if r := s.do("PATCH", "/api/v2/users/alice/", as("admin"), object("frist_name", "x")); !strings.Contains(r.blames("frist_name").body, "first_name") {
		t.Errorf("a typo: %s", r.body)
	}
}

func TestUserRefusals(t *testing.T) {
	s := newSystem(t)
	good := object("username", "new", "password", newPassword)
	for _, tt := range []struct {
		name, method, target string
		who                  with
		body                 with
		status               int
		fields               []string
	}{
		{"nobody lists", "GET", "/api/v2/users/", header("X", ""), header("X", ""), 401, nil},
		{"nobody creates", "POST", "/api/v2/users/", header("X", ""), good, 401, nil},
		{"a user creates", "POST", "/api/v2/users/", basic("alice", "alice-pw"), good, 403, nil},
		{"an auditor creates", "POST", "/api/v2/users/", basic("auditor", "auditor-pw"), good, 403, nil},
		{"an auditor changes", "PATCH", "/api/v2/users/alice/", basic("auditor", "auditor-pw"), object("email", ""), 403, nil},
		{"an auditor deletes", "DELETE", "/api/v2/users/alice/", basic("auditor", "auditor-pw"), header("X", ""), 403, nil},
		{"a user changes another", "PATCH", "/api/v2/users/bob/", basic("alice", "alice-pw"), object("email", ""), 404, nil},
		{"a user changes a superuser", "PATCH", "/api/v2/users/admin/", basic("alice", "alice-pw"), object("email", ""), 403, nil},
		{"a user deletes another", "DELETE", "/api/v2/users/bob/", basic("alice", "alice-pw"), header("X", ""), 404, nil},
		{"a user deletes itself", "DELETE", "/api/v2/users/alice/", basic("alice", "alice-pw"), header("X", ""), 403, nil},
		{"a superuser deletes itself", "DELETE", "/api/v2/users/admin/", as("admin"), header("X", ""), 403, nil},
		{"a read token writes", "PATCH", "/api/v2/users/alice/", bearer(s.token(s.alice, "read")), object("email", ""), 403, nil},
		{"a user makes itself superuser", "PATCH", "/api/v2/users/alice/", basic("alice", "alice-pw"), object("is_superuser", true), 403, nil},
		{"by another spelling", "PUT", "/api/v2/users/3/", basic("alice", "alice-pw"), object("is_superuser", "yes"), 403, nil},
		{"a user makes itself auditor", "PATCH", "/api/v2/users/alice/", basic("alice", "alice-pw"), object("is_system_auditor", 1), 403, nil},
		{"a user takes another name", "PATCH", "/api/v2/users/alice/", basic("alice", "alice-pw"), object("username", "root"), 403, nil},
		{"the last superuser steps down", "PATCH", "/api/v2/users/admin/", as("admin"), object("is_superuser", false), 409, nil},
		{"the last superuser is disabled", "PATCH", "/api/v2/users/admin/", as("admin"), object("is_active", false), 409, nil},
		{"no name, no password", "POST", "/api/v2/users/", as("admin"), object(), 400, []string{"password", "username"}},
		{"a mask as password", "POST", "/api/v2/users/", as("admin"), object("username", "x", "password", "$encrypted$"), 400, []string{"password"}},
		{"a short password", "POST", "/api/v2/users/", as("admin"), object("username", "x", "password", "short"), 400, []string{"password"}},
		{"a name that hides", "POST", "/api/v2/users/", as("admin"), object("username", "AWX\u200b", "password", newPassword), 400, []string{"username"}},
		{"an empty name", "PATCH", "/api/v2/users/alice/", as("admin"), object("username", ""), 400, []string{"username"}},
		{"null for a name", "PATCH", "/api/v2/users/alice/", as("admin"), object("username", nil), 400, []string{"username"}},
		{"a taken name", "PATCH", "/api/v2/users/alice/", as("admin"), object("username", "bob"), 400, []string{"username"}},
		{"no address", "PATCH", "/api/v2/users/alice/", as("admin"), object("email", "alice"), 400, []string{"email"}},
		{"a long name", "PATCH", "/api/v2/users/alice/", as("admin"), object("last_name", strings.Repeat("ü", 151), "first_name", "\x01"), 400, []string{"first_name", "last_name"}},
		{"names that hide", "PATCH", "/api/v2/users/alice/", basic("alice", "alice-pw"), object("last_name", "\u202enimda", "first_name", "a\u200bb"), 400, []string{"first_name", "last_name"}},
		{"an address that hides", "PATCH", "/api/v2/users/alice/", basic("alice", "alice-pw"), object("email", "boss@exam\u200dple.com"), 400, []string{"email"}},
		{"an address with a wide blank", "PATCH", "/api/v2/users/alice/", basic("alice", "alice-pw"), object("email", "boss\u3000@example.com"), 400, []string{"email"}},
		{"no boolean", "PATCH", "/api/v2/users/alice/", as("admin"), object("is_superuser", "maybe", "is_active", nil), 400, []string{"is_active", "is_superuser"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			r := s.do(tt.method, tt.target, tt.who, tt.body).wants(tt.status)
			if tt.fields != nil {
				r.blames(tt.fields...)
			}
		})
	}
	s.t = t
	for _, u := range []string{"alice", "bob", "admin"} {
		doc := s.do("GET", "/api/v2/users/"+u+"/", as("admin")).wants(200).json()
		if doc["is_superuser"] != (u == "admin") || doc["is_active"] != true || doc["email"] == "x" {
			t.Errorf("%s is %v", u, doc)
		}
	}
}

// Decision 29, as for applications: managing users is for people.
func TestApplicationTokensManageNobody(t *testing.T) {
	s := newOAuth(t)
	for _, who := range []string{"admin", "alice"} {
		token := s.pc.token(s, "grant_type", "password", "username", who, "password", who+"-pw", "scope", "write").wants(200).json()["access_token"].(string)
		for _, tt := range []struct{ method, target, body string }{
			{"POST", "/api/v2/users/", `{"username":"evil","password":"a long enough password","is_superuser":true}`},
			{"PATCH", "/api/v2/users/" + who + "/", `{"email":"evil@example.com"}`},
			{"PATCH", "/api/v2/users/" + who + "/", `{"password":"a long enough password","current_password":"` + who + `-pw"}`},
		} {
			s.do(tt.method, tt.target, bearer(token), jsonBody(tt.body)).wants(403)
		}
	}
}

func TestOwnPassword(t *testing.T) {
	const path = "/api/v2/users/alice/"
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		here, there := s.login("alice", "alice-pw"), s.login("alice", "alice-pw")
		token := s.token(s.alice, "write")
		// A token, and a session that somebody left open, are not enough.
		s.do("PATCH", path, bearer(token), object("password", newPassword)).blames("current_password")
		s.do("PATCH", path, bearer(token), object("password", newPassword, "current_password", "wrong")).blames("current_password")
		time.Sleep(11 * time.Minute)
		s.do("PATCH", path, cookie(here), object("password", newPassword)).blames("current_password")
		r := s.do("PATCH", path, cookie(here), object("password", newPassword, "current_password", "alice-pw")).wants(200)
		if s.whoami(cookie(there)) != "" || s.whoami(basic("alice", "alice-pw")) != "" {
			t.Error("another session or the old password is alive")
		}
		next := r.cookies()[s.session.CookieName()]
		if next == nil || s.whoami(cookie(next)) != "alice" {
			t.Fatal("the session that made the change has ended")
		}
		if s.whoami(bearer(token)) != "alice" {
			t.Error("the token has ended without the option")
		}
		// A fresh login is enough, and so is Basic.
		s.do("PATCH", path, cookie(s.login("alice", newPassword)), object("password", newPassword+"2")).wants(200)
		s.do("PATCH", path, basic("alice", newPassword+"2"), object("password", newPassword+"3")).wants(200)
		// Guesses are throttled as those of a login are.
		statuses := make(map[int]int)
		for range 12 {
			statuses[s.do("PATCH", path, bearer(token), object("password", newPassword, "current_password", "guess")).status]++
		}
		if statuses[http.StatusTooManyRequests] == 0 {
			t.Errorf("statuses of guesses: %v", statuses)
		}
	})
}

func TestPasswordOfOthers(t *testing.T) {
	s := newSystem(t, func(o *options) { o.tokens.EndWithPassword = true })
	session, token := s.login("alice", "alice-pw"), s.token(s.alice, "write")
	s.do("PATCH", "/api/v2/users/alice/", bearer(s.token(s.admin, "write")), object("password", newPassword)).wants(200)
	for name, credential := range map[string]with{"session": cookie(session), "token": bearer(token), "password": basic("alice", "alice-pw")} {
		if s.whoami(credential) != "" {
			t.Errorf("the old %s is alive", name)
		}
	}
	s.login("alice", newPassword)
	s.do("PATCH", "/api/v2/users/alice/", as("admin"), object("is_active", false)).wants(200)
	if s.whoami(basic("alice", newPassword)) != "" {
		t.Error("a disabled user gets in")
	}
}

func TestUserLists(t *testing.T) {
	s := newSystem(t)
	for i := range 4 {
		s.do("POST", "/api/v2/users/", as("admin"), object("username", fmt.Sprint("list_", i), "password", newPassword,
			"email", fmt.Sprintf("L%d@Example.com", i), "first_name", "100%", "is_active", i != 3)).wants(201)
	}
	names := func(query string, who with) (list []string) {
		t.Helper()
		for _, u := range s.do("GET", "/api/v2/users/"+query, who).wants(200).json()["results"].([]any) {
			list = append(list, u.(map[string]any)["username"].(string))
		}
		return list
	}
	for query, want := range map[string][]string{
		"?username=list_1":                                 {"list_1"},
		"?username__iexact=LIST_1":                         {"list_1"},
		"?username__in=list_1,bob,nobody&order_by=-id":     {"list_1", "bob"},
		"?username__startswith=list_&page_size=2":          {"list_0", "list_1"},
		"?username__startswith=LIST_":                      nil,
		"?username__istartswith=LIST_&page=2&page_size=3":  {"list_3"},
		"?email__iendswith=1@EXAMPLE.COM":                  {"list_1"},
		"?first_name__contains=%25&is_active=true":         {"list_0", "list_1", "list_2"},
		"?or__username=bob&or__username=alice":             {"alice", "bob"},
		"?or__id=3&or__username=bob":                       {"alice", "bob"},
		"?not__username__icontains=list&is_superuser=no":   {"auditor", "alice", "bob", "dora"},
		"?or__not__is_active=1":                            {"dora", "list_3"},
		"?id__gt=2&id__lte=4":                              {"alice", "bob"},
		"?search=EXAMPLE&username__isnull=false&id__gt=1":  {"list_0", "list_1", "list_2", "list_3"},
		"?is_superuser=TRUE":                               {"admin"},
		"?created__gt=2200-01-01":                          nil,
		"?username__isnull=true":                           nil,
		"?order_by=-username&count_disabled=1&page_size=2": {"list_3", "list_2"},
		"?chain__username=bob":                             {"bob"},
	} {
		if diff := cmp.Diff(want, names(query, as("admin"))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	if got := names("", basic("alice", "alice-pw")); !slices.Equal(got, []string{"admin", "alice"}) {
		t.Errorf("alice sees %v", got)
	}
	if got := names("?or__username=bob&or__username=alice", basic("alice", "alice-pw")); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("alice finds %v", got)
	}
	if got := names("", basic("auditor", "auditor-pw")); len(got) != 9 {
		t.Errorf("the auditor sees %v", got)
	}
	doc := s.do("GET", "/api/v2/users/?page_size=4", as("admin")).wants(200).json()
	if doc["count"] != 9.0 || doc["next"] != "/api/v2/users/?page=2&page_size=4" || doc["previous"] != nil {
		t.Errorf("envelope %v %v %v", doc["count"], doc["next"], doc["previous"])
	}
	many := "?id__in=" + strings.Repeat("1,", 100) + "1"
	for query, status := range map[string]int{
		"?password=x": 403, "?password__startswith=a": 403, "?order_by=password": 400, "?epoch=1": 400, "?usrename=x": 400,
		"?username__regex=^a": 400, "?username__iregex=a": 400, "?username__foo=x": 400, "?username__a__b=x": 400, "?is_superuser=maybe": 400,
		"?is_superuser__gt=1": 400, "?created__contains=1": 400, "?created__gt=yesterday": 400, "?username__isnull=x": 400, many: 400,
		"?username__in=": 400, "?username=a%00b": 400, "?username=a&username=b": 400, "?personal_tokens__token=x": 403,
		"?" + strings.Repeat("or__id=1&", 21): 400, "?not__password__isnull=true": 403, "?or__": 400, "?__": 400, "?id__igt=1": 400,
	} {
		s.do("GET", "/api/v2/users/"+query, as("admin")).wants(status)
	}
}

func TestUserOptions(t *testing.T) { // G7, G8
	s := newSystem(t)
	doc := s.do("OPTIONS", "/api/v2/users/", as("admin")).wants(200).json()
	actions := doc["actions"].(map[string]any)
	if len(actions) != 2 {
		t.Errorf("actions %v", actions)
	}
	for action, fields := range actions {
		for name, one := range fields.(map[string]any) {
			if kind, _ := one.(map[string]any)["type"].(string); kind == "" {
				t.Errorf("%s %s has no type", action, name)
			}
		}
	}
	post := actions["POST"].(map[string]any)
	for name, required := range map[string]bool{"username": true, "password": true, "email": false, "is_superuser": false} {
		if one := post[name].(map[string]any); one["required"] != required {
			t.Errorf("%s: %v", name, one)
		}
	}
	if _, shown := actions["GET"].(map[string]any)["current_password"]; shown {
		t.Error("GET has the current password")
	}
	for _, id := range []string{"1", "999"} {
		if allow := s.do("OPTIONS", "/api/v2/users/"+id+"/", as("admin")).header.Get("Allow"); allow != "GET, PUT, PATCH, DELETE, HEAD, OPTIONS" {
			t.Errorf("user %s allows %q", id, allow)
		}
	}
	for _, name := range []string{
		"credentials", "instance_groups", "inventories", "job_templates", "jobs", "organizations", "projects", "teams", "workflow_job_templates",
	} {
		s.do("OPTIONS", "/api/v2/"+name+"/", as("admin")).wants(200).json()
		got := s.do("GET", "/api/v2/"+name+"/?name=x", as("admin")).wants(200).json()
		if diff := cmp.Diff(map[string]any{"count": 0.0, "next": nil, "previous": nil, "results": []any{}}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		s.do("GET", "/api/v2/"+name+"/").is401()
		s.do("POST", "/api/v2/"+name+"/", as("admin"), object()).wants(405)
	}
	s.do("GET", "/api/v2/hosts/", as("admin")).wants(404)
}

// A host without store.Accounts shows users, and lets nobody change them.
func TestUsersWithoutAccounts(t *testing.T) {
	s := newSystem(t)
	s.document.Store(nil)
	s.handler = auth.Must(httpapi.New(httpapi.Config{Gate: s.gate, Users: s.db, Tokens: s.tokens}))
	s.do("GET", "/api/v2/users/alice/", as("admin")).wants(200)
	for _, method := range []string{"PUT", "PATCH", "DELETE"} {
		r := s.do(method, "/api/v2/users/alice/", as("admin"), object()).wants(405)
		if allow := r.header.Get("Allow"); allow != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: allow %q", method, allow)
		}
	}
	s.do("GET", "/api/v2/users/", as("admin")).wants(404)
	s.do("GET", "/api/v2/projects/", as("admin")).wants(404)
	if links := s.do("GET", "/api/v2/").wants(200).json(); links["users"] != nil {
		t.Errorf("links %v", links)
	}
}

func TestAccountsOptions(t *testing.T) {
	s := newSystem(t)
	if _, err := auth.NewAccounts(s.db, s.passwords, &auth.AccountsOptions{FreshLogin: -1}); err == nil {
		t.Error("a negative FreshLogin constructs")
	}
}
