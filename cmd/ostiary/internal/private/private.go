// Package private opens files that their owner alone may read, and reads files with
// secrets.
package private

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// maxSecret is the length of the longest secret in a file, in bytes.
const maxSecret = 64 << 10

// Read returns the text of a file with a secret, without the blanks around it. Warn is
// called as by [Look].
func Read(name string, warn func(string)) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	Look(f, name, warn)
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1)) // a device has no size, and no end
	if err != nil {
		return "", err
	}
	if len(content) > maxSecret {
		return "", fmt.Errorf("%s: longer than %d bytes; the file must have the secret and nothing else", name, maxSecret)
	}
	text := strings.TrimSpace(string(content))
	if text == "" {
		return "", errors.New(name + ": the file is empty")
	}
	return text, nil
}

// Look calls warn with a sentence if others than its owner can read a file with a
// secret. A device or pipe is not looked at.
func Look(f *os.File, name string, warn func(string)) {
	if info, err := f.Stat(); err == nil && Readable(info) {
		warn(fmt.Sprintf("others than its owner can read %s, which has a secret: its mode is %04o, and should be 0600", name, info.Mode().Perm()))
	}
}

// Readable reports whether others than its owner can read a regular file.
func Readable(info os.FileInfo) bool {
	return info.Mode().IsRegular() && shared(info) && info.Mode().Perm()&0o044 != 0
}

// Open opens or creates a file for reading and writing, with the mode 0600. It refuses a
// file that others may use or own, because what is written next is not for them. A
// device, such as /dev/stdout, is not looked at.
func Open(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() && (shared(info) || !ours(info)) {
		err = fmt.Errorf("%s: others than its owner may use it, or it is somebody else's; remove it or set its mode to 0600", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// A Named is a file of a command with what it is for.
type Named struct{ What, Name string }

// Distinct refuses two of the files that are one. A file without a name is none.
func Distinct(files ...Named) error {
	for i, a := range files {
		for _, b := range files[:i] {
			if a.Name != "" && b.Name != "" && same(a.Name, b.Name) {
				return fmt.Errorf("%s and %s are the same file", b.What, a.What)
			}
		}
	}
	return nil
}

func same(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return infoA.Mode().IsRegular() && os.SameFile(infoA, infoB)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}
