package clustertest

import (
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary/auth/internal/servertest"
)

// newStandby makes a copy of a server that follows it, and has the server wait for
// it at each commit: what was acknowledged is on both.
func newStandby(primary *postgres) *postgres {
	t := primary.t
	t.Helper()
	s := makePostgres(t, "-c", "primary_conninfo=host="+primary.Dir+" user=postgres application_name=standby")
	finish(t, s.Beside("pg_basebackup", "-h", primary.Dir, "-U", "postgres", "-D", s.Data, "-X", "stream", "-c", "fast"))
	finish(t, servertest.Command(s.As, s.Dir, "touch", filepath.Join(s.Data, "standby.signal")))
	s.start()
	primary.must("ALTER SYSTEM SET synchronous_standby_names = 'standby'") // not in the copy
	primary.must("SELECT pg_reload_conf()")
	db := primary.pool()
	servertest.Eventually(t, "the primary waits for the standby", func() bool {
		var n int
		err := db.QueryRow("SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'").Scan(&n)
		return err == nil && n == 1
	})
	return s
}

// hold has all commits wait for the standby from now on, which gets none of them.
func (p *postgres) hold() {
	p.t.Helper()
	var sender int
	if err := p.pool().QueryRow("SELECT pid FROM pg_stat_replication").Scan(&sender); err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Kill(sender, syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
}

// A primary that is killed and a standby that is promoted cost a gap in which
// requests are refused for now, and nothing else: the servers name both in their
// URL, and find the new primary by themselves. What was being committed when the primary
// died is lost, and nobody was told that it is done: tokens and sessions that were being
// ended, too.
func TestPrimaryIsKilled(t *testing.T) {
	primary := newPostgres(t)
	standby := newStandby(primary)
	c := newCluster(t, same(primary.url()+","+standby.Dir+"&target_session_attrs=read-write"))
	var last []*person // who does one thing while the primary dies
	c.patiently(func() {
		for n := range 12 {
			last = append(last, newPerson(c, nameOf(n%people), passwordOf(n%people)))
		}
	})
	db := primary.pool()
	var died time.Time
	var doing sync.WaitGroup
	defer doing.Wait()
	c.underTraffic(func() {
		c.more(&c.acknowledged, 60)
		primary.hold()
		for n, p := range last {
			doing.Go(func() {
				if kinds := []string{token, session, grant}; n%4 < len(kinds) {
					p.end(p.some(kinds[n%4]))
				} else {
					p.issue()
				}
			})
		}
		servertest.Eventually(t, "all wait for the standby", func() bool {
			var n int
			return db.QueryRow("SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").Scan(&n) == nil && n >= len(last)
		})
		died = time.Now()
		primary.Kill()
		c.more(&c.outages, 20) // nobody is promoted before somebody notices
		standby.must("SELECT pg_promote()")
		t.Logf("promoted after %v", time.Since(died).Round(time.Millisecond))
		c.more(&c.acknowledged, 60)
	})
	doing.Wait()
	c.people = append(c.people, last...)
	c.settle()
	t.Logf("the gap: the last refusal came %v after the kill", c.outageSince(died))
}
