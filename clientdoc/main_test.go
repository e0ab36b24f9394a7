package clientdoc_test

import (
	"testing"

	"github.com/ostiary/auth/internal/leaktest"
)

// no goroutine outlives what started it.
func TestMain(m *testing.M) { leaktest.Main(m) }
