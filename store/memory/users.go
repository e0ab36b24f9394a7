package memory

import (
	"cmp"
	"context"
	"errors"
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

	tokens shelf
	issued uint32 // tokens of it, marked as revoked or not
	logins uint32 // sessions of it, ended or not
	newest ref    // its sessions that have not ended, the newest first
	self   ref
}

// user is a user with the password hash. It is never changed. The hash stands apart, so
// that the rest is two cache lines, which is all that most requests read.
type user struct {
	store.User
	hash *string // nil for none
}

// passwordHash returns the hash, or "".
func (u *user) passwordHash() string {
	if u.hash == nil {
		return ""
	}
	return *u.hash
}

// setHash changes a user that is not published yet.
func (u *user) setHash(hash string) {
	if u.hash = nil; hash != "" {
		u.hash = new(strings.Clone(hash))
	}
}

// accounts are those of a store, and the users in the orders of lists.
type accounts struct {
	handles[account]
	byName   *index // those with a user
	byID     *index
	ordered  [store.OrderName + 1]sorted[account]
	admins   int // active ones
	lastUser int64
}

// userOrders are those that a store keeps.
var userOrders = [...]store.OrderBy{store.OrderID, store.OrderCreated, store.OrderName}

// setAccounts makes the accounts of a new store, whose lists point into it.
func (s *Store) setAccounts() {
	as := &s.accounts
	as.byID, as.byName = newIndex(), newIndex()
	for _, by := range userOrders {
		as.ordered[by].ordering = &ordering[account]{get: as.get, self: func(a *account) ref { return a.self }, compare: userOrder(by)}
	}
}

// account returns the account with that ID, or nil.
func (s *Store) account(id string) *account {
	return s.accounts.get(s.accounts.byID.find(s.hashText(id), func(r ref) bool {
		a := s.accounts.get(r)
		return a != nil && a.id == id
	}))
}

// openAccount returns the account with that ID. It begins to exist.
func (s *Store) openAccount(id string) *account {
	a := s.account(id)
	if a == nil {
		a = &account{id: id, tokens: s.newShelf()}
		a.self = s.accounts.put(a)
		s.accounts.byID.add(s.hashText(id), a.self)
	}
	return a
}

// closeAccount forgets an account that nothing belongs to any more.
func (s *Store) closeAccount(a *account) {
	if a.user.Load() == nil && a.issued == 0 && a.logins == 0 {
		s.accounts.byID.remove(s.hashText(a.id), a.self)
		s.accounts.drop(a.self)
	}
}

// setUser publishes another user of an account, or that there is none any more.
func (s *Store) setUser(a *account, next *user) {
	as := &s.accounts
	if old := a.user.Load(); old != nil {
		as.byName.remove(s.hashText(old.Name), a.self)
		for _, by := range userOrders {
			as.ordered[by].remove(a)
		}
		if activeAdmin(old.User) {
			as.admins--
		}
	}
	a.user.Store(next)
	if next == nil {
		return
	}
	as.byName.add(s.hashText(next.Name), a.self)
	for _, by := range userOrders {
		as.ordered[by].add(a)
	}
	if activeAdmin(next.User) {
		as.admins++
	}
}

// packed returns a user to keep, whose texts are one: an object instead of five, and
// nothing that the texts of the caller are a part of.
func packed(u user) *user {
	texts := [...]*string{&u.ID, &u.Name, &u.Email, &u.FirstName, &u.LastName}
	var all strings.Builder
	for _, text := range texts {
		all.WriteString(*text)
	}
	rest := all.String()
	for _, text := range texts {
		*text, rest = rest[:len(*text)], rest[len(*text):]
	}
	return &u
}

// userByID returns the user with that ID, or nil.
func (s *Store) userByID(id string) *user {
	if a := s.account(id); a != nil {
		return a.user.Load()
	}
	return nil
}

// userByName returns the user of that name, or nil.
func (s *Store) userByName(name string) (u *user) {
	s.accounts.byName.find(s.hashText(name), func(r ref) bool {
		a := s.accounts.get(r)
		if a == nil {
			return false
		}
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
	u, err := s.foundUser(ctx, s.userByID, id)
	return u.User, err
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	u, err := s.foundUser(ctx, s.userByName, name)
	return u.User, err
}

// PasswordHash implements [store.Users].
func (s *Store) PasswordHash(ctx context.Context, userID string) (string, error) {
	u, err := s.foundUser(ctx, s.userByID, userID)
	return u.passwordHash(), err
}

// ReadUser is [Store.UserByName] and [Store.PasswordHash] of that user in one step, for
// package auth. It writes the user into u, which saves the copies of a large record. It
// returns [store.ErrNotFound] if nobody has the name. If it returns an error, u says
// nothing.
func (s *Store) ReadUser(ctx context.Context, name string, u *store.User) (hash string, err error) {
	found, err := s.foundUser(ctx, s.userByName, name)
	*u = found.User
	return found.passwordHash(), err
}

// nobody is what is found where nobody is.
var nobody = new(user)

// foundUser returns the user that find finds, or else nobody and an error.
func (s *Store) foundUser(ctx context.Context, find func(string) *user, key string) (*user, error) {
	if err := ctx.Err(); err != nil {
		return nobody, err
	}
	var u *user
	s.look(func() { u = find(key) })
	if u == nil {
		return nobody, store.ErrNotFound
	}
	return u, nil
}

// SwapPasswordHash implements [store.Users].
func (s *Store) SwapPasswordHash(ctx context.Context, userID, prev, next string) error {
	return s.changeUser(ctx, userID, func(u *user) error {
		if u.passwordHash() != prev {
			return store.ErrConflict
		}
		u.setHash(next)
		return nil
	})
}

// SetPasswordHash implements [store.Users].
func (s *Store) SetPasswordHash(ctx context.Context, userID, hash string) error {
	return s.changeUser(ctx, userID, func(u *user) error {
		u.setHash(hash)
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
		u.setHash(hash)
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
		u.setHash("")
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
		s.setUser(s.account(id), packed(next))
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
		if !s.accounts.hasRoom(1) {
			return errFull
		}
		last := s.accounts.lastUser
		if u.ID == "" {
			if last == math.MaxInt64 {
				return errors.New("memory: no user IDs are left")
			}
			last++
			u.ID = strconv.FormatInt(last, 10)
		} else if n, ok := number(u.ID); ok {
			last = max(last, n)
		}
		s.accounts.lastUser = last
		kept := packed(user{User: u})
		s.setUser(s.openAccount(kept.ID), kept)
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
