package importer_test

import (
	"bufio"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store/sqlstore"
)

// Of two imports into one target the second is refused, whatever its source, and is told
// who has the target. It changes nothing.
func TestTwoImports(t *testing.T) {
	for _, p := range places {
		t.Run("into "+p.name, func(t *testing.T) {
			_, from := sourceOf(t, places[0], "awx.sql")
			addMany(t, from, 30, 300)
			_, other := sourceOf(t, places[0], "awx.sql")
			to := target(t, p.fresh(t))
			stopped, goOn := make(chan bool), make(chan bool)
			stop := sync.OnceFunc(func() { stopped <- true; <-goOn })
			var running sync.WaitGroup
			running.Go(func() {
				// It lives, however little it gets done.
				mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start, Patience: 5 * time.Second, Progress: func(string, int64, int64) { stop() }})
			})
			<-stopped
			before := dump(t, to)
			var said string
			for _, source := range []string{"the same source", "another source"} {
				o := importer.Options{Kind: importer.AWX, Now: start, Patience: 5 * time.Second, Tell: func(text string) { said = text }}
				db := from
				if source == "another source" {
					db, o.Name = other, "another"
				}
				_, err := importer.Run(t.Context(), db, to, o)
				if holder := fmt.Sprintf("process %d, since", os.Getpid()); !errors.Is(err, importer.ErrHeld) || !strings.Contains(err.Error(), holder) || !strings.Contains(said, holder) {
					t.Errorf("%s: error %v, said %q", source, err, said)
				}
			}
			if _, err := importer.Run(t.Context(), from, to, importer.Options{Kind: importer.AWX, Now: start, DryRun: true}); err != nil {
				t.Errorf("a dry run, which writes nothing: %v", err)
			}
			if diff := cmp.Diff(before, dump(t, to)); diff != "" {
				t.Errorf("rows (-before +after):\n%s", diff)
			}
			close(goOn)
			running.Wait()
			said = ""
			mustImport(t, other, to, importer.Options{Kind: importer.AWX, Name: "another", Now: start, Link: true, Tell: func(text string) { said = text }})
			if said != "" {
				t.Errorf("after the end: said %q", said)
			}
		})
	}
}

// sleep stops an import that waits for a line, between two of the signs that it gives:
// within, it would sleep with a lock, which the database ends in its own way.
func sleep(t *testing.T, p *os.Process, db *database.DB) {
	t.Helper()
	busy := map[sqlstore.Dialect]string{
		sqlstore.SQLite:   "BEGIN IMMEDIATE; ROLLBACK",
		sqlstore.Postgres: "SELECT 1 / (1 - COUNT(*)) FROM (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' LIMIT 1) s",
	}[db.Dialect]
	conn, err := db.Pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Raw(func(any) error { return driver.ErrBadConn }) // nobody else gets it
	if db.Dialect == sqlstore.SQLite {
		// A wait for a lock would be a sleep, in which a step of the import runs out of time.
		if _, err := conn.ExecContext(t.Context(), "PRAGMA busy_timeout = 0"); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 {
		if err := p.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		servertest.Eventually(t, "all threads of the import stop", func() bool { return stopped(t, p) })
		if _, err := conn.ExecContext(t.Context(), busy); err == nil {
			return
		}
		if err := p.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Millisecond) // in which it goes on
	}
	t.Fatal("the import is never at rest")
}

// stopped reports whether every thread of a process has stopped, which takes a while.
func stopped(t *testing.T, p *os.Process) bool {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads of the import: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if _, state, _ := strings.Cut(string(text), ") "); err == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// An import that stands still, as one whose machine sleeps does, is taken for dead. When
// it wakes it ends without a change.
func TestImportWakes(t *testing.T) {
	for _, p := range places {
		t.Run("into "+p.name, func(t *testing.T) {
			name, from := sourceOf(t, places[0], "awx.sql")
			addMany(t, from, 30, 1000)
			o := importer.Options{Kind: importer.AWX, Now: start, NewSecrets: t.TempDir() + "/secrets", Batch: 50, Workers: 3, Patience: killedPatience, RebuildIndexes: p.name == "PostgreSQL"}
			whole := target(t, p.fresh(t))
			mustImport(t, from, whole, o)
			to := p.fresh(t)
			db := target(t, to)
			text, err := json.Marshal(childArgs{name, to, o, 12})
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+string(text))
			var complaint strings.Builder
			cmd.Stderr = &complaint
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			lines := bufio.NewScanner(out)
			for n := 0; n < 12 && lines.Scan(); n++ {
			}
			sleep(t, cmd.Process, db)
			said := ""
			o.Tell = func(text string) { said = text }
			mustImport(t, from, db, o)
			if !strings.Contains(said, fmt.Sprintf("process %d, since", cmd.Process.Pid)) {
				t.Errorf("said %q", said)
			}
			rows := dump(t, db)
			if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			in.Close()
			_, _ = io.Copy(io.Discard, out)
			if err := cmd.Wait(); err == nil || !strings.Contains(complaint.String(), "another one has taken the target over") {
				t.Errorf("the one that slept: %v, %s", err, complaint.String())
			}
			if diff := cmp.Diff(rows, dump(t, db)); diff != "" {
				t.Errorf("rows (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(append(dump(t, whole), rowsOf(t, whole, indexesOf[db.Dialect])...), append(rows, rowsOf(t, db, indexesOf[db.Dialect])...)); diff != "" {
				t.Errorf("rows (-whole +in two):\n%s", diff)
			}
		})
	}
}

// An import whose target another one took is no success, even if it came to its end before
// it noticed.
func TestImportThatLost(t *testing.T) {
	_, from := sourceOf(t, places[0], "awx.sql")
	to := target(t, places[0].fresh(t))
	var once sync.Once
	_, err := importer.Run(t.Context(), from, to, importer.Options{Kind: importer.AWX, Now: start, NewSecrets: t.TempDir() + "/secrets",
		Progress: func(string, int64, int64) {
			once.Do(func() {
				if _, err := to.Pool.Exec("UPDATE auth_import_lease SET holder = 'another'"); err != nil {
					t.Error(err)
				}
			})
		}})
	if err == nil || !strings.Contains(err.Error(), "another one has taken the target over") {
		t.Errorf("the import that lost its target: %v", err)
	}
}
