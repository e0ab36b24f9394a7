package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/sqlstore"
)

// rounds returns how often to crash: OSTIARY_ROUNDS where it is set.
func rounds(usual int) int {
	if n, err := strconv.Atoi(os.Getenv("OSTIARY_ROUNDS")); err == nil {
		return n
	}
	return usual
}

// A program that is killed loses nothing that it acknowledged.
func TestKilledProgramLosesNothing(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		p := fresh(t)
		st, db := p.openDB(t)
		acknowledged, pending := 0, 0
		n := rounds(4)
		for round := range n {
			c := start(t, "load", loadArgs{Place: p, Salt: fmt.Sprintf("r%d", round), Workers: 4})
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
	for _, d := range databases() {
		if d.server == nil {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			s := need(t, d.server) // not the one the other tests use
			st, _ := s.place.openDB(t)
			acknowledged, pending := 0, 0
			n := rounds(2)
			for round := range n {
				l := newLedger()
				var mu sync.Mutex
				var once sync.Once
				ctx, cancel := context.WithTimeout(t.Context(), servertest.Patience)
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

// Connections that the server ends at any time cost single calls, and no more: a
// call that reported an error happened wholly or not at all, and once it is over
// everything works again at once.
func TestTerminatedConnections(t *testing.T) {
	for _, d := range databases() {
		if d.server == nil {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			p := d.fresh(t)
			calm, db := p.openDB(t)
			victim := p
			list, end := "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'", "KILL %d"
			if p.Dialect == sqlstore.Postgres {
				victim.DSN += " application_name=victim"
				list, end = "SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'", "SELECT pg_terminate_backend(%d)"
			}
			st := victim.open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l := newLedger()
			var mu sync.Mutex
			failed := 0
			tell := func(line string) {
				mu.Lock()
				defer mu.Unlock()
				l.note(line)
				if line[:3] == "err" {
					failed++
				}
			}
			var wg sync.WaitGroup
			for w := range 4 {
				wg.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						loadAll(ctx, st, fmt.Sprintf("w%d-%d", w, n), 1, tell)
					}
				})
			}
			ended, acknowledged := 0, func() int {
				mu.Lock()
				defer mu.Unlock()
				return l.acknowledged
			}
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			deadline := time.Now().Add(servertest.Patience)
			for n := 0; n < 40 || (ended == 0 || acknowledged() == 0) && time.Now().Before(deadline); n++ {
				ended += endConnections(t, db, list, end)
				<-tick.C
			}
			cancel()
			wg.Wait()
			l.check(t, calm)
			// The load ended by its context, too: at most one error a worker.
			t.Logf("%d connections ended: %d steps acknowledged, %d failed", ended, l.acknowledged, failed)
			if ended == 0 || l.acknowledged == 0 {
				t.Error("nothing happened")
			}
			for range 20 {
				if _, err := st.AccessByDigest(t.Context(), accessOf("nobody")); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("after it was over: %v", err)
				}
			}
		})
	}
}

func endConnections(t *testing.T, db *sql.DB, list, end string) (ended int) {
	t.Helper()
	rows, err := db.Query(list)
	if err != nil {
		return 0 // ended itself, where connections cannot be told apart
	}
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			t.Error(err)
		}
		ids = append(ids, id)
	}
	rows.Close()
	for _, id := range ids {
		if _, err := db.Exec(fmt.Sprintf(end, id)); err == nil { // MySQL prepares no KILL
			ended++
		}
	}
	return ended
}
