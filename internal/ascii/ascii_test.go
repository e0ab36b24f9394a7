package ascii

import (
	"strings"
	"testing"
)

// Each rule is held against its ABNF, written out, for every byte.
func TestClasses(t *testing.T) {
	const (
		digit = "0123456789"
		alpha = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	)
	for _, tt := range []struct {
		name  string
		rule  func(string) bool
		chars string
	}{
		{"Visible, RFC 5234 B.1", Visible, "!\"#$%&'()*+,-./" + digit + ":;<=>?@" + alpha + "[\\]^_`{|}~"},
		{"Alphanumeric, RFC 5234 B.1", Alphanumeric, digit + alpha},
		{"Token, RFC 9110 5.6.2", Token, "!#$%&'*+-.^_`|~" + digit + alpha},
		{"Unreserved, RFC 3986 2.3", Unreserved, "-._~" + digit + alpha},
		{"Token68, RFC 9110 11.2", Token68, "-._~+/" + digit + alpha},
		{"Base64URL, RFC 4648 5", Base64URL, "-_" + digit + alpha},
		{"Scope, RFC 6749 3.3", Scope, "!#$%&'()*+,-./" + digit + ":;<=>?@" + alpha + "[]^_`{|}~"},
		{"LowerHex", func(s string) bool { return LowerHex(s + s) }, digit + "abcdef"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for c := range 256 {
				s := string([]byte{byte(c)})
				if want, got := strings.Contains(tt.chars, s), tt.rule(s); want != got {
					t.Errorf("%q: want %v, got %v", s, want, got)
				}
			}
			if tt.rule("") {
				t.Error("the empty string passes")
			}
		})
	}
	for s, want := range map[string]bool{"ab": true, "abc": false, "AB": false} {
		if LowerHex(s) != want {
			t.Errorf("LowerHex(%q): want %v", s, want)
		}
	}
	for s, want := range map[string]bool{"YQ==": true, "=": false, "a=b": false} {
		if Token68(s) != want {
			t.Errorf("Token68(%q): want %v", s, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		list, word string
		want       bool
	}{
		{"read write", "write", true},
		{"read write", "writ", false},
		{"", "", false},
		{"read  write", "", true},
	} {
		if got := HasWord(tt.list, tt.word); got != tt.want {
			t.Errorf("HasWord(%q, %q): want %v, got %v", tt.list, tt.word, tt.want, got)
		}
	}
	if !EqualFold("BaSIC", "basic") || EqualFold("Baſic", "basic") || EqualFold("basic ", "basic") || EqualFold("@", "`") {
		t.Error("EqualFold folds more or less than ASCII letters")
	}
	if got := TrimOWS(" \t a b\t "); got != "a b" {
		t.Errorf("TrimOWS: got %q", got)
	}
	if got := Quotable("a\"b\\c\nü"); got != "a?b?c??" {
		t.Errorf("Quotable: got %q", got)
	}
}
