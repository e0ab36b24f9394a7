package httpapi_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func as(user string) with { return basic(user, user+"-pw") }

// Case 164 to 166.
func TestApplicationCreate(t *testing.T) {
	o := newOAuth(t)
	r := o.do("POST", "/api/v2/applications/", as("admin"), jsonBody(`{"name":"ci","description":"d","client_type":"confidential",
		"authorization_grant_type":"password","organization":1,"client_id":"mine","client_secret":"mine"}`)).wants(201)
	doc := r.json()
	id, secret := doc["id"].(float64), doc["client_secret"].(string)
	path := fmt.Sprintf("/api/v2/applications/%v/", id)
	if r.header.Get("Location") != path || !regexp.MustCompile(`^[A-Za-z0-9]{64,}$`).MatchString(secret) {
		t.Errorf("Location %s, client_secret %q", r.header.Get("Location"), secret)
	}
	want := map[string]any{
		"id": id, "type": "o_auth2_application", "url": path,
		"related": map[string]any{"tokens": path + "tokens/", "organization": "/api/v2/organizations/1/"},
		"summary_fields": map[string]any{
			"organization":      map[string]any{"id": 1.0, "name": "Default", "description": ""},
			"user_capabilities": map[string]any{"edit": true, "delete": true},
			"tokens":            map[string]any{"count": 0.0, "results": []any{}},
		},
		"created": doc["created"], "modified": doc["modified"],
		"name": "ci", "description": "d", "client_id": doc["client_id"], "client_secret": secret, "client_type": "confidential",
		"redirect_uris": "", "authorization_grant_type": "password", "skip_authorization": false, "pkce_required": false, "resource": "", "organization": 1.0,
	}
	if diff := cmp.Diff(want, doc); diff != "" || doc["client_id"] == "mine" {
		t.Errorf("application (-want +got):\n%s", diff)
	}
	want["client_secret"] = mask
	if diff := cmp.Diff(want, o.do("GET", path, as("admin")).wants(200).json()); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	if got := o.do("PATCH", path, as("admin"), jsonBody(`{"description":"e"}`)).wants(200).json()["client_secret"]; got != mask {
		t.Errorf("client_secret after PATCH: %v", got)
	}
	if strings.Contains(o.logs.String(), secret) {
		t.Error("the log has the secret")
	}
	for _, r := range []reply{
		o.do("GET", o.pp.path(), as("admin")), o.do("PATCH", o.pp.path(), as("admin"), jsonBody(`{"description":"e"}`)),
	} {
		if _, ok := r.wants(200).json()["client_secret"]; ok {
			t.Error("a public client has a client_secret")
		}
	}
}

// Cases 167 to 172.
func TestApplicationRefused(t *testing.T) {
	o := newOAuth(t)
	post := func(body string) reply {
		t.Helper()
		return o.do("POST", "/api/v2/applications/", as("admin"), jsonBody(body))
	}
	app := func(members string) string {
		return `{"name":"x","client_type":"confidential","authorization_grant_type":"authorization-code","redirect_uris":"` + callback + `","organization":1` + members + `}`
	}
	post(`{}`).blames("authorization_grant_type", "client_type", "name", "organization")
	post(strings.Replace(app(""), `"confidential"`, `"x"`, 1)).blames("client_type")
	post(strings.Replace(app(""), `"authorization-code"`, `"implicit"`, 1)).blames("authorization_grant_type")
	post(strings.Replace(app(""), `"organization":1`, `"organization":null`, 1)).blames("organization")
	post(strings.Replace(app(""), `"organization":1`, `"organization":99`, 1)).blames("organization")
	post(strings.Replace(app(""), `"organization":1`, `"organization":"x"`, 1)).blames("organization")
	post(app(`,"skip_authorization":2`)).blames("skip_authorization")
	post(app(`,"unknown":1`)).blames("unknown")
	post(strings.Replace(app(""), `"x"`, `"cc"`, 1)).blames("__all__")
	post(strings.Replace(strings.Replace(app(""), `"x"`, `"cc"`, 1), `"organization":1`, `"organization":2`, 1)).wants(201)
	for _, uris := range []string{"", "ftp://x/", "/relative", callback + "#f", "http://app.example/cb", callback + " javascript:alert(1)"} {
		post(strings.Replace(app(""), callback, uris, 1)).blames("__all__")
	}
	if got := post(strings.Replace(app(""), callback, callback+"  "+callback+"2", 1)).wants(201).json()["redirect_uris"]; got != callback+" "+callback+"2" {
		t.Errorf("redirect_uris is %v", got)
	}
}

