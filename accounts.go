package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// Accounts manages users on behalf of a [Principal]. A superuser manages all of
// them, and users manage their own names, address and password. A token that
// came through an application manages nobody. The scopes of a token are the affair of
// the gate in front, see [Gate.Require] and [Gate.RequireScope]: Accounts does not look
// at them.
type Accounts struct {
	store     store.Accounts
	passwords *Passwords
	fresh     time.Duration
	log       *slog.Logger
}

// AccountsOptions are the options of [NewAccounts].
// A zero AccountsOptions consists entirely of default values.
type AccountsOptions struct {
	// FreshLogin is how long after a login users change their own password
	// without the current one. Zero means 10 minutes.
	FreshLogin time.Duration

	// Logger receives the audit events. Nil means [slog.Default].
	Logger *slog.Logger
}

// NewAccounts returns the accounts of st, whose passwords are those of p. Nil
// options mean the defaults. It panics if st or p is nil.
func NewAccounts(st store.Accounts, p *Passwords, opts *AccountsOptions) (*Accounts, error) {
	if options.IsNil(st) || p == nil {
		panic("auth: NewAccounts: nil argument")
	}
	var o AccountsOptions
	if opts != nil {
		o = *opts
	}
	if o.FreshLogin < 0 {
		return nil, errors.New("auth: AccountsOptions.FreshLogin is negative")
	}
	return &Accounts{st, p, cmp.Or(o.FreshLogin, 10*time.Minute), options.Logger(o.Logger)}, nil
}

var (
	errManagedByPerson = &Error{Status: http.StatusForbidden, Detail: "A token of an application does not manage users: log in, or use Basic."}
	errNameTaken       = &Error{Status: http.StatusBadRequest, Field: "UserName", Code: "unique", Detail: "A user with that name already exists."}
	errPasswordSet     = &Error{Status: http.StatusConflict, Detail: "The password was changed at the same time."}
	errLastAdmin       = &Error{Status: http.StatusConflict, Detail: "This is the last active superuser, who cannot be deleted, disabled or demoted. Make another one first."}
)

// List returns one page of the users that f names and by may see, and how many
// there are. Superusers and system auditors see all users. Everybody else sees
// the superusers and themselves. The error is [store.ErrOrder] where there are too
// many for p.Order.
func (a *Accounts) List(ctx context.Context, by *Principal, f store.UserFilter, p store.Page) ([]store.User, int, error) {
	if by == nil {
		return nil, 0, errNobody
	}
	if !by.Admin && !by.Auditor {
		self := []store.Condition{{Column: store.ColumnAdmin, Values: []any{true}}}
		if by.ID != "" {
			self = append(self, store.Condition{Column: store.ColumnID, Values: []any{by.ID}})
		}
		f.Where = append(store.Where{self}, f.Where...)
	}
	list, total, err := a.store.ListUsers(ctx, f, p)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list users: %w", err)
	}
	return list, total, nil
}

// MayChange reports whether by may change some fields of u.
func (a *Accounts) MayChange(by *Principal, u store.User) bool {
	return a.manages(by) == nil && (by.Admin || by.ID == u.ID)
}

// MayDelete reports whether by may delete u. Nobody deletes themselves.
func (a *Accounts) MayDelete(by *Principal, u store.User) bool {
	return a.manages(by) == nil && by.Admin && by.ID != u.ID
}

// manages returns why by manages no users at all, nil if by manages some.
func (a *Accounts) manages(by *Principal) error {
	switch {
	case by == nil:
		return errNobody
	case by.ApplicationID != 0 || by.ViaApplicationID != 0:
		return errManagedByPerson
	case by.ID == "":
		return errForbidden
	}
	return nil
}

// stillThere returns an [*Error] with status 401 if the login of by has ended, and 403
// if by is no superuser any more. It is for steps after work that takes a while.
func (a *Accounts) stillThere(ctx context.Context, by *Principal) error {
	if !by.HasEpoch {
		return nil // a credential of the host, which says more than the store
	}
	u, err := a.store.UserByID(ctx, by.ID)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && (!u.Active || u.Epoch != by.Epoch):
		return errUnauthorized
	case err != nil:
		return fmt.Errorf("auth: look up who manages users: %w", err)
	case by.Admin && !u.Admin:
		return errForbidden
	}
	return nil
}

