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

	"github.com/ostiary/auth/internal/servertest"
)

// ask returns the status of a path.
func (s *server) ask(t *testing.T, path string) (status int, retry string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Minute}
	resp, err := client.Get(s.url + path)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return 0, ""
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After")
}

// becomesReady waits until the server is ready: a busy machine may take longer than a
// probe waits.
func (s *server) becomesReady(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; {
		status, _ := s.ask(t, "/readyz")
		if status == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("readyz: %d", status)
		}
	}
}

// ended returns how many calls of the store ended for a reason.
func (s *server) ended(t *testing.T, reason string) (n float64) {
	t.Helper()
	_, metrics := page(t, s.adminURL()+"/metrics")
	for name, value := range samples(t, metrics) {
		if strings.HasPrefix(name, "ostiary_store_called_total{") && strings.Contains(name, `reason="`+reason+`"`) {
			n += value
		}
	}
	return n
}

// While the database hangs the process lives and is not ready, and requests are
// refused at once after the first ones have waited.
func TestHealthWhileDatabaseHangs(t *testing.T) {
	database := servertest.OnPostgres(t, ping)
	s := start(t, t.TempDir(), "-db", database, "-admin-addr", "127.0.0.1:0")
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
	s.becomesReady(t)
	time.Sleep(shareAnswer)
	signal(syscall.SIGSTOP)
	defer signal(syscall.SIGCONT)
	if code, retry := s.ask(t, "/readyz"); code != http.StatusServiceUnavailable || retry == "" {
		t.Errorf("readyz: %d, Retry-After %q", code, retry)
	}
	if code, _ := s.ask(t, "/healthz"); code != http.StatusOK {
		t.Errorf("healthz: %d", code)
	}
	if code := status(s.url, token); code != http.StatusServiceUnavailable {
		t.Errorf("the first request: %d", code)
	}
	waited, refused := s.ended(t, "timeout"), s.ended(t, "circuit_open")
	for range 20 {
		if code := status(s.url, token); code != http.StatusServiceUnavailable {
			t.Errorf("a request: %d", code)
		}
	}
	if waited, refused = s.ended(t, "timeout")-waited, s.ended(t, "circuit_open")-refused; waited > 0 || refused < 20 {
		t.Errorf("of 20 requests %v waited, and %v were refused at once", waited, refused)
	}
	signal(syscall.SIGCONT)
	for deadline := time.Now().Add(5 * time.Minute); status(s.url, token) != http.StatusOK; {
		if time.Now().After(deadline) {
			t.Fatal("the token is not good any more")
		}
	}
	s.becomesReady(t)
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
		code, _ = s.ask(t, "/readyz")
	}
	if code := status(s.url, token); code != http.StatusOK {
		t.Errorf("a request while the server drains: %d", code)
	}
	if code, _ := s.ask(t, "/healthz"); code != http.StatusOK {
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
