package text

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Name returns the fault of s as a name of at most the given number of
// characters, or "". The text completes a sentence that begins with the name of
// a field, as in "must not be empty".
//
// A name must look like its characters. It consists of visible characters and
// single ASCII blanks between them. Everything else is refused and never
// repaired: control and format characters, bidirectional overrides, the default
// ignorable code points of Unicode (zero width characters, fillers, variation
// selectors, tags), blanks of other widths, line separators, private use
// characters and what is no character at all. Letters of every script pass, and
// the function does not know which of them look alike.
func Name(s string, most int) string {
	switch {
	case s == "":
		return "must not be empty"
	case len(s) > most*utf8.UTFMax || utf8.RuneCountInString(s) > most:
		return fmt.Sprintf("must have at most %d characters", most)
	case !utf8.ValidString(s):
		return "must be UTF-8"
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return "must not begin or end with a blank"
	}
	if unicode.Is(unicode.M, first) {
		return "must not begin with a combining mark"
	}
	before := rune(-1)
	for _, r := range s {
		if !shows(r) {
			return fmt.Sprintf("must not contain the invisible character %U", r)
		}
		if r == ' ' && before == ' ' {
			return "must not contain two blanks in a row"
		}
		before = r
	}
	return ""
}

// Seen reports whether a reader sees every character of s, or needs it to see the
// others: blanks of every width, joiners and variation selectors pass, bidirectional
// overrides and zero width spaces do not.
func Seen(s string) bool {
	for _, r := range s {
		if !shows(r) && r != '\u200c' && r != '\u200d' && !unicode.In(r, unicode.Zs, unicode.Variation_Selector) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// blank has the characters that Unicode counts as symbols, letters or marks
// although nothing is seen of them.
var blank = map[rune]bool{
	0x2800:  true, // braille pattern without dots
	0x16FE4: true, // filler of the Khitan script
	0x1D159: true, // null notehead
}

// shows reports whether a reader can see r. The ASCII blank counts as seen.
func shows(r rune) bool {
	switch {
	case r == ' ':
		return true
	case r < utf8.RuneSelf:
		return r > ' ' && r != 0x7F
	case r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF: // noncharacters
		return false
	}
	return !blank[r] && !unicode.In(r, unicode.C, unicode.Z,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
