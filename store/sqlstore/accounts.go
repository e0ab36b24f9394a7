package sqlstore

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// appendUser adds where userColumns or joinedUser go.
func appendUser(dest []any, u *store.User) []any {
	return append(dest, &u.ID, &u.Name, &u.Email, &u.FirstName, &u.LastName,
		&u.Admin, &u.Auditor, &u.Active, &u.Epoch, when(&u.Created))
}

// UserByID implements [store.Users].
func (s *Store) UserByID(ctx context.Context, id string) (store.User, error) {
	return s.user(ctx, userByID, id)
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	return s.user(ctx, userByName, name)
}

func (s *Store) user(ctx context.Context, query, key string) (store.User, error) {
	var u store.User
	if err := s.get(ctx, "look up a user", query, []any{key}, appendUser(nil, &u)...); err != nil {
		return store.User{}, err
	}
	return u, nil
}

// PasswordHash implements [store.Users].
func (s *Store) PasswordHash(ctx context.Context, userID string) (hash string, err error) {
	err = s.get(ctx, "look up a password hash", passwordHash, []any{userID}, &hash)
	return hash, err
}

// SwapPasswordHash implements [store.Users].
func (s *Store) SwapPasswordHash(ctx context.Context, userID, prev, next string) error {
	n, err := s.change(ctx, "swap a password hash", false, swapPasswordHash, next, userID, prev)
	if err != nil || n == 1 {
		return err
	}
	if _, err := s.UserByID(ctx, userID); err != nil {
		return err
	}
	return store.ErrConflict
}

// SetPasswordHash implements [store.Users].
func (s *Store) SetPasswordHash(ctx context.Context, userID, hash string) error {
	n, err := s.change(ctx, "set a password hash", true, setPasswordHash, hash, userID)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// noNumber orders IDs that are no numbers after those that are.
const noNumber = math.MaxInt64

// number reads an ID as this package would write it.
func number(id string) int64 {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != id {
		return noNumber
	}
	return n
}

// InsertUser implements [store.Accounts].
func (s *Store) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	out := u
	err := s.write(ctx, "insert a user", func(tx *tx) error {
		out = u
		n := number(u.ID)
		if u.ID == "" {
			if _, err := tx.exec(nextUserID); err != nil {
				return err
			}
			if err := tx.get(lastUserID, nil, &n); err != nil {
				return err
			}
			out.ID = strconv.FormatInt(n, 10)
		} else if n != noNumber {
			if _, err := tx.exec(skipUserIDs, n, n); err != nil {
				return err
			}
		}
		_, err := tx.exec(insertUser, out.ID, n, u.Name, u.Email, u.FirstName, u.LastName, u.Admin, u.Auditor,
			u.Active, u.Epoch, micros(u.Created))
		return err
	})
	if err != nil {
		return store.User{}, err
	}
	out.Created = stored(u.Created)
	return out, nil
}

// UpdateUser implements [store.Accounts].
func (s *Store) UpdateUser(ctx context.Context, u store.User) error {
	n, err := s.change(ctx, "update a user", true, updateUser,
		u.Name, u.Email, u.FirstName, u.LastName, u.Admin, u.Auditor, u.Active, u.Active, u.ID)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// DeleteUser implements [store.Accounts].
func (s *Store) DeleteUser(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, "delete a user", func(tx *tx) error {
		n, err := tx.exec(deleteUser, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		for _, query := range []string{deleteUserCodes, deleteUserDevices} {
			if _, err := tx.exec(query, id); err != nil {
				return err
			}
		}
		if _, err := tx.revoke(store.Selection{UserID: id}, at); err != nil {
			return err
		}
		_, err = tx.endSessions(store.SessionSelection{UserID: id}, store.EndedAdmin, at)
		return err
	})
}

// ListUsers implements [store.Accounts].
func (s *Store) ListUsers(ctx context.Context, name string, p store.Page) ([]store.User, int, error) {
	var f filter
	if name != "" {
		f.and("u.name = ?", name)
	}
	columns := []string{"u.id_number", "u.id"}
	if p.Order == store.OrderName {
		columns = []string{"u.name"}
	}
	return page(ctx, s, "list users", countUsers, listUsers, f.where(), orderBy(p.Descending, columns...), f.args, p,
		func(scan func(...any) error) (u store.User, err error) {
			return u, scan(appendUser(nil, &u)...)
		})
}
