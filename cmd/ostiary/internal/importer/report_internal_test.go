package importer

import (
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestReport(t *testing.T) {
	r := newReport()
	r.head(Options{Kind: AWX, DryRun: true}, "awx 2019", time.Unix(0, 0))
	for _, id := range []int64{1, 2, 3, 5, 9, 10} {
		r.add(stepTokens, remark{Cut, "shorter", Item{ID: id}})
	}
	for id := range int64(7) {
		r.add(stepUsers, remark{LeftOut, "odd", Item{ID: id, Name: "a\x1b[31m\n", More: "more"}})
	}
	r.add(stepUsers, remark{LeftOut, "odd", Item{ID: 6, Name: "again"}})
	r.note(stepTokens, LeftOut, 0, "none")
	r.note(stepTokens, LeftOut, 4, "four")
	*r.count(stepUsers) = Counts{Read: 10, Stored: 3, LeftOut: 7}
	var text, json strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if err := r.WriteJSON(&json); err != nil {
		t.Fatal(err)
	}
	want := `Import of awx 2019, begun at 1970-01-01T00:00:00Z (dry run: nothing was written)

users         10 read: 3 would be stored, 7 left out

users, left out: 8 × odd
    0 "a\x1b[31m\n" more
    1 "a\x1b[31m\n" more
    2 "a\x1b[31m\n" more
    3 "a\x1b[31m\n" more
    4 "a\x1b[31m\n" more
    … the JSON report has all

tokens, cut: 6 × shorter

tokens, left out: 4 × four
`
	if diff := cmp.Diff(want, text.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Span{{1, 3}, {5, 5}, {9, 10}}, r.Remarks[1].IDs); diff != "" {
		t.Errorf("IDs (-want +got):\n%s", diff)
	}
	r.Source, r.Settings = "\u009b31m", []Setting{{"SESSION_COOKIE_AGE", "\x1b]0;title\x07\u202e", "x"}}
	r.add(stepUsers, remark{Note, "linked", Item{1, "\u009b2J", "user \x1b[2J"}})
	for name, write := range map[string]func(io.Writer) error{"text": r.WriteText, "JSON": r.WriteJSON} {
		var b strings.Builder
		if err := write(&b); err != nil || strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) >= 0 {
			t.Errorf("a terminal would obey the %s %q, %v", name, b.String(), err)
		}
	}
	if strings.Contains(json.String(), "\x1b") || strings.Contains(json.String(), `"none"`) {
		t.Errorf("JSON:\n%s", json.String())
	}
}

func TestBar(t *testing.T) {
	var out strings.Builder
	at := time.Unix(0, 0)
	b := &bar{out: &out, terminal: true, now: func() time.Time { return at }}
	b.update("users", 0, 100)
	at = at.Add(time.Second)
	b.update("users", 25, 100)
	b.update("users", 26, 100) // too soon
	at = at.Add(time.Second)
	b.update("users", 100, 100)
	b.update("tokens", 0, 0)
	b.end()
	want := "\rusers        [....................]   0%  0 of 100" +
		"\rusers        [#####...............]  25%  25 of 100  25/s  3s left" +
		"\rusers        [####################] 100%  100 of 100  50/s  2s    \n" +
		"\rtokens       [####################] 100%  0 of 0\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("terminal (-want +got):\n%s", diff)
	}
	out.Reset()
	b = &bar{out: &out, now: func() time.Time { return at }}
	for i := range int64(12) {
		b.update("users", i, 100)
		at = at.Add(time.Second)
	}
	b.end()
	if n := strings.Count(out.String(), "\n"); n != 3 || strings.Contains(out.String(), "\r") {
		t.Errorf("%d lines:\n%s", n, out.String())
	}
}

func TestScanned(t *testing.T) {
	for src, want := range map[any]string{
		"2026-01-02 03:04:05.678901":     "2026-01-02T03:04:05.678901Z",
		"2026-01-02 03:04:05+00":         "2026-01-02T03:04:05Z",
		"2026-01-02 03:04:05.5+02:00":    "2026-01-02T01:04:05.5Z",
		"2026-01-02T03:04:05.123456789Z": "2026-01-02T03:04:05.123456Z",
		"2026-01-02":                     "2026-01-02T00:00:00Z",
		nil:                              "0001-01-01T00:00:00Z",
		"soon":                           "bad",
		int64(7):                         "bad",
		time.Unix(5, 1999):               "1970-01-01T00:00:05.000001Z",
	} {
		var v when
		if err := v.Scan(src); err != nil {
			t.Fatal(err)
		}
		got := v.Format(time.RFC3339Nano)
		if v.bad {
			got = "bad"
		}
		if got != want {
			t.Errorf("%v: %s, want %s", src, got, want)
		}
	}
	for src, want := range map[any]bool{nil: false, true: true, int64(0): false, int64(1): true, "t": true, "0": false} {
		var v flag
		if err := v.Scan(src); err != nil || bool(v) != want {
			t.Errorf("%v: %v, %v", src, v, err)
		}
	}
	var n number
	if n.Scan("c0ffee") == nil || n.Scan(int64(7)) != nil || n != 7 {
		t.Error("numbers")
	}
}

func TestReadSecrets(t *testing.T) {
	got, err := ReadSecrets(strings.NewReader("# known\n\nid1\tsecret=1\n id2   s#2 \n"))
	if diff := cmp.Diff(map[string]string{"id1": "secret=1", "id2": "s#2"}, got); diff != "" || err != nil {
		t.Errorf("(-want +got):\n%s%v", diff, err)
	}
	for _, bad := range []string{"id", "id secret more", "id a\nid b"} {
		if _, err := ReadSecrets(strings.NewReader(bad)); err == nil || strings.Contains(err.Error(), "secret more") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestLifetime(t *testing.T) {
	for text, want := range map[string]string{"30d": "30d", "36h": "36h0m0s", "24h": "1d", "-1d": "-1d", "0": "0s"} {
		var l lifetime
		if err := l.Set(text); err != nil || l.String() != want {
			t.Errorf("%s: %s, %v", text, l.String(), err)
		}
	}
	for _, bad := range []string{"", "30", "d", "x", "99999999999d", "1.5d"} {
		if err := new(lifetime).Set(bad); err == nil {
			t.Errorf("%q is a time", bad)
		}
	}
}
