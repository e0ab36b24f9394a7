//go:build unix

package servertest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A Server is a database server that may be started, and is reached through a socket
// in its folder.
type Server struct {
	As   *syscall.Credential
	Dir  string
	Data string // a folder in Dir

	program string
	args    []string
}

// newServer returns a server without a data folder.
func newServer(program, account string) (*Server, error) {
	as, err := Account(account)
	if err != nil {
		return nil, err
	}
	dir, err := Folder(as)
	if err != nil {
		return nil, err
	}
	return &Server{As: as, Dir: dir, Data: filepath.Join(dir, "data"), program: program}, nil
}

// Command returns the command that runs the server.
func (s *Server) Command(args ...string) *exec.Cmd {
	return Command(s.As, s.Dir, s.program, append(s.args[:len(s.args):len(s.args)], args...)...)
}

// Remove removes the folder of the server.
func (s *Server) Remove() { _ = os.RemoveAll(s.Dir) }

// EmptyPostgres returns a PostgreSQL that has no data folder yet.
func EmptyPostgres() (*Server, error) {
	// Debian keeps it out of the path, in a folder for each version.
	pattern := "/usr/lib/postgresql/*/bin/postgres"
	if bin, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		own := filepath.Join(strings.TrimSpace(string(bin)), "postgres")
		if _, err := os.Stat(own); err == nil {
			pattern = own
		}
	}
	program, err := Program("PostgreSQL (Debian: postgresql)", pattern, "postgres")
	if err != nil {
		return nil, err
	}
	s, err := newServer(program, "postgres")
	if err != nil {
		return nil, err
	}
	s.args = []string{"-D", s.Data, "-k", s.Dir, "-h", ""}
	return s, nil
}

// Beside returns a command for the account of the server, with a program from the
// folder of its program.
func (s *Server) Beside(name string, args ...string) *exec.Cmd {
	return Command(s.As, s.Dir, filepath.Join(filepath.Dir(s.program), name), args...)
}

// Initdb makes the data folder of a PostgreSQL.
func (s *Server) Initdb(args ...string) error {
	_, err := Run(s.Beside("initdb", append([]string{"-D", s.Data, "-U", "postgres", "-A", "trust",
		"-E", "UTF8", "--locale=C", "-N"}, args...)...))
	return err
}

// Postgres returns a PostgreSQL with an empty data folder.
func Postgres() (*Server, error) {
	s, err := EmptyPostgres()
	if err != nil {
		return nil, err
	}
	if err := s.Initdb(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// URL is that of a database of a PostgreSQL.
func (s *Server) URL(name string) string {
	return "postgres:///" + name + "?user=postgres&sslmode=disable&host=" + s.Dir
}

// MariaDB returns a MariaDB with an empty data folder.
func MariaDB() (*Server, error) {
	const what = "MariaDB (Debian: mariadb-server)"
	install, err := Program(what, "/usr/bin/mariadb-install-db", "mariadb-install-db")
	if err != nil {
		return nil, err
	}
	mariadbd, err := Program(what, "/usr/sbin/mariadbd", "mariadbd")
	if err != nil {
		return nil, err
	}
	return newMySQL(mariadbd, install, "--auth-root-authentication-method=normal", "--skip-test-db")
}

// MySQL is [MariaDB] with the server of MySQL.
func MySQL(mysqld string) (*Server, error) {
	return newMySQL(mysqld, mysqld, "--initialize-insecure")
}

func newMySQL(mysqld, install string, args ...string) (*Server, error) {
	s, err := newServer(mysqld, "mysql")
	if err != nil {
		return nil, err
	}
	// A server that starts removes temporary tables of others from a folder that they
	// share.
	common := []string{"--no-defaults", "--datadir=" + s.Data, "--tmpdir=" + s.Dir}
	s.args = append(common, "--socket="+s.Socket(), "--skip-networking",
		"--pid-file="+filepath.Join(s.Dir, "pid"), "--secure-file-priv="+s.Dir, "--loose-mysqlx=OFF")
	args = slices.Concat(common, args)
	if _, err := Run(Command(s.As, s.Dir, install, args...)); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

// Socket is where a MariaDB or MySQL listens.
func (s *Server) Socket() string { return filepath.Join(s.Dir, "s") }

// A Ping asks the server with a URL of the example server whether it answers.
type Ping func(ctx context.Context, url string) error

// OnEach runs a test with a throwaway PostgreSQL, MariaDB and, where OSTIARY_MYSQLD
// names its program, MySQL.
func OnEach(t *testing.T, ping Ping, test func(t *testing.T, url string)) {
	t.Run("PostgreSQL", func(t *testing.T) { test(t, OnPostgres(t, ping)) })
	t.Run("MariaDB", func(t *testing.T) { test(t, onMySQL(t, ping, MariaDB)) })
	// Few systems package MySQL itself, too.
	if mysqld := os.Getenv("OSTIARY_MYSQLD"); mysqld != "" {
		t.Run("MySQL", func(t *testing.T) {
			test(t, onMySQL(t, ping, func() (*Server, error) { return MySQL(mysqld) }))
		})
	}
}

// OnPostgres starts a PostgreSQL for the time of a test.
func OnPostgres(t *testing.T, ping Ping) (url string) {
	t.Helper()
	s, err := Postgres()
	Check(t, err)
	t.Cleanup(s.Remove)
	url = s.URL("postgres")
	s.launch(t, ping, url)
	return url
}

func onMySQL(t *testing.T, ping Ping, get func() (*Server, error)) (url string) {
	t.Helper()
	s, err := get()
	Check(t, err)
	t.Cleanup(s.Remove)
	first := filepath.Join(s.Dir, "init.sql")
	Check(t, os.WriteFile(first, []byte("CREATE DATABASE IF NOT EXISTS ostiary;\n"), 0o644))
	url = "mysql://root@/ostiary?socket=" + s.Socket()
	s.launch(t, ping, url, "--skip-log-bin", "--init-file="+first)
	return url
}

// launch runs the server until the test ends, and returns when it answers.
func (s *Server) launch(t *testing.T, ping Ping, url string, args ...string) {
	t.Helper()
	p := Spawn(t, s.Command(args...), nil)
	Check(t, p.Answers(func(ctx context.Context) error { return ping(ctx, url) }))
}
