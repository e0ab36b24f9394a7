package importer_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store/sqlstore"
)

// The command takes its secrets from files and the environment, and says what is wrong.
func TestCommand(t *testing.T) {
	from, _ := sourceOf(t, places[0], "awx.sql")
	to := places[0].fresh(t)
	db := target(t, to)
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	do := func(env map[string]string, args ...string) (out, messages string, err error) {
		cmd := importer.Command(func(ctx context.Context) (*database.DB, error) {
			return database.Open(ctx, to, sqlstore.Options{})
		}, func(name string) string { return env[name] }, func() (*slog.Logger, func() error, error) {
			return slog.New(slog.DiscardHandler), func() error { return nil }, nil
		})
		var stdout, stderr strings.Builder
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		cmd.SetArgs(args)
		cmd.SilenceUsage, cmd.SilenceErrors = true, true
		err = cmd.ExecuteContext(t.Context())
		return stdout.String(), stderr.String(), err
	}
	source := map[string]string{"OSTIARY_SOURCE_DSN": from}
	for name, tt := range map[string]struct {
		env  map[string]string
		args []string
		want string
	}{
		"no kind":                    {source, nil, "say what the source is"},
		"a wrong kind":               {source, []string{"gitlab"}, "say what the source is"},
		"no source":                  {nil, []string{"awx"}, "no source is named"},
		"two sources":                {map[string]string{"OSTIARY_SOURCE_DSN": from, "OSTIARY_SOURCE_DSN_FILE": "x"}, []string{"awx"}, "both set"},
		"no such file":               {nil, []string{"awx", "--source-file", filepath.Join(dir, "none")}, "no such file"},
		"an empty file":              {nil, []string{"awx", "--source-file", file("empty", " \n")}, "empty"},
		"a source that is not there": {map[string]string{"OSTIARY_SOURCE_DSN": "/none"}, []string{"awx"}, "the source"},
		"a wrong choice":             {source, []string{"awx", "--existing", "replace"}, "skip or link"},
		"a wrong time":               {source, []string{"awx", "--grant-lifetime", "long"}, "not a time"},
		"odd known secrets":          {source, []string{"awx", "--client-secrets", file("odd", "one\n")}, "line 1"},
	} {
		if out, _, err := do(tt.env, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) || out != "" {
			t.Errorf("%s: %q, %v", name, out, err)
		}
	}
	open := file("open", "")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args string
		want string
	}{
		"the source":           {"--report " + from, "the source and --report are the same file"},
		"the target":           {"--report " + to, "--report and the target are the same file"},
		"the secrets":          {"--report " + dir + "/x --new-secrets " + dir + "/../" + filepath.Base(dir) + "/x", "--report and --new-secrets are the same file"},
		"what others read":     {"--report " + open, "others than its owner"},
		"a folder that is not": {"--report " + dir + "/none/report", "no such file"},
		"members for others":   {"--memberships " + open, "others than its owner"},
	} {
		if _, _, err := do(source, append([]string{"awx", "--dry-run=false", "--quiet"}, strings.Fields(tt.args)...)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("a file for %s: %v", name, err)
		}
	}
	if rows := dump(t, db); len(rows) > 6 { // the users come before their memberships
		t.Errorf("rows %q", rows)
	}
	report := filepath.Join(dir, "report")
	args := []string{"awx", "--source-file", file("dsn", from+"\n"), "--secret-key-file", file("key", "key\n"), "--report", report, "--scope", "deploy", "--rename-scope", "a=deploy"}
	out, _, err := do(nil, append(args, "--dry-run")...)
	if err != nil || !strings.Contains(out, "nothing was written") {
		t.Errorf("%s, %v", out, err)
	}
	out, messages, err := do(nil, args...)
	if err != nil || !strings.Contains(out, "tokens        5 read: 4 stored, 1 left out") || !strings.Contains(messages, "5 of 5") {
		t.Errorf("%s, %s, %v", out, messages, err)
	}
	if !strings.HasSuffix(out, importer.MustAccept+"\n") {
		t.Errorf("the closing words are missing: %s", out)
	} else if is, err := importer.Remembered(t.Context(), db); err != nil || !is {
		t.Errorf("the import is not remembered: %v", err)
	}
	if content, err := os.ReadFile(report); err != nil || !strings.Contains(string(content), `"left_out": 1`) {
		t.Errorf("%s, %v", content, err)
	}
	if out, messages, err := do(source, "awx", "--quiet"); err != nil || !strings.Contains(out, "4 stored before") || messages != "" {
		t.Errorf("%s, %s, %v", out, messages, err)
	}
}
