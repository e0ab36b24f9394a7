package sqltest

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/ostiary/auth/internal/servertest"
	"github.com/ostiary/auth/store/sqlstore"
)

// A server is a database server in a directory of its own, reached through a
// socket in it.
type server struct {
	dir   string
	place place
	run   func() *exec.Cmd

	mu      sync.Mutex
	process *servertest.Process // the latest
}

var (
	running   []*server
	runningMu sync.Mutex
)

// stopServers ends and removes all servers.
func stopServers() {
	runningMu.Lock()
	defer runningMu.Unlock()
	for _, s := range running {
		s.kill()
	}
	for _, s := range running {
		if s.process != nil {
			<-s.process.Exited
		}
		os.RemoveAll(s.dir)
	}
}

// need returns the shared server, or skips the test where there is none. With CI
// set nothing may be skipped.
func need(t testing.TB, get func() (*server, error)) *server {
	t.Helper()
	s, err := get()
	servertest.Check(t, err)
	return s
}

var (
	sharedPostgres = sync.OnceValues(newPostgres)
	sharedMariaDB  = sync.OnceValues(newMariaDB)
	sharedMySQL    = sync.OnceValues(newMySQL)
)

// freshOn returns a function that returns an empty place on a shared server.
func freshOn(shared func() (*server, error)) func(testing.TB) place {
	return func(t testing.TB) place {
		p := need(t, shared).place
		p.Prefix = freshPrefix()
		return p
	}
}

func newPostgres() (*server, error) {
	pg, err := servertest.Postgres()
	if err != nil {
		return nil, err
	}
	return launched(&server{
		dir: pg.Dir,
		place: place{
			Dialect: sqlstore.Postgres,
			Driver:  "pgx",
			DSN:     "host=" + pg.Dir + " user=postgres dbname=postgres sslmode=disable",
		},
		run: func() *exec.Cmd {
			return pg.Command("-c", "max_connections=300", "-c", "shared_buffers=256MB", "-c", "fsync=on",
				"-c", "full_page_writes=on", "-c", "deadlock_timeout=100ms", "-c", "max_wal_size=1GB")
		},
	})
}

func newMariaDB() (*server, error) { return newMySQLServer(servertest.MariaDB()) }

// mysqlProgram returns MySQL's server: OSTIARY_MYSQLD, or what is found under its
// name and is not MariaDB, which uses that name, too. It is empty where there is
// none: few systems package both, and MariaDB is the one that must be there.
var mysqlProgram = sync.OnceValue(func() string {
	for _, name := range []string{os.Getenv("OSTIARY_MYSQLD"), "mysqld", "/usr/sbin/mysqld"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		version, err := exec.Command(path, "--version").Output()
		if err == nil && !strings.Contains(string(version), "MariaDB") {
			return path
		}
	}
	return ""
})

func newMySQL() (*server, error) {
	mysqld := mysqlProgram()
	if mysqld == "" {
		return nil, servertest.Missing("MySQL")
	}
	return newMySQLServer(servertest.MySQL(mysqld))
}

// newMySQLServer starts a MySQL or MariaDB that is set up.
func newMySQLServer(my *servertest.Server, err error) (*server, error) {
	if err != nil {
		return nil, err
	}
	admin := "root@unix(" + my.Socket() + ")/"
	s, err := launched(&server{
		dir:   my.Dir,
		place: place{Dialect: sqlstore.MySQL, Driver: "mysql", DSN: admin},
		run: func() *exec.Cmd {
			return my.Command("--max-connections=300", "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size=256M")
		},
	})
	if err != nil {
		return nil, err
	}
	db, err := s.place.connect()
	if err != nil {
		return nil, err
	}
	defer db.Close()
	_, err = db.Exec("CREATE DATABASE ostiary")
	s.place.DSN = admin + "ostiary"
	return s, err
}

// launched starts a server that is to end with this process.
func launched(s *server) (*server, error) {
	s.register()
	return s, s.start()
}

// register has a server, and its folder, end with this process.
func (s *server) register() {
	runningMu.Lock()
	defer runningMu.Unlock()
	running = append(running, s)
}

// start runs the server until it answers.
func (s *server) start() error {
	db, err := sql.Open(s.place.Driver, s.place.DSN)
	if err != nil {
		return err
	}
	defer db.Close()
	for deadline := time.Now().Add(servertest.Patience); time.Now().Before(deadline); {
		p, err1 := servertest.Start(s.run())
		if err1 != nil {
			return err1
		}
		s.mu.Lock()
		s.process = p
		s.mu.Unlock()
		if err = p.Answers(db.PingContext); err == nil {
			return nil
		}
		s.kill() // what the last one left may have been in the way
	}
	return fmt.Errorf("the server does not start: %w", err)
}

// signal sends a signal to the server and its children.
func (s *server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process.Signal(sig)
}

// kill ends the server as a crash would, and does not wait for that.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Cmd.Process.Kill()
	}
}