// Cases 173 to 179.
func TestApplicationManagement(t *testing.T) {
	o := newOAuth(t)
	doc := o.do("PATCH", o.cc.path(), as("admin"), jsonBody(`{"client_id":"x","client_secret":"x","authorization_grant_type":"password"}`)).wants(200).json()
	o.do("PATCH", o.cc.path(), as("admin"), jsonBody(`{"authorization_grant_type":5}`)).wants(200)
	if doc["client_id"] != o.cc.name || doc["authorization_grant_type"] != "authorization-code" {
		t.Errorf("changed to %v", doc)
	}

	t.Run("rights, case 175", func(t *testing.T) {
		edit := jsonBody(`{"description":"x"}`)
		create := jsonBody(`{"name":"new","client_type":"public","authorization_grant_type":"password","organization":1}`)
		for _, tt := range []struct {
			user                       string
			read, change, create, list int
		}{
			{"auditor", 200, 403, 403, 4},
			{"member", 200, 403, 403, 4},
			{"alice", 404, 404, 403, 0},
			{"orgadmin", 200, 200, 201, 5},
		} {
			o.do("GET", o.cc.path(), as(tt.user)).wants(tt.read)
			o.do("PATCH", o.cc.path(), as(tt.user), edit).wants(tt.change)
			o.do("POST", "/api/v2/applications/", as(tt.user), create).wants(tt.create)
			if got := o.do("GET", "/api/v2/applications/", as(tt.user)).wants(200).json()["count"]; got != float64(tt.list) {
				t.Errorf("%s lists %v applications", tt.user, got)
			}
			if tt.change != 200 {
				o.do("DELETE", o.cc.path(), as(tt.user)).wants(tt.change)
				o.do("POST", o.cc.path()+"rotate_secret/", as(tt.user)).wants(tt.change)
			}
		}
		o.do("GET", o.cc.path()).is401()
		o.do("PATCH", o.cc.path(), as("orgadmin"), jsonBody(`{"organization":2}`)).is403() // case 176
		caps := o.do("GET", o.cc.path(), as("member")).wants(200).json()["summary_fields"].(map[string]any)["user_capabilities"]
		if diff := cmp.Diff(map[string]any{"edit": false, "delete": false}, caps); diff != "" {
			t.Errorf("capabilities of a member:\n%s", diff)
		}
	})
	t.Run("rotation, case 174", func(t *testing.T) {
		works := func(secret string) int {
			return o.do("POST", "/api/o/introspect/", form("token", "x"), basic(o.cc.name, secret)).status
		}
		second := o.do("POST", o.cc.path()+"rotate_secret/", as("admin"), jsonBody(`{"overlap":60}`)).wants(200).json()["client_secret"].(string)
		if works(o.cc.secret) != 200 || works(second) != 200 {
			t.Error("during the overlap one of the secrets does not work")
		}
		third := o.do("POST", o.cc.path()+"rotate_secret/", as("admin")).wants(200).json()["client_secret"].(string)
		if works(second) != 401 || works(third) != 200 {
			t.Error("without an overlap the old secret works")
		}
		o.do("POST", o.cc.path()+"rotate_secret/", as("admin"), jsonBody(`{"overlap":-1}`)).blames("overlap")
		// So many seconds are less than one when they are counted in 64 bits of nanoseconds.
		o.do("POST", o.cc.path()+"rotate_secret/", as("admin"), jsonBody(`{"overlap":18446744074}`)).blames("overlap")
		o.do("POST", o.pp.path()+"rotate_secret/", as("admin")).blames("client_type")
	})
	t.Run("lists", func(t *testing.T) {
		names := func(query string) (list []string) {
			t.Helper()
			for _, app := range o.do("GET", "/api/v2/applications/"+query, as("admin")).wants(200).json()["results"].([]any) {
				list = append(list, app.(map[string]any)["name"].(string))
			}
			return list
		}
		for query, want := range map[string][]string{
			"":                                {"cc", "cp", "new", "pc", "pp"},
			"?name=cc":                        {"cc"},
			"?name=cc&organization=1":         {"cc"},
			"?organization=2":                 nil,
			"?order_by=-name&page_size=2":     {"pp", "pc"},
			"?id=" + fmt.Sprint(o.pp.id):      {"pp"},
			"?search=c&organization=1&page=1": {"cc", "cp", "pc"},
			// The Ansible collection asks like this where a name could be an ID.
			"?or__id=" + fmt.Sprint(o.pp.id) + "&or__name=cc":                           {"cc", "pp"},
			"?or__id=" + fmt.Sprint(o.cc.id) + "&or__name=cc&organization=1":            {"cc"},
			"?or__id=" + fmt.Sprint(o.pp.id) + "&or__name=cc&page_size=1&page=2":        {"pp"},
			"?or__id=" + fmt.Sprint(o.pp.id) + "&or__name=cc&name=cc":                   {"cc"},
			"?or__id=" + fmt.Sprint(o.pp.id) + "&or__name=cc&id=" + fmt.Sprint(o.pc.id): nil,
			"?or__id=99&or__name=99": nil,
			"?or__id=0&or__name=":    nil,
			"?or__name=cc":           {"cc"},
		} {
			if got := names(query); !slices.Equal(got, want) {
				t.Errorf("%q lists %v, want %v", query, got, want)
			}
		}
		o.do("GET", "/api/v2/applications/?client_secret__startswith=a", as("admin")).wants(403) // case 177
		o.do("GET", "/api/v2/applications/?client_id=a", as("admin")).wants(403)
		o.do("GET", "/api/v2/applications/?or__id=x&or__name=x", as("admin")).wants(400)
		if n := o.do("GET", "/api/v2/applications/?or__id="+fmt.Sprint(o.pp.id)+"&or__name=cc", as("alice")).wants(200).json()["count"]; n != 0.0 {
			t.Errorf("alice finds %v applications", n)
		}
		if n := o.do("GET", "/api/v2/organizations/1/applications/", as("member")).wants(200).json()["count"]; n != 5.0 { // case 179
			t.Errorf("organization 1 has %v applications", n)
		}
		if n := o.do("GET", "/api/v2/organizations/2/applications/", as("member")).wants(200).json()["count"]; n != 0.0 {
			t.Errorf("organization 2 has %v applications", n)
		}
		for _, path := range []string{ // a filter narrows what the path names, and never widens it
			"/api/v2/organizations/1/applications/?organization=2", o.cc.path() + "tokens/?application=" + fmt.Sprint(o.pc.id),
		} {
			o.do("POST", o.pc.path()+"tokens/", as("admin")).wants(201)
			if n := o.do("GET", path, as("admin")).wants(200).json()["count"]; n != 0.0 {
				t.Errorf("%s lists %v", path, n)
			}
		}
		o.do("GET", "/api/v2/organizations/99/applications/", as("admin")).wants(404)
		// a caller that sees no organization does not learn which exist.
		for _, method := range []string{"GET", "POST"} {
			there := o.do(method, "/api/v2/organizations/2/applications/", as("alice"), jsonBody(`{}`))
			missing := o.do(method, "/api/v2/organizations/99/applications/", as("alice"), jsonBody(`{}`))
			if there.status != missing.status || there.body != missing.body {
				t.Errorf("%s: of organization 2 %d %s, of one that does not exist %d %s", method, there.status, there.body, missing.status, missing.body)
			}
		}
		doc := o.do("POST", "/api/v2/organizations/2/applications/", as("admin"), jsonBody(`{"name":"n","client_type":"public","authorization_grant_type":"password","organization":1}`)).wants(201).json()
		if doc["organization"] != 2.0 {
			t.Errorf("created in organization %v", doc["organization"])
		}
	})
	t.Run("named URL", func(t *testing.T) {
		if doc := o.do("GET", "/api/v2/applications/cc++Default/", as("member")).wants(200).json(); doc["client_id"] != o.cc.name {
			t.Errorf("found %v", doc)
		}
		for _, name := range []string{"cc++Other", "cc", "++Default", "x%00++Default"} {
			o.do("GET", "/api/v2/applications/"+name+"/", as("admin")).wants(404)
		}
		o.do("GET", "/api/v2/applications/cc++Default/", as("alice")).wants(404)
	})
	t.Run("options", func(t *testing.T) {
		post := o.do("OPTIONS", "/api/v2/applications/", as("admin")).wants(200).json()["actions"].(map[string]any)["POST"].(map[string]any)
		organization := post["organization"].(map[string]any)
		choices := post["client_type"].(map[string]any)["choices"]
		if organization["required"] != true || organization["type"] != "id" || post["client_id"] != nil {
			t.Errorf("organization %v, client_id %v", organization, post["client_id"])
		}
		if diff := cmp.Diff([]any{[]any{"confidential", "Confidential"}, []any{"public", "Public"}}, choices); diff != "" {
			t.Errorf("choices (-want +got):\n%s", diff)
		}
		if allow := o.do("OPTIONS", "/api/v2/applications/1/", as("admin")).wants(200).header.Get("Allow"); allow != "GET, PUT, PATCH, DELETE, HEAD, OPTIONS" {
			t.Errorf("Allow: %s", allow)
		}
	})
	for _, want := range []string{"application created", "application changed", "client secret rotated"} { // case 178
		if !strings.Contains(o.logs.String(), want) {
			t.Errorf("no event %q", want)
		}
	}
}

