package stores

import (
	"context"
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// SeenKey is the type of the key under which the context of a request carries a
// *[Seen].
type SeenKey struct{}

// A Seen keeps the user that the last look-up of a credential has read together with
// it. A handler that shows this user needs no second query. No right may be decided
// by it: what is read for a decision must be read when it is decided.
type Seen struct{ last atomic.Pointer[seen] }

type seen struct {
	by   store.Users
	user store.User
}

// See notes a user that by has just read for the request of ctx. By must be a pointer.
func See(ctx context.Context, by store.Users, u store.User) {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok && u.ID != "" {
		s.last.Store(&seen{by, u})
	}
}

// UserByID returns the user with that ID, from ctx if users itself has read it there,
// or else from users.
func UserByID(ctx context.Context, users store.Users, id string) (store.User, error) {
	if s, ok := ctx.Value(SeenKey{}).(*Seen); ok {
		if last := s.last.Load(); last != nil && last.user.ID == id && last.by == users {
			return last.user, nil
		}
	}
	return users.UserByID(ctx, id)
}
