package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// appendUser adds where userColumns or joinedUser go.
func appendUser(dest []any, u *store.User) []any {
	return append(dest, &u.ID, &u.Name, &u.Email, &u.FirstName, &u.LastName,
		&u.Admin, &u.Auditor, &u.Active, &u.Service, &u.Epoch, when(&u.Created))
}

// UserByID implements [store.Users].
func (s *Store) UserByID(ctx context.Context, id string) (store.User, error) {
	m := stores.WantedUsers(ctx, s, id)
	if m == nil {
		return s.user(ctx, userByID, id)
	}
	found, err := s.usersByID(ctx, m.IDs)
	if err != nil {
		return store.User{}, err
	}
	m.Note(found)
	for _, u := range found {
		if u.ID == id {
			return u, nil
		}
	}
	return store.User{}, store.ErrNotFound
}

// usersByID returns the users with these IDs, which are not equal, as far as they exist.
// Records of another store may name any.
func (s *Store) usersByID(ctx context.Context, ids []string) (found []store.User, err error) {
	const most = 1000 // arguments, fewer than any database takes
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for some := range slices.Chunk(ids, most) {
		var args []any
		for _, id := range some {
			if checkText([]any{id}) == nil { // or nobody has it
				args = append(args, id)
			}
		}
		if args == nil {
			continue
		}
		more, err := list(ctx, s, "look up users", listUsers+" WHERE u.id"+inList(len(args)), args, readUser)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

func readUser(scan func(...any) error) (u store.User, err error) {
	return u, scan(appendUser(nil, &u)...)
}

// UserByName implements [store.Users].
func (s *Store) UserByName(ctx context.Context, name string) (store.User, error) {
	h := stores.WantedHash(ctx, s)
	if h == nil {
		return s.user(ctx, userByName, name)
	}
	var hash string
	u, err := s.user(ctx, userAndHash, name, &hash)
	if err == nil || errors.Is(err, store.ErrNotFound) { // the time must not tell which names exist
		h.Note(u.ID, hash)
		stores.See(ctx, s, u)
	}
	return u, err
}

func (s *Store) user(ctx context.Context, query, key string, more ...any) (store.User, error) {
	var u store.User
	if err := s.get(ctx, "look up a user", query, []any{key}, append(appendUser(nil, &u), more...)...); err != nil {
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

// ReplacePassword implements [store.Accounts].
func (s *Store) ReplacePassword(ctx context.Context, userID string, epoch int64, hash string) (u store.User, err error) {
	err = s.write(ctx, "replace a password", func(tx *tx) error {
		n, err := tx.exec(replacePassword, hash, userID, epoch)
		if err != nil {
			return err
		}
		if err := tx.get(userByID, []any{userID}, appendUser(nil, &u)...); err != nil {
			return err
		}
		if n == 0 {
			return store.ErrConflict
		}
		return nil
	})
	if err != nil {
		return store.User{}, err
	}
	return u, nil
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
			u.Active, u.Service, u.Epoch, micros(u.Created))
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
		u.Name, u.Email, u.FirstName, u.LastName, u.Admin, u.Auditor,
		u.Active, u.Service, u.Service, u.Active, u.Service, u.ID)
	if err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// ChangeUser implements [store.Accounts].
func (s *Store) ChangeUser(ctx context.Context, id string, c store.UserChange) (u store.User, err error) {
	change, args := userChange(c)
	ends := c.Admin != nil && !*c.Admin || c.Active != nil && !*c.Active || c.Service != nil && *c.Service
	err = s.write(ctx, "change a user", func(tx *tx) error {
		err := tx.keepingAdmin(id, ends, func(condition string) (int64, error) {
			return tx.exec(change+condition, append(args, id)...)
		})
		if err != nil {
			return err
		}
		return tx.get(userByID, []any{id}, appendUser(nil, &u)...)
	})
	if err != nil {
		return store.User{}, err
	}
	return u, nil
}

// userChange returns the statement that makes the change, without the user.
func userChange(c store.UserChange) (query string, args []any) {
	query = "UPDATE auth_users SET "
	for _, text := range []struct {
		column string
		to     *string
	}{{"name", c.Name}, {"email", c.Email}, {"first_name", c.FirstName}, {"last_name", c.LastName}} {
		if text.to != nil {
			query, args = query+text.column+" = ?, ", append(args, *text.to)
		}
	}
	var ends []string
	if c.Active != nil && !*c.Active {
		ends = append(ends, "is_active")
	}
	if c.Service != nil {
		query, args = query+"password_hash = CASE WHEN is_service <> ? THEN '' ELSE password_hash END, ", append(args, *c.Service)
		ends, args = append(ends, "is_service <> ?"), append(args, *c.Service)
	}
	if len(ends) > 0 {
		query += "epoch = CASE WHEN " + strings.Join(ends, " OR ") + " THEN epoch + 1 ELSE epoch END, "
	}
	for _, flag := range []struct {
		column string
		to     *bool
	}{{"is_admin", c.Admin}, {"is_auditor", c.Auditor}, {"is_active", c.Active}, {"is_service", c.Service}} {
		if flag.to != nil {
			query, args = query+flag.column+" = ?, ", append(args, *flag.to)
		}
	}
	return query + "revision = revision + 1 WHERE id = ?", args
}

// keepingAdmin does a step that may end an active administrator, and refuses it
// for the last one. The step returns how many users it concerned, and adds the
// condition to its own. Most steps concern somebody else and need no lock.
func (t *tx) keepingAdmin(id string, ends bool, step func(condition string) (int64, error)) error {
	condition := ""
	if ends {
		condition = " AND NOT (is_admin AND is_active AND NOT is_service)"
	}
	n, err := step(condition)
	if err != nil || n == 1 {
		return err
	}
	if !ends {
		return store.ErrNotFound
	}
	// Two that end each other would not see it. Nobody has the ID "", whose
	// slot is as good as any.
	if err := t.useSlot(slotOf(userSlots, "")); err != nil {
		return err
	}
	var u store.User
	if err := t.get(userByID, []any{id}, appendUser(nil, &u)...); err != nil {
		return err
	}
	var others int
	if err := t.get(otherAdmins, []any{id}, &others); err != nil {
		return err
	}
	if others == 0 {
		return store.ErrLastAdmin
	}
	if n, err = step(""); err == nil && n == 0 {
		return store.ErrNotFound
	}
	return err
}

// DeleteUser implements [store.Accounts].
func (s *Store) DeleteUser(ctx context.Context, id string, at time.Time) error {
	for more := true; more; {
		err := s.write(ctx, "delete a user", func(tx *tx) (err error) {
			more, err = tx.deleteUser(id, at)
			return err
		})
		if err != nil {
			return err
		}
	}
	s.markNow(ctx, cutKey{userID: id})
	return nil
}

// deleteUser deletes a user with what belongs to the user. If that is more than a step,
// it disables the user, ends a step of it, and reports that there is more. The user must
// be the last to go: another one may get the same ID.
func (t *tx) deleteUser(id string, at time.Time) (more bool, err error) {
	last := int64(math.MaxInt64)
	switch err := t.get(manyUserConsents, []any{id, consentStep}, &last); {
	case err == nil:
		more = true
	case !errors.Is(err, sql.ErrNoRows):
		return false, err
	}
	own := store.SessionSelection{UserID: id}
	sessions, err := t.sessionsOf(own)
	if err != nil {
		return false, err
	}
	more = more || len(sessions) == endStep
	change := deleteUser
	if more {
		change = disableUser
	}
	err = t.keepingAdmin(id, true, func(condition string) (int64, error) {
		return t.exec(change+condition, id)
	})
	if err != nil {
		return false, err
	}
	if _, err := t.exec(deleteUserConsents, id, last); err != nil {
		return false, err
	}
	if more {
		_, err = t.each(endSessions+"id", sessions, endArgs(store.EndedAdmin, at, nil)...)
		return true, err
	}
	if err := t.cutOff(cutKey{userID: id}, 0, at); err != nil {
		return false, err
	}
	_, err = t.endSessions(own, store.EndedAdmin, at)
	return false, err
}

// consentStep is about how many consents one step of the end of a user removes.
const consentStep = 500

// ListUsers implements [store.Accounts].
func (s *Store) ListUsers(ctx context.Context, f store.UserFilter, p store.Page) ([]store.User, int, error) {
	var where filter
	if f.Name != "" {
		where.and("u.name = ?", f.Name)
	}
	if err := where.andWhere(s.dialect, f.Where, userWhere); err != nil {
		return nil, 0, err
	}
	l := listing[store.User]{
		what: "list users", count: countUsers, query: listUsers, where: where, read: readUser,
		columns: []string{"u.id_number", "u.id"},
		key:     func(u store.User) []any { return []any{number(u.ID), u.ID} },
	}
	switch p.Order {
	case store.OrderName:
		l.columns, l.key = []string{"u.name"}, func(u store.User) []any { return []any{u.Name} }
	case store.OrderCreated:
		l.columns, l.key = []string{"u.created_at", "u.id_number", "u.id"}, func(u store.User) []any {
			return []any{micros(u.Created), number(u.ID), u.ID}
		}
	}
	return page(ctx, s, l, p)
}
