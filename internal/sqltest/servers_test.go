package sqltest

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/ostiary/auth/store/sqlstore"
)

// A server is a database server in a directory of its own, reached through a
// socket in it.
type server struct {
	dir   string
	place place
	run   func() *exec.Cmd

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when the latest process and what it started are gone
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
		if s.exited != nil {
			<-s.exited
		}
		os.RemoveAll(s.dir)
	}
}

// errNoServer says that the programs of a database are not installed.
type errNoServer struct{ what string }

func (e errNoServer) Error() string { return e.what + " is not installed" }

// need returns the shared server, or skips the test where there is none. With CI
// set nothing may be skipped.
func need(t testing.TB, get func() (*server, error)) *server {
	t.Helper()
	s, err := get()
	if _, missing := errors.AsType[errNoServer](err); missing && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
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

// account returns the account to run a server as: root may not.
func account(names ...string) (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range append(names, "nobody") {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("no account to run a server as")
}

// directory makes a short path, since that of a socket may have 107 bytes.
func directory(name string, as *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("OSTIARY_TMP"), "/tmp"), "ostiary-"+name)
	if err == nil && as != nil {
		err = os.Chown(dir, int(as.Uid), int(as.Gid))
	}
	return dir, err
}

// program runs as another account and does not outlive this process.
func program(as *syscall.Credential, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8", "TZ=UTC")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return cmd
}

// output runs a program to its end. The kernel kills it with the thread that
// started it, so that thread is kept.
func output(cmd *exec.Cmd) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return cmd.CombinedOutput()
}

func newPostgres() (*server, error) {
	bin, err := postgresPrograms()
	if err != nil {
		return nil, err
	}
	as, err := account("postgres")
	if err != nil {
		return nil, err
	}
	dir, err := directory("pg", as)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	initdb := program(as, dir, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
	if out, err := output(initdb); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return launched(&server{
		dir: dir,
		place: place{
			Dialect: sqlstore.Postgres,
			Driver:  "pgx",
			DSN:     "host=" + dir + " user=postgres dbname=postgres sslmode=disable",
		},
		run: func() *exec.Cmd {
			return program(as, dir, filepath.Join(bin, "postgres"), "-D", data, "-k", dir, "-h", "", "-c", "max_connections=300",
				"-c", "shared_buffers=256MB", "-c", "fsync=on", "-c", "full_page_writes=on", "-c", "deadlock_timeout=100ms",
				"-c", "max_wal_size=1GB")
		},
	})
}

// postgresPrograms returns the folder of initdb and postgres.
func postgresPrograms() (string, error) {
	var folders []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		folders = append(folders, strings.TrimSpace(string(out)))
	}
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	for _, folder := range append(folders, debian...) {
		if _, err := os.Stat(filepath.Join(folder, "initdb")); err == nil {
			return folder, nil
		}
	}
	return "", errNoServer{"PostgreSQL (Debian: postgresql)"}
}

func newMariaDB() (*server, error) {
	install, err1 := exec.LookPath("mariadb-install-db")
	mariadbd, err2 := exec.LookPath("mariadbd")
	if err2 != nil { // Debian keeps it out of the path of users
		mariadbd, err2 = exec.LookPath("/usr/sbin/mariadbd")
	}
	if errors.Join(err1, err2) != nil {
		return nil, errNoServer{"MariaDB (Debian: mariadb-server)"}
	}
	return newMySQLServer(mariadbd, func(dir, data string) (program string, args []string) {
		// Two that are set up at the same time must not share a folder for
		// what is temporary.
		return install, []string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir,
			"--auth-root-authentication-method=normal", "--skip-test-db"}
	})
}

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
		return nil, errNoServer{"MySQL"}
	}
	return newMySQLServer(mysqld, func(_, data string) (program string, args []string) {
		return mysqld, []string{"--no-defaults", "--initialize-insecure", "--datadir=" + data}
	})
}

// newMySQLServer starts a MySQL or MariaDB whose data folder install makes.
func newMySQLServer(mysqld string, install func(dir, data string) (program string, args []string)) (*server, error) {
	as, err := account("mysql")
	if err != nil {
		return nil, err
	}
	dir, err := directory("my", as)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	name, args := install(dir, data)
	if out, err := output(program(as, dir, name, args...)); err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	socket := filepath.Join(dir, "s")
	admin := "root@unix(" + socket + ")/"
	s, err := launched(&server{
		dir:   dir,
		place: place{Dialect: sqlstore.MySQL, Driver: "mysql", DSN: admin},
		run: func() *exec.Cmd {
			return program(as, dir, mysqld, "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking",
				"--pid-file="+filepath.Join(dir, "pid"), "--max-connections=300", "--innodb-flush-log-at-trx-commit=1",
				"--innodb-buffer-pool-size=256M", "--secure-file-priv="+dir, "--loose-mysqlx=OFF")
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
	runningMu.Lock()
	running = append(running, s)
	runningMu.Unlock()
	return s, s.start()
}

// start runs the server until it answers.
func (s *server) start() error {
	var log strings.Builder
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		log.Reset()
		exited, err := s.launch(&log)
		if err != nil {
			return err
		}
		if s.answers(exited) {
			return nil
		}
		s.kill() // what the last one left may have been in the way
	}
	return fmt.Errorf("the server does not start:\n%s", log.String())
}

func (s *server) launch(log *strings.Builder) (exited chan struct{}, err error) {
	cmd := s.run()
	cmd.Stdout, cmd.Stderr = log, log
	started := make(chan error)
	exited = make(chan struct{})
	go func() {
		// The server is to end with this process, which the kernel takes for
		// the thread that started it.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	return exited, nil
}

// answers waits until the server does, or has exited.
func (s *server) answers(exited chan struct{}) bool {
	db, err := sql.Open(s.place.Driver, s.place.DSN)
	if err != nil {
		return false
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := db.PingContext(ctx)
		cancel()
		if err == nil {
			return true
		}
		select {
		case <-exited:
			return false
		case <-tick.C:
		}
	}
	return false
}

// signal sends a signal to the server and its children.
func (s *server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	pid := s.cmd.Process.Pid
	all := []int{pid} // first, so that it has no more children
	s.cmd.Process.Signal(sig)
	if out, err := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(pid)).Output(); err == nil {
		for field := range strings.FieldsSeq(string(out)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, child)
			}
		}
	}
	for _, pid := range all[1:] {
		syscall.Kill(pid, sig)
	}
}

// kill ends the server as a crash would.
func (s *server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd = nil
	}
}
