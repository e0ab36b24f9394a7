package sqltest

import (
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store/sqlstore"
)

const galeraNodes = 3

var sharedGalera = sync.OnceValues(newGalera)

// newGalera starts a cluster of MariaDB on loopback, each node of which may be
// written to.
func newGalera() (nodes []*server, err error) {
	members, err := servertest.Galera(galeraNodes)
	if err != nil {
		return nil, err
	}
	for n, member := range members {
		args := []string{"--max-connections=200"}
		if n == 0 {
			args = append(args, "--wsrep-new-cluster")
		}
		node := &server{
			dir:   member.Dir,
			place: place{Dialect: sqlstore.MySQL, Driver: "mysql", DSN: "root@unix(" + member.Socket() + ")/"},
			run:   func() *exec.Cmd { return member.Command(args...) },
		}
		node.register()
		nodes = append(nodes, node)
	}
	first, err := nodes[0].place.connect()
	if err != nil {
		return nil, err
	}
	defer first.Close()
	for n, node := range nodes {
		if n > 0 {
			if err := members[n].BorrowState(first); err != nil {
				return nil, err
			}
		}
		if err := node.start(); err != nil {
			return nil, err
		}
		if err := node.joined(n + 1); err != nil {
			return nil, err
		}
	}
	if _, err := first.Exec("CREATE DATABASE ostiary"); err != nil {
		return nil, err
	}
	for _, node := range nodes {
		node.place.DSN += "ostiary"
	}
	return nodes, nil
}

// joined waits until the cluster has as many nodes, of which this is one.
func (s *server) joined(nodes int) error {
	db, err := s.place.connect()
	if err != nil {
		return err
	}
	defer db.Close()
	is := ""
	for deadline := time.Now().Add(servertest.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if is = servertest.Membership(db); is == fmt.Sprint(nodes, " Synced") {
			return nil
		}
	}
	return fmt.Errorf("a node did not join: %s", is)
}
