package main

import (
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
)

// TestNotify has what systemd hears: the server is ready when it answers.
func TestNotify(t *testing.T) {
	path := filepath.Join(servertest.TempFolder(t, nil), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hear := func(want string) {
		t.Helper()
		b := make([]byte, 100)
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(b)
		if got := string(b[:n]); err != nil || got != want {
			t.Errorf("heard %q (%v), want %q", got, err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", path)
	s := start(t, t.TempDir())
	hear("READY=1")
	s.get("200", "/readyz", "")
	// Without a certificate SIGHUP ends nothing.
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if s.get("200", "/healthz", ""); strings.Contains(s.out.String(), "SIGHUP reads") {
			break
		}
	}
	if !strings.Contains(s.out.String(), "SIGHUP reads the certificate again, and there is none") {
		t.Errorf("no word about SIGHUP in\n%s", s.out)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	hear("STOPPING=1")

	t.Setenv("NOTIFY_SOCKET", path+"-of-nobody")
	s = start(t, t.TempDir())
	s.get("200", "/readyz", "")
}

// TestHealthcheck asks a server with its own settings.
func TestHealthcheck(t *testing.T) {
	dir := t.TempDir()
	p := newPair(t, dir, "served", 1)
	for name, args := range map[string][]string{"http": nil, "https": {"-tls-cert", p.cert, "-tls-key", p.key}} {
		s := start(t, t.TempDir(), args...)
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(s.url, name+"://"))
		for _, host := range []string{"127.0.0.1", "", "0.0.0.0", "localhost"} {
			c, err := parseFlags(append(args, "-addr", host+":"+port))
			if err == nil {
				err = c.probe(t.Context())
			}
			if err != nil {
				t.Errorf("%s %q: %v", name, host, err)
			}
		}
		if err := s.stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		c, err := parseFlags(append(args, "-addr", "127.0.0.1:"+port))
		if err == nil {
			err = c.probe(t.Context())
		}
		if err == nil {
			t.Errorf("%s: alive after its end", name)
		}
	}
	c, err := parseFlags([]string{"-addr", "127.0.0.1:0"})
	if err == nil {
		err = c.probe(t.Context())
	}
	if err == nil || !strings.Contains(err.Error(), "port 0 is another one at each start") {
		t.Errorf("port 0: %v", err)
	}
}
