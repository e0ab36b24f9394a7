package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

// TestShutdownKeepsWhatWasAcknowledged sends SIGTERM while tokens are issued.
func TestShutdownKeepsWhatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	var mu sync.Mutex
	var tokens []string
	enough := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for {
				token, ok := issue(s.url)
				if !ok {
					return // the server is gone
				}
				mu.Lock()
				if tokens = append(tokens, token); len(tokens) == 100 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	failed := make(chan struct{})
	go func() { clients.Wait(); close(failed) }()
	select {
	case <-enough:
	case <-failed:
		t.Fatalf("the server stopped by itself:\n%s", s.out)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("exit after SIGTERM: %v\n%s", err, s.out)
	}
	clients.Wait()
	s = start(t, dir)
	lost := 0
	for _, token := range tokens {
		if status(s.url, token) != http.StatusOK {
			lost++
		}
	}
	t.Logf("%d tokens acknowledged, %d lost", len(tokens), lost)
	if lost > 0 {
		t.Errorf("%d of %d acknowledged tokens are lost", lost, len(tokens))
	}
}

// TestServeLeavesNothingBehind has a server serve and end in this process.
func TestServeLeavesNothingBehind(t *testing.T) {
	c, err := parseFlags([]string{"-db", filepath.Join(t.TempDir(), "test.db")})
	if err != nil {
		t.Fatal(err)
	}
	db, err := open(t.Context(), c.db, limits{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newService(c, db)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, listener, s, 0) }()
	for _, path := range []string{"/healthz", "/readyz", "/api/v2/me/"} {
		resp, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Error(err)
			continue
		}
		resp.Body.Close()
	}
	cancel()
	if err := errors.Join(<-served, db.Close()); err != nil {
		t.Error(err)
	}
	goleak.VerifyNone(t)
}

// issue makes a token, and reports whether the server acknowledged it.
func issue(base string) (token string, ok bool) {
	r, err := http.NewRequest("POST", base+"/api/v2/tokens/", nil)
	if err != nil {
		return "", false
	}
	r.SetBasicAuth(adminName, testPassword)
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

// status returns the status of me with a token, 0 for no answer.
func status(base, token string) int {
	r, err := http.NewRequest("GET", base+"/api/v2/me/", nil)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
