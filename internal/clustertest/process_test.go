package clustertest

import (
	"bytes"
	"cmp"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/porttest"
)

// A process is a program in the background. Nothing of it outlives the test.
type process struct {
	cmd    *exec.Cmd
	out    *output
	exited chan struct{}
}

// output is what a process printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// spawn starts a command, which is killed when the test ends.
func spawn(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: new(output), exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	started := make(chan error)
	go func() {
		// The kernel kills the process with the thread that started it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.exited
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), worst(p.out.String()))
		}
	})
	return p
}

// worst returns the last lines of a log that are not usual.
func worst(log string) string {
	const most = 12
	var lines []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "level=INFO") && !strings.Contains(line, "status=401") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "")
}

// all returns the process and its children, which PostgreSQL puts into groups of
// their own.
func (p *process) all() []int {
	parent := p.cmd.Process.Pid
	pids := []int{parent}
	out, _ := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(parent)).Output()
	for field := range strings.FieldsSeq(string(out)) {
		if pid, err := strconv.Atoi(field); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// signal sends a signal to the process, and then to its children.
func (p *process) signal(sig syscall.Signal) {
	select {
	case <-p.exited:
		return
	default:
	}
	for _, pid := range p.all() {
		_ = syscall.Kill(pid, sig)
	}
}

// kill ends the process as a crash of its machine would.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// command runs as another account, in a folder that this may use.
func command(as *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}

// finish runs a command to its end. The kernel kills it with the thread that
// started it, so that thread is kept.
func finish(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// programOf returns where a program is. The test is skipped where it is not
// installed, but not in CI.
func programOf(t testing.TB, what, pattern, name string) string {
	t.Helper()
	if found, _ := filepath.Glob(pattern); len(found) > 0 {
		return found[len(found)-1]
	}
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("%s is not installed", what)
	}
	if err != nil {
		t.Fatalf("%s is not installed", what)
	}
	return path
}

// account returns the account to run a database as, which root may not: nil if
// this one will do.
func account(t testing.TB, name string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// folder makes a folder for an account, with a path short enough for a socket in
// it.
func folder(t testing.TB, as *syscall.Credential) string {
	t.Helper()
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("OSTIARY_TMP"), "/tmp"), "ostiary")
	if err == nil && as != nil {
		err = os.Chown(dir, int(as.Uid), int(as.Gid))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// freePorts returns ports of loopback that nobody listens at.
func freePorts(t testing.TB, n int) []int {
	t.Helper()
	ports, err := porttest.Free("127.0.0.1", n)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

// patience is how long is waited for what must happen: only what hangs takes as long.
const patience = 5 * time.Minute

// eventually waits until ok reports true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
