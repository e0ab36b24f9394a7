//go:build unix

package private

import (
	"os"
	"syscall"
)

// shared reports whether others than the owner of a file may use it.
func shared(info os.FileInfo) bool { return info.Mode().Perm()&0o077 != 0 }

// ours reports whether a file belongs to the user of this process. In a folder where
// everybody may create files, somebody else may have been there first.
func ours(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(st.Uid) == os.Geteuid()
}
