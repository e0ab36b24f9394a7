package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Whoever names a file with a secret is told that others can read it, by whichever flag,
// variable or redirection.
func TestSecretFileThatOthersRead(t *testing.T) {
	dir := t.TempDir()
	dsn := filepath.Join(dir, "ostiary.db")
	file := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// run returns what the command says, with %s in the arguments and variables for the file.
	run := func(file string, env map[string]string, args ...string) string {
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var out, said strings.Builder
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "%s", file)
		}
		Main(t.Context(), World{in, &out, &said, func(name string) string { return strings.ReplaceAll(env[name], "%s", file) }}, args)
		return said.String()
	}
	run(file("empty", "", 0o600), map[string]string{"OSTIARY_DSN": dsn}, "migrate", "--create")

	read := map[string]bool{"dsn-file": true, "source-file": true, "secret-key-file": true, "client-secrets": true}
	written := map[string]bool{"audit-log": true, "report": true, "new-secrets": true, "memberships": true}
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if strings.Contains(f.Usage, "`file`") && !read[f.Name] && !written[f.Name] {
				t.Errorf("%s --%s: does it read a secret?", c.CommandPath(), f.Name)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())

	both := map[string]string{"OSTIARY_DSN": dsn, "OSTIARY_SOURCE_DSN": file("source", "", 0o600)}
	with := func(name, value string) map[string]string {
		env := map[string]string{name: value}
		for name, value := range both {
			if env[name+"_FILE"] == "" {
				env[name] = value
			}
		}
		return env
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		in   string // of the file
	}{
		"--dsn-file":                  {nil, []string{"user", "list", "--dsn-file", "%s"}, dsn},
		"OSTIARY_DSN_FILE":            {with("OSTIARY_DSN_FILE", "%s"), []string{"user", "list"}, dsn},
		"--source-file":               {both, []string{"import", "awx", "--source-file", "%s"}, dsn},
		"OSTIARY_SOURCE_DSN_FILE":     {with("OSTIARY_SOURCE_DSN_FILE", "%s"), []string{"import", "awx"}, dsn},
		"--secret-key-file":           {both, []string{"import", "awx", "--secret-key-file", "%s"}, "key"},
		"OSTIARY_AWX_SECRET_KEY_FILE": {with("OSTIARY_AWX_SECRET_KEY_FILE", "%s"), []string{"import", "awx"}, "key"},
		"--client-secrets":            {both, []string{"import", "awx", "--client-secrets", "%s"}, "client secret"},
		"--password-stdin":            {both, []string{"user", "create", "erika", "--password-stdin"}, "correct horse battery"},
	} {
		const warning = "ostiary: warning: others than its owner can read "
		if said := run(file("secret", tt.in, 0o640), tt.env, tt.args...); strings.Count(said, warning) != 1 {
			t.Errorf("%s: said %q", name, said)
		}
		if said := run(file("secret", tt.in, 0o600), tt.env, tt.args...); strings.Contains(said, warning) {
			t.Errorf("%s with the mode 0600: said %q", name, said)
		}
	}
}
