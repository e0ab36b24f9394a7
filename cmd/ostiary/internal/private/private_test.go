package private_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/private"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(file("target", 0o644), link); err != nil {
		t.Fatal(err)
	}
	foreign := file("foreign", 0o600)
	if os.Geteuid() == 0 { // nobody else may give a file away
		if err := os.Chown(foreign, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	} else {
		foreign = link
	}
	for name, tt := range map[string]struct {
		path string
		ok   bool
	}{
		"a new file": {filepath.Join(dir, "new"), true}, "an own file": {file("own", 0o600), true}, "a device": {os.DevNull, true},
		"a file that others read": {file("read", 0o640), false}, "a link to one": {link, false}, "somebody else's": {foreign, false}, "a folder": {dir, false},
	} {
		f, err := private.Open(tt.path)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if info, err := f.Stat(); err != nil || info.Mode().IsRegular() && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		f.Close()
	}
}

func TestDistinct(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(a, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		x, y string
		ok   bool
	}{
		"two files": {a, b, true}, "no names": {"", "", true}, "a device": {os.DevNull, os.DevNull, true},
		"one file": {a, a, false}, "another spelling": {a, dir + "/./a", false}, "a link": {a, link, false}, "one that does not exist": {b, dir + "/./b", false},
	} {
		if err := private.Distinct(private.Named{What: "x", Name: tt.x}, private.Named{What: "y", Name: tt.y}); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whoever reads a file with a secret is told that others can, too.
func TestRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(" hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o444: true, 0o622: false} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		said := ""
		text, err := private.Read(name, func(text string) { said += text })
		if text != "hunter2" || err != nil || (said != "") != want || strings.Contains(said, text) || want && !strings.Contains(said, name) {
			t.Errorf("%v: %q, %v, said %q", mode, text, err, said)
		}
	}
}
