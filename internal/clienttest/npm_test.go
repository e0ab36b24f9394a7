package clienttest_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNPMClients runs clients.mjs. It installs the packages of the lock file into
// a temporary folder.
func TestNPMClients(t *testing.T) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", program)
			}
			t.Skipf("%s is missing: install it to try the JavaScript clients", program)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "clients.mjs"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(stdin, name string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir = dir
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("", "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	s := start(t)
	config, err := json.Marshal(map[string]any{
		"issuer": s.url, "user": user, "password": password,
		"public": s.public, "confidential": s.confidential, "machine": s.machine, "device": s.device,
		"publicRedirect": "http://127.0.0.1:4713/cb", "confidentialRedirect": confidentialRedirect,
	})
	if err != nil {
		t.Fatal(err)
	}
	out := run(string(config), "node", "clients.mjs")
	t.Log("\n" + out)
	if !strings.HasSuffix(strings.TrimSpace(out), "all done") {
		t.Error("clients.mjs did not get to its end")
	}
}
