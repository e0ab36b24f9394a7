package clustertest

import (
	"database/sql"
	"fmt"
	"os/exec"
	"regexp"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
)

// A member is a server of MariaDB in a Galera cluster.
type member struct {
	t testing.TB
	*servertest.Server
	*servertest.Process
}

// newGalera starts a cluster on loopback, each member of which may be written to.
func newGalera(t testing.TB) (all []*member) {
	t.Helper()
	servers, err := servertest.Galera(nodes)
	servertest.Check(t, err)
	for _, s := range servers {
		t.Cleanup(s.Remove)
	}
	for n, s := range servers {
		m := &member{t: t, Server: s}
		first := []string{"--wsrep-new-cluster"}
		if n > 0 {
			servertest.Check(t, s.BorrowState(all[0].pool("")))
			first = nil
		}
		m.start(n+1, first...)
		all = append(all, m)
	}
	if _, err := all[0].pool("").Exec("CREATE DATABASE ostiary"); err != nil {
		t.Fatal(err)
	}
	return all
}

func (m *member) command(args ...string) *exec.Cmd {
	return m.Command(append([]string{"--max-connections=100"}, args...)...)
}

// start runs the member and waits until it is one of so many.
func (m *member) start(members int, args ...string) {
	m.t.Helper()
	m.Process = spawn(m.t, m.command(args...))
	db := m.pool("")
	servertest.Eventually(m.t, "a member joins", func() bool {
		select {
		case <-m.Exited:
			m.t.Fatalf("a member ended:\n%s", worst(m.Output()))
		default:
		}
		return servertest.Membership(db) == fmt.Sprint(members, " Synced")
	})
}

// again runs a member that was killed, from where its tables are, so that the others
// need not stop to copy theirs.
func (m *member) again() {
	m.t.Helper()
	recovered := finish(m.t, m.command("--wsrep-recover"))
	at := regexp.MustCompile(`Recovered position: (\S+)`).FindStringSubmatch(recovered)
	if at == nil {
		m.t.Fatalf("no position:\n%s", recovered)
	}
	m.start(nodes, "--wsrep-start-position="+at[1])
}

// pool connects to a database of the member. The pool is closed with the test.
func (m *member) pool(database string) *sql.DB {
	m.t.Helper()
	db, err := sql.Open("mysql", "root@unix("+m.Socket()+")/"+database)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = db.Close() })
	return db
}

// url is what the example server calls the member.
func (m *member) url() string {
	return "mysql://root@/ostiary?wsrep_sync_wait=7&socket=" + m.Socket()
}

// What one node has acknowledged as ended is let in by none, although each has a member of
// its own. A member of a cluster that is killed takes no acknowledged change along, the
// nodes at the others go on, and its own goes on when it is back.
func TestGaleraMemberIsKilled(t *testing.T) {
	members := newGalera(t)
	var urls []string
	for _, m := range members {
		urls = append(urls, m.url())
	}
	c := newCluster(t, urls)
	c.endAtOneNode(rounds)
	c.underTraffic(func() {
		c.more(&c.acknowledged, 40)
		members[1].Kill()
		c.more(&c.outages, 10)
		c.more(&c.acknowledged, 40) // by the nodes at the others
		members[1].again()
		c.more(&c.acknowledged, 40)
	})
	c.settle()
}
