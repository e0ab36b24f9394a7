package clienttest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// An awx speaks as AWX's own command does: which requests it makes, with which
// fields, and what it insists on in the answers.
type awx struct {
	t     *testing.T
	at    string
	c     *http.Client
	csrf  string // value of the cookie, sent back in a field
	basic *url.Userinfo
	token string
}

func newAWX(t *testing.T, at string) *awx {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &awx{t: t, at: at, c: &http.Client{Jar: jar}}
}

// An answer is what the command looks at.
type answer struct {
	status int
	header http.Header
	body   string
	doc    map[string]any // nil if the body is no object
}

func (x *awx) do(method, path string, body any) answer {
	x.t.Helper()
	var content io.Reader
	kind := ""
	switch body := body.(type) {
	case url.Values:
		content, kind = strings.NewReader(body.Encode()), "application/x-www-form-urlencoded"
	case nil:
	default:
		b, err := json.Marshal(body)
		if err != nil {
			x.t.Fatal(err)
		}
		content, kind = bytes.NewReader(b), "application/json"
	}
	r, err := http.NewRequestWithContext(x.t.Context(), method, x.at+path, content)
	if err != nil {
		x.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Referer", x.at+"/api/login/")
	if x.csrf != "" {
		r.Header.Set("X-CSRFToken", x.csrf)
	}
	switch {
	case x.token != "":
		r.Header.Set("Authorization", "Bearer "+x.token)
	case x.basic != nil:
		password, _ := x.basic.Password()
		r.SetBasicAuth(latin1(x.basic.Username()), latin1(password))
	}
	resp, err := x.c.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	a := answer{resp.StatusCode, resp.Header, string(b), nil}
	_ = json.Unmarshal(b, &a.doc) // not every answer is an object
	return a
}

// latin1 writes text as the requests library of Python does.
func latin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

func (x *awx) wants(status int, method, path string, body any) answer {
	x.t.Helper()
	a := x.do(method, path, body)
	if a.status != status {
		x.t.Fatalf("%s %s: %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// login starts a session and reads the resources, as the command does before
// everything else.
func (x *awx) login(user, password string) {
	x.t.Helper()
	root := x.wants(200, "GET", "/api/", nil)
	if versions, _ := root.doc["available_versions"].(map[string]any); versions["v2"] != "/api/v2/" || root.doc["current_version"] != "/api/v2/" {
		x.t.Fatalf("root %s", root.body)
	}
	here, err := url.Parse(x.at + "/api/")
	if err != nil {
		x.t.Fatal(err)
	}
	tokens := 0
	for _, c := range x.c.Jar.Cookies(here) {
		if c.Name == "csrftoken" {
			x.csrf = c.Value
			tokens++
		}
	}
	if tokens != 1 {
		x.t.Fatalf("%d cookies named csrftoken", tokens)
	}
	x.wants(200, "GET", "/api/login/", nil)
	name := ""
	x.c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		name = r.Response.Header.Get("X-API-Session-Cookie-Name")
		return nil
	}
	x.wants(200, "POST", "/api/login/", url.Values{"username": {user}, "password": {password}, "next": {"/api/"}})
	if !slices.ContainsFunc(x.c.Jar.Cookies(here), func(c *http.Cookie) bool { return name != "" && c.Name == name }) {
		x.t.Fatalf("no session cookie %q", name)
	}
}

// options reads how a resource is described, and makes of it what the command
// offers: which arguments create an object, and which commands there are.
func (x *awx) options(resource string) (arguments map[string]bool, commands []string) {
	x.t.Helper()
	a := x.wants(200, "OPTIONS", "/api/v2/"+resource+"/", nil)
	arguments = make(map[string]bool)
	actions, _ := a.doc["actions"].(map[string]any)
	for action, fields := range actions {
		if action != "GET" && action != "POST" {
			x.t.Fatalf("%s: action %s", resource, action)
		}
		commands = append(commands, map[string]string{"GET": "list", "POST": "create"}[action])
		for name, f := range fields.(map[string]any) {
			one := f.(map[string]any)
			if kind, _ := one["type"].(string); kind == "" {
				x.t.Errorf("%s.%s has no type", resource, name)
			}
			choices, _ := one["choices"].([]any)
			for _, choice := range choices {
				if pair, ok := choice.([]any); !ok || len(pair) != 2 {
					x.t.Errorf("%s.%s: choice %v", resource, name, choice)
				}
			}
			if action == "POST" {
				arguments[name] = one["required"] == true
			}
		}
	}
	for method := range strings.SplitSeq(x.do("OPTIONS", "/api/v2/"+resource+"/1/", nil).header.Get("Allow"), ", ") {
		if command := map[string]string{"PUT": "modify", "DELETE": "delete"}[method]; command != "" {
			commands = append(commands, command)
		}
	}
	slices.Sort(commands)
	return arguments, commands
}

// found lists what a filter leaves.
func (x *awx) found(path string) []map[string]any {
	x.t.Helper()
	a := x.wants(200, "GET", path, nil)
	for _, name := range []string{"count", "next", "previous", "results"} {
		if _, ok := a.doc[name]; !ok {
			x.t.Fatalf("%s: no %s in %s", path, name, a.body)
		}
	}
	var list []map[string]any
	for _, one := range a.doc["results"].([]any) {
		o := one.(map[string]any)
		if link, _ := o["url"].(string); !strings.HasPrefix(link, "/api/v2/") || o["id"] == nil {
			x.t.Fatalf("%s: %v", path, o)
		}
		list = append(list, o)
	}
	return list
}

// TestAWXCommand does what a day with AWX's command does: log in, users, tokens,
// applications, me.
func TestAWXCommand(t *testing.T) {
	s := start(t)
	admin := newAWX(t, s.url)
	admin.login("root", password)
	resources := admin.wants(200, "GET", "/api/v2/", nil).doc
	for _, name := range []string{"users", "tokens", "applications", "me"} {
		if resources[name] != "/api/v2/"+name+"/" {
			t.Fatalf("%s is no command: %v", name, resources)
		}
	}
	for _, name := range []string{"organizations", "projects", "inventories", "teams", "credentials", "job_templates", "workflow_job_templates", "instance_groups"} {
		if admin.wants(200, "OPTIONS", "/api/v2/"+name+"/", nil).doc == nil {
			t.Errorf("%s: no object", name)
		}
	}
	arguments, commands := admin.options("users")
	if !arguments["username"] || !arguments["password"] || arguments["email"] || fmt.Sprint(commands) != "[create delete list modify]" {
		t.Errorf("users: %v %v", arguments, commands)
	}
	for i, secret := range []string{"Schlüssel über Öfen", "with:colon:and more", "plus+and plus+signs", "100% of per%20cents"} {
		user := fmt.Sprintf("user%d", i)
		t.Run(secret, func(t *testing.T) { admin.userLife(t, user, secret) })
	}
	applicationCommands(admin)
}

// userLife creates a user, who does what users do, and deletes it.
func (x *awx) userLife(t *testing.T, user, secret string) {
	admin := *x
	admin.t = t
	created := admin.wants(201, "POST", "/api/v2/users/", map[string]any{"username": user, "password": secret, "first_name": "F", "email": user + "@example.com"})
	if strings.Contains(created.body, secret) {
		t.Errorf("the password is shown: %s", created.body)
	}
	if a := admin.wants(400, "POST", "/api/v2/users/", map[string]any{"username": user, "password": secret}); !strings.Contains(a.body, "already exists") {
		t.Errorf("a duplicate: %s", a.body)
	}
	path := created.doc["url"].(string)
	if list := admin.found("/api/v2/users/?username=" + user); len(list) != 1 || list[0]["url"] != path {
		t.Fatalf("found %v", list)
	}
	admin.wants(200, "GET", path, nil)
	if a := admin.wants(200, "PATCH", path, map[string]any{"last_name": "L", "is_superuser": false}); a.doc["last_name"] != "L" || a.doc["first_name"] != "F" {
		t.Errorf("modified: %s", a.body)
	}

	session := newAWX(t, x.at)
	session.login(user, secret)
	basic := newAWX(t, x.at)
	basic.basic = url.UserPassword(user, secret)
	for _, path := range []string{"/o/token/", "/api/gateway/v1/tokens/"} {
		basic.wants(404, "POST", path, url.Values{})
	}
	token := newAWX(t, x.at)
	token.token, _ = basic.wants(201, "POST", "/api/v2/users/"+user+"/personal_tokens/",
		map[string]any{"description": "Tower CLI", "application": nil, "scope": "write"}).doc["token"].(string)
	for name, client := range map[string]*awx{"session": session, "Basic": basic, "token": token} {
		if list := client.found("/api/v2/me/"); len(list) != 1 || list[0]["username"] != user {
			t.Errorf("%s: me is %v", name, list)
		}
		client.wants(403, "POST", "/api/v2/users/", map[string]any{"username": "x", "password": secret})
		client.wants(403, "PATCH", path, map[string]any{"is_superuser": true})
	}
	if list := token.found("/api/v2/tokens/?description__icontains=tower"); len(list) != 1 || list[0]["token"] != "************" {
		t.Errorf("tokens %v", list)
	}
	session.wants(200, "PATCH", path, map[string]any{"password": secret + " 2"})
	session.wants(200, "GET", "/api/v2/me/", nil)
	basic.wants(401, "GET", "/api/v2/me/", nil)
	basic.basic = url.UserPassword(user, secret+" 2")
	basic.wants(200, "GET", "/api/v2/me/", nil)

	admin.wants(204, "DELETE", path, nil)
	for name, client := range map[string]*awx{"session": session, "Basic": basic, "token": token} {
		if a := client.do("GET", "/api/v2/me/", nil); a.status != 401 {
			t.Errorf("%s of a deleted user: %d", name, a.status)
		}
	}
}

func applicationCommands(admin *awx) {
	t := admin.t
	arguments, commands := admin.options("applications")
	if !arguments["client_type"] || fmt.Sprint(commands) != "[create delete list modify]" {
		t.Errorf("applications: %v %v", arguments, commands)
	}
	created := admin.wants(201, "POST", "/api/v2/applications/", map[string]any{
		"name": "cli", "client_type": "confidential", "authorization_grant_type": "password", "organization": 1,
	})
	path := created.doc["url"].(string)
	client := newAWX(t, admin.at)
	client.basic = url.UserPassword(created.doc["client_id"].(string), created.doc["client_secret"].(string))
	grant := url.Values{"grant_type": {"password"}, "username": {user}, "password": {password}, "scope": {"write"}}
	client.token, _ = client.wants(200, "POST", "/api/o/token/", grant).doc["access_token"].(string)
	client.wants(200, "GET", "/api/v2/me/", nil)
	admin.wants(200, "PATCH", path, map[string]any{"description": "d"})
	if list := admin.found("/api/v2/applications/?name=cli"); len(list) != 1 || list[0]["client_secret"] != "************" {
		t.Errorf("applications %v", list)
	}
	admin.wants(204, "DELETE", path, nil)
	client.wants(401, "GET", "/api/v2/me/", nil)
}
