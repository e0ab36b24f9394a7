package cli

import (
	"fmt"
	"io"
	"testing"

	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
)

// An import beside another one is a conflict, which a script can tell from an outage.
func TestExitBesideAnotherImport(t *testing.T) {
	a := &app{World: World{Err: io.Discard}, started: true}
	if got := a.exit(t.Context(), fmt.Errorf("%w: process 7", importer.ErrHeld)); got != exitRefused {
		t.Errorf("exit status %d, want %d", got, exitRefused)
	}
}
