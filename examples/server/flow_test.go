package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// The commands of AWX's documentation page, as they are printed there.
const (
	docLogin = `
curl -X POST \
  https://awx.example.com/api/login/ \
  -H "Content-Type: application/x-www-form-urlencoded" \
  -d "username=admin&password=secret" \
  -c cookies.txt`
	docSession = `
curl -X GET \
  https://awx.example.com/api/v2/me/ \
  -b cookies.txt`
	docBasic = `
curl -X GET \
  https://awx.example.com/api/v2/me/ \
  -u "admin:password"`
	docCreateToken = `
curl -X POST \
  https://awx.example.com/api/v2/users/1/personal_tokens/ \
  -u "admin:password" \
  -H "Content-Type: application/json" \
  -d '{
    "description": "My API Token",
    "application": null,
    "scope": "write"
  }'`
	docUseToken = `
curl -X GET \
  https://awx.example.com/api/v2/job_templates/ \
  -H "Authorization: Bearer YOUR_TOKEN_HERE"`
	docCreateApplication = `
curl -X POST \
  https://awx.example.com/api/v2/applications/ \
  -u "admin:password" \
  -H "Content-Type: application/json" \
  -d '{
    "name": "My Application",
    "description": "Integration app",
    "client_type": "confidential",
    "authorization_grant_type": "password",
    "organization": 1
  }'`
	docListTokens = `
curl -X GET \
  https://awx.example.com/api/v2/users/1/personal_tokens/ \
  -H "Authorization: Bearer YOUR_TOKEN"`
	docRevokeToken = `
curl -X DELETE \
  https://awx.example.com/api/v2/users/1/personal_tokens/123/ \
  -H "Authorization: Bearer YOUR_TOKEN"`
	docMe = `
curl -X GET \
  https://awx.example.com/api/v2/me/ \
  -H "Authorization: Bearer YOUR_TOKEN"`
	docCompleteFlow = `
# 1. Create a personal access token
TOKEN_RESPONSE=$(curl -s -X POST \
  https://awx.example.com/api/v2/users/1/personal_tokens/ \
  -u "admin:password" \
  -H "Content-Type: application/json" \
  -d '{
    "description": "API Access",
    "scope": "write"
  }')

# 2. Extract the token
TOKEN=$(echo $TOKEN_RESPONSE | jq -r '.token')

# 3. Use the token for API requests
curl -X GET \
  https://awx.example.com/api/v2/job_templates/ \
  -H "Authorization: Bearer $TOKEN"

# 4. Verify current user
curl -X GET \
  https://awx.example.com/api/v2/me/ \
  -H "Authorization: Bearer $TOKEN"`
)

// printed returns a command of the page for this server.
func (s *server) printed(command, token string, id any) string {
	return strings.NewReplacer(
		"https://awx.example.com", s.url,
		"admin:password", "admin:"+testPassword,
		"password=secret", "password="+testPassword,
		"YOUR_TOKEN_HERE", token, "YOUR_TOKEN", token,
		"/123/", fmt.Sprintf("/%v/", id),
	).Replace(command)
}

func TestDocumentedFlow(t *testing.T) {
	testDocumentedFlow(t, t.TempDir())
}

