package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A controller asks what the later versions of AWX's Ansible collection ask. They
// look for a gateway first, and take a token as text or as it was returned.
type controller struct {
	t              *testing.T
	host           string
	user, password string
	token          any // as the task has it: text or a dictionary

	client http.Client // a cookie that any answer sets comes back
	bearer string
	login  string // the token of the login, by its URL
	asked  []string
}

// task starts one task, which logs in unless it has a token.
func (s *server) task(user, password string, token any) *controller {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &controller{t: s.t, host: s.url, user: user, password: password, token: token, client: http.Client{Jar: jar}}
	s.t.Cleanup(c.client.CloseIdleConnections)
	switch token := token.(type) {
	case string:
		c.bearer = token
	case map[string]any:
		c.bearer, _ = token["token"].(string)
	}
	return c
}

// authenticate asks for a token at both places. Where neither has one, Basic is tried.
func (c *controller) authenticate() error {
	want := map[string]any{"description": "Automation Platform Controller Module Token", "application": nil, "scope": "write"}
	for _, tokens := range []string{"/api/gateway/v1/tokens/", "/api/v2/tokens/"} {
		if status, doc := c.send("POST", tokens, c.basic, want); status == http.StatusCreated {
			c.bearer = doc["token"].(string)
			c.login = fmt.Sprintf("%s%v/", tokens, doc["id"])
			return nil
		}
	}
	if status, _ := c.send("GET", "/api/v2/me/", c.basic, nil); status != http.StatusOK {
		return fmt.Errorf("neither a token nor Basic: %d", status)
	}
	return nil
}

// ask makes one call of the task.
func (c *controller) ask(want int, method, path string, body map[string]any) map[string]any {
	c.t.Helper()
	if c.bearer == "" && c.login == "" {
		if err := c.authenticate(); err != nil {
			c.t.Fatal(err)
		}
	}
	credential := c.basic
	if c.bearer != "" {
		credential = func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+c.bearer) }
	}
	status, doc := c.send(method, path, credential, body)
	if status != want {
		c.t.Fatalf("%s %s: %d %v, want %d", method, path, status, doc, want)
	}
	return doc
}

// done ends the task: the token of its login is deleted by Basic.
func (c *controller) done() {
	c.t.Helper()
	if c.login == "" {
		return
	}
	if status, doc := c.send("DELETE", c.login, c.basic, nil); status != http.StatusNoContent {
		c.t.Errorf("failed to release token: %d %v", status, doc)
	}
}

func (c *controller) basic(r *http.Request) { r.SetBasicAuth(c.user, c.password) }

func (c *controller) send(method, path string, credential func(*http.Request), body map[string]any) (int, map[string]any) {
	c.t.Helper()
	c.asked = append(c.asked, method+" "+path)
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.host+path, content)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	credential(r)
	resp, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var doc map[string]any
	if len(b) > 0 && json.Unmarshal(b, &doc) != nil && resp.StatusCode < 300 {
		c.t.Fatalf("%s %s: no JSON object: %s", method, path, b)
	}
	return resp.StatusCode, doc
}

// find returns what a list has under the name, nil for nothing.
func (c *controller) find(list, name string, more url.Values) map[string]any {
	c.t.Helper()
	query := url.Values{"name": {name}}
	if strings.Trim(name, "0123456789") == "" {
		query = url.Values{"or__id": {name}, "or__name": {name}}
	}
	for field, values := range more {
		query[field] = values
	}
	doc := c.ask(200, "GET", "/api/v2/"+list+"/?"+query.Encode(), nil)
	results, ok := doc["results"].([]any)
	if !ok || len(results) > 1 || doc["count"] != float64(len(results)) {
		c.t.Fatalf("%s %v: %v", list, query, doc)
	}
	if len(results) == 0 {
		return nil
	}
	return results[0].(map[string]any)
}

