package printable_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/ostiary/auth/cmd/ostiary/internal/printable"
)

var hostile = []string{
	"\x1b]0;title\x07", "\x1b[2J", "\u009b31m", "\x7f", "a\rb", "a\nb\tc", "\u202etxt.exe", "\u2066x", "\x00", "\u200b", "\U000e0001tag", "<&>\u2028", "Erika", `a "b" \`, "ä×…",
}

func shows(s string) bool {
	return strings.IndexFunc(strings.ReplaceAll(s, "\n", ""), func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func TestText(t *testing.T) {
	for _, s := range append(hostile, "\xff") {
		if got := printable.Text(s); !shows(got) || strings.Contains(got, "\n") {
			t.Errorf("%q is shown as %q", s, got)
		}
	}
	for _, s := range []string{"Erika", `a "b" \`, "ä×…", ""} {
		if got := printable.Text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// JSON means the same text, and has nothing that a terminal obeys.
func FuzzJSON(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var out strings.Builder
		if err := printable.JSON(&out, map[string]string{s: s}, "  "); err != nil {
			t.Fatal(err)
		}
		if !shows(out.String()) {
			t.Errorf("%q is written as %q", s, out.String())
		}
		var back map[string]string
		if err := json.Unmarshal([]byte(out.String()), &back); err != nil {
			t.Fatal(err)
		}
		want := strings.ToValidUTF8(s, "\ufffd")
		for k, v := range back {
			if strings.ToValidUTF8(k, "") != k || v != k || len([]rune(k)) != len([]rune(s)) || strings.ToValidUTF8(s, "") == s && k != want {
				t.Errorf("%q came back as %q: %q", s, k, v)
			}
		}
	})
}
