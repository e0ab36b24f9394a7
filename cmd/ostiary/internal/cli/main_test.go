package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/ostiary/auth/cmd/ostiary/internal/cli"
)

// commandEnv makes this process the command, for a shell that runs it.
const commandEnv = "OSTIARY_CLI_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(commandEnv) != "" {
		os.Exit(cli.Main(context.Background(), cli.System(), os.Args[1:]))
	}
	goleak.VerifyTestMain(m)
}

const goodPassword = "correct horse battery"

// A bench is a database that commands run on.
type bench struct {
	t   testing.TB
	env map[string]string
	// said is all that commands wrote to standard error, and shown what they wrote to
	// standard output.
	said, shown bytes.Buffer
}

// template is a SQLite file with the schema.
var template = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "template.db")
	var said bytes.Buffer
	w := cli.World{In: strings.NewReader(""), Out: &said, Err: &said, Env: func(key string) string { return map[string]string{"OSTIARY_DSN": name}[key] }}
	if code := cli.Main(context.Background(), w, []string{"migrate", "--create"}); code != 0 {
		panic(said.String())
	}
	content, err := os.ReadFile(name)
	if err != nil {
		panic(err)
	}
	return content
})

// newBench returns a bench with an empty SQLite database.
func newBench(t testing.TB) *bench {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ostiary.db")
	if err := os.WriteFile(name, template(), 0o600); err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, env: map[string]string{"OSTIARY_DSN": name, "OSTIARY_OPERATOR": "eve"}}
}

// A reply is what a command left behind.
type reply struct {
	code     int
	out, err string
}

// run runs a command whose standard input is no terminal.
func (b *bench) run(in string, args ...string) reply {
	var out, err bytes.Buffer
	w := cli.World{In: strings.NewReader(in), Out: &out, Err: &err, Env: func(name string) string { return b.env[name] }}
	code := cli.Main(b.t.Context(), w, args)
	b.said.Write(err.Bytes())
	b.shown.Write(out.Bytes())
	return reply{code, out.String(), err.String()}
}

// ok runs a command that must succeed and returns its output.
func (b *bench) ok(args ...string) string {
	b.t.Helper()
	return b.okWith("", args...)
}

func (b *bench) okWith(in string, args ...string) string {
	b.t.Helper()
	r := b.run(in, args...)
	if r.code != 0 {
		b.t.Fatalf("%s: status %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// user creates a user with the password that everybody has.
func (b *bench) user(name string, args ...string) {
	b.t.Helper()
	b.okWith(goodPassword+"\n", append([]string{"user", "create", name, "--password-stdin"}, args...)...)
}

// json runs a command with -o json and returns its output, with other values in place of
// what is new each time.
func (b *bench) json(args ...string) any {
	b.t.Helper()
	return b.jsonWith("", args...)
}

func (b *bench) jsonWith(in string, args ...string) any {
	b.t.Helper()
	out := b.okWith(in, append(args, "-o", "json")...)
	return decode(b.t, out)
}

func decode(t testing.TB, out string) any {
	t.Helper()
	var v any
	d := json.NewDecoder(strings.NewReader(out))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if rest, err := io.ReadAll(d.Buffered()); err != nil || strings.TrimSpace(string(rest)) != "" {
		t.Fatalf("more than one value: %s", out)
	}
	return steady(v)
}

var (
	tokenText  = regexp.MustCompile(`^ost[ar]_[0-9A-Za-z]{49}$`)
	randomText = regexp.MustCompile(`^([0-9A-Za-z]{40}|[0-9A-Za-z]{64,}|[A-Z2-7]{26})$`)
)

// steady replaces times, secrets and identifiers.
func steady(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = steady(v[k])
		}
	case []any:
		for i := range v {
			v[i] = steady(v[i])
		}
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			if at.Location() != time.UTC || !strings.HasSuffix(v, "Z") {
				return "not UTC: " + v
			}
			return "TIME"
		}
		if tokenText.MatchString(v) {
			return "TOKEN"
		}
		if randomText.MatchString(v) {
			return "RANDOM"
		}
	}
	return v
}

func want(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// refused runs a command that must fail with this status and say this.
func (b *bench) refused(code int, says string, args ...string) {
	b.t.Helper()
	b.refusedWith("", code, says, args...)
}

func (b *bench) refusedWith(in string, code int, says string, args ...string) {
	b.t.Helper()
	r := b.run(in, args...)
	if r.code != code || !strings.Contains(r.err, says) {
		b.t.Errorf("%s: status %d, want %d; it says %q, want %q", strings.Join(args, " "), r.code, code, r.err, says)
	}
}

// secretText finds what these tests issue: tokens, client secrets and passwords.
var secretText = regexp.MustCompile(`\b(ost[ar]_[0-9A-Za-z]{49}|[0-9A-Za-z]{64,}|[A-Z2-7]{26})\b`)
