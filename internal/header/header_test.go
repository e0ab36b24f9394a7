package header_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
	"unsafe"

	"github.com/ostiary/auth/internal/header"
)

func TestAuthorization(t *testing.T) {
	for _, tt := range []struct {
		name         string
		values       []string
		scheme, rest string
		err          error
	}{
		{"absent", nil, "", "", header.ErrAbsent},
		{"no values", []string{}, "", "", header.ErrAbsent},
		{"empty", []string{""}, "", "", nil},
		{"only a scheme", []string{"Bearer"}, "Bearer", "", nil},
		{"a scheme and a blank", []string{"Bearer "}, "Bearer", "", nil},
		{"both", []string{"Bearer x"}, "Bearer", "x", nil},
		{"more blanks, RFC 9110 section 11.4", []string{"Bearer   x y "}, "Bearer", "x y ", nil},
		{"a tab is no separator", []string{"Bearer\tx"}, "Bearer\tx", "", nil},
		{"a no-break space is none", []string{"Bearer\u00a0x"}, "Bearer\u00a0x", "", nil},
		{"a blank first", []string{" Bearer x"}, "", "Bearer x", nil},
		{"two", []string{"a", "b"}, "", "", header.ErrDoubled},
		{"the same twice", []string{"a", "a"}, "", "", header.ErrDoubled},
		{"an empty one and another", []string{"", "a"}, "", "", header.ErrDoubled},
	} {
		scheme, rest, err := header.Authorization(http.Header{"Authorization": tt.values})
		if scheme != tt.scheme || rest != tt.rest || err != tt.err {
			t.Errorf("%s: %q, %q, %v", tt.name, scheme, rest, err)
		}
	}
}

// schemes fold in ASCII only.
func TestIsScheme(t *testing.T) {
	for scheme, want := range map[string]bool{
		"basic": true, "Basic": true, "BASIC": true, "bAsIc": true,
		"": false, "basi": false, "basics": false, "Baſic": false, "Ｂasic": false, "bas\x09c": false, "BASI\x03": false, "BAS)C": false,
	} {
		if got := header.IsScheme(scheme, "basic"); got != want {
			t.Errorf("%q: %v", scheme, got)
		}
	}
}

//
func TestBasic(t *testing.T) {
	long := strings.Repeat("p", 1024)
	for _, tt := range []struct {
		name, pair     string
		user, password string
		ok             bool
	}{
		{"both", "u:p", "u", "p", true},
		{"the first colon splits", "u:p:q:", "u", "p:q:", true},
		{"no user", ":p", "", "p", true},
		{"no password", "u:", "u", "", true},
		{"no colon", "up", "", "", false},
		{"nothing", "", "", "", false},
		{"UTF-8", "ü:€", "ü", "€", true},
		{"Latin-1", "\xfc:\xe9", "ü", "é", true},
		{"Latin-1 with C1 controls", "\xff\xfe:\x80\x81", "", "", false},
		{"a surrogate in UTF-8", "\xed\xa0\x80:x", "", "", false},
		{"NUL", "u\x00:p", "", "", false},
		{"DEL", "u:p\x7f", "", "", false},
		{"NEL", "u\u0085:p", "", "", false},
		{"no-break space is no control", "u\u00a0:p", "u\u00a0", "p", true},
		{"the longest", strings.Repeat("é", 150) + ":" + long, strings.Repeat("é", 150), long, true},
		{"longer than any", strings.Repeat("u", 1801), "", "", false},
	} {
		user, password, ok := header.Basic(base64.StdEncoding.EncodeToString([]byte(tt.pair)))
		if user != tt.user || password != tt.password || ok != tt.ok {
			t.Errorf("%s: %q, %q, %v", tt.name, user, password, ok)
		}
	}
	for name, credentials := range map[string]string{
		"bits to spare": "dTpwdTB=", "no padding": "dTo", "too much padding": "dTpw====", "line break": "dTp\nw", "carriage return": "dTpw\r",
		"blank": "dTpw ", "base64url": "dTp_", "padding first": "=dTpw", "text behind padding": "dTo=dTpw",
	} {
		if user, password, ok := header.Basic(credentials); ok {
			t.Errorf("%s: %q is taken for %q, %q", name, credentials, user, password)
		}
	}
}

