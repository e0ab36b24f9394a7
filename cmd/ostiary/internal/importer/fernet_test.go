package importer

import (
	"os/exec"
	"strings"
	"testing"
)

// FuzzDecrypted: any text is refused or decrypted without a panic, and a change of a
// good one is refused. Python's cryptography made the seed.
func FuzzDecrypted(f *testing.F) {
	const good = "$encrypted$UTF8$AESCBC$" +
		"Z0FBQUFBQm5BQUFBQUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEJCUVVGQg=="
	for _, s := range []string{good, "", "clear", "$encrypted$", "$encrypted$AESCBC$", "$encrypted$AES$x", "$encrypted$UTF8$AESCBC$!", "$encrypted$AESCBC$Z0FBQQ==", strings.Repeat("x", 5000)} {
		f.Add(s, "key")
	}
	f.Fuzz(func(t *testing.T, stored, key string) {
		clear, err := decrypted(stored, key)
		if !strings.HasPrefix(stored, encryptedMark) && (clear != stored || err != nil) {
			t.Errorf("a clear text became %q, %v", clear, err)
		}
		if strings.HasPrefix(stored, encryptedMark) && err == nil {
			t.Errorf("%q decrypts to %q", stored, clear)
		}
	})
}

// What Python's cryptography encrypts is decrypted, whatever its length, and not with
// another key, and not after any change.
func TestDecrypted(t *testing.T) {
	script := `
import base64, hashlib, os, sys
from cryptography.hazmat.backends import default_backend
from cryptography.fernet import Fernet
for n in [0, 1, 15, 16, 17, 40, 128, 1000]:
    digest = hashlib.sha512(b"kl\xc3\xbccht" + b"value").digest()
    f = Fernet(Fernet.generate_key())
    f._signing_key, f._encryption_key, f._backend = digest[:32], digest[32:], default_backend()
    for mark in ["UTF8$", ""]:
        print("$encrypted$" + mark + "AESCBC$" + base64.b64encode(f.encrypt(("é" * n).encode())).decode())
`
	python := "/usr/bin/python3"
	if exec.Command(python, "-c", "").Run() != nil {
		python = "python3"
	}
	out, err := exec.Command(python, "-B", "-c", script).Output()
	if err != nil {
		t.Fatalf("Python (Debian: python3-cryptography): %v", err)
	}
	lines := strings.Fields(string(out))
	for i, n := range []int{0, 1, 15, 16, 17, 40, 128, 1000} {
		for _, stored := range lines[2*i : 2*i+2] {
			if clear, err := decrypted(stored, "klücht"); err != nil || clear != strings.Repeat("é", n) {
				t.Errorf("%d characters: %q, %v", n, clear, err)
			}
			if clear, err := decrypted(stored, "klücht "); err == nil {
				t.Errorf("another key decrypts to %q", clear)
			}
		}
	}
	whole := lines[4]
	for at := len("$encrypted$"); at < len(whole); at++ {
		changed := whole[:at] + string(whole[at]^1) + whole[at+1:]
		if clear, err := decrypted(changed, "klücht"); err == nil && clear != strings.Repeat("é", 15) {
			t.Errorf("a change at %d decrypts to %q", at, clear)
		}
	}
}
