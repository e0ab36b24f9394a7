package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
)

// An import beside another one is a conflict, which a script can tell from an outage.
func TestExitBesideAnotherImport(t *testing.T) {
	a := &app{World: World{Err: io.Discard}, started: true}
	if got := a.exit(t.Context(), fmt.Errorf("%w: process 7", importer.ErrHeld)); got != exitRefused {
		t.Errorf("exit status %d, want %d", got, exitRefused)
	}
}

// A mistake in what was typed is said in one line, with what to type instead, and ends
// with its own status.
func TestTypedMistakes(t *testing.T) {
	dsn := filepath.Join(t.TempDir(), "ostiary.db")
	run := func(env map[string]string, args ...string) (code int, out, said string) {
		var o, e strings.Builder
		code = Main(t.Context(), World{strings.NewReader(""), &o, &e, func(name string) string { return env[name] }}, args)
		return code, o.String(), e.String()
	}
	env := map[string]string{"OSTIARY_DSN": dsn}
	if code, _, said := run(env, "migrate", "--create"); code != 0 {
		t.Fatal(said)
	}
	here := map[string]string{"OSTIARY_DSN": dsn, "OSTIARY_SOURCE_DSN": dsn}
	for line, want := range map[string]struct {
		env  map[string]string
		said string
	}{
		"usr":                          {env, `ostiary has no command "usr"; did you mean user?`},
		"user lst":                     {env, `ostiary user has no command "lst"; did you mean list?`},
		"help user lst":                {env, `ostiary user has no command "lst"; did you mean list?`},
		"help nothing":                 {env, `ostiary has no command "nothing"; see ostiary --help`},
		"completion tcsh":              {env, `ostiary completion has no command "tcsh"; see ostiary completion --help`},
		"user list --prefix Bad":       {env, `--prefix: "Bad" is not`},
		"user list":                    {nil, "no database is named"},
		"import awx":                   {env, "no source is named"},
		"import awx --source-file /no": {env, "open /no: no such file or directory"},
		"import awx --existing both":   {here, "--existing is skip or link"},
		"import awx --workers 99":      {map[string]string{"OSTIARY_DSN": dsn, "OSTIARY_SOURCE_DSN": "/no"}, "the source: /no: no such file\n"},
	} {
		code, out, said := run(want.env, strings.Fields(line)...)
		if code != exitUsage || !strings.HasPrefix(said, "ostiary: "+want.said) || strings.Count(said, "\n") != 1 || out != "" {
			t.Errorf("ostiary %s: status %d, said %q, printed %q", line, code, said, out)
		}
	}
}
