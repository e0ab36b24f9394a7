package mcptest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ostiary/auth/internal/logtest"
)

// temporary are folders that all tests share, for TestMain to remove.
var temporary []string

// installed is a folder with the packages of the lock file and the scripts.
var installed = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mcptest")
	if err != nil {
		return "", err
	}
	temporary = append(temporary, dir)
	for _, name := range []string{"package.json", "package-lock.json", "globsync.mjs", "client.mjs"} {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return dir, nil
})

// node returns a command of Node in the folder of the packages.
func node(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	needs(t, "node", "npm")
	dir, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Dir = dir
	return cmd
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", program)
			}
			t.Skipf("%s is missing: install Debian's package to have clients of the protocol use the servers", program)
		}
	}
}

// lines starts a command and returns the lines that it prints. Wait must be called
// after the last one. What it prints to its standard error is logged if it fails.
func lines(t *testing.T, cmd *exec.Cmd) (out *bufio.Scanner, wait func() error) {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log := &logtest.Buffer{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewScanner(stdout), func() error {
		err := cmd.Wait()
		if err != nil {
			t.Logf("%s:\n%s", cmd.Path, log)
		}
		return err
	}
}

// built returns the path of the program in a folder of the examples.
func built(t *testing.T, folder string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "server")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = filepath.Join("..", "..", "examples", folder)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// server starts a program, which accepts clients whose metadata document is on this
// machine. It returns the words of the line that it prints when it is ready, from the
// one that begins with http.
func server(t *testing.T, binary string, env []string, args ...string) []string {
	t.Helper()
	cmd := exec.Command(binary, append(args, "-insecure-client-documents")...)
	cmd.Env = append(os.Environ(), env...)
	out, wait := lines(t, cmd)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := wait(); err != nil {
			t.Errorf("%s: %v", binary, err)
		}
	})
	for out.Scan() {
		if before, words, ok := strings.Cut(out.Text(), "http://"); ok && !strings.Contains(before, `"`) {
			return strings.Fields("http://" + words)
		}
	}
	t.Fatalf("%s did not start", binary)
	return nil
}
