//go:build unix

package servertest

import (
	"cmp"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Missing is the error about programs that are not installed.
type Missing string

func (m Missing) Error() string { return string(m) + " is not installed" }

// Check fails the test if there is an error, and skips it where a program is
// [Missing]. In CI nothing is skipped.
func Check(t testing.TB, err error) {
	t.Helper()
	if _, missing := errors.AsType[Missing](err); missing && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Program returns where a program is: the last file that matches the pattern, or what
// is found under the name. Otherwise what is [Missing].
func Program(what, pattern, name string) (string, error) {
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", Missing(what)
	}
	return path, nil
}

// Account returns the account to run a server as, which root may not: nil if this
// one will do.
func Account(name string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// Folder makes a folder for an account, with a path short enough for a socket in it,
// which may have 107 bytes.
func Folder(as *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("OSTIARY_TMP"), "/tmp"), "ostiary")
	if err == nil && as != nil {
		if err = os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			_ = os.RemoveAll(dir)
		}
	}
	return dir, err
}

// TempFolder is [Folder] for the time of a test.
func TempFolder(t testing.TB, as *syscall.Credential) string {
	t.Helper()
	dir, err := Folder(as)
	Check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
