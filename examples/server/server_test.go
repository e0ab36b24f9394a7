package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the server, built once with the race detector if the tests have it.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "server")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "server")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

const adminPassword = "admin-pw"

// A server is a running process.
type server struct {
	t   *testing.T
	url string
	cmd *exec.Cmd
	out *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start starts the server on a free port with the database in dir.
func start(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := &server{t: t, out: new(syncBuffer)}
	s.cmd = exec.Command(binary, append([]string{"-addr", "127.0.0.1:0", "-db", filepath.Join(dir, "test.db")}, args...)...)
	s.cmd.Env = append(os.Environ(), "OSTIARY_ADMIN_PASSWORD="+adminPassword)
	s.cmd.Stderr = s.out
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		fmt.Fprintln(s.out, lines.Text())
		if u, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			s.url = strings.TrimSuffix(u, "/")
			go func() { _, _ = io.Copy(s.out, stdout) }()
			return s
		}
	}
	t.Fatalf("the server did not start:\n%s", s.out)
	return nil
}

// stop ends the process with the signal and returns how it ended.
func (s *server) stop(sig syscall.Signal) error {
	if s.cmd.ProcessState != nil {
		return nil
	}
	_ = s.cmd.Process.Signal(sig)
	return s.cmd.Wait()
}

// curl runs the real client, as the documentation does, and returns the status
// and the body.
func (s *server) curl(args ...string) (int, string) {
	s.t.Helper()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "https://awx.example.com", s.url)
	}
	out, err := exec.Command("curl", append([]string{"-sS", "-w", "\n%{http_code}"}, args...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	body, code, _ := cutLast(string(out), "\n")
	status, err := strconv.Atoi(code)
	if err != nil {
		s.t.Fatalf("curl %q printed %q", args, out)
	}
	return status, body
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// want runs curl and fails unless the status is the one expected.
func (s *server) want(status int, args ...string) map[string]any {
	s.t.Helper()
	got, body := s.curl(args...)
	if got != status {
		s.t.Fatalf("curl %q: status %d, want %d\n%s\nserver:\n%s", args, got, status, body, s.out)
	}
	var doc map[string]any
	if body != "" && strings.HasPrefix(body, "{") {
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			s.t.Fatalf("curl %q: %v\n%s", args, err, body)
		}
	}
	return doc
}

// TestDocumentedFlow runs every command of the documentation page as it is
// printed there, then kills the server and sees that what it acknowledged holds.
func TestDocumentedFlow(t *testing.T) {
	dir := t.TempDir()
	cookies := filepath.Join(dir, "cookies.txt")
	s := start(t, dir)

	// Session.
	s.want(302, "-X", "POST", "https://awx.example.com/api/login/", "-H", "Content-Type: application/x-www-form-urlencoded",
		"-d", "username=admin&password="+adminPassword, "-c", cookies)
	me := s.want(200, "-X", "GET", "https://awx.example.com/api/v2/me/", "-b", cookies)
	for name, want := range map[string]any{"id": 1.0, "username": "admin", "email": "", "is_superuser": true, "is_system_auditor": false} {
		if me[name] != want {
			t.Errorf("me: %s is %v, want %v", name, me[name], want)
		}
	}

	// Basic.
	s.want(200, "-X", "GET", "https://awx.example.com/api/v2/me/", "-u", "admin:"+adminPassword)

	// Personal token.
	created := s.want(201, "-X", "POST", "https://awx.example.com/api/v2/users/1/personal_tokens/", "-u", "admin:"+adminPassword,
		"-H", "Content-Type: application/json", "-d", `{
    "description": "My API Token",
    "application": null,
    "scope": "write"
  }`)
	token, _ := created["token"].(string)
	bearer := "Authorization: Bearer " + token
	if token == "" || created["expires"] == nil {
		t.Fatalf("no token or expiry in %v", created)
	}
	s.want(200, "-X", "GET", "https://awx.example.com/api/v2/job_templates/", "-H", bearer)
	s.want(201, "-X", "POST", "https://awx.example.com/api/v2/job_templates/", "-H", bearer, "-H", "Content-Type: application/json", "-d", `{"name":"deploy"}`)

	// List.
	list := s.want(200, "-X", "GET", "https://awx.example.com/api/v2/users/1/personal_tokens/", "-H", bearer)
	if list["count"] != 1.0 || strings.Contains(fmt.Sprint(list), token) {
		t.Errorf("list: %v", list)
	}

	// Scopes.
	read := s.want(201, "-X", "POST", "https://awx.example.com/api/v2/users/1/personal_tokens/", "-u", "admin:"+adminPassword,
		"-H", "Content-Type: application/json", "-d", `{"scope": "read"}`)
	reader := "Authorization: Bearer " + read["token"].(string)
	s.want(200, "https://awx.example.com/api/v2/job_templates/", "-H", reader)
	if doc := s.want(403, "-X", "POST", "https://awx.example.com/api/v2/job_templates/", "-H", reader, "-d", "{}"); doc["detail"] != "You do not have permission to perform this action." {
		t.Errorf("403: %v", doc)
	}

	// Errors.
	for name, args := range map[string][]string{
		"missing": {},
		"invalid": {"-H", "Authorization: Bearer nope"},
		"wrong":   {"-u", "admin:wrong"},
	} {
		doc := s.want(401, append([]string{"https://awx.example.com/api/v2/me/"}, args...)...)
		if len(doc) != 1 || doc["detail"] != "Authentication credentials were not provided." {
			t.Errorf("%s credentials: %v", name, doc)
		}
	}

	// What was acknowledged survives the process.
	_ = s.stop(syscall.SIGKILL)
	s = start(t, dir)
	s.want(200, "https://awx.example.com/api/v2/me/", "-b", cookies)
	s.want(200, "https://awx.example.com/api/v2/me/", "-H", reader)
	if jobs := s.want(200, "https://awx.example.com/api/v2/job_templates/", "-H", bearer); jobs["count"] != 1.0 {
		t.Errorf("job templates after the kill: %v", jobs)
	}

	// Revocation and logout, and another kill right after them.
	s.want(204, "-X", "DELETE", "https://awx.example.com/api/v2/users/1/personal_tokens/1/", "-H", bearer)
	s.want(302, "https://awx.example.com/api/logout/", "-b", cookies)
	_ = s.stop(syscall.SIGKILL)
	s = start(t, dir)
	s.want(401, "https://awx.example.com/api/v2/me/", "-H", bearer)
	s.want(401, "https://awx.example.com/api/v2/me/", "-b", cookies)
}

// TestShutdownKeepsWhatWasAcknowledged sends SIGTERM while tokens are issued.
func TestShutdownKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	var mu sync.Mutex
	var tokens []string
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 10_000 {
				token, ok := issue(s.url)
				if !ok {
					return
				}
				mu.Lock()
				tokens = append(tokens, token)
				mu.Unlock()
			}
		})
	}
	for enough := false; !enough; {
		time.Sleep(10 * time.Millisecond) // the load comes from a real server
		mu.Lock()
		enough = len(tokens) >= 100
		mu.Unlock()
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("exit after SIGTERM: %v\n%s", err, s.out)
	}
	clients.Wait()
	s = start(t, dir)
	lost := 0
	for _, token := range tokens {
		if !authenticates(s.url, token) {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged tokens are lost", lost, len(tokens))
	}
	t.Logf("%d tokens acknowledged, %d lost", len(tokens), lost)
}

