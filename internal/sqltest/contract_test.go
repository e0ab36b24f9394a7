package sqltest

import (
	"testing"

	"github.com/ostiary/auth/store/storetest"
)

// Every database keeps the whole contract.
func TestContract(t *testing.T) {
	onEach(t, func(t *testing.T, fresh func(testing.TB) place) {
		storetest.Run(t, func(t *testing.T) storetest.Store { return fresh(t).open(t) })
	})
}
