package memory_test

import (
	"testing"

	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Store { return memory.New() })
}
