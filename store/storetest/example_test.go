package storetest_test

import (
	"context"
	"testing"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// The test of an adapter that keeps everything. Here the adapter is package
// memory.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestStore(t *testing.T)
		storetest.Run(t, func(t *testing.T, users store.Users) storetest.Store {
			if users != nil {
				return memory.NewWithUsers(users)
			}
			return memory.New()
		})
	}
}

// The test of a host's own table of users, which has the five methods of
// store.Users. The test adds users in its own way.
func ExampleRunUsers() {
	_ = func(t *testing.T) { // func TestUsers(t *testing.T)
		storetest.RunUsers(t, func(t *testing.T) storetest.HostUsers {
			table := memory.New() // the table of the host
			return storetest.HostUsers{
				Users: table,
				Add: func(ctx context.Context, u store.User) (store.User, error) {
					return table.InsertUser(ctx, u)
				},
			}
		})
	}
}

// The test of an adapter that keeps sessions alone.
func ExampleRunSessions() {
	_ = func(t *testing.T) { // func TestSessions(t *testing.T)
		storetest.RunSessions(t, func(t *testing.T, users store.Users) store.Sessions {
			return memory.NewWithUsers(users)
		})
	}
}
