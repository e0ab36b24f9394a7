package text_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth/internal/text"
)

// C10, R-147: a name is what it looks like.
func TestName(t *testing.T) {
	for _, good := range []string{
		"a", "alice", "Alice Liddell", "o'brien@example.com", "jürgen", "ju\u0308rgen", "日本語", "أحمد", "ελένη", "नमस्ते",
		"한국어", "🙂", "x_+-.@", "a/b", "AWX CLI", strings.Repeat("é", 150), strings.Repeat("🙂", 150),
	} {
		if fault := text.Name(good, 150); fault != "" {
			t.Errorf("%q: %s", good, fault)
		}
	}
	invisible := func(r rune) string { return fmt.Sprintf("must not contain the invisible character %U", r) }
	const ends, empty = "must not begin or end with a blank", "must not be empty"
	for _, tt := range []struct{ name, s, want string }{
		{"empty", "", empty},
		{"151 characters", strings.Repeat("a", 151), "must have at most 150 characters"},
		{"151 characters of four bytes", strings.Repeat("🙂", 151), "must have at most 150 characters"},
		{"a megabyte", strings.Repeat("a", 1<<20), "must have at most 150 characters"},
		{"invalid UTF-8", "a\xff", "must be UTF-8"},
		{"half a surrogate", "a\xed\xa0\x80b", "must be UTF-8"},
		{"overlong", "a\xc0\x80b", "must be UTF-8"},
		{"a blank", " ", ends},
		{"blank before", " a", ends},
		{"blank behind", "a ", ends},
		{"tab behind", "a\t", ends},
		{"no-break space behind", "a\u00a0", ends},
		{"ideographic space before", "\u3000a", ends},
		{"two blanks", "a  b", "must not contain two blanks in a row"},
		{"combining mark first", "\u0301a", "must not begin with a combining mark"},
		{"NUL", "a\x00b", invisible(0)},
		{"newline", "a\nb", invisible('\n')},
		{"DEL", "a\x7fb", invisible(0x7f)},
		{"C1", "a\u0085b", invisible(0x85)},
		{"no-break space", "a\u00a0b", invisible(0xa0)},
		{"em space", "a\u2003b", invisible(0x2003)},
		{"line separator", "a\u2028b", invisible(0x2028)},
		{"soft hyphen", "a\u00adb", invisible(0xad)},
		{"zero width space", "AWX\u200b CLI", invisible(0x200b)},
		{"zero width joiner", "a\u200db", invisible(0x200d)},
		{"right-to-left override", "x\u202egnihsihp", invisible(0x202e)},
		{"isolate", "a\u2066b", invisible(0x2066)},
		{"word joiner", "a\u2060b", invisible(0x2060)},
		{"invisible times", "a\u2062b", invisible(0x2062)},
		{"byte order mark", "\ufeffa", invisible(0xfeff)},
		{"Hangul filler alone", "\u3164", invisible(0x3164)},
		{"half-width Hangul filler", "a\uffa0", invisible(0xffa0)},
		{"Hangul choseong filler", "\u115fa", invisible(0x115f)},
		{"combining grapheme joiner", "a\u034fb", invisible(0x34f)},
		{"Khmer inherent vowel", "a\u17b4", invisible(0x17b4)},
		{"Mongolian variation selector", "a\u180bb", invisible(0x180b)},
		{"variation selector 16", "a\ufe0f", invisible(0xfe0f)},
		{"variation selector 17", "a\U000e0100", invisible(0xe0100)},
		{"tag letter", "a\U000e0061", invisible(0xe0061)},
		{"language tag", "a\U000e0001", invisible(0xe0001)},
		{"unassigned default ignorable", "a\U000e0fff", invisible(0xe0fff)},
		{"interlinear annotation", "a\ufff9b", invisible(0xfff9)},
		{"shorthand format", "a\U0001bca0b", invisible(0x1bca0)},
		{"musical beam", "a\U0001d173b", invisible(0x1d173)},
		{"braille blank", "a\u2800b", invisible(0x2800)},
		{"null notehead", "a\U0001d159", invisible(0x1d159)},
		{"private use", "a\ue000", invisible(0xe000)},
		{"noncharacter", "a\uffff", invisible(0xffff)},
		{"noncharacter inside", "a\ufdd0", invisible(0xfdd0)},
		{"last noncharacter", "a\U0010ffff", invisible(0x10ffff)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := text.Name(tt.s, 150); got != tt.want {
				t.Errorf("%q: got %q, want %q", tt.s, got, tt.want)
			}
		})
	}
}

// C10: the names of persons have joiners and wide blanks, and hide nothing.
func TestSeen(t *testing.T) {
	for _, good := range []string{"", " ", "Zoë", "山田\u3000太郎", "می\u200cخواهم", "क\u094d\u200dष", "\u2764\ufe0f", "O’Neill-Smith"} {
		if !text.Seen(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{"x\u202egnihsihp", "a\u2066b", "a\u200bb", "\ufeffa", "a\u00adb", "a\u2028b", "\u3164", "a\U000e0061", "a\tb", "a\u0085b", "a\xff", "a\ue000", "\u2800"} {
		if text.Seen(bad) {
			t.Errorf("%q passes", bad)
		}
	}
}

// FuzzName: a name that passes survives what software does to names that it
// shows: trimming, cutting off what does not print, and splitting into lines.
func FuzzName(f *testing.F) {
	for _, s := range []string{"alice", " a", "a\u200b", "a\u00a0b", "日本語", "\u3164", "a  b", "\xff", "e\u0301", ""} {
		f.Add(s, 150)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = min(max(most, 0), 1000)
		if text.Name(s, most) != "" {
			return
		}
		if s == "" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > most || strings.TrimSpace(s) != s ||
			strings.Join(strings.Fields(s), " ") != s {
			t.Fatalf("%q passes with %d characters", s, most)
		}
		for _, r := range s {
			if unicode.IsControl(r) || unicode.IsSpace(r) && r != ' ' || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q passes with %U", s, r)
			}
		}
		if text.Name(s, most+1) != "" {
			t.Fatalf("%q passes with %d characters and not with one more", s, most)
		}
	})
}
