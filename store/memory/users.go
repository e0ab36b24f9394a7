package memory

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// user is a user with what only [store.Users.PasswordHash] shows.
type user struct {
	store.User
	hash string
}

// UserByID implements [store.Users].
func (s *Store) UserByID(ctx context.Context, id string) (store.User, error) {
	if err := ctx.Err(); err != nil {
		return store.User{}, err
	}
	s.mu.RLock()
	u := s.users[id]
	s.mu.RUnlock()
	if u == nil {
		return store.User{}, store.ErrNotFound
	}
	return u.User, nil
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	if err := ctx.Err(); err != nil {
		return store.User{}, err
	}
	s.mu.RLock()
	u := s.usersByName[name]
	s.mu.RUnlock()
	if u == nil {
		return store.User{}, store.ErrNotFound
	}
	return u.User, nil
}

// PasswordHash implements [store.Users].
func (s *Store) PasswordHash(ctx context.Context, userID string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	s.mu.RLock()
	u := s.users[userID]
	s.mu.RUnlock()
	if u == nil {
		return "", store.ErrNotFound
	}
	return u.hash, nil
}

// SwapPasswordHash implements [store.Users].
func (s *Store) SwapPasswordHash(ctx context.Context, userID, prev, next string) error {
	return s.changeUser(ctx, userID, func(u *user) error {
		if u.hash != prev {
			return store.ErrConflict
		}
		u.hash = next
		return nil
	})
}

// SetPasswordHash implements [store.Users].
func (s *Store) SetPasswordHash(ctx context.Context, userID, hash string) error {
	return s.changeUser(ctx, userID, func(u *user) error {
		u.hash = hash
		u.Epoch++
		return nil
	})
}

// UpdateUser implements [store.Accounts].
func (s *Store) UpdateUser(ctx context.Context, next store.User) error {
	return s.changeUser(ctx, next.ID, func(u *user) error {
		if other := s.usersByName[next.Name]; other != nil && other.ID != next.ID {
			return store.ErrExists
		}
		next.Epoch, next.Created = u.Epoch, u.Created
		if u.Active && !next.Active {
			next.Epoch++
		}
		u.User = next
		return nil
	})
}

// changeUser publishes a changed copy of the user.
func (s *Store) changeUser(ctx context.Context, id string, change func(*user) error) error {
	return s.write(ctx, func() error {
		old := s.users[id]
		if old == nil {
			return store.ErrNotFound
		}
		u := *old
		if err := change(&u); err != nil {
			return err
		}
		delete(s.usersByName, old.Name)
		s.users[id], s.usersByName[u.Name] = &u, &u
		return nil
	})
}

// InsertUser implements [store.Accounts].
func (s *Store) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	u.Created = micro(u.Created)
	err := s.write(ctx, func() error {
		if s.usersByName[u.Name] != nil || s.users[u.ID] != nil {
			return store.ErrExists
		}
		if u.ID == "" {
			s.lastUser++
			u.ID = strconv.FormatInt(s.lastUser, 10)
		} else if n, ok := number(u.ID); ok {
			s.lastUser = max(s.lastUser, n)
		}
		record := &user{User: u}
		s.users[u.ID], s.usersByName[u.Name] = record, record
		return nil
	})
	if err != nil {
		return store.User{}, err
	}
	return u, nil
}

// number reads a decimal ID as the store assigns them.
func number(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == id
}

// DeleteUser implements [store.Accounts].
func (s *Store) DeleteUser(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func() error {
		u := s.users[id]
		if u == nil {
			return store.ErrNotFound
		}
		delete(s.users, id)
		delete(s.usersByName, u.Name)
		for d, c := range s.codes {
			if c.UserID == id {
				delete(s.codes, d)
			}
		}
		for _, d := range s.devices {
			if d.UserID == id {
				s.dropDevice(d)
			}
		}
		s.revoke(store.Selection{UserID: id}, micro(at))
		s.end(store.SessionSelection{UserID: id}, store.EndedAdmin, micro(at))
		return nil
	})
}

// ListUsers implements [store.Accounts].
func (s *Store) ListUsers(ctx context.Context, name string, p store.Page) (list []store.User, total int, err error) {
	err = s.read(ctx, func() error {
		for _, u := range s.users {
			if name == "" || u.Name == name {
				list = append(list, u.User)
			}
		}
		return nil
	})
	byName := func(a, b store.User) int {
		if p.Order != store.OrderName {
			return 0
		}
		return strings.Compare(a.Name, b.Name)
	}
	return page(list, p, byName, func(a, b store.User) int { return compareIDs(a.ID, b.ID) }), len(list), err
}

// compareIDs orders numbers by value, before everything else.
func compareIDs(a, b string) int {
	m, okM := number(a)
	n, okN := number(b)
	switch {
	case okM && okN:
		return cmp.Compare(m, n)
	case okM:
		return -1
	case okN:
		return 1
	}
	return strings.Compare(a, b)
}
