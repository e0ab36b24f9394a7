package importer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/ostiary/auth/cmd/ostiary/internal/database"
	"github.com/ostiary/auth/cmd/ostiary/internal/importer"
	"github.com/ostiary/auth/internal/servertest"
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
	server   *servertest.Server
	running  *servertest.Process
)

func stopPostgres() {
	if running != nil {
		running.Cmd.Process.Signal(syscall.SIGQUIT)
		<-running.Exited
	}
	if server != nil {
		server.Remove()
	}
}

// startPostgres starts a server in a folder of its own, whose path it returns.
func startPostgres() (dir string, err error) {
	if server, err = servertest.Postgres(); err != nil {
		return "", err
	}
	p, err := servertest.Start(server.Command("-c", "max_wal_size=1GB", "-c", "shared_buffers=256MB"))
	if err != nil {
		return "", err
	}
	running = p
	db, err := database.Connect(dsn(server.Dir, "postgres"), sqlstore.Options{})
	if err != nil {
		return "", err
	}
	defer db.Close()
	return server.Dir, running.Answers(db.Pool.PingContext)
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
