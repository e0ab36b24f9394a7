package cached_test

import (
	"testing"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/cached"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// Through one Store the whole contract holds, although no answer expires.
func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T, users store.Users) storetest.Store {
		var behind cached.Backing = memory.New()
		if users != nil {
			behind = memory.NewWithUsers(users)
		}
		st, err := cached.New(behind, &cached.Options{MaxAge: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		return st
	})
}
