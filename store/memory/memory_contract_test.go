package memory_test

import (
	"testing"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(_ *testing.T, users store.Users) storetest.Store {
		if users != nil {
			return memory.NewWithUsers(users)
		}
		return memory.New()
	})
}

func TestActivitiesContract(t *testing.T) {
	storetest.RunActivities(t, func(*testing.T) store.Activities { return memory.New() })
}
