package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/ostiary/auth/internal/logtest"
)

// binary is the server, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ostiary-server")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "server")
	// With the race detector: what it finds makes the process fail.
	build := exec.Command("go", append(append([]string{"build"}, raceFlags...), "-o", binary, ".")...)
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	// curl prints the status behind each command, without another flag on it.
	curlrc := "silent\nshow-error\nwrite-out = \"%{stderr}%{http_code}\\n\"\n"
	if err := os.WriteFile(filepath.Join(dir, ".curlrc"), []byte(curlrc), 0o600); err != nil {
		panic(err)
	}
	for name, value := range map[string]string{"CURL_HOME": dir, adminPassword: testPassword} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	// no goroutine outlives what started it.
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

const (
	adminPassword = "OSTIARY_ADMIN_PASSWORD"
	testPassword  = "admin-pw"
)

// A server is a running process.
type server struct {
	t   *testing.T
	url string
	dir string // where commands run
	cmd *exec.Cmd
	out *logtest.Buffer

	stdout io.Reader
}

// start starts the server on a free port, with the database test.db in dir
// unless args say otherwise, and waits until it listens.
func start(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := launchServer(t, dir, args...)
	if !s.listens() {
		t.Fatalf("the server did not start:\n%s", s.out)
	}
	return s
}

// launchServer is start without the wait.
func launchServer(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: dir, out: new(logtest.Buffer)}
	s.cmd = exec.Command(binary, append([]string{"-addr", "127.0.0.1:0", "-db", "test.db"}, args...)...)
	s.cmd.Dir = dir
	s.cmd.Stderr = s.out
	var err error
	if s.stdout, err = s.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Errorf("exit after SIGTERM: %v\n%s", err, s.out)
		}
	})
	return s
}

// listens waits until the server does, and reports whether it did.
func (s *server) listens() bool {
	lines := bufio.NewScanner(s.stdout)
	for lines.Scan() {
		fmt.Fprintln(s.out, lines.Text())
		if u, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			s.url = strings.TrimSuffix(u, "/")
			go func() { _, _ = io.Copy(s.out, s.stdout) }()
			return true
		}
	}
	return false
}

// stop ends the process with the signal and returns how it ended.
func (s *server) stop(sig syscall.Signal) error {
	if s.cmd.ProcessState != nil {
		return nil
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// shell runs commands in the shell, where documentation has them run, and
// returns what they printed and the statuses that curl got.
func (s *server) shell(commands string) (body string, statuses []string) {
	s.t.Helper()
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") == "" {
		s.t.Skip("curl is not installed")
	}
	cmd := exec.Command("bash", "-c", commands)
	cmd.Dir = s.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("%s\n%v\n%s%s", commands, err, &stdout, &stderr)
	}
	return stdout.String(), strings.Fields(stderr.String())
}

// want runs a command with one curl in it and returns the JSON object that it
// printed. It ends the test if the status is not the one wanted.
func (s *server) want(status, command string) map[string]any {
	s.t.Helper()
	body, statuses := s.shell(command)
	if strings.Join(statuses, " ") != status {
		s.t.Fatalf("%s\nstatus %q, want %s\n%s\nserver:\n%s", command, statuses, status, body, s.out)
	}
	var doc map[string]any
	if strings.HasPrefix(body, "{") {
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			s.t.Fatalf("%s\n%v\n%s", command, err, body)
		}
	}
	return doc
}

// get asks for a path with further arguments of curl.
func (s *server) get(status, path, args string) map[string]any {
	s.t.Helper()
	return s.want(status, "curl "+s.url+path+" "+args)
}