func seed(f *testing.F) {
	text, err := os.ReadFile("../../testdata/hostile-inputs.json")
	if err != nil {
		f.Fatal(err)
	}
	var rows []struct {
		Parser, Input string
		Base64        bool
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		f.Fatal(err)
	}
	for _, row := range rows {
		if row.Parser != "authorization" {
			continue
		}
		if b, err := base64.StdEncoding.DecodeString(row.Input); row.Base64 && err == nil {
			row.Input = string(b)
		}
		f.Add(row.Input)
	}
	for _, s := range []string{"Basic dTpw", "basic  dTpw", "Basic dTpwOnE=", "Basic /DrpbA==", "Bearer x", ""} {
		f.Add(s)
	}
}

var shape = regexp.MustCompile(`(?s)^([^ ]*) *(.*)$`)

// FuzzAuthorization holds the parser against a regular expression.
func FuzzAuthorization(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, value string) {
		scheme, rest, err := header.Authorization(http.Header{"Authorization": {value}})
		if m := shape.FindStringSubmatch(value); err != nil || m == nil || scheme != m[1] || rest != m[2] {
			t.Fatalf("%q: %q, %q, %v; want %q", value, scheme, rest, err, m)
		}
		ascii := !strings.ContainsFunc(scheme, func(r rune) bool { return r > unicode.MaxASCII })
		if got, want := header.IsScheme(scheme, "basic"), ascii && strings.EqualFold(scheme, "basic"); got != want {
			t.Fatalf("IsScheme(%q) = %v", scheme, got)
		}
	})
}

// FuzzBasic holds the parser against that of net/http: whatever it accepts,
// net/http reads alike, but for Latin-1; and it encodes back to what was sent.
func FuzzBasic(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, value string) {
		_, credentials, err := header.Authorization(http.Header{"Authorization": {value}})
		if err != nil {
			t.Fatal(err)
		}
		user, password, ok := header.Basic(credentials)
		if !ok {
			if user != "" || password != "" {
				t.Fatalf("%q is refused with %q, %q", value, user, password)
			}
			return
		}
		if strings.Contains(user, ":") || header.HasControl(user+password) || !utf8.ValidString(user+password) ||
			strings.ContainsFunc(user+password, unicode.IsControl) {
			t.Fatalf("%q gives %q, %q", value, user, password)
		}
		r := http.Request{Header: http.Header{"Authorization": {"Basic " + credentials}}}
		user2, password2, ok := r.BasicAuth()
		if !ok {
			t.Fatalf("net/http refuses %q", credentials)
		}
		if pair := user2 + ":" + password2; !utf8.ValidString(pair) {
			var b strings.Builder
			for i := range len(pair) {
				b.WriteRune(rune(pair[i]))
			}
			user2, password2, _ = strings.Cut(b.String(), ":")
		} else if base64.StdEncoding.EncodeToString([]byte(user+":"+password)) != credentials {
			t.Fatalf("%q is not what %q, %q encodes to", credentials, user, password)
		}
		if user != user2 || password != password2 {
			t.Fatalf("%q, %q, but for net/http %q, %q", user, password, user2, password2)
		}
	})
}

// FuzzControl holds HasControl against package unicode, for UTF-8.
func FuzzControl(f *testing.F) {
	for _, s := range []string{"", "a", "\x00", "\x7f", "\u0080", "\u009f", "\u00a0", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			_ = header.HasControl(s)
			return
		}
		if got, want := header.HasControl(s), strings.ContainsFunc(s, unicode.IsControl); got != want {
			t.Fatalf("HasControl(%q) = %v", s, got)
		}
	})
}

// The name and the password share no memory: what keeps the name, such as a cache of
// users, must not keep the password with it.
func TestBasicNameDoesNotHoldThePassword(t *testing.T) {
	for _, pair := range []string{
		"a-name-of-exactly-thirty-2-bytes:and a password of another length, so that both are far apart",
		"a-name-of-exactly-thirty-2-byte\xe9:and a password of another length, so that both are far apart",
	} {
		user, password, ok := header.Basic(base64.StdEncoding.EncodeToString([]byte(pair)))
		if !ok {
			t.Fatal(pair)
		}
		u, p := uintptr(unsafe.Pointer(unsafe.StringData(user))), uintptr(unsafe.Pointer(unsafe.StringData(password)))
		if u+uintptr(len(user))+1 == p {
			t.Errorf("%q holds %q", user, password)
		}
	}
}
