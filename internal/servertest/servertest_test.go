//go:build unix

package servertest_test

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
)

func shell(t *testing.T, script string) *servertest.Process {
	t.Helper()
	p := servertest.Spawn(t, exec.Command("sh", "-c", script), nil)
	servertest.Eventually(t, "it prints", func() bool { return strings.HasSuffix(p.Output(), "\n") })
	return p
}

// Whoever waits for an answer hears of the end, and what was printed before.
func TestAnswers(t *testing.T) {
	p := shell(t, "echo no socket >&2")
	refused := errors.New("refused")
	err := p.Answers(func(context.Context) error { return refused })
	if !errors.Is(err, refused) || !strings.Contains(err.Error(), "no socket") {
		t.Error(err)
	}
}

// A process takes what it has started along: Exited comes when nobody has its output.
func TestKill(t *testing.T) {
	p := shell(t, "sleep 100000 & echo; wait")
	all := p.All()
	p.Kill()
	if len(all) != 2 || syscall.Kill(all[0], 0) != syscall.ESRCH {
		t.Errorf("%v; the process is still there", all)
	}
}

func TestProgram(t *testing.T) {
	dir := t.TempDir()
	_, err := servertest.Program("This (Debian: that)", filepath.Join(dir, "*"), "ostiary-none")
	if !errors.Is(err, servertest.Missing("This (Debian: that)")) {
		t.Error(err)
	}
	if path, err := servertest.Program("", filepath.Join(dir, "*"), "sh"); err != nil || filepath.Base(path) != "sh" {
		t.Error(path, err)
	}
}
