package sqltest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store/sqlstore"
)

// When the power fails, a disk has what was synced, and of what was written since
// nobody knows what. So a load runs under strace, which tells of every write and
// every sync. They are replayed up to some moment, what was not synced at random,
// and what had been acknowledged must be there.

// A file is what a disk has of it.
type file struct {
	synced  []byte
	pending []*call // since the last sync
	named   bool    // its name is synced, too
}

const sector = 512

// settle adds some of the pending changes to content: every sector is as it was
// at one of the instants since the last sync.
func (f *file) settle(content []byte, instant func(changes int) int) []byte {
	until := map[int64]int{}
	for i, c := range f.pending {
		if c.name == "ftruncate" {
			if i < instant(len(f.pending)) {
				content = append(content, make([]byte, max(0, c.at-int64(len(content))))...)[:c.at]
			}
			continue
		}
		for from := c.at; from < c.at+int64(len(c.data)); {
			n := from / sector
			to := min((n+1)*sector, c.at+int64(len(c.data)))
			if _, known := until[n]; !known {
				until[n] = instant(len(f.pending))
			}
			if i < until[n] {
				if int64(len(content)) < to {
					content = append(content, make([]byte, to-int64(len(content)))...)
				}
				copy(content[from:to], c.data[from-c.at:])
			}
			from = to
		}
	}
	return content
}

// Ways in which the power fails: how many of the changes are on the disk.
var (
	keepNone = func(int) int { return 0 }
	keepAll  = func(changes int) int { return changes }
	keepSome = func(changes int) int { return rand.N(changes + 1) }
)

// A disk has the files of a folder.
type disk map[string]*file

// happen takes note of a moment.
func (d disk) happen(m moment) {
	c := m.call
	switch {
	case c.name == "unlink" && m.end:
		delete(d, c.path)
	case c.name == "pwrite64" && !m.end, c.name == "ftruncate" && !m.end:
		if d[c.path] == nil {
			d[c.path] = &file{}
		}
		d[c.path].pending = append(d[c.path].pending, c)
	case (c.name == "fsync" || c.name == "fdatasync") && m.end && d[c.path] != nil:
		if c.failed {
			return // strace had it do nothing, so that the next one may still succeed
		}
		f := d[c.path]
		late := slices.IndexFunc(f.pending, func(w *call) bool { return w.ended == 0 || w.ended > c.begun })
		if late < 0 {
			late = len(f.pending)
		}
		rest := f.pending[late:]
		f.pending = f.pending[:late]
		f.synced, f.pending = f.settle(f.synced, keepAll), rest
	case c.name == "fsync" && m.end: // a folder; SQLite does not ask whether it failed
		for path, f := range d {
			f.named = f.named || filepath.Dir(path) == c.path
		}
	}
}

