package clustertest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ostiary/auth/internal/porttest"
	"github.com/ostiary/auth/internal/servertest"
)

const (
	adminName     = "admin"
	adminPassword = "password of the administrator"
	nodes         = 3 // processes of the server in a cluster
	people        = 4 // users of a cluster
)

// A node is one process of the example server, at an address that it keeps.
type node struct {
	t    testing.TB
	dir  string
	addr string
	args []string
	*servertest.Process

	program string // of another version, "" for this one
}

// newNode starts a server on a free port and does not wait for it.
func newNode(t testing.TB, dir, database string, args ...string) *node {
	t.Helper()
	return newNodeOf(t, "", dir, database, args...)
}

// newNodeOf is newNode with another program.
func newNodeOf(t testing.TB, program, dir, database string, args ...string) *node {
	t.Helper()
	ports, err := porttest.Free("127.0.0.1", 1)
	servertest.Check(t, err)
	n := &node{t: t, program: program, dir: dir, addr: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	n.args = append([]string{"-addr", n.addr, "-db", database, "-users", filepath.Join(dir, "users.json")}, args...)
	n.start()
	return n
}

// start runs the server, again if it had ended.
func (n *node) start() {
	n.t.Helper()
	cmd := exec.Command(cmp.Or(n.program, binary), n.args...)
	cmd.Dir = n.dir
	cmd.Env = append(os.Environ(), "OSTIARY_ADMIN_PASSWORD="+adminPassword)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	n.Process = spawn(n.t, cmd)
}

// listens waits until the server does.
func (n *node) listens() {
	n.t.Helper()
	servertest.Eventually(n.t, "the server listens", func() bool {
		select {
		case <-n.Exited:
			n.t.Fatalf("the server ended:\n%s", worst(n.Output()))
		default:
		}
		return strings.Contains(n.Output(), "Listening on ")
	})
}

// stop asks the server to end, and fails the test if it ends in another way.
func (n *node) stop() {
	n.t.Helper()
	if err := n.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		n.t.Error(err)
	}
	<-n.Exited
	if code := n.Cmd.ProcessState.ExitCode(); code != 0 {
		n.t.Errorf("exit %d after SIGTERM:\n%s", code, worst(n.Output()))
	}
}

func nameOf(user int) string     { return fmt.Sprintf("user%d", user) }
func passwordOf(user int) string { return fmt.Sprintf("the password of user %d", user) }

// usersFile writes the list of the people of a cluster.
func usersFile(t testing.TB, dir string) {
	t.Helper()
	var entries []string
	for n := range people {
		entries = append(entries, fmt.Sprintf(`{"username": %q, "password": %q}`, nameOf(n), passwordOf(n)))
	}
	list := "[" + strings.Join(entries, ",") + "]"
	if err := os.WriteFile(filepath.Join(dir, "users.json"), []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
}
