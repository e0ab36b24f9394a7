// Package text has the rules for text that people write and read.
package text

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxDescription is the length of the longest description, in bytes.
const MaxDescription = 4096

// Description returns the fault of a description before it is stored, "" for
// none.
func Description(s string) string {
	switch {
	case len(s) > MaxDescription:
		return fmt.Sprintf("Must not be longer than %d bytes.", MaxDescription)
	case strings.ContainsRune(s, 0) || !utf8.ValidString(s):
		return "Null characters and invalid UTF-8 are not allowed."
	}
	return ""
}
