package clustertest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
)

// A disk is a folder in which space can be made to end for some processes.
type disk struct {
	name string
	dir  string
	fill func(writers []int)
	free func(writers []int)
}

// smallDisk returns a small file system, unless this account may mount none.
func smallDisk(t *testing.T, as *syscall.Credential, megabytes int) (d disk, ok bool) {
	t.Helper()
	dir := servertest.TempFolder(t, as)
	options := fmt.Sprintf("size=%dm,mode=700", megabytes)
	if as != nil {
		options += fmt.Sprintf(",uid=%d,gid=%d", as.Uid, as.Gid)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Logf("no small file system: %v: %s", err, out)
		return disk{}, false
	}
	t.Cleanup(func() { finish(t, exec.Command("umount", "-l", dir)) })
	ballast := filepath.Join(dir, "ballast")
	return disk{"file system", dir, func([]int) {
		f, err := os.OpenFile(ballast, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := io.Copy(f, zeros{}); err == nil {
			t.Fatal("the file system is not full")
		}
	}, func([]int) { _ = os.Remove(ballast) }}, true
}

// limitedDisk returns a folder in which no file of the writers may grow beyond a
// number of bytes while it is full, which no account needs a right for.
func limitedDisk(t *testing.T, as *syscall.Credential, limit int) disk {
	t.Helper()
	dir := servertest.TempFolder(t, as)
	set := func(limit string) func([]int) {
		return func(writers []int) {
			for _, pid := range writers {
				out, err := servertest.Command(as, dir, "prlimit", "--pid", strconv.Itoa(pid), "--fsize="+limit).CombinedOutput()
				if err != nil && syscall.Kill(pid, 0) == nil {
					t.Errorf("prlimit: %v: %s", err, out)
				}
			}
		}
	}
	return disk{"limit of files", dir, set(fmt.Sprint(limit, ":unlimited")), set("unlimited")}
}

// zeros is a file that does not end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// While the disk is full, who is logged in stays so, changes are refused for now, and
// nothing that was acknowledged is lost. When there is space again everything works.
func TestDiskIsFull(t *testing.T) {
	sqlite := func(t *testing.T, d disk) {
		c := newCluster(t, []string{filepath.Join(d.dir, "test.db")})
		c.fullDisk(d, func() []int { return []int{c.nodes[0].Cmd.Process.Pid} })
	}
	t.Run("SQLite, limit of files", func(t *testing.T) { sqlite(t, limitedDisk(t, nil, 64<<10)) })
	t.Run("SQLite, file system", func(t *testing.T) {
		if d, ok := smallDisk(t, nil, 8); ok {
			sqlite(t, d)
		}
	})
	t.Run("PostgreSQL, limit of files", func(t *testing.T) {
		p := newPostgres(t)
		c := newCluster(t, same(p.url()))
		// A segment of the log has 16 MiB, and must be written on.
		const limit = 17 << 20
		c.fill(p.url(), 1, 80_000)
		var size int
		if err := p.pool().QueryRow("SELECT pg_table_size('auth_tokens')").Scan(&size); err != nil || size < limit {
			t.Fatalf("the table has %d bytes, %v", size, err)
		}
		c.fullDisk(limitedDisk(t, p.As, limit), p.All)
	})
	t.Run("PostgreSQL, file system", func(t *testing.T) {
		p := newPostgres(t)
		if d, ok := smallDisk(t, p.As, 32); ok {
			p.must("CREATE TABLESPACE small LOCATION '" + d.dir + "'")
			c := newCluster(t, same(p.fresh("small")))
			c.fullDisk(d, p.All)
		}
	})
}

// fullDisk lets the traffic meet a disk that is full for a while.
func (c *cluster) fullDisk(d disk, writers func() []int) {
	c.t.Helper()
	var let, refused int64
	c.underTraffic(func() {
		c.more(&c.acknowledged, 60)
		d.fill(writers())
		c.more(&c.outages, 20)
		let = c.letIn.Load()
		c.more(&c.letIn, 50)
		let, refused = c.letIn.Load()-let, c.outages.Load()
		d.free(writers())
		c.more(&c.acknowledged, 60)
	})
	c.t.Logf("%s was full: %d requests let in meanwhile, %d changes refused", d.name, let, refused)
	c.settle()
}

// While there is no space for the log of PostgreSQL, the server crashes, and again when
// it has recovered or during that, which ends it. Nobody is taken for a stranger
// meanwhile, and nothing that was acknowledged is lost. Once there is space and the
// server runs, the nodes go on by themselves.
func TestLogIsFull(t *testing.T) {
	t.Run("limit of files", func(t *testing.T) {
		p := newPostgres(t)
		fullLog(p, limitedDisk(t, p.As, 8<<20)) // half a segment of the log
	})
	t.Run("file system", func(t *testing.T) {
		p := makePostgres(t, "-c", "min_wal_size=2MB", "-c", "max_wal_size=4MB")
		d, ok := smallDisk(t, p.As, 32)
		if !ok {
			return
		}
		servertest.Check(t, p.Initdb("--waldir="+d.dir, "--wal-segsize=1"))
		p.start()
		fullLog(p, d)
	})
}

// fullLog lets the traffic meet a server whose log has no space for a while.
func fullLog(p *postgres, d disk) {
	p.t.Helper()
	c := newCluster(p.t.(*testing.T), same(p.url()))
	ended := func() bool {
		select {
		case <-p.Exited:
			return true
		default:
			return false
		}
	}
	c.underTraffic(func() {
		c.more(&c.acknowledged, 60)
		outages := c.outages.Load()
		servertest.Eventually(c.t, "the server crashes twice, or ends, and the traffic meets that", func() bool {
			d.fill(p.All()) // again what a recovery has freed, and those that it has started
			_ = p.exec("SELECT pg_logical_emit_message(true, 'fill', repeat('x', 1000000))")
			return (ended() || strings.Count(p.Output(), "PANIC:") > 1) && c.outages.Load() >= outages+20
		})
		servertest.Eventually(c.t, "the server recovers, or ends", func() bool {
			d.free(p.All()) // those, too, that it has started meanwhile
			return ended() || p.exec("CHECKPOINT") == nil
		})
		c.t.Logf("%s was full: the server crashed %d times, and ended: %t", d.name, strings.Count(p.Output(), "PANIC:"), ended())
		if ended() {
			p.start()
		}
		c.more(&c.acknowledged, 60)
	})
	c.settle()
}
