package storetest_test

import (
	"context"
	"testing"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
	"github.com/ostiary/auth/store/storetest"
)

// hostTable is a table with the five methods of store.Users and no more.
func hostTable(users store.Users, db *memory.Store) storetest.HostUsers {
	return storetest.HostUsers{
		Users: users,
		Add:   func(ctx context.Context, u store.User) (store.User, error) { return db.InsertUser(ctx, u) },
	}
}

// Each suite asks of a store nothing but the part that it is for: what embeds a
// nil interface panics where more is asked.
func TestParts(t *testing.T) {
	t.Run("users", func(t *testing.T) {
		storetest.RunUsers(t, func(*testing.T) storetest.HostUsers {
			db := memory.New()
			return hostTable(struct{ store.Users }{db}, db)
		})
	})
	t.Run("tokens", func(t *testing.T) {
		storetest.RunTokens(t, func(_ *testing.T, users store.Users) store.Tokens {
			return struct{ store.Tokens }{keeper(users)}
		})
	})
	t.Run("grants", func(t *testing.T) {
		storetest.RunGrants(t, func(_ *testing.T, users store.Users) store.OAuth {
			return struct{ store.OAuth }{keeper(users)}
		})
	})
	t.Run("sessions", func(t *testing.T) {
		storetest.RunSessions(t, func(_ *testing.T, users store.Users) store.Sessions {
			return struct{ store.Sessions }{keeper(users)}
		})
	})
	t.Run("attempts", func(t *testing.T) {
		storetest.RunAttempts(t, func(*testing.T) store.Attempts {
			return struct{ store.Attempts }{memory.New()}
		})
	})
	t.Run("activities", func(t *testing.T) {
		storetest.RunActivities(t, func(*testing.T) store.Activities {
			return struct{ store.Activities }{memory.New()}
		})
	})
}