// Create stores u, which must be active to log in, with that password. ID, Epoch
// and Created of u do not count. The password of a service account must be empty.
// Create returns an [*Error] with status 403 if by is no superuser, and 400 for
// invalid fields and for a name that is taken. A program that makes the first user,
// or lets people sign up, gives Create a principal of its own with Admin and some
// ID, which the audit events name.
func (a *Accounts) Create(ctx context.Context, by *Principal, u store.User, password string) (store.User, error) {
	if err := a.manages(by); err != nil {
		return store.User{}, err
	}
	if !by.Admin {
		return store.User{}, errForbidden
	}
	u = store.User{
		Name: u.Name, Email: u.Email, FirstName: u.FirstName, LastName: u.LastName,
		Admin: u.Admin, Auditor: u.Auditor, Active: u.Active, Service: u.Service, Created: time.Now(),
	}
	var err error
	switch {
	case !u.Service:
		err = a.passwords.acceptable(password)
	case password != "":
		err = errServicePassword
	}
	if err := errors.Join(checkUser(&u.Name, &u.Email, &u.FirstName, &u.LastName), err); err != nil {
		return store.User{}, err
	}
	if _, err := a.store.UserByName(ctx, u.Name); err == nil {
		return store.User{}, errNameTaken // before the work of a hash
	}
	hash := ""
	if !u.Service {
		if hash, err = a.passwords.hash(ctx, password); err != nil {
			return store.User{}, err
		}
	}
	if err := a.stillThere(ctx, by); err != nil {
		return store.User{}, err
	}
	if u, err = a.insert(ctx, u, hash); err != nil {
		return store.User{}, err
	}
	a.event(ctx, audit.UserCreated, by, u)
	return u, nil
}

// insert stores a user with that password, and returns the user as of then. The
// user becomes active last: until then nobody logs in, and the user can be deleted
// even as the first superuser.
func (a *Accounts) insert(ctx context.Context, u store.User, hash string) (store.User, error) {
	active := u.Active
	u.Active = false
	u, err := a.store.InsertUser(ctx, u)
	if errors.Is(err, store.ErrExists) {
		return store.User{}, errNameTaken
	}
	if err != nil {
		return store.User{}, fmt.Errorf("auth: create a user: %w", err)
	}
	id := u.ID
	if hash != "" {
		err = a.store.SetPasswordHash(ctx, id, hash)
	}
	if err == nil {
		u, err = a.store.ChangeUser(ctx, id, store.UserChange{Active: &active})
	}
	if err != nil {
		// A user without a password keeps the name from the next try.
		ctx, cancel := stores.Detach(ctx)
		defer cancel()
		return store.User{}, errors.Join(fmt.Errorf("auth: create a user: %w", err), a.store.DeleteUser(ctx, id, time.Now()))
	}
	return u, nil
}

// Delete removes a user with all sessions and tokens, which are dead when it
// returns. It returns an [*Error] with status 403 if by is no superuser or is
// the user, 404 if there is none, and 409 for the last active superuser. After another
// error the user may be disabled or gone; an event says so if the store can still be
// read. Delete again to go on.
func (a *Accounts) Delete(ctx context.Context, by *Principal, id string) error {
	u, err := a.user(ctx, id)
	if err != nil {
		return err
	}
	switch err := a.manages(by); {
	case err != nil:
		return err
	case by.Admin && by.ID == u.ID:
		return &Error{Status: http.StatusForbidden, Detail: "You cannot delete yourself."}
	case !by.Admin:
		return errForbidden
	}
	switch err := a.store.DeleteUser(ctx, id, time.Now()); {
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case errors.Is(err, store.ErrLastAdmin):
		return errLastAdmin
	case err != nil:
		a.noteUnfinished(ctx, by, u)
		return fmt.Errorf("auth: delete a user: %w", err)
	}
	a.event(ctx, audit.UserDeleted, by, u)
	return nil
}

// noteUnfinished records what a deletion has done that ended with an error.
func (a *Accounts) noteUnfinished(ctx context.Context, by *Principal, u store.User) {
	ctx, cancel := stores.Detach(ctx) // the client may be gone
	defer cancel()
	switch now, err := a.store.UserByID(ctx, u.ID); {
	case errors.Is(err, store.ErrNotFound): // the error came after the commit
		a.event(ctx, audit.UserDeleted, by, u)
	case err == nil && u.Active && !now.Active:
		a.event(ctx, audit.UserChanged, by, now, beforeChange(u))
	}
}

// beforeChange returns what an event says about a user as it was.
func beforeChange(u store.User) slog.Attr {
	return slog.GroupAttrs(audit.KeyBefore, userAttrs(u)...)
}

// userAttrs are what events say about a user.
func userAttrs(u store.User) []slog.Attr {
	return []slog.Attr{
		slog.String(audit.KeyUser, audit.Clip(u.Name)),
		slog.Bool(audit.KeyAdmin, u.Admin), slog.Bool(audit.KeyAuditor, u.Auditor), slog.Bool(audit.KeyActive, u.Active), slog.Bool(audit.KeyService, u.Service),
	}
}

func (a *Accounts) user(ctx context.Context, id string) (store.User, error) {
	u, err := a.store.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, errNotFound
	}
	if err != nil {
		return store.User{}, fmt.Errorf("auth: look up a user: %w", err)
	}
	return u, nil
}

// event records what by did to u.
func (a *Accounts) event(ctx context.Context, name string, by *Principal, u store.User, attrs ...slog.Attr) {
	a.log.LogAttrs(ctx, slog.LevelInfo, name, slices.Concat([]slog.Attr{
		slog.String(audit.KeyActor, audit.Clip(by.Name)), slog.String(audit.KeyActorID, by.ID), slog.Int64(audit.KeyActorTokenID, by.TokenID),
		slog.String(audit.KeyUserID, u.ID), slog.String(audit.KeyClient, client.Text(ctx)),
	}, userAttrs(u), attrs)...)
}
