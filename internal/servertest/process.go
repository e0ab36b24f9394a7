//go:build unix

package servertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/logtest"
)

// Patience is how long is waited for what must happen: only what hangs takes as long.
const Patience = 5 * time.Minute

// Command returns a command that runs as another account, in a folder that this may
// use.
func Command(as *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.SysProcAttr = attributes(as)
	return cmd
}

// Run runs a command to its end, and returns what it printed.
func Run(cmd *exec.Cmd) (string, error) {
	// The kernel kills it with the thread that started it, so that thread is kept.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return string(out), err
}

// A Process is a program in the background.
type Process struct {
	Cmd    *exec.Cmd
	Exited <-chan struct{} // closed when the process, and what it started, are gone
	out    logtest.Buffer
}

// Start starts a command.
func Start(cmd *exec.Cmd) (*Process, error) {
	exited := make(chan struct{})
	p := &Process{Cmd: cmd, Exited: exited}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	started := make(chan error)
	go func() {
		// The kernel kills the process with the thread that started it, which ends
		// with this goroutine.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(exited)
	}()
	return p, <-started
}

// Spawn starts a command, which is killed when the test ends. If the test failed it
// logs what the command printed, or what show makes of that.
func Spawn(t testing.TB, cmd *exec.Cmd, show func(log string) string) *Process {
	t.Helper()
	p, err := Start(cmd)
	Check(t, err)
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			log := p.Output()
			if show != nil {
				log = show(log)
			}
			t.Logf("%s:\n%s", filepath.Base(cmd.Path), log)
		}
	})
	return p
}

// Output returns what the process printed so far.
func (p *Process) Output() string { return p.out.String() }

// Answers waits until ping succeeds. It gives up when the process has exited, or
// after Patience.
func (p *Process) Answers(ping func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := ping(ctx)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-p.Exited:
			return fmt.Errorf("%s ended by itself: %w\n%s", filepath.Base(p.Cmd.Path), err, p.Output())
		case <-tick.C:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s does not answer: %w\n%s", filepath.Base(p.Cmd.Path), err, p.Output())
		}
	}
}

// children returns what the process started: PostgreSQL puts that into groups of its
// own.
func (p *Process) children() (pids []int) {
	out, _ := exec.Command("ps", "-A", "-o", "ppid=,pid=").Output()
	for line := range strings.Lines(string(out)) {
		var parent, pid int
		if _, err := fmt.Sscan(line, &parent, &pid); err == nil && parent == p.Cmd.Process.Pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// All returns the process and its children.
func (p *Process) All() []int { return append([]int{p.Cmd.Process.Pid}, p.children()...) }

// Signal sends a signal to the process, and then to its children.
func (p *Process) Signal(sig syscall.Signal) {
	select {
	case <-p.Exited:
		return
	default:
	}
	children := p.children() // before they have another parent
	_ = p.Cmd.Process.Signal(sig)
	children = append(children, p.children()...) // when there come no more
	slices.Sort(children)
	for _, pid := range slices.Compact(children) {
		_ = syscall.Kill(pid, sig)
	}
}

// Kill ends the process as a crash of its machine would.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.Exited
}

// Eventually waits until ok reports true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(Patience); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, Patience)
		}
	}
}