// fail writes what is left to a folder. The index of the WAL is not kept across
// a loss of power.
func (d disk) fail(t testing.TB, folder string, instant func(int) int) {
	t.Helper()
	for path, f := range d {
		if strings.HasSuffix(path, "-shm") || !f.named && instant(1) == 0 {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(path)), f.settle(slices.Clone(f.synced), instant), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A recording is a load of a SQLite database as strace saw it.
type recording struct {
	place   place
	path    string // of the database
	before  []byte // its content
	moments []moment
}

// record runs a load until so many steps were acknowledged, or every worker has
// met an error.
func record(t *testing.T, steps int, pragma string, options ...string) recording {
	t.Helper()
	need(t, func() (*server, error) { // none, really
		if _, err := exec.LookPath("strace"); err != nil {
			return nil, servertest.Missing("strace")
		}
		return nil, nil
	})
	t.Setenv("TMPDIR", "/var/tmp") // a disk, even where other tests write to memory
	r := recording{place: freshSQLite(t)}
	r.place.DSN += "&_pragma=wal_autocheckpoint(40)" // so that a short load has many
	st, db := r.place.openDB(t)
	st.Close()
	db.Close()
	r.path, _, _ = strings.Cut(strings.TrimPrefix(r.place.DSN, "file:"), "?")
	var err error
	if r.before, err = os.ReadFile(r.path); err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	c := start(t, "load", loadArgs{r.place, "power", 3, pragma}, underStrace(trace, options...)...)
	for acknowledged := 0; acknowledged < steps && c.lines.Scan(); {
		if strings.HasPrefix(c.lines.Text(), "ok ") {
			acknowledged++
		}
	}
	c.wait(t)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	r.moments = parseTrace(t, text)
	r.verify(t)
	return r
}

// disk returns what there was before the load.
func (r recording) disk() disk { return disk{r.path: {synced: slices.Clone(r.before), named: true}} }

// verify checks that nothing was written that the trace does not have: the files
// are what the calls make of them.
func (r recording) verify(t *testing.T) {
	t.Helper()
	d := r.disk()
	for _, m := range r.moments {
		if m.call.name != "fsync" && m.call.name != "fdatasync" {
			d.happen(m)
		}
	}
	for path, f := range d {
		if strings.HasSuffix(path, "-shm") {
			continue // is mapped into memory
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, f.settle(f.synced, keepAll)) {
			t.Fatalf("%s is not what the trace makes of it: %v", path, err)
		}
	}
}

// tells returns what a moment told the test, "" for nothing.
func (m moment) tells() string {
	if m.call.name != "write" || m.call.fd != "1" || m.end {
		return ""
	}
	return strings.TrimSuffix(string(m.call.data), "\n")
}

// replay stops after each of the moments with these numbers, which ascend, lets
// the power fail, and checks what is left.
func (r recording) replay(t testing.TB, stops []int, instants ...func(int) int) *ledger {
	t.Helper()
	d, l := r.disk(), newLedger()
	for i, m := range r.moments {
		d.happen(m)
		if line := m.tells(); line != "" {
			l.note(line)
		}
		for len(stops) > 0 && stops[0] == i {
			folder := t.TempDir()
			d.fail(t, folder, instants[len(stops)%len(instants)])
			r.check(t, folder, l)
			stops = stops[1:]
		}
	}
	return l
}

// check compares a folder with what was acknowledged.
func (r recording) check(t testing.TB, folder string, l *ledger) {
	t.Helper()
	p := r.place
	p.DSN = strings.Replace(p.DSN, r.path, filepath.Join(folder, filepath.Base(r.path)), 1)
	db, err := p.connect()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	st, err := sqlstore.Open(t.Context(), db, p.Dialect, p.options())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l.check(t, st)
	var answer string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&answer); err != nil || answer != "ok" {
		t.Errorf("integrity_check: %s, %v", answer, err)
	}
}

// acknowledgements returns the moments after which a step counts.
func (r recording) acknowledgements() (list []int) {
	for i, m := range r.moments {
		if strings.HasPrefix(m.tells(), "ok ") {
			list = append(list, i)
		}
	}
	return list
}

// whenever the power fails, what was acknowledged is there afterwards, and
// everything else happened wholly or not at all.
func TestPowerFailureLosesNothing(t *testing.T) {
	const steps = 150
	r := record(t, steps, "")
	acks := r.acknowledgements()
	if len(acks) < steps {
		t.Fatalf("%d steps were acknowledged", len(acks))
	}
	var stops []int
	for n := range rounds(24) {
		at := acks[rand.N(len(acks))]
		if n%3 == 0 {
			at = rand.N(acks[len(acks)-1]) // in the middle of something
		}
		stops = append(stops, at)
	}
	slices.Sort(stops)
	r.replay(t, stops, keepNone, keepAll, keepSome, keepSome)
}

// What TestPowerFailureLosesNothing would find: this is why [sqlstore.Open]
// refuses SQLite with synchronous NORMAL.
func TestPowerFailureLosesWhatIsNotSynced(t *testing.T) {
	r := record(t, 20, "PRAGMA synchronous = NORMAL")
	if l := r.replay(tolerant{t}, r.acknowledgements(), keepNone); l.lost == 0 {
		t.Error("nothing is lost")
	}
}

// tolerant lets a check fail.
type tolerant struct{ testing.TB }

func (tolerant) Errorf(string, ...any) {}

// a step whose sync failed is not acknowledged, and harms nothing
// that was.
func TestFailedSyncIsReported(t *testing.T) {
	for _, when := range []string{
		"1+",  // never works
		"5+5", // the fifth and so on of each thread fail
		"9+",  // the disk goes bad
	} {
		r := record(t, 60, "", "-e", "inject=fsync,fdatasync:error=EIO:when="+when)
		failed := slices.ContainsFunc(r.moments, func(m moment) bool {
			return m.end && m.call.failed && strings.HasSuffix(m.call.path, "-wal")
		})
		if acks := r.acknowledgements(); !failed || when == "1+" && len(acks) > 0 {
			t.Errorf("when=%s: the log was synced: %v; acknowledged were %d steps", when, !failed, len(acks))
		}
		last := len(r.moments) - 1
		r.replay(t, []int{last, last, last}, keepNone, keepAll, keepSome)
	}
}
