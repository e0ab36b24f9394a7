package audit_test

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ostiary/auth/audit"
)

func TestClip(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"alice":                         "alice",
		strings.Repeat("x", 256):        strings.Repeat("x", 256),
		strings.Repeat("x", 257):        strings.Repeat("x", 256) + "…",
		"\xff\xfe":                      "\uFFFD",
		strings.Repeat("é", 1000):       strings.Repeat("é", 128) + "…",
		"x" + strings.Repeat("é", 1000): "x" + strings.Repeat("é", 127) + "\uFFFD…",
	} {
		if got := audit.Clip(in); got != want || !utf8.ValidString(got) {
			t.Errorf("Clip(%.20q) = %q, want %q", in, got, want)
		}
	}
}

func TestClient(t *testing.T) {
	for addr, want := range map[netip.Addr]string{
		{}:                                 "client=",
		netip.MustParseAddr("192.0.2.1"):   "client=192.0.2.1",
		netip.MustParseAddr("2001:db8::1"): "client=2001:db8::1",
	} {
		if got := audit.Client(addr).String(); got != want {
			t.Errorf("%v: %s, want %s", addr, got, want)
		}
	}
}
