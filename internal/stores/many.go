package stores

import (
	"context"
	"errors"
	"slices"

	"github.com/ostiary/auth/store"
)

type manyKey struct{}

// A Many is a look-up of several users. A store that is asked for one of them may find
// all of them by one query.
type Many struct {
	IDs []string

	of    store.Users // who alone may note them, as in [Hash]
	found map[string]store.User
	noted bool
}

// WantedUsers returns which users are looked up together with that one in users, a
// pointer. It returns nil if it is alone, if they are known, or if somebody else is asked.
func WantedUsers(ctx context.Context, users store.Users, id string) *Many {
	m, ok := ctx.Value(manyKey{}).(*Many)
	if !ok || m.of != users || m.noted || len(m.IDs) < 2 || !slices.Contains(m.IDs, id) {
		return nil
	}
	return m
}

// Note notes those of the users that exist.
func (m *Many) Note(found []store.User) {
	m.noted = true
	for _, u := range found {
		m.found[u.ID] = u
	}
}

// UsersByID returns the users with these IDs that exist, by their IDs. Some may be
// equal, and "" is nobody. A user that ctx has is not looked up, as in [UserByID]. A
// store of the host is asked for one after the other.
func UsersByID(ctx context.Context, users store.Users, ids []string) (map[string]store.User, error) {
	m := &Many{of: users, found: make(map[string]store.User, len(ids))}
	met := map[string]bool{"": true}
	for _, id := range ids {
		if met[id] {
			continue
		}
		met[id] = true
		if u, ok := seenUser(ctx, users, id); ok {
			m.found[id] = u
		} else {
			m.IDs = append(m.IDs, id)
		}
	}
	ctx = context.WithValue(ctx, manyKey{}, m)
	for _, id := range m.IDs {
		u, err := users.UserByID(ctx, id)
		switch {
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return nil, err
		case m.noted:
			return m.found, nil
		case err == nil:
			m.found[id] = u
		}
	}
	return m.found, nil
}
