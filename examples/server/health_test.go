package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// ask returns the status of a path and how long that took.
func (s *server) ask(t *testing.T, path string) (status int, retry string, took time.Duration) {
	t.Helper()
	began := time.Now()
	client := &http.Client{Timeout: 20 * time.Second}
	resp, err := client.Get(s.url + path)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0, "", 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After"), time.Since(began)
}

// While the database hangs the process lives and is not ready, and requests are
// refused at once after the first ones have waited.
func TestHealthWhileDatabaseHangs(t *testing.T) {
	database := launchPostgres(t)
	s := start(t, t.TempDir(), "-db", database)
	_, dir, _ := strings.Cut(database, "&host=")
	pids := processes(t, filepath.Join(dir, "data", "postmaster.pid"))
	signal := func(sig syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, sig)
		}
	}
	// A token's format is looked at before its row.
	token, ok := issue(s.url)
	if !ok {
		t.Fatal("no token")
	}
	if status, _, _ := s.ask(t, "/readyz"); status != http.StatusOK {
		t.Fatalf("readyz: %d", status)
	}
	time.Sleep(shareAnswer)
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	if code, retry, d := s.ask(t, "/readyz"); code != http.StatusServiceUnavailable || retry == "" || d > time.Second {
		t.Errorf("readyz: %d after %v, Retry-After %q", code, d, retry)
	}
	if code, _, d := s.ask(t, "/healthz"); code != http.StatusOK || d > time.Second {
		t.Errorf("healthz: %d after %v", code, d)
	}
	if code := status(s.url, token); code != http.StatusServiceUnavailable {
		t.Errorf("the first request: %d", code)
	}
	slow := 0
	for range 20 {
		began := time.Now()
		if code := status(s.url, token); code != http.StatusServiceUnavailable {
			t.Errorf("a request: %d", code)
		}
		if time.Since(began) > time.Second {
			slow++
		}
	}
	if slow > 0 {
		t.Errorf("%d requests of 20 waited", slow)
	}
	signal(syscall.SIGCONT)
	for deadline := time.Now().Add(20 * time.Second); status(s.url, token) != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("the token is not good any more")
		}
	}
	time.Sleep(shareAnswer)
	if status, _, _ := s.ask(t, "/readyz"); status != http.StatusOK {
		t.Errorf("readyz afterwards: %d", status)
	}
}

// processes returns the process whose number a file has, and its children.
func processes(t *testing.T, file string) (pids []int) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parent, _, _ := strings.Cut(string(text), "\n")
	out, err := exec.Command("ps", "-o", "pid=", "--ppid", parent).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range append([]string{parent}, strings.Fields(string(out))...) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// During the drain period the server answers requests and says that no more
// should come; a second signal does not wait for its end.
func TestDrain(t *testing.T) {
	s := start(t, t.TempDir(), "-drain", "1h")
	token, ok := issue(s.url)
	if !ok {
		t.Fatal("no token")
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for code := http.StatusOK; code == http.StatusOK; {
		code, _, _ = s.ask(t, "/readyz")
	}
	if code := status(s.url, token); code != http.StatusOK {
		t.Errorf("a request while the server drains: %d", code)
	}
	if code, _, _ := s.ask(t, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz while the server drains: %d", code)
	}
	if err := s.stop(syscall.SIGTERM); err == nil {
		t.Error("the second signal is not what ended the process")
	}
	s = start(t, t.TempDir(), "-drain", "100ms")
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("exit after the drain period: %v", err)
	}
}

// Many who ask at once share one answer, and one who has gone spoils none.
func TestReadinessIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var answer error
		h := newHealth(func(ctx context.Context) error {
			asked.Add(1)
			time.Sleep(500 * time.Millisecond)
			return errors.Join(answer, ctx.Err())
		})
		mux := http.NewServeMux()
		h.routes(mux, false)
		get := func(ctx context.Context) int {
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
			return w.Code
		}
		gone, leave := context.WithCancel(t.Context())
		go get(gone)
		synctest.Wait()
		leave()
		for range 100 {
			go func() {
				if code := get(t.Context()); code != http.StatusOK {
					t.Errorf("readyz: %d", code)
				}
			}()
		}
		time.Sleep(600 * time.Millisecond)
		if n := asked.Load(); n != 1 {
			t.Errorf("the database was asked %d times", n)
		}
		synctest.Wait()
		answer = errors.New("down")
		time.Sleep(shareAnswer)
		if code := get(t.Context()); code != http.StatusServiceUnavailable {
			t.Errorf("readyz: %d", code)
		}
	})
}

func TestPostgresConfig(t *testing.T) {
	for _, tt := range []struct {
		name       string
		wait       time.Duration
		unprepared bool
	}{
		{"postgres://a/x", 0, false},
		{"postgres://a,b/x", hostTimeout, false},
		{"postgresql://a:1,a:2/x", hostTimeout, false},
		{"postgres:///x?host=a,b", hostTimeout, false},
		{"postgres://a,b/x?connect_timeout=7", 7 * time.Second, false},
		{"postgres://a/x?default_query_exec_mode=exec", 0, true},
		{"postgres://a/x?default_query_exec_mode=simple_protocol", 0, true},
		{"postgres://a/x?default_query_exec_mode=cache_statement", 0, false},
	} {
		c, err := postgresConfig(tt.name)
		if err != nil {
			t.Fatal(err)
		}
		if c.ConnectTimeout != tt.wait || unprepared(tt.name) != tt.unprepared {
			t.Errorf("%s: %v, unprepared %v; want %v, %v", tt.name, c.ConnectTimeout, unprepared(tt.name), tt.wait, tt.unprepared)
		}
	}
}
