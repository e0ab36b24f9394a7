package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program as it is installed: its arguments, its environment and its status.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "ostiary.exe")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dsn := filepath.Join(dir, "dsn")
	if err := os.WriteFile(dsn, []byte(filepath.Join(dir, "ostiary.db")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args, in string
		status   int
		out, err string
	}{
		{"user list", "", 1, "", "no such file; ostiary migrate --create"},
		{"migrate --create", "", 0, "Brought the schema up to date.", "actor=operator:"},
		{"user create erika --superuser --password-stdin", "correct horse battery\n", 0, "erika", "auth: user created"},
		{"user list", "", 0, "superuser", ""},
		{"check", "", 0, "0 errors", ""},
		{"user show nobody", "", 3, "", "there is no user"},
		{"user delete erika", "", 4, "", "last active superuser"},
		{"user list --colour", "", 2, "", "unknown flag"},
		{"token revoke --all", "", 4, "", "add --yes"},
		{"completion bash", "", 0, "bash completion", ""},
		{"__complete us", "", 0, "user\t", ""},
		{"__complete user list -o ", "", 0, "table\njson", ""},
		{"--version", "", 0, "ostiary version ", ""},
		{"--help", "", 0, "OSTIARY_DSN_FILE", ""},
	} {
		cmd := exec.Command(program, strings.Split(tt.args, " ")...)
		cmd.Env = append(os.Environ(), "OSTIARY_DSN=", "OSTIARY_DSN_FILE="+dsn)
		cmd.Stdin = strings.NewReader(tt.in)
		var out, errs strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &errs
		_ = cmd.Run() // its status says it
		if status := cmd.ProcessState.ExitCode(); status != tt.status || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%s: status %d, want %d\n%s%s", tt.args, status, tt.status, &out, &errs)
		}
	}
}
