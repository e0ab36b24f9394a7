package memory

import (
	"cmp"
	"context"
	"hash/maphash"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// ChangeUser implements [store.Accounts].
func (s *Store) ChangeUser(ctx context.Context, id string, c store.UserChange) (changed store.User, err error) {
	err = s.changeUser(ctx, id, func(u *user) error {
		next := u.User
		set(&next.Name, c.Name)
		set(&next.Email, c.Email)
		set(&next.FirstName, c.FirstName)
		set(&next.LastName, c.LastName)
		set(&next.Admin, c.Admin)
		set(&next.Auditor, c.Auditor)
		set(&next.Active, c.Active)
		set(&next.Service, c.Service)
		if !activeAdmin(next) && s.lastAdmin(u) {
			return store.ErrLastAdmin
		}
		err := s.replaceUser(u, next)
		changed = u.User
		return err
	})
	if err != nil {
		return store.User{}, err
	}
	return changed, nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// activeAdmin reports whether u is an administrator who can log in.
func activeAdmin(u store.User) bool { return u.Admin && u.Active && !u.Service }

// lastAdmin reports whether u is the only active administrator.
func (s *Store) lastAdmin(u *user) bool {
	if !activeAdmin(u.User) {
		return false
	}
	for a := range s.accounts.all() {
		if other := a.user.Load(); other != nil && other.ID != u.ID && activeAdmin(other.User) {
			return false
		}
	}
	return true
}

// DeleteUser implements [store.Accounts].
func (s *Store) DeleteUser(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func() error {
		u := s.userByID(id)
		switch {
		case u == nil:
			return store.ErrNotFound
		case s.lastAdmin(u):
			return store.ErrLastAdmin
		}
		a := s.account(id)
		a.user.Store(nil)
		s.names.remove(maphash.String(s.seed, u.Name), a)
		s.consents.dropUser(id)
		s.revoke(store.Selection{UserID: id}, instantOf(at))
		s.end(store.SessionSelection{UserID: id}, store.EndedAdmin, instantOf(at))
		s.closeAccount(a)
		return nil
	})
}

// ListUsers implements [store.Accounts].
func (s *Store) ListUsers(ctx context.Context, f store.UserFilter, p store.Page) (list []store.User, total int, err error) {
	var users []*user
	err = s.read(ctx, func() error {
		if f.Name != "" {
			if u := s.userByName(f.Name); u != nil {
				users = append(users, u)
			}
			return nil
		}
		for a := range s.accounts.all() {
			if u := a.user.Load(); u != nil {
				users = append(users, u)
			}
		}
		return nil
	})
	if err == nil {
		users, err = narrow(users, f.Where, userColumn)
	}
	if err != nil {
		return nil, 0, err
	}
	for _, u := range page(users, p, userOrder(p.Order)) {
		list = append(list, u.User)
	}
	return list, len(users), nil
}

func userColumn(u *user, c store.Column) (any, bool) {
	switch c {
	case store.ColumnID:
		return userID(u.ID), true
	case store.ColumnName:
		return u.Name, true
	case store.ColumnEmail:
		return u.Email, true
	case store.ColumnFirstName:
		return u.FirstName, true
	case store.ColumnLastName:
		return u.LastName, true
	case store.ColumnAdmin:
		return u.Admin, true
	case store.ColumnAuditor:
		return u.Auditor, true
	case store.ColumnActive:
		return u.Active, true
	case store.ColumnService:
		return u.Service, true
	case store.ColumnCreated:
		return u.Created, true
	}
	return nil, false
}

func userOrder(by store.OrderBy) func(a, b *user) int {
	return func(a, b *user) int {
		var c int
		switch by {
		case store.OrderName:
			c = strings.Compare(a.Name, b.Name)
		case store.OrderCreated:
			c = a.Created.Compare(b.Created)
		}
		return cmp.Or(c, compareIDs(a.ID, b.ID))
	}
}
