package sqltest

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"
)

// childEnv says which of children this process is to be, childArgs with what.
const (
	childEnv  = "OSTIARY_SQLTEST_CHILD"
	childArgs = "OSTIARY_SQLTEST_ARGS"
)

// children are what a test starts as a process of its own. They talk through
// standard output and end with standard input.
var children = map[string]func(args []byte) error{
	"migrate": migrateChild,
	"race":    raceChild,
	"load":    loadChild,
	"replay":  replayChild,
}

func TestMain(m *testing.M) {
	mysql.SetLogger(&mysql.NopLogger{}) // connections break on purpose here
	if child := children[os.Getenv(childEnv)]; child != nil {
		if err := child([]byte(os.Getenv(childArgs))); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of it is waiting for disks
		panic(err)
	}
	// no goroutine outlives what started it.
	goleak.VerifyTestMain(withServers{m})
}

// withServers are the tests, after which the servers are stopped.
type withServers struct{ *testing.M }

func (m withServers) Run() int {
	defer stopServers()
	return m.M.Run()
}

// A child is another process.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// start runs a child with args, as the last arguments of another program if one
// is named.
func start(t testing.TB, name string, args any, under ...string) *child {
	t.Helper()
	text, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	argv := append(under, os.Args[0])
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), childEnv+"="+name, childArgs+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	return &child{cmd, stdin, lines}
}

// wait waits for the end of a child that must succeed.
func (c *child) wait(t testing.TB) {
	t.Helper()
	c.stdin.Close()
	for c.lines.Scan() {
	}
	if err := c.cmd.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
}