// present makes an application what it should be, and reports whether it was not.
func (c *controller) present(want map[string]any) (app map[string]any, changed bool) {
	c.t.Helper()
	organization := c.find("organizations", "Default", nil)["id"]
	want["organization"] = organization
	have := c.find("applications", fmt.Sprint(want["name"]), url.Values{"organization": {fmt.Sprint(organization)}})
	if have == nil {
		return c.ask(201, "POST", "/api/v2/applications/", want), true
	}
	for field, value := range want {
		changed = changed || have[field] != value
	}
	if changed {
		return c.ask(200, "PATCH", have["url"].(string), want), true
	}
	return have, false
}

func TestController(t *testing.T) {
	dir := t.TempDir()
	const name, password = "jürgen", "pässwörd: 50% + more"
	users := `[{"username": "` + name + `", "password": "` + password + `", "is_superuser": true}]`
	if err := os.WriteFile(filepath.Join(dir, "users.json"), []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "-users", "users.json")
	want := func() map[string]any {
		return map[string]any{
			"name": "4711", "description": "", "client_type": "confidential", "authorization_grant_type": "password",
			"redirect_uris": "https://a.example/cb https://b.example/cb", "skip_authorization": false,
		}
	}
	task := s.task(name, password, nil)
	app, changed := task.present(want())
	if !changed || app["id"] == nil || app["url"] == nil {
		t.Errorf("created %v", app)
	}
	task.done()
	task = s.task(name, password, nil)
	if same, changed := task.present(want()); changed {
		t.Errorf("what was sent is not what is read: %v", same)
	}
	task.done()

	// A token that is wanted, created with that of a login.
	task = s.task(name, password, nil)
	created := task.ask(201, "POST", "/api/v2/tokens/", map[string]any{"description": "wanted", "scope": "write"})
	task.done()
	for _, token := range []any{created, created["token"]} {
		task := s.task("", "", token)
		different := want()
		different["description"] = fmt.Sprintf("%T", token)
		if app, changed := task.present(different); !changed || app["description"] != different["description"] {
			t.Errorf("changed to %v", app)
		}
		task.done()
		if task.asked[0] != "GET /api/v2/organizations/?name=Default" || slices.ContainsFunc(task.asked, func(s string) bool { return strings.Contains(s, "/me/") }) {
			t.Errorf("with a token the first calls are %q", task.asked)
		}
	}

	// Nothing is left but what was asked for.
	task = s.task("", "", created)
	if list := task.ask(200, "GET", "/api/v2/tokens/", nil); list["count"] != 1.0 {
		t.Errorf("left are %v", list)
	}
	task.ask(204, "DELETE", app["url"].(string), nil)
	task.ask(204, "DELETE", created["url"].(string), nil)
	task.ask(401, "GET", "/api/v2/me/", nil)
}

// TestControllerIsRefused has a wrong password, and a server without Basic, at
// which the collection must come to an end.
func TestControllerIsRefused(t *testing.T) {
	for name, args := range map[string][]string{"wrong password": nil, "no Basic": {"-basic=false"}} {
		s := start(t, t.TempDir(), args...)
		password := testPassword
		if args == nil {
			password = "wrong"
		}
		c := s.task("admin", password, nil)
		if err := c.authenticate(); err == nil || err.Error() != "neither a token nor Basic: 401" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMinting deletes the token that another one was created with.
func TestMinting(t *testing.T) {
	for mode, status := range map[string]int{"": 200, "-minting=independent": 200, "-minting=children": 401, "-gateway-paths": 200} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), strings.Fields(mode)...)
			task := s.task("admin", testPassword, nil)
			created := task.ask(201, "POST", "/api/v2/tokens/", map[string]any{"scope": "write"})
			s.task("", "", created).ask(200, "GET", "/api/v2/me/", nil)
			if at := strings.HasPrefix(task.login, "/api/gateway/v1/tokens/"); at != (mode == "-gateway-paths") {
				t.Errorf("the token of the login is %s", task.login)
			}
			task.done()
			s.task("", "", created).ask(status, "GET", "/api/v2/me/", nil)
		})
	}
}