// testDocumentedFlow runs every command of the page, and kills the server twice
// to see that what it acknowledged holds.
func testDocumentedFlow(t *testing.T, dir string, args ...string) {
	s := start(t, dir, args...)
	s.want("302", s.printed(docLogin, "", 0))
	isAdmin := func(name string, me map[string]any) {
		t.Helper()
		for field, want := range map[string]any{"id": 1.0, "username": "admin", "email": "", "is_superuser": true, "is_system_auditor": false} {
			if me[field] != want {
				t.Errorf("me by %s: %s is %v, want %v", name, field, me[field], want)
			}
		}
	}
	isAdmin("session", s.want("200", s.printed(docSession, "", 0)))
	isAdmin("Basic", s.want("200", s.printed(docBasic, "", 0)))

	created := s.want("201", s.printed(docCreateToken, "", 0))
	token, _ := created["token"].(string)
	if token == "" || created["expires"] == nil || created["description"] != "My API Token" || created["scope"] != "write" {
		t.Fatalf("created %v", created)
	}
	isAdmin("token", s.want("200", s.printed(docMe, token, 0)))
	s.get("201", "/api/v2/job_templates/", `-H "Authorization: Bearer `+token+`" -d '{"name": "deploy"}'`)
	jobs := s.want("200", s.printed(docUseToken, token, 0))
	if jobs["count"] != 1.0 || !strings.Contains(fmt.Sprint(jobs["results"]), "deploy") {
		t.Errorf("job templates: %v", jobs)
	}
	app := s.want("201", s.printed(docCreateApplication, "", 0))
	if app["client_id"] == "" || app["client_secret"] == "" || app["client_id"] == nil || app["client_secret"] == nil {
		t.Errorf("application: %v", app)
	}
	list := s.want("200", s.printed(docListTokens, token, 0))
	if list["count"] != 1.0 || strings.Contains(fmt.Sprint(list), token) {
		t.Errorf("tokens: %v", list)
	}
	body, statuses := s.shell(s.printed(docCompleteFlow, "", 0))
	if strings.Join(statuses, " ") != "201 200 200" || !strings.Contains(body, `"deploy"`) || !strings.Contains(body, `"username":"admin"`) {
		t.Errorf("complete flow: statuses %q\n%s", statuses, body)
	}

	// The documented refusals.
	anonymous := s.get("401", "/api/v2/me/", "")
	if len(anonymous) != 1 || anonymous["detail"] != "Authentication credentials were not provided." {
		t.Errorf("401: %v", anonymous)
	}
	read := s.get("201", "/api/v2/tokens/", `-u admin:`+testPassword+` -H 'Content-Type: application/json' -d '{"scope": "read"}'`)
	reader := fmt.Sprintf(`-H "Authorization: Bearer %v"`, read["token"])
	s.get("200", "/api/v2/job_templates/", reader)
	refused := s.get("403", "/api/v2/job_templates/", reader+` -d '{"name": "x"}'`)
	if len(refused) != 1 || refused["detail"] != "You do not have permission to perform this action." {
		t.Errorf("403: %v", refused)
	}

	_ = s.stop(syscall.SIGKILL)
	s = start(t, dir, args...)
	isAdmin("session after a kill", s.want("200", s.printed(docSession, "", 0)))
	isAdmin("token after a kill", s.want("200", s.printed(docMe, token, 0)))
	if again := s.want("200", s.printed(docUseToken, token, 0)); fmt.Sprint(again) != fmt.Sprint(jobs) {
		t.Errorf("job templates after a kill: %v, want %v", again, jobs)
	}

	s.want("204", s.printed(docRevokeToken, token, created["id"]))
	s.get("302", "/api/logout/", "-b cookies.txt")
	_ = s.stop(syscall.SIGKILL)
	s = start(t, dir, args...)
	s.want("401", s.printed(docMe, token, 0))
	s.want("401", s.printed(docSession, "", 0))
}

// TestReadme runs the shell commands of the README.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh\n(URL=.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no block of commands that starts with URL=")
	}
	s := start(t, t.TempDir())
	commands := regexp.MustCompile(`(?m)^URL=\S+`).ReplaceAllString(string(block[1]), "URL="+s.url)
	commands = regexp.MustCompile(`(?m)^PASSWORD=\S+`).ReplaceAllString(commands, "PASSWORD="+testPassword)
	body, statuses := s.shell("set -e\n" + commands)
	if got, want := strings.Join(statuses, " "), "201 201 200 200 201 200 204 302 200 302"; got != want {
		t.Errorf("statuses %s, want %s\n%s", got, want, body)
	}
}
