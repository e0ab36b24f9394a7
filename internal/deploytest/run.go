package deploytest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// jail is what the shell does with the folder $1 before it becomes $3 and what is
// behind it: only $2 can be written, and only in the way of the volume. As root it
// takes the user and group of the image; anybody else has one user, and keeps it
// without rights.
const jail = `
	set -eu
	root=$1 volume=$2 wd=$3 ids=$4
	shift 4
	mount --make-rprivate /
	mount --bind "$root" "$root"
	mount --bind "$volume" "$root$wd"
	mount -o remount,bind,ro "$root"
	exec unshare $ids --root "$root" --wd "$wd" "$@"`

// Command returns a command that runs in the image as a container does: by its user,
// with its environment alone and more of it, in a root that cannot be written but for
// the volume. It uses namespaces and no engine.
func (i Image) Command(volume string, more []string, args ...string) *exec.Cmd {
	enter := []string{"--mount"}
	user, group, _ := strings.Cut(i.User, ":")
	ids := fmt.Sprintf("--setgid %s --setuid %s", group, user)
	if os.Getuid() != 0 {
		enter, ids = []string{"--mount", "--map-root-user"}, ""
	}
	full := append(enter, "sh", "-c", jail, "jail", i.Root, volume, i.WorkDir, ids)
	cmd := exec.Command("unshare", append(full, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range i.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, more...)
	return cmd
}
