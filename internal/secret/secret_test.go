package secret

import (
	"hash/crc32"
	"math/big"
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
		{"ost", Access, "osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG"},
		{"ost", Refresh, "ostr_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi4JxgNk"},
		{"ost", Code, "ostc_123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh3HInRu"},
		{"ost", Device, "ostd_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi37QHdk"},
		{"x", Access, "xa_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm0cHajH"},
		{"awx9", Refresh, "awx9r_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi00M6IA"},
	} {
		if !WellFormed(tt.text, tt.prefix, tt.kind) {
			t.Errorf("%s is not well formed", tt.text)
		}
		if got := string(appendChecksum([]byte(tt.text[:len(tt.text)-crcLen]))); got != tt.text {
			t.Errorf("checksum: got %s, want %s", got, tt.text)
		}
		for _, kind := range []byte{Access, Refresh, Code, Device} {
			if kind != tt.kind && WellFormed(tt.text, tt.prefix, kind) {
				t.Errorf("%s is taken for the kind %c", tt.text, kind)
			}
		}
	}
}

// every single edit is noticed, without asking a database.
func TestSecretSingleEdits(t *testing.T) {
	good := New("ost", Access)
	if !WellFormed(good, "ost", Access) {
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
		if WellFormed(s, "ost", Access) {
			t.Errorf("%q passes for %q", s, good)
		}
	}
}

// R-036, case 145: secrets do not repeat and favour no character. With 62
// characters a chi-square above 135 comes up once in a million.
func TestSecretsAreUniform(t *testing.T) {
	const n = 20_000
	seen := make(map[string]bool, n)
	var counts [bodyLen][256]int
	var all [256]int
	for range n {
		s := New("ost", Access)
		if seen[s] {
			t.Fatalf("%s came twice", s)
		}
		seen[s] = true
		for i, c := range []byte(s[5 : 5+bodyLen]) {
			counts[i][c]++
			all[c]++
		}
	}
	chi := func(counts *[256]int, total float64) (sum float64) {
		want := total / 62
		for _, c := range []byte(Base62) {
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

// FuzzSecret holds WellFormed against its definition, and the checksum against
// hash/crc32.
func FuzzSecret(f *testing.F) {
	f.Add("osta_6789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm3phelG", "ost", byte(Access))
	f.Add("xr_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi0Wq4ft", "x", byte(Refresh))
	f.Add("osta_", "ost", byte(Access))
	f.Add("", "", byte(0))
	f.Fuzz(func(t *testing.T, s, prefix string, kind byte) {
		if got, want := checksum(s), crc32.ChecksumIEEE([]byte(s)); got != want {
			t.Fatalf("checksum(%q) = %x, want %x", s, got, want)
		}
		want := false
		if head := prefix + string([]byte{kind}) + "_"; strings.HasPrefix(s, head) && len(s) == len(head)+bodyLen+crcLen {
			want = string(appendChecksum([]byte(s[:len(s)-crcLen]))) == s
		}
		if got := WellFormed(s, prefix, kind); got != want {
			t.Fatalf("WellFormed(%q, %q, %q) = %v", s, prefix, kind, got)
		}
	})
}

// what is derived has the form of every token, depends on each of
// its inputs, and is the same each time.
func TestDerivedSecret(t *testing.T) {
	spent, nonce := New("ost", Refresh), [32]byte{1}
	first := Derive("ost", Access, spent, nonce)
	if !WellFormed(first, "ost", Access) {
		t.Errorf("%q is no access token", first)
	}
	if again := Derive("ost", Access, spent, nonce); again != first {
		t.Error("the second derivation differs")
	}
	body := func(s string) string { return s[5 : 5+bodyLen] }
	for name, other := range map[string]string{
		"kind":        Derive("ost", Refresh, spent, nonce),
		"spent token": Derive("ost", Access, New("ost", Refresh), nonce),
		"nonce":       Derive("ost", Access, spent, [32]byte{2}),
	} {
		if body(other) == body(first) {
			t.Errorf("the %s makes no difference", name)
		}
	}
}

// all refresh tokens that follow one have its locator and nothing else in
// common, however they are made.
func TestSuccessorsKeepTheLocator(t *testing.T) {
	for _, tt := range []struct{ name, prefix, spent string }{
		{"of this version", "ost", New("ost", Refresh)},
		{"of another prefix", "x", New("awx9", Refresh)},
		{"golden", "ost", "ostr_23456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghi4JxgNk"},
	} {
		want := tt.spent[len(tt.spent)-bodyLen-crcLen:][:16]
		seen := make(map[string]bool)
		text := tt.spent
		for n := range byte(50) {
			if n%2 == 0 {
				text = Succeed(tt.prefix, text)
			} else {
				text = Derive(tt.prefix, Refresh, text, [32]byte{n})
			}
			if !WellFormed(text, tt.prefix, Refresh) || Locator(text) != want {
				t.Errorf("%s: %q follows %q", tt.name, text, tt.spent)
			}
			secret := text[len(text)-27-crcLen : len(text)-crcLen]
			if seen[secret] {
				t.Errorf("%s: %q repeats a secret", tt.name, text)
			}
			seen[secret] = true
		}
	}

	// AWX's tokens have none. What follows one has a locator of its own.
	const imported = "abcdefghijABCDEFGHIJ0123456789"
	if got := Locator(imported); got != "" {
		t.Errorf("the locator of an imported token is %q", got)
	}
	for _, pair := range [][2]string{
		{Succeed("ost", imported), Succeed("ost", imported)},
		{Derive("ost", Refresh, imported, [32]byte{1}), Derive("ost", Refresh, imported, [32]byte{2})},
	} {
		if !WellFormed(pair[0], "ost", Refresh) || Locator(pair[0]) == Locator(pair[1]) {
			t.Errorf("%q follow an imported token", pair)
		}
	}
}

func TestBase62AgreesWithBig(t *testing.T) {
	sums := [][32]byte{{}, {31: 1}, {0: 1}}
	for i := range sums[0] {
		var sum [32]byte
		sum[i] = 0xff
		sums = append(sums, sum)
	}
	full := [32]byte{}
	for i := range full {
		full[i] = 0xff
	}
	for _, sum := range append(sums, full) {
		n := new(big.Int).SetBytes(sum[:])
		got := string(appendBase62(nil, sum))
		back := new(big.Int)
		for _, c := range got {
			back.Mul(back, big.NewInt(62)).Add(back, big.NewInt(int64(strings.IndexRune(Base62, c))))
		}
		if len(got) != bodyLen || back.Cmp(n) != 0 {
			t.Errorf("%x became %s", sum, got)
		}
	}
}
