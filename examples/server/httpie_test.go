package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// httpie runs HTTPie with the arguments, of which url stands for the server, and
// returns the JSON object of the answer. It ends the test if the status is not the
// one wanted.
func (s *server) httpie(status, arguments string) map[string]any {
	s.t.Helper()
	command := "http --ignore-stdin --pretty=none --print=hb " + strings.ReplaceAll(arguments, "url/", s.url+"/")
	answer, _ := s.shell(command)
	head, body, _ := strings.Cut(strings.ReplaceAll(answer, "\r\n", "\n"), "\n\n")
	if !strings.HasPrefix(head, "HTTP/1.1 "+status+" ") {
		s.t.Fatalf("%s\nwant %s\n%s\nserver:\n%s", command, status, answer, s.out)
	}
	var doc map[string]any
	if strings.HasPrefix(body, "{") {
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			s.t.Fatalf("%s\n%v\n%s", command, err, body)
		}
	}
	return doc
}

// TestHTTPie has the ways in which HTTPie logs in. It sends every value as text
// unless it is told otherwise, so that numbers are "1" and booleans "false".
func TestHTTPie(t *testing.T) {
	if _, err := exec.LookPath("http"); err != nil && os.Getenv("CI") == "" {
		t.Skip("HTTPie is not installed")
	}
	s := start(t, t.TempDir())
	const basic = "-a admin:" + testPassword + " "
	isAdmin := func(me map[string]any) {
		t.Helper()
		if results, _ := me["results"].([]any); me["username"] != "admin" && len(results) != 1 {
			t.Errorf("me is %v", me)
		}
	}
	isAdmin(s.httpie("200", basic+"GET url/api/v2/me/"))
	s.httpie("401", "-a admin:wrong GET url/api/v2/me/")
	s.httpie("401", "GET url/api/v2/me/")

	// A session keeps the cookies, as a browser does.
	const session = "--session=./session.json "
	s.httpie("200", session+"GET url/api/login/")
	s.httpie("302", session+"-f POST url/api/login/ username=admin password="+testPassword)
	isAdmin(s.httpie("200", session+"GET url/api/v2/me/"))
	created := s.httpie("201", session+"POST url/api/v2/users/1/personal_tokens/ description=HTTPie scope=write application:=null")
	token, _ := created["token"].(string)
	s.httpie("204", session+"POST url/api/logout/") // the session keeps the Accept of the JSON, too
	s.httpie("401", session+"GET url/api/v2/me/")

	bearer := "-A bearer -a " + token + " "
	isAdmin(s.httpie("200", bearer+"GET url/api/v2/me/"))
	isAdmin(s.httpie("200", "GET url/api/v2/me/ Authorization:'Bearer "+token+"'"))
	app := s.httpie("201", bearer+"POST url/api/v2/applications/ name=HTTPie organization=1 client_type=confidential authorization_grant_type=password skip_authorization=false")
	if app["organization"] != 1.0 || app["skip_authorization"] != false {
		t.Errorf("application: %v", app)
	}
	one := fmt.Sprintf("url%v ", app["url"])
	if app := s.httpie("200", bearer+"PATCH "+one+"organization=1 description='by HTTPie' redirect_uris="); app["description"] != "by HTTPie" {
		t.Errorf("application: %v", app)
	}
	for _, wrong := range []string{"organization=one", "organization=1.0", "organization=", "organization=-1", "skip_authorization=perhaps"} {
		s.httpie("400", bearer+"PATCH "+one+wrong)
	}

	client := fmt.Sprintf("-a '%v:%v' -f POST url/api/o/", app["client_id"], app["client_secret"])
	granted := s.httpie("200", client+"token/ grant_type=password scope=read username=admin password="+testPassword)
	isAdmin(s.httpie("200", fmt.Sprintf("-A bearer -a %v GET url/api/v2/me/", granted["access_token"])))
	renewed := s.httpie("200", fmt.Sprintf("%stoken/ grant_type=refresh_token refresh_token=%v", client, granted["refresh_token"]))
	s.httpie("200", fmt.Sprintf("%srevoke_token/ token=%v", client, renewed["access_token"]))
	s.httpie("401", fmt.Sprintf("-A bearer -a %v GET url/api/v2/me/", renewed["access_token"]))

	s.httpie("204", bearer+"DELETE "+one)
	s.httpie("204", bearer+fmt.Sprintf("DELETE url%v", created["url"]))
	s.httpie("401", bearer+"GET url/api/v2/me/")
}

// TestSessionManual logs in as AWX's manual of sessions does: it gets the login
// page, takes csrftoken from its cookies and sends it back, as cookie and field.
func TestSessionManual(t *testing.T) { // G2
	s := start(t, t.TempDir(), "-session-cookie", "awx_sessionid")
	cookie := func(command, name string) string {
		t.Helper()
		jar, _ := s.shell(command)
		// One of a name: AWX's client stumbles over two.
		values := regexp.MustCompile(`(?m)\t/\t\S+\t\d+\t`+name+`\t(\S+)$`).FindAllStringSubmatch(jar, -1)
		if len(values) != 1 {
			t.Fatalf("%s: %d cookies %s\n%s", command, len(values), name, jar)
		}
		return values[0][1]
	}
	csrf := cookie("curl -o page.html -c - "+s.url+"/api/login/", "csrftoken")
	login := "curl -X POST -H 'Content-Type: application/x-www-form-urlencoded' --referer " + s.url + "/api/login/" +
		" -H 'X-CSRFToken: " + csrf + "' --data 'username=admin&password=" + testPassword + "&next=/api/'" +
		" --cookie 'csrftoken=" + csrf + "' " + s.url + "/api/login/ -o page.html"
	s.want("302", login+" -D headers.txt")
	if head, _ := s.shell("cat headers.txt"); !strings.Contains(head, "X-Api-Session-Cookie-Name: awx_sessionid") {
		t.Errorf("login:\n%s", head)
	}
	session := cookie(login+" -c -", "awx_sessionid")
	use := "--cookie 'csrftoken=" + csrf + "; awx_sessionid=" + session + "' -H 'X-CSRFToken: " + csrf + "' --referer " + s.url + "/api/login/"
	s.get("200", "/api/v2/me/", use)
	s.get("201", "/api/v2/tokens/", use+" -H 'Content-Type: application/json' -d '{}'")

	// One jar for all of it, as of a session of Python's requests.
	jar := "-b jar.txt -c jar.txt "
	for _, path := range []string{"/api/", "/api/login/", "/api/"} {
		s.get("200", path, jar+"-o page.html")
	}
	s.get("302", "/api/login/", jar+"-d 'username=admin&password="+testPassword+"'")
	csrf = cookie("cat jar.txt", "csrftoken")
	s.get("201", "/api/v2/tokens/", jar+"-H 'X-CSRFToken: "+csrf+"' -H 'Content-Type: application/json' -d '{}'")
	s.get("302", "/api/logout/", jar)
	s.get("401", "/api/v2/me/", jar)
	cookie("cat jar.txt", "csrftoken")
}
