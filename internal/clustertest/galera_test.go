package clustertest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A member is a server of MariaDB in a Galera cluster.
type member struct {
	t       testing.TB
	as      *syscall.Credential
	program string
	dir     string
	args    []string
	*process
}

const galeraLibrary = "/usr/lib/galera/libgalera_smm.so"

// newGalera starts a cluster on loopback, each member of which may be written to.
func newGalera(t testing.TB) (all []*member) {
	t.Helper()
	const what = "Galera (Debian: mariadb-server, galera-4)"
	install := programOf(t, what, "/usr/bin/mariadb-install-db", "mariadb-install-db")
	program := programOf(t, what, "/usr/sbin/mariadbd", "mariadbd")
	programOf(t, what, galeraLibrary, "libgalera_smm.so")
	as := account(t, "mysql")
	ports := freePorts(t, 2*nodes)
	var addresses []string
	for n := range nodes {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", ports[2*n]))
	}
	for n := range nodes {
		m := &member{t: t, as: as, program: program, dir: folder(t, as)}
		data := filepath.Join(m.dir, "data")
		finish(t, command(as, m.dir, install, "--no-defaults", "--datadir="+data, "--tmpdir="+m.dir,
			"--auth-root-authentication-method=normal", "--skip-test-db"))
		m.args = []string{
			"--no-defaults", "--datadir=" + data, "--socket=" + filepath.Join(m.dir, "s"), "--skip-networking",
			"--pid-file=" + filepath.Join(m.dir, "pid"), "--max-connections=100",
			"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-autoinc-lock-mode=2",
			"--binlog-format=ROW", "--wsrep-on=ON", "--wsrep-provider=" + galeraLibrary, "--wsrep-cluster-name=ostiary",
			"--wsrep-slave-threads=4", fmt.Sprintf("--wsrep-node-name=node%d", n), "--wsrep-node-address=" + addresses[n],
			"--wsrep-cluster-address=gcomm://" + strings.Join(addresses, ","),
			fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://%s;ist.recv_addr=127.0.0.1:%d;gcache.size=64M",
				addresses[n], ports[2*n+1]),
		}
		first := []string{"--wsrep-new-cluster"}
		if n > 0 {
			all[0].lendState(data)
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

// start runs the member and waits until it is one of so many.
func (m *member) start(members int, args ...string) {
	m.t.Helper()
	m.process = spawn(m.t, command(m.as, m.dir, m.program, append(m.args, args...)...))
	db := m.pool("")
	eventually(m.t, "a member joins", func() bool {
		select {
		case <-m.exited:
			m.t.Fatalf("a member ended:\n%s", worst(m.out.String()))
		default:
		}
		return status(db, "wsrep_cluster_size") == fmt.Sprint(members) && status(db, "wsrep_local_state_comment") == "Synced"
	})
}

// again runs a member that was killed, from where its tables are, so that the others
// need not stop to copy theirs.
func (m *member) again() {
	m.t.Helper()
	recovered := finish(m.t, command(m.as, m.dir, m.program, append(m.args, "--wsrep-recover")...))
	at := regexp.MustCompile(`Recovered position: (\S+)`).FindStringSubmatch(recovered)
	if at == nil {
		m.t.Fatalf("no position:\n%s", recovered)
	}
	m.start(nodes, "--wsrep-start-position="+at[1])
}

// pool connects to a database of the member. The pool is closed with the test.
func (m *member) pool(database string) *sql.DB {
	m.t.Helper()
	db, err := sql.Open("mysql", "root@unix("+filepath.Join(m.dir, "s")+")/"+database)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = db.Close() })
	return db
}

// url is what the example server calls the member.
func (m *member) url() string {
	return "mysql://root@/ostiary?wsrep_sync_wait=7&socket=" + filepath.Join(m.dir, "s")
}

// lendState makes a new member believe that it was one before: all begin with the same
// tables, so that nothing has to be copied.
func (m *member) lendState(data string) {
	m.t.Helper()
	db := m.pool("")
	state := fmt.Sprintf("# GALERA saved state\nversion: 2.1\nuuid:    %s\nseqno:   %s\nsafe_to_bootstrap: 0\n",
		status(db, "wsrep_cluster_state_uuid"), status(db, "wsrep_last_committed"))
	file := filepath.Join(data, "grastate.dat")
	if err := os.WriteFile(file, []byte(state), 0o644); err != nil {
		m.t.Fatal(err)
	}
	if m.as != nil {
		if err := os.Chown(file, int(m.as.Uid), int(m.as.Gid)); err != nil {
			m.t.Fatal(err)
		}
	}
}

func status(db *sql.DB, name string) (value string) {
	_ = db.QueryRow("SHOW STATUS WHERE Variable_name = '"+name+"'").Scan(&name, &value)
	return value
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
		members[1].kill()
		c.more(&c.outages, 10)
		c.more(&c.acknowledged, 40) // by the nodes at the others
		members[1].again()
		c.more(&c.acknowledged, 40)
	})
	c.settle()
}