// Cases 147 to 156, 159 to 163.
func TestApplicationTokens(t *testing.T) {
	o := newOAuth(t)
	body := func(format string, args ...any) with { return jsonBody(fmt.Sprintf(format, args...)) }
	doc := o.do("POST", "/api/v2/tokens/", as("member"), body(`{"application":%d,"scope":"read"}`, o.pc.id)).wants(201).json()
	access, refresh := doc["token"].(string), doc["refresh_token"].(string)
	if !o.alive(access) || !strings.HasPrefix(refresh, "ostr_") || doc["application"] != float64(o.pc.id) {
		t.Errorf("issued %v", doc)
	}
	if diff := cmp.Diff(map[string]any{"id": float64(o.pc.id), "name": "pc"}, doc["summary_fields"].(map[string]any)["application"]); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	path := doc["url"].(string)
	shown := o.do("GET", path, as("member")).wants(200).json()
	if shown["token"] != mask || shown["refresh_token"] != mask { // case 162
		t.Errorf("shown %v", shown)
	}
	id := shown["id"]

	t.Run("elsewhere", func(t *testing.T) {
		forced := o.do("POST", o.pc.path()+"tokens/", as("member"), body(`{"application":%d}`, o.cc.id)).wants(201).json() // case 148
		if forced["application"] != float64(o.pc.id) {
			t.Errorf("application is %v", forced["application"])
		}
		users := "/api/v2/users/member/"
		o.do("POST", users+"authorized_tokens/", as("member"), body(`{"application":%d}`, o.pc.id)).wants(201) // case 149
		o.do("POST", users+"authorized_tokens/", as("member"), body(`{}`)).blames("application")
		o.do("POST", users+"tokens/", as("member"), body(`{}`)).wants(201)
		o.do("POST", users+"tokens/", as("admin"), body(`{}`)).is403()
		o.do("POST", users+"personal_tokens/", as("member"), body(`{"application":%d}`, o.pc.id)).blames("application")
		o.do("POST", "/api/v2/tokens/", as("alice"), body(`{"application":%d}`, o.pc.id)).blames("application") // case 150
		o.do("POST", "/api/v2/tokens/", as("alice"), body(`{"application":99}`)).blames("application")
		o.do("POST", "/api/v2/tokens/", as("admin"), body(`{"application":99}`)).blames("application") // case 151
		for _, bad := range []string{"-1", `"x"`, "1.5", "[]", "99999999999999999999"} {
			o.do("POST", "/api/v2/tokens/", as("admin"), body(`{"application":%s}`, bad)).blames("application")
		}
		related, _ := o.do("GET", users, as("member")).wants(200).json()["related"].(map[string]any) // case 227
		for path, want := range map[string]float64{"tokens/": 4, "authorized_tokens/": 3, "personal_tokens/": 1} {
			if link := related[strings.TrimSuffix(path, "/")]; link != "/api/v2/users/7/"+path {
				t.Errorf("related to %s: %v", users, link)
			}
			if n := o.do("GET", users+path, as("admin")).wants(200).json()["count"]; n != want {
				t.Errorf("%s has %v tokens, want %v", path, n, want)
			}
		}
		o.do("GET", users+"tokens/", as("alice")).wants(404)
	})
	t.Run("visibility, case 152 to 155", func(t *testing.T) {
		o.do("POST", "/api/v2/tokens/", as("alice")).wants(201)
		for user, want := range map[string]float64{"alice": 1, "orgadmin": 3, "member": 4, "auditor": 5, "admin": 5, "bob": 0} {
			if n := o.do("GET", "/api/v2/tokens/", as(user)).wants(200).json()["count"]; n != want {
				t.Errorf("%s sees %v tokens, want %v", user, n, want)
			}
		}
		edit := jsonBody(`{"description":"y"}`)
		o.do("PATCH", path, as("auditor"), edit).is403()
		o.do("PATCH", path, as("alice"), edit).wants(404).hasDetail("Not found.")
		o.do("PATCH", path, as("orgadmin"), edit).wants(200)
	})
	t.Run("patch, case 156", func(t *testing.T) {
		doc := o.do("PATCH", path, as("member"), jsonBody(`{"scope":"read","description":"x","application":9,"user":4}`)).wants(200).json()
		if doc["description"] != "x" || doc["application"] != float64(o.pc.id) || doc["user"] != 7.0 || doc["token"] != mask {
			t.Errorf("changed to %v", doc)
		}
	})
	t.Run("summary of the application, case 163", func(t *testing.T) {
		for range 12 {
			o.do("POST", o.cc.path()+"tokens/", as("member")).wants(201)
		}
		summary := func(c client) map[string]any {
			return o.do("GET", c.path(), as("admin")).wants(200).json()["summary_fields"].(map[string]any)["tokens"].(map[string]any)
		}
		if got := summary(o.cc); got["count"] != 12.0 || len(got["results"].([]any)) != 10 {
			t.Errorf("12 tokens: %v", got)
		}
		first := summary(o.pc)["results"].([]any)[0]
		if diff := cmp.Diff(map[string]any{"id": id, "token": mask, "scope": "read"}, first); diff != "" {
			t.Errorf("first token (-want +got):\n%s", diff)
		}
	})
	t.Run("delete, case 159", func(t *testing.T) {
		o.do("DELETE", path, as("orgadmin")).wants(204)
		if o.alive(access) {
			t.Error("the token works")
		}
		o.pc.token(o, "grant_type", "refresh_token", "refresh_token", refresh).fails(400, "invalid_grant")
	})
	t.Run("delete the application, case 160", func(t *testing.T) {
		doc := o.do("POST", o.pc.path()+"tokens/", as("member")).wants(201).json()
		o.do("DELETE", o.pc.path(), as("orgadmin")).wants(204)
		o.do("GET", o.pc.path(), as("admin")).wants(404)
		if o.alive(doc["token"].(string)) {
			t.Error("the token works")
		}
		o.pc.token(o, "grant_type", "refresh_token", "refresh_token", doc["refresh_token"].(string)).fails(401, "invalid_client")
		if n := o.do("GET", "/api/v2/tokens/", as("orgadmin")).wants(200).json()["count"]; n != 12.0 {
			t.Errorf("%v tokens are left", n)
		}
	})
}

// Case 225 is the host's; sessions never end with a token, nor the reverse.
func TestTokensOutliveTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOAuth(t)
		access, _ := o.pair()
		wait(time.Minute)
		c := o.login("alice", "alice-pw")
		o.do("GET", "/api/logout/", cookie(c)).wants(302)
		if !o.alive(access) {
			t.Error("the token of an application ended with a session")
		}
	})
}

// Without Applications none of their paths exist.
func TestWithoutApplications(t *testing.T) {
	s := newSystem(t)
	for _, path := range []string{"/api/o/", "/api/o/token/", "/api/o/authorize/", "/api/v2/applications/", "/api/v2/users/alice/tokens/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			s.do(method, path).wants(404)
		}
	}
	s.do("POST", "/api/v2/tokens/", as("admin"), jsonBody(`{"application":1}`)).blames("application")
}
