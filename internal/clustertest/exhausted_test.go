package clustertest

import (
	"database/sql"
	"net/http"
	"sync"
	"syscall"
	"testing"
)

// While the database cannot serve, for whatever reason, every node says so at once:
// its readiness is down, and requests are refused for now. When the database is
// back, so are all nodes, without a restart.
func TestDatabaseCannotServe(t *testing.T) {
	for _, way := range []struct {
		name string
		stop func(t *testing.T, p *postgres) (goOn func())
	}{
		{"all connections of the pools wait for a lock", lockTables},
		{"the server takes no more connections", takeConnections},
		{"the server hangs", func(_ *testing.T, p *postgres) func() {
			p.Signal(syscall.SIGSTOP)
			return func() { p.Signal(syscall.SIGCONT) }
		}},
	} {
		t.Run(way.name, func(t *testing.T) {
			p := newPostgres(t)
			c := newCluster(t, same(p.url()))
			for _, person := range c.people {
				for range 8 {
					person.issue()
				}
			}
			goOn := way.stop(t, p)
			c.refuseAll()
			goOn()
			c.settle()
		})
	}
}

// lockTables has every look-up of a token or session wait.
func lockTables(t *testing.T, p *postgres) (goOn func()) {
	t.Helper()
	tx, err := p.pool().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("LOCK TABLE auth_tokens, auth_sessions IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback() }
}

// takeConnections ends the connections of the nodes and takes all that there are.
func takeConnections(t *testing.T, p *postgres) (goOn func()) {
	t.Helper()
	db := p.pool()
	operator, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const ours = `(pid = pg_backend_pid() OR application_name = 'taker')`
	var taken []*sql.Conn
	for left := 1; left > 0; {
		if _, err := operator.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND NOT "+ours); err != nil {
			t.Fatal(err)
		}
		for {
			conn, err := db.Conn(t.Context())
			if err != nil {
				break
			}
			if _, err := conn.ExecContext(t.Context(), "SET application_name = 'taker'"); err != nil {
				t.Fatal(err)
			}
			taken = append(taken, conn)
		}
		// The nodes may have been faster, and a connection that ends is no longer listed before its place is free.
		if err := operator.QueryRowContext(t.Context(), "SELECT current_setting('max_connections')::int - COUNT(*) FROM pg_stat_activity WHERE "+ours).Scan(&left); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, conn := range taken {
			_ = conn.Close()
		}
		_ = operator.Close()
		_ = db.Close()
	}
}

// refuseAll asks every node for more at once than its pool has, and fails the test
// where one says something else than that it cannot answer for now. A request that
// waited for the database would not be answered at all: that serves when all have been.
func (c *cluster) refuseAll() {
	c.t.Helper()
	for _, n := range c.nodes {
		var all sync.WaitGroup
		for _, p := range c.people {
			for _, th := range p.live {
				all.Go(func() {
					if a := c.askNode(n, "GET", "/api/v2/me/", "", th.present); a.status != http.StatusServiceUnavailable {
						c.unexpected(a)
					}
				})
			}
		}
		all.Wait()
		if status := c.readiness(n); status != http.StatusServiceUnavailable {
			c.t.Errorf("readyz: %d", status)
		}
	}
}

// unexpected counts an answer of a database that cannot serve.
func (c *cluster) unexpected(a answer) {
	if a.status == http.StatusUnauthorized {
		c.as401.Add(1)
	}
	c.t.Errorf("a database that cannot serve: %v", a)
}
