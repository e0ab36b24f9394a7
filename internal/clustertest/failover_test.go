package clustertest

import (
	"path/filepath"
	"testing"
	"time"
)

// newStandby makes a copy of a server that follows it, and has the server wait for
// it at each commit: what was acknowledged is on both.
func newStandby(primary *postgres) *postgres {
	t := primary.t
	t.Helper()
	s := makePostgres(t, "-c", "primary_conninfo=host="+primary.dir+" user=postgres application_name=standby")
	finish(t, command(s.as, s.dir, filepath.Join(s.bin, "pg_basebackup"), "-h", primary.dir, "-U", "postgres", "-D", s.data,
		"-X", "stream", "-c", "fast"))
	finish(t, command(s.as, s.dir, "touch", filepath.Join(s.data, "standby.signal")))
	s.start()
	primary.must("ALTER SYSTEM SET synchronous_standby_names = 'standby'") // not in the copy
	primary.must("SELECT pg_reload_conf()")
	db := primary.pool()
	eventually(t, "the primary waits for the standby", time.Minute, func() bool {
		var n int
		err := db.QueryRow("SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'").Scan(&n)
		return err == nil && n == 1
	})
	return s
}

// A primary that is killed and a standby that is promoted cost a gap in which
// requests are refused for now, and nothing else: the servers name both in their
// URL, and find the new primary by themselves.
func TestPrimaryIsKilled(t *testing.T) {
	primary := newPostgres(t)
	standby := newStandby(primary)
	c := newCluster(t, same(primary.url()+","+standby.dir+"&target_session_attrs=read-write"))
	var died time.Time
	c.underTraffic(func() {
		c.more(&c.acknowledged, 60)
		died = time.Now()
		primary.kill()
		c.more(&c.outages, 20) // nobody is promoted before somebody notices
		standby.must("SELECT pg_promote()")
		t.Logf("promoted after %v", time.Since(died).Round(time.Millisecond))
		c.more(&c.acknowledged, 60)
	})
	if c.outages.Load() == 0 {
		t.Error("nobody noticed the gap")
	}
	c.settle()
	t.Logf("the gap: the last refusal came %v after the kill", c.outageSince(died))
}
