package sqltest

import (
	"bytes"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store/sqlstore"
)

// BenchmarkCapacity reports what doc/scaling.md calculates with: the processor time
// of one look-up in this process and in the server of the database, that of an issued
// token, and the bytes on the disk of one token with its indexes. Processor times
// depend on the load of the machine far less than the time on the clock.
func BenchmarkCapacity(b *testing.B) {
	benchStores(b, func(b *testing.B, st *sqlstore.Store, db *sql.DB, p place, rows int) {
		tokens := auth.Must(auth.NewTokens(st, st, &auth.TokensOptions{MaxPerUser: -1, Logger: slog.New(slog.DiscardHandler)}))
		by := &auth.Principal{ID: "1", Name: "bench", Scopes: auth.Unrestricted}
		for _, step := range []struct {
			name string
			do   func(i int64) error
		}{
			{"look up", func(i int64) error {
				_, err := st.AccessByDigest(b.Context(), accessOf(strconv.Itoa(int(i)*7919%rows)))
				return err
			}},
			{"issue", func(int64) error {
				_, err := tokens.Issue(b.Context(), by, auth.TokenRequest{})
				return err
			}},
		} {
			b.Run(step.name, func(b *testing.B) {
				bytes := float64(p.size(b, db)) / float64(rows) // before others are issued
				measure(b, p, step.do)
				if step.name == "look up" {
					b.ReportMetric(bytes, "B/token")
				}
			})
		}
	})
}

// measure runs do by 16 goroutines and reports the processor times of one run.
func measure(b *testing.B, p place, do func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	own, server, begun := ownTime(b), p.serverTime(b), time.Now()
	for range 16 {
		group.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	took := time.Since(begun)
	n := float64(b.N)
	b.ReportMetric(float64((ownTime(b)-own).Microseconds())/n, "own-µs")
	b.ReportMetric(float64((p.serverTime(b)-server).Microseconds())/n, "server-µs")
	b.ReportMetric(n/took.Seconds(), "op/s")
	b.ReportMetric(0, "ns/op")
}

// ownTime returns the processor time of this process.
func ownTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serverTime returns the processor time of the processes that run in the folder of the
// server, 0 for SQLite.
func (p place) serverTime(b *testing.B) (sum time.Duration) {
	b.Helper()
	if p.Dialect == sqlstore.SQLite {
		return 0
	}
	var dir string
	runningMu.Lock()
	for _, s := range running {
		if strings.Contains(p.DSN, s.dir) {
			dir = s.dir
		}
	}
	runningMu.Unlock()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || dir == "" {
		b.Fatal(dir, err)
	}
	const tick = 10 * time.Millisecond // USER_HZ is 100 on Linux
	for _, stat := range stats {
		if cwd, err := os.Readlink(filepath.Dir(stat) + "/cwd"); err != nil || !strings.HasPrefix(cwd, dir) {
			continue
		}
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // from the third one of proc(5) on
		for _, field := range fields[11:13] {
			n, err := strconv.ParseInt(string(field), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum
}

// size returns the bytes of the table of tokens with its indexes.
func (p place) size(b *testing.B, db *sql.DB) (n int64) {
	b.Helper()
	table := p.sql("auth_tokens")
	query := map[sqlstore.Dialect]string{
		sqlstore.SQLite:   "SELECT SUM(pgsize) FROM dbstat WHERE name LIKE '%tokens%'",
		sqlstore.Postgres: "SELECT pg_total_relation_size('" + table + "')",
		sqlstore.MySQL:    "SELECT data_length + index_length FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '" + table + "'",
	}[p.Dialect]
	if p.Dialect == sqlstore.MySQL {
		if _, err := db.Exec("ANALYZE TABLE " + table); err != nil {
			b.Fatal(err)
		}
	}
	if err := db.QueryRow(query).Scan(&n); err != nil {
		b.Fatal(fmt.Errorf("the size of the tokens: %w", err))
	}
	return n
}
