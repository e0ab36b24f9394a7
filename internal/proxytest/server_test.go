package proxytest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// binary is examples/server, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ostiary-proxytest")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "server")
	// With the race detector: what it finds makes the process fail.
	build := exec.Command("go", append(append([]string{"build"}, raceFlags...), "-o", binary, "./server")...)
	build.Dir = filepath.Join("..", "..", "examples")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	// no goroutine outlives what started it.
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// A serverLog is the file of the standard error output of a server: what it tells
// of a request is in it once the request is answered.
type serverLog struct {
	t    *testing.T
	path string
}

func (l serverLog) String() string {
	l.t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

// line returns the first line that has all parts, "" if there is none.
func (l serverLog) line(parts ...string) string {
	l.t.Helper()
next:
	for line := range strings.Lines(l.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		return line
	}
	return ""
}

// startServer starts examples/server at an address, with the database in dir, and
// returns its log.
func startServer(t *testing.T, dir, addr string, args ...string) serverLog {
	t.Helper()
	users := filepath.Join(dir, "users.json")
	if err := os.WriteFile(users, []byte(`[{"username": "alice", "password": "correct horse battery"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, append([]string{"-addr", addr, "-db", filepath.Join(dir, "db"), "-users", users}, args...)...)
	cmd.Env = append(os.Environ(), "OSTIARY_ADMIN_PASSWORD=another horse battery",
		"GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE")) // instead of a second
	log := serverLog{t, filepath.Join(t.TempDir(), "log")}
	file, err := os.Create(log.path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stderr = file
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v\n%s", err, log)
		}
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "Listening on ") {
			return log
		}
	}
	t.Fatalf("the server did not start:\n%s", log)
	return log
}

// TestServerBehindProxies has examples/server, as it is built and configured by
// its flags, behind each proxy.
func TestServerBehindProxies(t *testing.T) {
	dir := t.TempDir() // the first one hashes the passwords for all
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			believing := []string{"-trusted-proxies", proxyAddr}
			if p.forwarded {
				believing = append(believing, "-remote-host-headers", "HTTP_FORWARDED")
			}
			addr := freeAddr(t)
			at := p.start(t, addr, "127.0.0.1:1")
			t.Run("believed", func(t *testing.T) {
				// No -url: what the proxy says about the scheme has to do.
				log := startServer(t, dir, addr, append(believing, "-insecure-cookie=false")...)
				forge(t, at, log, clientAddr)
				wantSecure(t, login(t, at))
				if line := log.line(`msg="auth: user logged in"`, "user=alice"); !isFrom(line, clientAddr) {
					t.Errorf("login: %q", line)
				}
			})
			t.Run("with -url", func(t *testing.T) {
				_, port, _ := net.SplitHostPort(at.TLS)
				public := "https://" + publicHost + ":" + port
				startServer(t, dir, addr, append(believing, "-url", public)...)
				wantSecure(t, login(t, at))
				// The challenge leads to the address that clients know.
				res, _, err := ask(t, at.TLS, true, "/api/v2/me/")
				if err != nil {
					t.Fatal(err)
				}
				challenge := res.Header.Get("WWW-Authenticate")
				if want := `resource_metadata="` + public + "/"; !strings.Contains(challenge, want) {
					t.Errorf("challenge %q, want %q in it", challenge, want)
				}
			})
			t.Run("not believed", func(t *testing.T) {
				log := startServer(t, dir, addr, "-insecure-cookie=false")
				if status, _ := send(t, at.Plain, false, "/api/v2/me/", "X-Forwarded-For: "+forged); status != 401 {
					t.Errorf("status %d", status)
				}
				if line := log.line("path=/api/v2/me/"); !isFrom(line, proxyAddr) {
					t.Errorf("logged %q", line)
				}
				client, origin := browser(t, at)
				if status, cookies := postLogin(t, client, origin, origin); status != 403 || len(cookies) > 0 {
					t.Errorf("a scheme that nobody vouches for: status %d", status)
				}
			})
		})
	}
}

// forge sends all forgeries through the proxy, each for a path of its own, and
// looks up who they are said to be from.
func forge(t *testing.T, at configData, log serverLog, want string) {
	t.Helper()
	passed := 0
	for i, lines := range append([][]string{nil}, forgeries()...) {
		path := fmt.Sprintf("/api/v2/job_templates/%d/", 1000+i)
		status, _ := send(t, at.Plain, false, path, lines...)
		line := log.line("path=" + path + " ")
		switch {
		case status >= 500 || status == 200:
			t.Errorf("%.100q: status %d", lines, status)
		case line == "" && (status == 401 || len(lines) == 0):
			t.Errorf("%.100q: not in the log", lines)
		case line == "": // the proxy refused it
		case !isFrom(line, want):
			t.Errorf("%.100q: logged %q", lines, line)
		default:
			passed++
		}
	}
	if passed < 40 {
		t.Errorf("only %d forgeries reached the server", passed)
	}
	if strings.Contains(log.String(), forged) {
		t.Error("a forged address is in the log")
	}
	// Straight to the server, from an address that is no proxy.
	path := "/api/v2/job_templates/9/"
	if status, _ := send(t, at.Upstream, false, path, "X-Forwarded-For: "+forged, "Forwarded: for="+forged); status != 401 {
		t.Errorf("straight to the server: status %d", status)
	}
	if line := log.line("path=" + path + " "); !isFrom(line, clientAddr) {
		t.Errorf("straight to the server: logged %q", line)
	}
}

// isFrom reports whether a line of the log names the client.
func isFrom(line, client string) bool {
	return strings.Contains(line, " client="+client+" request_id=")
}

// wantSecure checks the session cookie of a login over TLS.
func wantSecure(t *testing.T, cookies []*http.Cookie) {
	t.Helper()
	for _, c := range cookies {
		if c.Name == "__Host-session" {
			if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
				t.Errorf("session cookie: %s", c)
			}
			return
		}
	}
	t.Errorf("no __Host-session among %v", cookies)
}
