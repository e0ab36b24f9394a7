package sqltest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/store/sqlstore"
)

// rounds returns how often to crash: OSTIARY_ROUNDS where it is set.
func rounds(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("OSTIARY_ROUNDS")); err == nil {
		return n
	}
	return usual
}

// after waits at least d. Crashes come at random times of the wall clock.
func after(d time.Duration) { <-time.After(d) }

// A program that is killed loses nothing that it acknowledged.
func TestKilledProgramLosesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		acknowledged, pending := 0, 0
		n := rounds(4)
		for round := range n {
			c := start(t, "load", loadArgs{p, fmt.Sprintf("r%d", round), 4})
			l := newLedger()
			var timer *time.Timer
			for c.lines.Scan() {
				if timer == nil { // from the first step on
					timer = time.AfterFunc(rand.N(400*time.Millisecond), func() { c.cmd.Process.Kill() })
				}
				l.note(c.lines.Text())
			}
			c.cmd.Wait()
			l.check(t, st)
			acknowledged += l.acknowledged
			pending += len(l.pending)
		}
		if p.Dialect == sqlstore.SQLite {
			var answer string
			if err := db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
				t.Errorf("integrity_check: %s, %v", answer, err)
			}
		}
		t.Logf("%d rounds: %d steps acknowledged, %d under way at the kill", n, acknowledged, pending)
	})
}

// A server that is killed loses nothing that was acknowledged, and the store
// goes on when it is back.
func TestKilledServerLosesNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		get  func() (*server, error)
	}{
		{"PostgreSQL", newPostgres},
		{"MariaDB", newMariaDB},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := need(t, tt.get) // not the one the other tests use
			st, _ := s.place.openDB(t)
			acknowledged, pending := 0, 0
			n := rounds(2)
			for round := range n {
				l := newLedger()
				var mu sync.Mutex
				var once sync.Once
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				loadAll(ctx, st, fmt.Sprintf("r%d", round), 4, func(line string) {
					mu.Lock()
					defer mu.Unlock()
					l.note(line)
					once.Do(func() { time.AfterFunc(rand.N(400*time.Millisecond), s.kill) })
				})
				if ctx.Err() != nil {
					t.Error("the load did not notice that the server is gone")
				}
				cancel()
				if err := s.start(); err != nil {
					t.Fatal(err)
				}
				l.check(t, st)
				acknowledged += l.acknowledged
				pending += len(l.pending)
			}
			t.Logf("%d rounds: %d steps acknowledged, %d under way at the kill", n, acknowledged, pending)
		})
	}
}
