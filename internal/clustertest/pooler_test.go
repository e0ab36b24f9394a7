package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/ostiary/auth/internal/servertest"
)

// newPooler starts a PgBouncer in transaction mode in front of a server. It returns
// a function that starts it again once it has ended, and the URL behind which it is.
func newPooler(p *postgres) (pooler *servertest.Process, again func() *servertest.Process, url string) {
	t := p.t
	t.Helper()
	program, err := servertest.Program("PgBouncer (Debian: pgbouncer)", "/usr/sbin/pgbouncer", "pgbouncer")
	servertest.Check(t, err)
	dir := servertest.TempFolder(t, p.As)
	file := filepath.Join(dir, "pgbouncer.ini")
	settings := fmt.Sprintf(`[databases]
postgres = host=%s dbname=postgres user=postgres

[pgbouncer]
pool_mode = transaction
default_pool_size = 10
max_client_conn = 200
auth_type = any
listen_addr =
listen_port = 6432
unix_socket_dir = %s
`, p.Dir, dir)
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, ".s.PGSQL.6432")
	again = func() *servertest.Process {
		_ = os.Remove(socket)
		pooler := spawn(t, servertest.Command(p.As, dir, program, "-q", file))
		servertest.Eventually(t, "PgBouncer listens", func() bool {
			_, err := os.Stat(socket)
			return err == nil
		})
		return pooler
	}
	return again(), again, "postgres:///postgres?user=postgres&sslmode=disable&port=6432&default_query_exec_mode=exec&host=" + dir
}

// A pooler that is restarted, or crashes, costs a gap in which requests are refused
// for now.
func TestPoolerIsRestarted(t *testing.T) {
	pooler, again, url := newPooler(newPostgres(t))
	c := newCluster(t, same(url))
	c.underTraffic(func() {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			c.more(&c.acknowledged, 40)
			pooler.Signal(sig)
			<-pooler.Exited
			c.more(&c.outages, 10)
			pooler = again()
		}
		c.more(&c.acknowledged, 40)
	})
	c.settle()
}
