package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCollection runs AWX's Ansible collection: that of each folder in
// OSTIARY_COLLECTIONS, or else what is installed.
func TestCollection(t *testing.T) {
	playbook, err := exec.LookPath("ansible-playbook")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ansible-playbook is missing")
		}
		t.Skip("ansible-playbook is missing: install Debian's ansible to try the collection awx.awx")
	}
	folders := map[string]string{"installed": os.Getenv("ANSIBLE_COLLECTIONS_PATH")}
	if all := os.Getenv("OSTIARY_COLLECTIONS"); all != "" {
		clear(folders)
		entries, err := os.ReadDir(all)
		if err != nil || len(entries) == 0 {
			t.Fatalf("no collection: %v", err)
		}
		for _, e := range entries {
			folders[e.Name()] = filepath.Join(all, e.Name())
		}
	}
	for name, folder := range folders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testCollection(t, playbook, folder)
		})
	}
}

func testCollection(t *testing.T, playbook, folder string) {
	tasks, err := filepath.Abs("testdata/collection.yml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := start(t, dir)
	tokenFile := filepath.Join(dir, "token")
	cmd := exec.CommandContext(t.Context(), playbook, "-i", "localhost,", "-e", "token_file="+tokenFile, tasks)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(),
		"HOME="+dir, "CONTROLLER_REQUEST_TIMEOUT=60", "ANSIBLE_COLLECTIONS_PATH="+folder, "ANSIBLE_NOCOLOR=1", "ANSIBLE_PYTHON_INTERPRETER=auto_silent",
		"CONTROLLER_HOST="+s.url, "CONTROLLER_USERNAME=admin", "CONTROLLER_PASSWORD="+testPassword,
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nserver:\n%s", err, out, s.out)
	}
	if strings.Contains(string(out), "Failed to release token") {
		t.Errorf("a token of a login was left behind:\n%s", out)
	}

	token, err := os.ReadFile(tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	bearer := `-H "Authorization: Bearer ` + string(token) + `"`
	me := s.get("200", "/api/v2/me/", bearer)
	if me["username"] != "admin" {
		t.Errorf("the token that was asked for is of %v", me)
	}
	// One of them is of the lookup that logged in.
	if left := s.get("200", "/api/v2/tokens/", bearer); left["count"] != 2.0 {
		t.Errorf("left are %v, want the token that was asked for", left)
	}
	if apps := s.get("200", "/api/v2/applications/", bearer); apps["count"] != 0.0 {
		t.Errorf("left are %v", apps)
	}
}
