package store

import (
	"context"
	"time"
)

// A User is a resource owner: the person or the machine that a credential acts
// for.
type User struct {
	// ID is the host's key. It must never be used again for another user. The
	// HTTP API writes a decimal ID as a number.
	ID        string
	Name      string // the login name, unique byte for byte
	Email     string
	FirstName string
	LastName  string

	Admin   bool // may do everything: is_superuser on the wire
	Auditor bool // may read everything: is_system_auditor on the wire
	// Active users can authenticate. The zero User cannot, so that a program which
	// makes users must set Active.
	Active bool
	// Service marks a service account: a program, which never logs in and has no
	// password. It acts by personal access tokens alone, which administrators issue
	// to it. A table of users without service accounts leaves it false.
	Service bool

	// Epoch changes with the password, and whenever all sessions of the user
	// must end. Sessions of another epoch are dead.
	Epoch int64

	Created time.Time
}

// Users finds users and keeps their password hashes. It is usually the host's own
// table. Every method returns [ErrNotFound] for a user that does not exist. Another
// error, such as sql.ErrNoRows, is an outage.
type Users interface {
	// UserByID returns the user with that ID, active or not. A table whose key is
	// a number must not find it by another spelling, such as "03" or "3 ".
	UserByID(ctx context.Context, id string) (User, error)

	// UserByName returns the user with that Name, active or not. It must not
	// find a user by another spelling of the name.
	UserByName(ctx context.Context, name string) (User, error)

	// PasswordHash returns the stored password hash, "" for a user without a
	// password. For an unknown name callers ask for the ID "", so that the time
	// is the same as for a known one; PasswordHash then returns ErrNotFound.
	PasswordHash(ctx context.Context, userID string) (string, error)

	// SwapPasswordHash replaces the hash prev by next, in one step. It returns
	// ErrConflict, and changes nothing, if the stored hash is not prev. It must
	// not change the Epoch, because the password stays the same.
	SwapPasswordHash(ctx context.Context, userID, prev, next string) error

	// SetPasswordHash stores the hash of a new password, "" for none. It must
	// change the user's Epoch in the same step, to a value that the user never
	// had.
	SetPasswordHash(ctx context.Context, userID, hash string) error
}

// Accounts adds the management of users to [Users]. The adapters of this module
// implement it for hosts without a table of users. A host with one need not
// implement it.
type Accounts interface {
	Users

	// InsertUser stores u without a password and returns it. If the ID is
	// empty, InsertUser assigns a decimal number that is never used again. It
	// returns ErrExists if the ID or the name is taken.
	InsertUser(ctx context.Context, u User) (User, error)

	// UpdateUser replaces everything but ID, Epoch and Created. It changes the
	// Epoch in the same step if an active user becomes inactive. If Service
	// changes, it changes the Epoch and removes the password in the same step. It
	// returns ErrExists if the name is taken. UpdateUser is for programs that know
	// the whole record. A change that must not undo another one needs ChangeUser.
	UpdateUser(ctx context.Context, u User) error

	// ChangeUser replaces the fields that c sets, in one step, and leaves all
	// others as they are. It returns the user with the change. ChangeUser
	// changes the Epoch in the same step if an active user becomes inactive. If
	// Service changes, it changes the Epoch and removes the password in the same
	// step. It returns ErrExists if the name is taken. It returns ErrLastAdmin, and
	// changes nothing, if the change would leave no active administrator. A service
	// account is no administrator in this sense, because it cannot log in.
	ChangeUser(ctx context.Context, id string, c UserChange) (User, error)

	// ReplacePassword is SetPasswordHash for a user whose Epoch is the given one,
	// in one step. It returns the user with the new Epoch. It returns ErrConflict,
	// and changes nothing, if the user has another Epoch. Of any number of
	// concurrent calls with one epoch exactly one succeeds.
	ReplacePassword(ctx context.Context, userID string, epoch int64, hash string) (User, error)

	// DeleteUser removes the user and ends the user's sessions with EndedAdmin,
	// in one step. In the same step the user's tokens end as by [Selection]
	// with UserID, and the user's codes, approved devices and consents are no
	// longer found. DeleteUser returns ErrLastAdmin, and changes nothing, for
	// the last active administrator.
	//
	// A store may disable a user with very many sessions or consents first, and
	// end these in steps that hold up nobody. If it then returns an error, the
	// user may be disabled already, and another call deletes the user.
	//
	// An active administrator must remain after any concurrent calls of
	// ChangeUser and DeleteUser.
	DeleteUser(ctx context.Context, id string, at time.Time) error

	// ListUsers returns one page of the users that f names. It also returns the
	// number of all such users. The order is OrderID, which is numerical for
	// decimal IDs, OrderName or OrderCreated.
	ListUsers(ctx context.Context, f UserFilter, p Page) (list []User, total int, err error)
}

// A UserFilter says which users to list. A zero UserFilter lists all of them.
type UserFilter struct {
	Name  string // exact; "" for any
	Where Where
}

// A UserChange says what to change about a user. Nil leaves a field as it is.
type UserChange struct {
	Name, Email, FirstName, LastName *string
	Admin, Auditor, Active, Service  *bool
}
