package main

import (
	"fmt"
	"syscall"
	"testing"
)

// TestActivityIsServed holds that an act appears in the stream soon after its
// answer, and at the latest after the next start.
func TestActivityIsServed(t *testing.T) {
	dir := t.TempDir()
	s := start(t, dir)
	const admin = "-u admin:" + testPassword
	tok := s.get("201", "/api/v2/users/1/personal_tokens/", admin+" -X POST -H 'Content-Type: application/json' -d '{\"scope\":\"read\"}'")
	path := fmt.Sprint(tok["related"].(map[string]any)["activity_stream"])
	found := 0.0
	for range 500 { // each is a process that takes some milliseconds
		if found, _ = s.get("200", path, admin)["count"].(float64); found != 0 {
			break
		}
	}
	if found != 1 {
		t.Errorf("%v entries about a new token, want 1", found)
	}
	s.get("201", "/api/v2/users/", admin+" -X POST -H 'Content-Type: application/json' -d '{\"username\":\"eve\",\"password\":\"eve-pw-12345678\"}'")
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s = start(t, dir)
	if list := s.get("200", "/api/v2/activity_stream/?object1=user", admin); list["count"] != 1.0 {
		t.Errorf("after a restart: %v", list)
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s = start(t, dir, "-activity=false")
	s.get("404", "/api/v2/activity_stream/", admin)
	s.get("404", path, admin)
	if related := s.get("200", "/api/v2/users/1/", admin)["related"].(map[string]any); related["activity_stream"] != nil {
		t.Errorf("links to %v", related)
	}
}
