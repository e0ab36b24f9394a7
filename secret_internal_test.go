package auth

import (
	"hash/crc32"
	"strings"
	"testing"
)

// the format is the same in every version. Made with Python's zlib.
func TestSecretGolden(t *testing.T) {
	for _, tt := range []struct {
		prefix string
		kind   byte
		text   string
	}{
		{"ost", kindAccess, "osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG"},
		{"ost", kindRefresh, "ostr_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi4JxgNk"},
		{"ost", kindCode, "ostc_123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh3HInRu"},
		{"ost", kindDevice, "ostd_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi37QHdk"},
		{"x", kindAccess, "xa_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm0cHajH"},
		{"awx9", kindRefresh, "awx9r_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi00M6IA"},
	} {
		if !wellFormed(tt.text, tt.prefix, tt.kind) {
			t.Errorf("%s is not well formed", tt.text)
		}
		if got := string(appendChecksum([]byte(tt.text[:len(tt.text)-crcLen]))); got != tt.text {
			t.Errorf("checksum: got %s, want %s", got, tt.text)
		}
		for _, kind := range []byte{kindAccess, kindRefresh, kindCode, kindDevice} {
			if kind != tt.kind && wellFormed(tt.text, tt.prefix, kind) {
				t.Errorf("%s is taken for the kind %c", tt.text, kind)
			}
		}
	}
}

// every single edit is noticed, without asking a store.
func TestSecretSingleEdits(t *testing.T) {
	good := newSecret("ost", kindAccess).Reveal()
	if !wellFormed(good, "ost", kindAccess) {
		t.Fatalf("%s is not well formed", good)
	}
	edits := make(map[string]bool)
	for i := range len(good) {
		edits[good[:i]+good[i+1:]] = true // dropped
		if i > 0 {
			edits[good[:i-1]+good[i:i+1]+good[i-1:i]+good[i+1:]] = true // exchanged
		}
		for c := range 256 {
			edits[good[:i]+string([]byte{byte(c)})+good[i+1:]] = true // replaced
			if c%7 == i%7 {
				edits[good[:i]+string([]byte{byte(c)})+good[i:]] = true // added
			}
		}
	}
	for _, end := range []string{" ", "=", "\n", "\x00", "A"} {
		edits[good+end], edits[end+good] = true, true
	}
	edits[strings.ToUpper(good)], edits[strings.ToLower(good)] = true, true
	delete(edits, good)
	for s := range edits {
		if wellFormed(s, "ost", kindAccess) {
			t.Errorf("%q passes for %q", s, good)
		}
	}
}

// R-036, case 145: secrets do not repeat and favour no character. With 62
// characters a chi-square above 135 comes up once in a million.
func TestSecretsAreUniform(t *testing.T) {
	const n = 20_000
	seen := make(map[Secret]bool, n)
	var counts [bodyLen][256]int
	var all [256]int
	for range n {
		s := newSecret("ost", kindAccess)
		if seen[s] {
			t.Fatalf("%s came twice", s.Reveal())
		}
		seen[s] = true
		for i, c := range []byte(s.Reveal()[5 : 5+bodyLen]) {
			counts[i][c]++
			all[c]++
		}
	}
	chi := func(counts *[256]int, total float64) (sum float64) {
		want := total / 62
		for _, c := range []byte(base62) {
			d := float64(counts[c]) - want
			sum += d * d / want
		}
		return sum
	}
	for i := range counts {
		if x := chi(&counts[i], n); x > 150 {
			t.Errorf("position %d: chi-square %.0f", i, x)
		}
	}
	if x := chi(&all, n*bodyLen); x > 150 {
		t.Errorf("all positions: chi-square %.0f", x)
	}
}

// FuzzSecret holds wellFormed against its definition, and the checksum against
// hash/crc32.
func FuzzSecret(f *testing.F) {
	f.Add("osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG", "ost", byte(kindAccess))
	f.Add("xr_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi0Wq4ft", "x", byte(kindRefresh))
	f.Add("osta_", "ost", byte(kindAccess))
	f.Add("", "", byte(0))
	f.Fuzz(func(t *testing.T, s, prefix string, kind byte) {
		if got, want := checksum(s), crc32.ChecksumIEEE([]byte(s)); got != want {
			t.Fatalf("checksum(%q) = %x, want %x", s, got, want)
		}
		want := false
		if head := prefix + string([]byte{kind}) + "_"; strings.HasPrefix(s, head) && len(s) == len(head)+bodyLen+crcLen {
			want = string(appendChecksum([]byte(s[:len(s)-crcLen]))) == s
		}
		if got := wellFormed(s, prefix, kind); got != want {
			t.Fatalf("wellFormed(%q, %q, %q) = %v", s, prefix, kind, got)
		}
		if body := s[:min(len(s), bodyLen)]; alphanumeric(body) != (strings.Trim(body, base62) == "") {
			t.Fatalf("alphanumeric(%q) = %v", body, alphanumeric(body))
		}
	})
}