func issue(base string) (token string, ok bool) {
	r, err := http.NewRequest("POST", base+"/api/v2/tokens/", nil)
	if err != nil {
		return "", false
	}
	r.SetBasicAuth("admin", adminPassword)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	var doc struct{ Token string }
	if resp.StatusCode != http.StatusCreated || json.NewDecoder(resp.Body).Decode(&doc) != nil {
		return "", false
	}
	return doc.Token, true
}

func authenticates(base, token string) bool {
	r, err := http.NewRequest("GET", base+"/api/v2/me/", nil)
	if err != nil {
		return false
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestUsersFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users.json")
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct{ content, want string }{
		"not JSON":        {`users`, "must be a JSON list"},
		"unknown key":     {`[{"username":"x","password":"y","pasword":"z"}]`, `"pasword"`},
		"no user name":    {`[{"password":"y"}]`, "entry 1 has no username"},
		"no password":     {`[{"username":"x"}]`, `entry 1, "x", has no password`},
		"trailing object": {`[] {}`, "behind the list"},
	} {
		t.Run(name, func(t *testing.T) {
			write(tt.content)
			out, err := exec.Command(binary, "-addr", "127.0.0.1:0", "-db", filepath.Join(t.TempDir(), "x.db"), "-users", file).CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("printed %q (%v), want %q in it", out, err, tt.want)
			}
		})
	}

	write(`[
		{"username": "admin", "password": "admin-pw", "is_superuser": true},
		{"username": "auditor", "password": "auditor-pw", "is_system_auditor": true, "email": "a@example.com"},
		{"username": "dora", "password": "dora-pw", "is_active": false, "organizations": [1], "admin_of": []}
	]`)
	s := start(t, dir, "-users", file)
	if me := s.want(200, s.url+"/api/v2/me/", "-u", "auditor:auditor-pw"); me["is_system_auditor"] != true || me["email"] != "a@example.com" {
		t.Errorf("auditor: %v", me)
	}
	s.want(401, s.url+"/api/v2/me/", "-u", "dora:dora-pw")
	if me := s.want(200, s.url+"/api/v2/me/", "-u", "admin:admin-pw"); me["id"] != 1.0 {
		t.Errorf("admin: %v", me)
	}

	// A user who is there stays as it is.
	_ = s.stop(syscall.SIGTERM)
	write(`[{"username": "auditor", "password": "another-pw"}]`)
	s = start(t, dir, "-users", file)
	s.want(200, s.url+"/api/v2/me/", "-u", "auditor:auditor-pw")
	s.want(401, s.url+"/api/v2/me/", "-u", "auditor:another-pw")
}

func TestFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"unknown":           {[]string{"-nope"}, "flag provided but not defined"},
		"argument":          {[]string{"extra"}, `unexpected argument "extra"`},
		"negative lifetime": {[]string{"-session-idle", "-1m"}, "-session-idle -1m0s must be positive"},
		"no such folder":    {[]string{"-db", filepath.Join(t.TempDir(), "no", "such", "file.db")}, "-db: open"},
		"bad address":       {[]string{"-addr", "nowhere:99999", "-db", filepath.Join(t.TempDir(), "x.db")}, "choose another address with -addr"},
		"cookie name":       {[]string{"-session-cookie", "a b", "-db", filepath.Join(t.TempDir(), "x.db")}, "CookieName"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(binary, tt.args...)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), tt.want) {
				t.Errorf("printed %q (%v), want %q in it", out, err, tt.want)
			}
		})
	}
	t.Run("help", func(t *testing.T) {
		out, err := exec.Command(binary, "-help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "OSTIARY_ADMIN_PASSWORD") {
			t.Errorf("printed %q (%v)", out, err)
		}
	})
	t.Run("insecure cookie only on loopback", func(t *testing.T) {
		for addr, want := range map[string]bool{"127.0.0.1:0": true, "[::1]:0": true, "localhost:8080": true, "0.0.0.0:80": false, ":80": false, "192.0.2.1:80": false} {
			if c, err := parseFlags([]string{"-addr", addr}); err != nil || c.insecureCookie != want {
				t.Errorf("%s: %t (%v), want %t", addr, c.insecureCookie, err, want)
			}
		}
		if c, err := parseFlags([]string{"-insecure-cookie=false"}); err != nil || c.insecureCookie {
			t.Errorf("an explicit false is not respected (%v)", err)
		}
	})
}

// TestGeneratedPassword checks that a first start without a given password prints
// one that works, and the second start does not.
func TestGeneratedPassword(t *testing.T) {
	t.Setenv("OSTIARY_ADMIN_PASSWORD", "")
	dir := t.TempDir()
	out := firstLines(t, dir)
	_, rest, ok := strings.Cut(out, "Created user admin with password ")
	if !ok {
		t.Fatalf("no password in %q", out)
	}
	password, _, _ := strings.Cut(rest, " ")
	if again := firstLines(t, dir); strings.Contains(again, "password") {
		t.Errorf("the second start printed %q", again)
	}
	s := start(t, dir)
	s.want(200, s.url+"/api/v2/me/", "-u", "admin:"+password)
}

// firstLines starts the server, waits until it listens, stops it, and returns
// what it printed.
func firstLines(t *testing.T, dir string) string {
	cmd := exec.Command(binary, "-addr", "127.0.0.1:0", "-db", filepath.Join(dir, "test.db"))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var printed strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		printed.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Listening") {
			break
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
	return printed.String()
}

func TestBasicOff(t *testing.T) {
	s := start(t, t.TempDir(), "-basic=false")
	_, right := s.curl(s.url+"/api/v2/me/", "-u", "admin:"+adminPassword)
	status, wrong := s.curl(s.url+"/api/v2/me/", "-u", "admin:wrong")
	if status != 401 || right != wrong {
		t.Errorf("right password: %q, wrong: %d %q", right, status, wrong)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Jar: jar}).PostForm(s.url+"/api/login/", url.Values{"username": {"admin"}, "password": {adminPassword}})
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("login without Basic: %v %v", resp, err)
	}
}

func TestHostileRequests(t *testing.T) {
	s := start(t, t.TempDir())
	token, ok := issue(s.url)
	if !ok {
		t.Fatal("no token")
	}
	for name, tt := range map[string]struct {
		request string
		status  int
	}{
		"two Authorization fields": {"GET /api/v2/me/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nAuthorization: Bearer " + token + "\r\n\r\n", 400},
		"token in the URL, too":    {"GET /api/v2/me/?access_token=" + token + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n\r\n", 400},
		"token only in the URL":    {"GET /api/v2/me/?access_token=" + token + " HTTP/1.1\r\nHost: x\r\n\r\n", 401},
		"body over the limit":      {"POST /api/v2/tokens/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat(" ", 100000), 413},
		"method as a write":        {"PROPFIND /api/v2/me/ HTTP/1.1\r\nHost: x\r\n\r\n", 401},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tt.status {
				body, _ := io.ReadAll(resp.Body)
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
		})
	}
}
