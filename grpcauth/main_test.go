package grpcauth_test

import (
	"testing"

	"go.uber.org/goleak"
)

// no goroutine outlives what started it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
