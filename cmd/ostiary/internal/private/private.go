// Package private opens files that their owner alone may read.
package private

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

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
