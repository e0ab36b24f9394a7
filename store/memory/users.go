package memory

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"math"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// An account is all that belongs to one user ID. It exists as long as there is a
// user, a token or a session with that ID: the users may be somewhere else.
type account struct {
	id   string
	user atomic.Pointer[user] // nil where the store has no such user

	tokens   shelf
	issued   int // tokens of it, marked as revoked or not
	sessions []*session
}

// user is a user with the password hash.
type user struct {
	store.User
	hash string
}

// account returns the account with that ID, or nil.
func (s *Store) account(id string) *account {
	return s.accounts.find(maphash.String(s.seed, id), func(a *account) bool { return a.id == id })
}

// openAccount returns the account with that ID. It begins to exist.
func (s *Store) openAccount(id string) *account {
	a := s.account(id)
	if a == nil {
		a = &account{id: id, tokens: s.newShelf()}
		s.accounts.add(maphash.String(s.seed, id), a)
	}
	return a
}

// closeAccount forgets an account that nothing belongs to any more.
func (s *Store) closeAccount(a *account) {
	if a.user.Load() == nil && a.issued == 0 && len(a.sessions) == 0 {
		s.accounts.remove(maphash.String(s.seed, a.id), a)
	}
}

// people are the users in the orders of lists.
type people struct {
	byID, byName ranked[user]
	admins       int // active ones
}

func newPeople() people {
	return people{byID: ranked[user]{order: userOrder(store.OrderID)}, byName: ranked[user]{order: userOrder(store.OrderName)}}
}

// setUser publishes the user of an account, nil for none any more.
func (s *Store) setUser(a *account, u *user) {
	p, old := &s.people, a.user.Load()
	a.user.Store(u)
	if old != nil {
		p.byID.remove(old)
		p.byName.remove(old)
		if activeAdmin(old.User) {
			p.admins--
		}
	}
	if u != nil {
		p.byID.add(u)
		p.byName.add(u)
		if activeAdmin(u.User) {
			p.admins++
		}
	}
}

// userByID returns the user with that ID, or nil.
func (s *Store) userByID(id string) *user {
	if a := s.account(id); a != nil {
		return a.user.Load()
	}
	return nil
}

// userByName returns the user of that name, or nil.
func (s *Store) userByName(name string) *user {
	var u *user
	s.names.find(maphash.String(s.seed, name), func(a *account) bool {
		// The user may be about to get another name, or to go.
		if u = a.user.Load(); u != nil && u.Name != name {
			u = nil
		}
		return u != nil
	})
	return u
}

// hostUser asks the host for a user; a missing one is a zero one.
func (s *Store) hostUser(ctx context.Context, id string) (store.User, error) {
	if id == "" {
		return store.User{}, nil
	}
	u, err := s.users.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, nil
	}
	return u, err
}

// UserByID implements [store.Users].
func (s *Store) UserByID(ctx context.Context, id string) (store.User, error) {
	return found(ctx, s.userByID, id)
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	return found(ctx, s.userByName, name)
}

func found(ctx context.Context, find func(string) *user, key string) (store.User, error) {
	if err := ctx.Err(); err != nil {
		return store.User{}, err
	}
	u := find(key)
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
	u := s.userByID(userID)
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

// ReplacePassword implements [store.Accounts].
func (s *Store) ReplacePassword(ctx context.Context, userID string, epoch int64, hash string) (after store.User, err error) {
	err = s.changeUser(ctx, userID, func(u *user) error {
		if u.Epoch != epoch {
			return store.ErrConflict
		}
		u.hash = hash
		u.Epoch++
		after = u.User
		return nil
	})
	return after, err
}

// UpdateUser implements [store.Accounts].
func (s *Store) UpdateUser(ctx context.Context, next store.User) error {
	return s.changeUser(ctx, next.ID, func(u *user) error { return s.replaceUser(u, next) })
}

// replaceUser replaces all of u that is the caller's to say.
func (s *Store) replaceUser(u *user, next store.User) error {
	if next.Name != u.Name && s.userByName(next.Name) != nil {
		return store.ErrExists
	}
	next.ID, next.Epoch, next.Created = u.ID, u.Epoch, u.Created
	if u.Active && !next.Active || u.Service != next.Service {
		next.Epoch++
	}
	if u.Service != next.Service {
		u.hash = ""
	}
	u.User = next
	return nil
}

// changeUser publishes a changed copy of the user.
func (s *Store) changeUser(ctx context.Context, id string, change func(*user) error) error {
	return s.write(ctx, func() error {
		old := s.userByID(id)
		if old == nil {
			return store.ErrNotFound
		}
		next := *old
		if err := change(&next); err != nil {
			return err
		}
		a := s.account(id)
		if next.Name == old.Name {
			s.setUser(a, &next)
			return nil
		}
		// While both names lead to the account, the user says which one holds.
		s.names.add(maphash.String(s.seed, next.Name), a)
		s.setUser(a, &next)
		s.names.remove(maphash.String(s.seed, old.Name), a)
		return nil
	})
}

// InsertUser implements [store.Accounts].
func (s *Store) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	u.Created = micro(u.Created)
	err := s.write(ctx, func() error {
		if s.userByName(u.Name) != nil || s.userByID(u.ID) != nil {
			return store.ErrExists
		}
		if u.ID == "" {
			if s.lastUser == math.MaxInt64 {
				return errors.New("memory: no user IDs are left")
			}
			s.lastUser++
			u.ID = strconv.FormatInt(s.lastUser, 10)
		} else if n, ok := number(u.ID); ok {
			s.lastUser = max(s.lastUser, n)
		}
		a := s.openAccount(u.ID)
		s.names.add(maphash.String(s.seed, u.Name), a)
		s.setUser(a, &user{User: u})
		return nil
	})
	if err != nil {
		return store.User{}, err
	}
	return u, nil
}

// number reads an ID that is a decimal number as this package would write it.
func number(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == id
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
