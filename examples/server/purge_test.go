package main

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/internal/servertest"
)

// onePurge are several servers on one SQLite file, in virtual time.
func onePurge(t *testing.T, servers int) (all []*purges) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "test.db")
	c := config{purgeInterval: time.Hour}
	for range servers {
		db, err := open(t.Context(), file, limits{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		all = append(all, newPurges(c, db))
	}
	return all
}

// TestPurgeTakesTurns runs three servers for a day and a half.
func TestPurgeTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var now, most, total atomic.Int64
		for _, p := range onePurge(t, 3) {
			go p.run(ctx, func(ctx context.Context) error {
				defer now.Add(-1)
				total.Add(1)
				most.Store(max(most.Load(), now.Add(1)))
				select {
				case <-time.After(5 * time.Minute): // many leases
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
		}
		time.Sleep(36 * time.Hour)
		cancel()
		synctest.Wait()
		// Each turn is 5 minutes, an hour, and less than 45 seconds until one asks.
		if n := total.Load(); n < 33 || n > 34 || most.Load() != 1 {
			t.Errorf("%d turns, at most %d at once", n, most.Load())
		}
	})
}

// TestPurgeGoesOn has turns end in each way, and measures when the next one begins.
func TestPurgeGoesOn(t *testing.T) {
	failed := errors.New("failed")
	for _, tt := range []struct {
		name     string
		end      func(t *testing.T, p *purges)
		from, to time.Duration
	}{
		{"well", func(t *testing.T, p *purges) {
			if err := p.turn(t.Context(), func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
		}, time.Hour, time.Hour + maxLease},
		{"with an error", func(t *testing.T, p *purges) {
			if err := p.turn(t.Context(), func(context.Context) error { return failed }); !errors.Is(err, failed) {
				t.Error(err)
			}
		}, maxLease, 2 * maxLease},
		{"with its server", func(t *testing.T, p *purges) {
			ctx, cancel := context.WithCancel(t.Context())
			if err := p.turn(ctx, func(context.Context) error { cancel(); return ctx.Err() }); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}, 0, maxLease},
		{"by a crash", func(t *testing.T, p *purges) {
			if mine, err := p.claim(t.Context()); !mine || err != nil {
				t.Error(mine, err)
			}
		}, maxLease, 2 * maxLease},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := onePurge(t, 2)
				tt.end(t, all[0])
				start := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				all[1].run(ctx, func(context.Context) error { cancel(); return nil })
				if took := time.Since(start); took < tt.from || took > tt.to {
					t.Errorf("the next turn is %v later, want %v to %v", took, tt.from, tt.to)
				}
			})
		})
	}
}

// TestPurgeLosesItsTurn has another server take the lease of one that works.
func TestPurgeLosesItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := onePurge(t, 1)[0]
		err := p.turn(t.Context(), func(ctx context.Context) error {
			if _, err := p.change(ctx, `UPDATE server_purges SET holder = 'another'`); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if err == nil || !strings.Contains(err.Error(), "another server took over") {
			t.Error(err)
		}
		var holder string
		if err := p.db.QueryRow(`SELECT holder FROM server_purges WHERE held_until > 0`).Scan(&holder); err != nil || holder != "another" {
			t.Errorf("held by %q, %v", holder, err)
		}
	})
}

// TestPurgeOnServers has three processes on one database, of which the one that
// removes is killed in the middle of it.
func TestPurgeOnServers(t *testing.T) {
	const lease = 5 * time.Second // long enough for a busy machine to renew it in time
	database := servertest.OnPostgres(t, ping)
	byPID := make(map[string]*server)
	for range 3 {
		s := start(t, t.TempDir(), "-db", database, "-purge-interval", lease.String(), "-db-timeout", "1m")
		byPID[strconv.Itoa(s.cmd.Process.Pid)] = s
	}
	pool, _, err := connect(database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	tx, err := pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	// Nobody gets through with this.
	if _, err := tx.Exec(`LOCK TABLE auth_tokens IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	// holder waits until the condition holds, and returns the process that removes.
	holder := func(condition string) (pid string) {
		for range 6000 {
			var name string
			err := pool.QueryRow(`SELECT COALESCE(MAX(holder), '') FROM pg_sleep(0.05), server_purges, (
				SELECT COUNT(*) AS n FROM pg_locks WHERE NOT granted AND relation = 'auth_tokens'::regclass) waiting
				WHERE held_until > 0 AND ` + condition).Scan(&name)
			if err != nil {
				t.Fatal(err)
			}
			if name != "" {
				return strings.Split(name, "/")[1]
			}
		}
		t.Fatalf("never %s", condition)
		return ""
	}
	first := holder("n = 1")
	for until := time.Now().Add(2 * lease); time.Now().Before(until); {
		if again := holder("n <= 1"); again != first {
			t.Fatalf("%s removes while %s does", again, first)
		}
	}
	killed := time.Now()
	_ = byPID[first].stop(syscall.SIGKILL)
	second := holder("holder NOT LIKE '%/" + first + "/%'")
	t.Logf("another server took over after %v; a lease is %v", time.Since(killed).Round(10*time.Millisecond), lease)
	if byPID[second] == nil {
		t.Errorf("%s took over, which is no server", second)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		if strings.Contains(byPID[second].out.String(), "msg=purged") {
			return
		}
		if _, err := pool.Exec(`SELECT pg_sleep(0.05)`); err != nil {
			t.Fatal(err)
		}
	}
	t.Errorf("nothing was removed:\n%s", byPID[second].out)
}
