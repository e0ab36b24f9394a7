package importer_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

	"go.uber.org/goleak"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/store/sqlstore"
)

// childEnv makes this process run one import, which a test kills.
const childEnv = "OSTIARY_IMPORTER_CHILD"

func TestMain(m *testing.M) {
	if args := os.Getenv(childEnv); args != "" {
		if err := child(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler)) // refusals are what is tested
	goleak.VerifyTestMain(withServer{m})
}

// withServer are the tests, after which the server is stopped.
type withServer struct{ *testing.M }

func (m withServer) Run() int {
	defer stopPostgres()
	return m.M.Run()
}

// childArgs are what a child imports.
type childArgs struct {
	From, To string
	Options  importer.Options
	Pause    int // after so many lines the import waits for one on standard input; 0 for never
}

func child(text string) error {
	var args childArgs
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		return err
	}
	from, err := database.Connect(args.From, sqlstore.Options{})
	if err != nil {
		return err
	}
	to, err := database.Open(context.Background(), args.To, sqlstore.Options{})
	if err != nil {
		return err
	}
	lines := 0
	args.Options.Progress = func(step string, done, _ int64) {
		fmt.Println(step, done)
		if lines++; lines == args.Pause {
			_, _ = os.Stdin.Read(make([]byte, 1))
		}
	}
	_, err = importer.Run(context.Background(), from, to, args.Options)
	return errors.Join(err, to.Close(), from.Close())
}

// The PostgreSQL server of all tests.
var (
	postgres = sync.OnceValues(startPostgres)
	running  *exec.Cmd
	folder   string
	gone     chan struct{}
)

func stopPostgres() {
	if running != nil {
		running.Process.Signal(syscall.SIGQUIT)
		<-gone
	}
	if folder != "" {
		os.RemoveAll(folder)
	}
}

// startPostgres starts a server in a folder of its own, whose path it returns.
func startPostgres() (string, error) {
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		bins = append([]string{strings.TrimSpace(string(out))}, bins...)
	}
	bin := ""
	for _, b := range bins {
		if _, err := os.Stat(filepath.Join(b, "initdb")); err == nil {
			bin = b
			break
		}
	}
	if bin == "" {
		return "", errors.New("PostgreSQL is not installed")
	}
	as, err := serverAccount()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("OSTIARY_TMP"), "/tmp"), "ostiary-import")
	if err != nil {
		return "", err
	}
	folder = dir
	if as != nil {
		if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
			return "", err
		}
	}
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as, Pdeathsig: syscall.SIGKILL, Setpgid: true}
		return cmd
	}
	data := filepath.Join(dir, "data")
	if out, err := command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N").CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w\n%s", err, out)
	}
	cmd := command("postgres", "-D", data, "-k", dir, "-h", "", "-c", "max_wal_size=1GB", "-c", "shared_buffers=256MB")
	var log strings.Builder
	cmd.Stderr = &log
	started := make(chan error)
	gone = make(chan struct{})
	go func() {
		runtime.LockOSThread() // the server ends with the thread that started it
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
		close(gone)
	}()
	if err := <-started; err != nil {
		return "", err
	}
	running = cmd
	return dir, answers(dir)
}

// serverAccount returns the account of the server: root may not run it.
func serverAccount() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
	}
	return nil, errors.New("no account to run PostgreSQL as")
}

// answers waits until the server does.
func answers(dir string) error {
	db, err := database.Connect(dsn(dir, "postgres"), sqlstore.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 15_000 { // five minutes
		if err = db.Pool.Ping(); err == nil {
			return nil
		}
		select {
		case <-gone:
			return fmt.Errorf("PostgreSQL does not start: %w", err)
		case <-tick.C:
		}
	}
	return err
}

func dsn(dir, name string) string {
	return "postgres:///" + name + "?host=" + dir + "&user=postgres&sslmode=disable"
}

var (
	databases   int
	databasesMu sync.Mutex
)

// newPostgres returns the folder of the server and the name of a new database.
func newPostgres(t testing.TB) (dir, name string) {
	t.Helper()
	dir, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	databasesMu.Lock()
	databases++
	name = fmt.Sprint("import", databases)
	databasesMu.Unlock()
	db, err := database.Connect(dsn(dir, "postgres"), sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Pool.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return dir, name
}
