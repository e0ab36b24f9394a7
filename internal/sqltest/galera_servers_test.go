package sqltest

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ostiary/auth/internal/porttest"
	"github.com/ostiary/auth/store/sqlstore"
)

const galeraNodes = 3

const galeraLibrary = "/usr/lib/galera/libgalera_smm.so"

var sharedGalera = sync.OnceValues(newGalera)

// newGalera starts a cluster of MariaDB on loopback, each node of which may be
// written to.
func newGalera() ([]*server, error) {
	install, err1 := exec.LookPath("mariadb-install-db")
	mariadbd, err2 := exec.LookPath("/usr/sbin/mariadbd")
	_, err3 := os.Stat(galeraLibrary)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil, errNoServer{"Galera (Debian: mariadb-server, galera-4)"}
	}
	as, err := account("mysql")
	if err != nil {
		return nil, err
	}
	ports, err := porttest.Free("127.0.0.1", 2*galeraNodes)
	if err != nil {
		return nil, err
	}
	var members []string
	for n := range galeraNodes {
		members = append(members, fmt.Sprintf("127.0.0.1:%d", ports[2*n]))
	}
	var nodes []*server
	for n := range galeraNodes {
		dir, err := directory("ga", as)
		if err != nil {
			return nil, err
		}
		data := filepath.Join(dir, "data")
		out, err := output(program(as, dir, install, "--no-defaults", "--datadir="+data, "--tmpdir="+dir,
			"--auth-root-authentication-method=normal", "--skip-test-db"))
		if err != nil {
			os.RemoveAll(dir)
			return nil, fmt.Errorf("mariadb-install-db: %w\n%s", err, out)
		}
		socket := filepath.Join(dir, "s")
		args := []string{
			"--no-defaults", "--datadir=" + data, "--socket=" + socket, "--skip-networking",
			"--pid-file=" + filepath.Join(dir, "pid"), "--max-connections=200",
			"--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-autoinc-lock-mode=2",
			"--binlog-format=ROW", "--wsrep-on=ON", "--wsrep-provider=" + galeraLibrary, "--wsrep-cluster-name=ostiary",
			"--wsrep-slave-threads=4",
			fmt.Sprintf("--wsrep-node-name=node%d", n),
			fmt.Sprintf("--wsrep-node-address=127.0.0.1:%d", ports[2*n]),
			"--wsrep-cluster-address=gcomm://" + strings.Join(members, ","),
			fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:%d;ist.recv_addr=127.0.0.1:%d;gcache.size=64M",
				ports[2*n], ports[2*n+1]),
		}
		if n == 0 {
			args = append(args, "--wsrep-new-cluster")
		}
		if n > 0 {
			if err := nodes[0].lendState(data, as); err != nil {
				return nil, err
			}
		}
		node, err := launched(&server{
			dir:   dir,
			place: place{Dialect: sqlstore.MySQL, Driver: "mysql", DSN: "root@unix(" + socket + ")/"},
			run:   func() *exec.Cmd { return program(as, dir, mariadbd, args...) },
		})
		if err != nil {
			return nil, err
		}
		if err := node.joined(n + 1); err != nil {
			return nil, err
		}
		nodes = append(nodes, node)
	}
	db, err := nodes[0].place.connect()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if _, err := db.Exec("CREATE DATABASE ostiary"); err != nil {
		return nil, err
	}
	for _, node := range nodes {
		node.place.DSN += "ostiary"
	}
	return nodes, nil
}

// lendState makes a new node believe that it was a member: all begin with the same
// tables, so that nothing has to be copied.
func (s *server) lendState(data string, as *syscall.Credential) error {
	db, err := s.place.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	state := fmt.Sprintf("# GALERA saved state\nversion: 2.1\nuuid:    %s\nseqno:   %s\nsafe_to_bootstrap: 0\n",
		status(db, "wsrep_cluster_state_uuid"), status(db, "wsrep_last_committed"))
	file := filepath.Join(data, "grastate.dat")
	if err := os.WriteFile(file, []byte(state), 0o644); err != nil || as == nil {
		return err
	}
	return os.Chown(file, int(as.Uid), int(as.Gid))
}

// joined waits until the cluster has as many nodes, of which this is one.
func (s *server) joined(nodes int) error {
	db, err := s.place.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	var size, state string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		size, state = status(db, "wsrep_cluster_size"), status(db, "wsrep_local_state_comment")
		if size == fmt.Sprint(nodes) && state == "Synced" {
			return nil
		}
	}
	return fmt.Errorf("a node did not join: size %s, state %s", size, state)
}

func status(db *sql.DB, name string) (value string) {
	_ = db.QueryRow("SHOW STATUS WHERE Variable_name = '"+name+"'").Scan(&name, &value)
	return value
}
