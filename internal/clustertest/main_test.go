package clustertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"
	"go.uber.org/goleak"
)

// binary is the example server, built once. It is built without the race detector:
// package server has its own tests with it, and here time matters.
var binary string

func TestMain(m *testing.M) {
	_ = mysql.SetLogger(&mysql.NopLogger{}) // connections break on purpose here
	dir, err := os.MkdirTemp("", "ostiary-cluster")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "server")
	build := exec.Command("go", "build", "-o", binary, "./server")
	build.Dir = filepath.Join("..", "..", "examples")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	// no goroutine outlives what started it.
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}
