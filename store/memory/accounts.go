package memory

import (
	"cmp"
	"context"
	"errors"
	"slices"
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
	return activeAdmin(u.User) && s.accounts.admins == 1
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
		s.setUser(a, nil)
		s.consents.dropUser(id)
		s.revoke(store.Selection{UserID: id}, instantOf(at))
		s.end(store.SessionSelection{UserID: id}, store.EndedAdmin, instantOf(at))
		s.closeAccount(a)
		return nil
	})
}

// ListUsers implements [store.Accounts].
func (s *Store) ListUsers(ctx context.Context, f store.UserFilter, p store.Page) (list []store.User, total int, err error) {
	err = s.read(ctx, func() error {
		all := matcher[*user]{where: f.Where, column: userColumn}
		l := newLister(p, userOrder(p.Order))
		l.take(s.usersFor(f, p), func(a *account) bool { return all.meet(a.user.Load()) })
		list = shown(l.page(), func(a *account) store.User { return a.user.Load().User })
		total = l.total
		return errors.Join(all.err, l.err)
	})
	if err != nil {
		return nil, 0, err
	}
	return list, total, nil
}

// usersFor returns the shortest list in which all users are that f can name.
func (s *Store) usersFor(f store.UserFilter, p store.Page) source[*account] {
	if f.Name != "" {
		var list []*account
		if u := s.userByName(f.Name); u != nil {
			list = append(list, s.account(u.ID))
		}
		return source[*account]{records: slices.Values(list)}
	}
	by := p.Order
	if !slices.Contains(userOrders[:], by) {
		by = store.OrderID
	}
	return source[*account]{records: s.accounts.ordered[by].all(p.Descending), ordered: true}
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

func userOrder(by store.OrderBy) func(a, b *account) int {
	return func(x, y *account) int {
		a, b := x.user.Load(), y.user.Load()
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
