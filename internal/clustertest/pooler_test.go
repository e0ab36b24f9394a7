package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// newPooler starts a PgBouncer in transaction mode in front of a server. It returns
// a function that starts it again once it has ended, and the URL behind which it is.
func newPooler(p *postgres) (pooler *process, again func() *process, url string) {
	t := p.t
	t.Helper()
	program := programOf(t, "PgBouncer (Debian: pgbouncer)", "/usr/sbin/pgbouncer", "pgbouncer")
	dir := folder(t, p.as)
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
`, p.dir, dir)
	if err := os.WriteFile(file, []byte(settings), 0o644); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, ".s.PGSQL.6432")
	again = func() *process {
		_ = os.Remove(socket)
		pooler := spawn(t, command(p.as, dir, program, "-q", file))
		eventually(t, "PgBouncer listens", func() bool {
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
			pooler.signal(sig)
			<-pooler.exited
			c.more(&c.outages, 10)
			pooler = again()
		}
		c.more(&c.acknowledged, 40)
	})
	c.settle()
}
