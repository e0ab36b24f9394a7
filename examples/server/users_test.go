package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestUserFileRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "users.json")
	for _, tt := range []struct{ name, text, want string }{
		{"not JSON", `users`, "must be a JSON list of objects with username and password: invalid character 'u'"},
		{"not a list", `{"username": "x"}`, "must be a JSON list"},
		{"null", `null`, "must be a JSON list"},
		{"something behind the list", `[] {}`, "there is something behind the list"},
		{"not UTF-8", "[\"\xff\"]", "not UTF-8"},
		{"entry is no object", `["x"]`, `entry 1 (username ""): must be an object`},
		{"unknown field", `[{"username": "x", "pasword": "y"}]`, `entry 1 (username "x"): pasword: unknown field`},
		{"field in another case", `[{"Username": "x", "password": "y"}]`, `Username: unknown field`},
		{"field given twice", `[{"username": "x", "password": "y", "password": "z"}]`, `entry 1 (username "x"): password: given twice`},
		{"no user name", `[{"password": "y"}]`, `username: missing`},
		{"empty user name", `[{"username": "", "password": "y"}]`, `username: must have 1 to 150 characters`},
		{"user name that cannot log in", `[{"username": " x", "password": "y"}]`, `username: must have`},
		{"no password", `[{"username": "x"}]`, `entry 1 (username "x"): password: missing`},
		{"empty password", `[{"username": "x", "password": ""}]`, `password: must have 1 to 1024 bytes`},
		{"password that is a number", `[{"username": "a", "password": "b"}, {"password": 73571, "username": "x"}]`, `entry 2 (username "x"): password: must be a string`},
		{"flag that is a string", `[{"username": "x", "password": "y", "is_superuser": "true"}]`, `is_superuser: must be true or false`},
		{"flag that is null", `[{"username": "x", "password": "y", "is_active": null}]`, `is_active: must be true or false`},
		{"organizations by name", `[{"username": "x", "password": "y", "organizations": ["Default"]}]`, `organizations: must be a list of IDs`},
		{"organization 0", `[{"username": "x", "password": "y", "admin_of": [0]}]`, `admin_of: must be a list of IDs, which are positive`},
		{"same user twice", `[{"username": "x", "password": "y"}, {"username": "x", "password": "z"}]`, `entry 2 (username "x"): username: entry 1 has the same`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(t, file, tt.text)
			_, err := readUsers(file)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "73571") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
	t.Run("nothing is created and the exit status is 1", func(t *testing.T) {
		write(t, file, `[{"username": "x"}]`)
		cmd := exec.Command(binary, "-addr", "127.0.0.1:0", "-users", file)
		cmd.Dir = t.TempDir()
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "server: -users ") {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

func TestUserFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users.json")
	write(t, file, `[
		{"username": "alice", "password": "alice-pw", "email": "alice@example.com", "organizations": [1], "admin_of": [2]},
		{"username": "admin", "password": "ignored-where-the-environment-has-one", "is_superuser": true, "email": "root@example.com"},
		{"username": "auditor", "password": "secret", "is_system_auditor": true},
		{"username": "dora", "password": "dora-pw", "is_active": false, "organizations": [1], "admin_of": []}
	]`)
	s := start(t, dir, "-users", file)
	if me := s.get("200", "/api/v2/me/", "-u admin:"+testPassword); me["id"] != 1.0 || me["email"] != "root@example.com" || me["is_superuser"] != true {
		t.Errorf("admin: %v", me)
	}
	if me := s.get("200", "/api/v2/me/", "-u alice:alice-pw"); me["email"] != "alice@example.com" || me["is_superuser"] != false {
		t.Errorf("alice: %v", me)
	}
	if me := s.get("200", "/api/v2/me/", "-u auditor:secret"); me["is_system_auditor"] != true {
		t.Errorf("auditor: %v", me)
	}
	s.get("401", "/api/v2/me/", "-u dora:dora-pw")
	if !strings.Contains(s.out.String(), `msg="a short password is easy to guess" user=alice characters=8`) {
		t.Errorf("no warning about a short password in\n%s", s.out)
	}

	// Organizations: alice administers 2 and belongs to 1.
	const app = `-H 'Content-Type: application/json' -d '{"name": "a", "client_type": "confidential", "authorization_grant_type": "password", "organization": %d}'`
	s.get("201", "/api/v2/applications/", "-u alice:alice-pw "+fmt.Sprintf(app, 2))
	s.get("403", "/api/v2/applications/", "-u alice:alice-pw "+fmt.Sprintf(app, 1))
	if own := s.get("200", "/api/v2/organizations/", "-u alice:alice-pw"); own["count"] != 2.0 {
		t.Errorf("alice sees organizations %v", own)
	}
	if named := s.get("200", "/api/v2/organizations/?name=Default", "-u auditor:secret"); named["count"] != 1.0 {
		t.Errorf("organization Default: %v", named)
	}
	s.get("404", "/api/v2/organizations/3/", "-u admin:"+testPassword)

	// A user who is there stays as it is.
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	write(t, file, `[{"username": "alice", "password": "another-pw", "is_superuser": true}]`)
	s = start(t, dir, "-users", file)
	s.get("401", "/api/v2/me/", "-u alice:another-pw")
	if out := s.out.String(); !strings.Contains(out, "stay as they are") || strings.Contains(out, adminPassword) {
		t.Errorf("a file that changes nothing, and an environment that agrees:\n%s", out)
	}
	if me := s.get("200", "/api/v2/me/", "-u alice:alice-pw"); me["is_superuser"] != false {
		t.Errorf("alice after a second start: %v", me)
	}
}

// TestGeneratedPassword checks that the first start prints a password that works
// where none is given, and that no other start does.
func TestGeneratedPassword(t *testing.T) {
	t.Setenv(adminPassword, "")
	dir := t.TempDir()
	s := start(t, dir)
	_, rest, ok := strings.Cut(s.out.String(), "Its password, which is shown only now:")
	if !ok {
		t.Fatalf("no password in\n%s", s.out)
	}
	password := strings.Fields(rest)[0]
	s.get("200", "/api/v2/me/", "-u admin:"+password)
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s = start(t, dir)
	if strings.Contains(s.out.String(), "password") {
		t.Errorf("the second start printed\n%s", s.out)
	}
	s.get("200", "/api/v2/me/", "-u admin:"+password)
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	t.Setenv(adminPassword, "not the one that was printed")
	s = start(t, dir)
	if !strings.Contains(s.out.String(), adminPassword+" counts on the first start only: admin keeps another password") { // E10
		t.Errorf("no word about a password that does not count in\n%s", s.out)
	}
}

// TestInterruptedFirstStart leaves admin and another user without a password, as
// a crash at the worst moment does.
func TestInterruptedFirstStart(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "users.json")
	write(t, file, `[{"username": "alice", "password": "alice-pw", "admin_of": [1]}]`)
	s := start(t, dir, "-users", file)
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	db, err := open(ctx, filepath.Join(dir, "test.db"), limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2"} {
		err = errors.Join(err, db.store.SetPasswordHash(ctx, id, ""), db.join(ctx, id, nil, nil))
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}

	s = start(t, dir, "-users", file)
	s.get("200", "/api/v2/me/", "-u admin:"+testPassword)
	s.get("200", "/api/v2/me/", "-u alice:alice-pw")
	if own := s.get("200", "/api/v2/organizations/", "-u alice:alice-pw"); own["count"] != 1.0 {
		t.Errorf("alice sees organizations %v", own)
	}
}
