package clustertest

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
)

// spawn starts a command, which is killed when the test ends.
func spawn(t testing.TB, cmd *exec.Cmd) *servertest.Process {
	t.Helper()
	return servertest.Spawn(t, cmd, worst)
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

// finish runs a command to its end.
func finish(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := servertest.Run(cmd)
	servertest.Check(t, err)
	return out
}
