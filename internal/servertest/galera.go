//go:build unix

package servertest

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ostiary/auth/internal/porttest"
)

// Galera returns the members of a cluster of MariaDB on loopback, each of which may
// be written to. The first is to be started with --wsrep-new-cluster.
func Galera(members int) (all []*Server, err error) {
	const what, library = "Galera (Debian: mariadb-server, galera-4)", "/usr/lib/galera/libgalera_smm.so"
	if _, err := Program(what, library, "libgalera_smm.so"); err != nil {
		return nil, err
	}
	ports, err := porttest.Free("127.0.0.1", 2*members)
	if err != nil {
		return nil, err
	}
	var addresses []string
	for n := range members {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", ports[2*n]))
	}
	for n, address := range addresses {
		s, err := MariaDB()
		if err != nil {
			for _, s := range all {
				s.Remove()
			}
			return nil, err
		}
		s.args = append(s.args, "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=64M", "--innodb-autoinc-lock-mode=2",
			"--binlog-format=ROW", "--wsrep-on=ON", "--wsrep-provider="+library, "--wsrep-cluster-name=ostiary",
			"--wsrep-slave-threads=4", fmt.Sprintf("--wsrep-node-name=node%d", n), "--wsrep-node-address="+address,
			"--wsrep-cluster-address=gcomm://"+strings.Join(addresses, ","),
			fmt.Sprintf("--wsrep-provider-options=gmcast.listen_addr=tcp://%s;ist.recv_addr=127.0.0.1:%d;gcache.size=64M",
				address, ports[2*n+1]))
		all = append(all, s)
	}
	return all, nil
}

// BorrowState makes a new member believe that it was one before, of the cluster that
// db is a connection to: all begin with the same tables, so that nothing has to be
// copied.
func (s *Server) BorrowState(db *sql.DB) error {
	state := fmt.Sprintf("# GALERA saved state\nversion: 2.1\nuuid:    %s\nseqno:   %s\nsafe_to_bootstrap: 0\n",
		status(db, "wsrep_cluster_state_uuid"), status(db, "wsrep_last_committed"))
	file := filepath.Join(s.Data, "grastate.dat")
	if err := os.WriteFile(file, []byte(state), 0o644); err != nil || s.As == nil {
		return err
	}
	return os.Chown(file, int(s.As.Uid), int(s.As.Gid))
}

// Membership returns how many members a cluster has, and the state of the one that
// db is a connection to: "3 Synced" when it may be asked.
func Membership(db *sql.DB) string {
	return status(db, "wsrep_cluster_size") + " " + status(db, "wsrep_local_state_comment")
}

func status(db *sql.DB, name string) (value string) {
	_ = db.QueryRow("SHOW STATUS WHERE Variable_name = '"+name+"'").Scan(&name, &value)
	return value
}
