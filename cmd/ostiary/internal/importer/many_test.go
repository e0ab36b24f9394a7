package importer_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store/sqlstore"
)

var (
	benchTokens = flag.Int("tokens", 20_000, "access tokens of BenchmarkImport")
	manyTokens  = flag.Int("many", 2_000, "personal tokens, and access tokens of applications, of TestNobodyIsLoggedOut")
)

// accessText and refreshText are tokens of a made source, by number.
func accessText(n int) string  { return fmt.Sprintf("madeAccess%020d", n) }
func refreshText(n int) string { return fmt.Sprintf("madeRefresh%019d", n) }

// addMany adds users, and tokens to a source of AWX. Of each two tokens one is
// personal and one has an application and a refresh token. Numbers begin at 1000.
func addMany(t testing.TB, from *database.DB, users, tokens int) {
	t.Helper()
	numbers := func(n int) string { return fmt.Sprintf("generate_series(1000, %d) AS g (n)", 999+n) }
	padded := "LPAD(CAST(n AS TEXT), %d, '0')"
	if from.Dialect == sqlstore.SQLite {
		numbers = func(n int) string {
			return fmt.Sprintf("(WITH RECURSIVE g (n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM g WHERE n < %d) SELECT n FROM g) g", 999+n)
		}
		padded = "SUBSTR('00000000000000000000' || n, -%d)"
	}
	at := "'" + recent.Format(sqlTime) + "'"
	run(t, from, `INSERT INTO auth_user SELECT n, '', NULL, false, 'made' || n, '', '', '', false, true, `+at+` FROM `+numbers(users))
	run(t, from, `INSERT INTO main_oauth2accesstoken SELECT n, 'madeAccess' || `+fmt.Sprintf(padded, 20)+`, '3021-01-01 00:00:00+00', 'write', `+at+`, `+at+`, 'made ' || n, `+at+`,
		CASE WHEN n % 2 = 1 THEN 3 END, 1000 + n % `+fmt.Sprint(users)+`, NULL, `+at+`, NULL FROM `+numbers(tokens))
	run(t, from, `INSERT INTO oauth2_provider_refreshtoken SELECT n, 'madeRefresh' || `+fmt.Sprintf(padded, 19)+`, n, 3, 1000 + n % `+fmt.Sprint(users)+`, `+at+`, `+at+`, NULL
		FROM `+numbers(tokens)+` WHERE n % 2 = 1`)
	if from.Dialect == sqlstore.Postgres {
		run(t, from, "ANALYZE")
	}
}

// After an import of many tokens nobody is logged out: all are counted, and some are
// used.
func TestNobodyIsLoggedOut(t *testing.T) {
	n := *manyTokens
	_, from := sourceOf(t, places[1], "awx.sql")
	addMany(t, from, n/10, 2*n)
	to := target(t, places[1].fresh(t))
	began := time.Now()
	report := mustImport(t, from, to, importer.Options{Kind: importer.AWX, Now: start})
	t.Logf("%d personal tokens and %d with refresh tokens in %v", n, n, time.Since(began))
	if c := *report.Counts["tokens"]; c != (importer.Counts{Read: int64(2*n + 5), Stored: int64(2*n + 4), LeftOut: 1}) {
		t.Errorf("tokens %+v", c)
	}
	var live, refresh int
	err := to.Pool.QueryRow(`SELECT COUNT(*), COUNT(refresh_digest) FROM auth_tokens t JOIN auth_users u ON u.id = t.user_id
		WHERE t.expires_at > $1 AND t.revoked_at IS NULL AND u.is_active AND t.family = t.id`, time.Now().UnixMicro()).Scan(&live, &refresh)
	if err != nil || live != 2*n+4 || refresh != n+2 {
		t.Errorf("%d tokens live and %d are refreshed, %v", live, refresh, err)
	}
	s := serve(t, to)
	for i := range 100 {
		number := 1000 + i*(2*n-1)/100
		want := fmt.Sprint("made", 1000+number%(n/10))
		if got := s.me(accessText(number)); got != want {
			t.Errorf("token %d is %q, want %q", number, got, want)
		}
		if number%2 == 0 {
			continue
		}
		status, access, next := s.token(webID, "clear-secret-of-an-old-version", refreshOf(refreshText(number)))
		if got := s.me(access); status != 200 || got != want {
			t.Errorf("refresh %d: %d, %q", number, status, got)
		}
		if i > 50 {
			continue
		}
		if status, _, _ := s.token(webID, "clear-secret-of-an-old-version", refreshOf(next)); status != 200 {
			t.Errorf("second refresh %d: %d", number, status)
		}
	}
}

// BenchmarkImport imports -tokens access tokens, half of them with a refresh token,
// from PostgreSQL.
func BenchmarkImport(b *testing.B) {
	_, from := sourceOf(b, places[1], "awx.sql")
	addMany(b, from, *benchTokens/10, *benchTokens)
	for _, p := range places {
		b.Run("into "+strings.ToLower(p.name), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				to := target(b, p.fresh(b))
				b.StartTimer()
				began, own, server := time.Now(), ownCPU(b), serverCPU(b)
				report := mustImport(b, from, to, importer.Options{Kind: importer.AWX, Now: start, RebuildIndexes: p.name == "PostgreSQL"})
				stored := float64(report.Counts["tokens"].Stored)
				b.ReportMetric(stored/time.Since(began).Seconds(), "tokens/s")
				b.ReportMetric((ownCPU(b)-own)/stored*1e5, "own-cpu-s/100k")
				b.ReportMetric((serverCPU(b)-server)/stored*1e5, "server-cpu-s/100k")
			}
		})
	}
}

// ownCPU returns how long this process has computed, in seconds.
func ownCPU(b *testing.B) float64 {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// serverCPU returns how long the processes of the server have computed, those that
// ended included, in seconds: Linux tells it.
func serverCPU(b *testing.B) float64 {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.Fatal(err)
	}
	const ticksASecond = 100
	ticks, server := 0, strconv.Itoa(running.Cmd.Process.Pid)
	for _, file := range files {
		text, _ := os.ReadFile(file) // some have ended meanwhile
		// The name of the program, in parentheses, may have blanks.
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		count := 13 // those of the process, and then those of its children that ended
		switch {
		case len(fields) > 14 && strings.HasPrefix(string(text), server+" "):
			count = 15
		case len(fields) < 15 || fields[1] != server:
			continue
		}
		for _, n := range fields[11:count] {
			used, err := strconv.Atoi(n)
			if err != nil {
				b.Fatal(err)
			}
			ticks += used
		}
	}
	return float64(ticks) / ticksASecond
}
