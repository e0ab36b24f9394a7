package mcptest_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// no goroutine outlives what started it.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		for _, dir := range temporary {
			_ = os.RemoveAll(dir)
		}
		os.Exit(status)
	}))
}
