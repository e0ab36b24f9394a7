package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/store"
)

// AccountChange says what to change about a user. Nil leaves a field alone.
type AccountChange struct {
	store.UserChange
	// Password is the new password. It ends all sessions of the user, and the
	// tokens too with TokensOptions.EndWithPassword.
	Password *string
	// CurrentPassword proves the right of users to change their own password. It is
	// not needed within AccountsOptions.FreshLogin of a login. A wrong one is refused
	// then, too.
	CurrentPassword string
}

// Change changes a user and returns the user as it is then. Users themselves may
// send the name, the rights and the state that they have, and must not change
// them. A service account gets no password, and becomes a person only with one.
// Nobody changes Service of themselves. Change does not write the rights and the state
// that the user has already. Access tokens that applications had before a person became
// a service account, and that have not expired, are good again when the account becomes a
// person, unless TokensOptions.EndWithPassword is set: [Tokens.EndAll] ends them.
//
// Change returns an [*Error] with status 403 or 404 if by lacks the right, 400
// for invalid fields, 409 if no active superuser would be left, and 429 after too
// many wrong passwords. If the login of by ends while the password is hashed, it
// returns one with status 401, and 409 if another password is set at the same time.
// After these two, and after any other error, the password may not be the new one
// while other fields are changed.
func (a *Accounts) Change(ctx context.Context, by *Principal, id string, c AccountChange) (store.User, error) {
	u, err := a.user(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	if err := a.manages(by); err != nil {
		return store.User{}, err
	}
	if !a.MayChange(by, u) {
		return store.User{}, errForbidden
	}
	if !by.Admin {
		if c.UserChange, err = ownChange(u, c.UserChange); err != nil {
			return store.User{}, err
		}
	}
	if err := checkService(by, u, c); err != nil {
		return store.User{}, err
	}
	if err := checkUser(changed(c.Name, u.Name), changed(c.Email, u.Email), changed(c.FirstName, u.FirstName), changed(c.LastName, u.LastName)); err != nil {
		return store.User{}, err
	}
	if c.Password != nil {
		if err := a.passwords.acceptable(*c.Password); err != nil {
			return store.User{}, err
		}
		if err := a.proved(ctx, by, u, c.CurrentPassword); err != nil {
			return store.User{}, err
		}
		// The proof waits for its place among other passwords.
		if err := a.stillThere(ctx, by); err != nil {
			return store.User{}, err
		}
	}
	was := beforeChange(u)
	switch u, err = a.store.ChangeUser(ctx, id, withoutSame(u, c.UserChange)); {
	case errors.Is(err, store.ErrExists):
		return store.User{}, errNameTaken
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, errNotFound
	case errors.Is(err, store.ErrLastAdmin):
		return store.User{}, errLastAdmin
	case err != nil:
		return store.User{}, fmt.Errorf("auth: change a user: %w", err)
	}
	if c.Password != nil {
		if u, err = a.setPassword(ctx, by, id, *c.Password); err != nil {
			return store.User{}, err
		}
	}
	a.event(ctx, audit.UserChanged, by, u, was)
	return u, nil
}

// MinPasswordLength returns the length of the shortest password that Change
// accepts, in characters: PasswordsOptions.MinLength.
func (a *Accounts) MinPasswordLength() int { return a.passwords.opts.MinLength }

// ownChange returns the part of the change that users may make themselves. What
// stays as it is may be sent, as by a client that sends back what it has read.
func ownChange(u store.User, c store.UserChange) (store.UserChange, error) {
	differs := func(have bool, to *bool) bool { return to != nil && *to != have }
	if c.Name != nil && *c.Name != u.Name || differs(u.Admin, c.Admin) || differs(u.Auditor, c.Auditor) || differs(u.Active, c.Active) || differs(u.Service, c.Service) {
		return c, &Error{Status: http.StatusForbidden, Detail: "Only a superuser changes the name, the rights and the state of a user."}
	}
	c.Name, c.Admin, c.Auditor, c.Active, c.Service = nil, nil, nil, nil, nil
	return c, nil
}

// withoutSame returns c without the rights and the state that u has. A form or a client
// sends all of them. They must not undo what somebody else changes at the same time,
// above all not for users who lose a right and change themselves.
func withoutSame(u store.User, c store.UserChange) store.UserChange {
	for to, have := range map[**bool]bool{&c.Admin: u.Admin, &c.Auditor: u.Auditor, &c.Active: u.Active, &c.Service: u.Service} {
		if *to != nil && **to == have {
			*to = nil
		}
	}
	return c
}

// checkService refuses a password of a service account, a person without one, and
// a token that turns its own account into a person.
func checkService(by *Principal, u store.User, c AccountChange) error {
	service := u.Service
	if c.Service != nil {
		service = *c.Service
	}
	switch {
	case service != u.Service && by.ID == u.ID:
		return &Error{Status: http.StatusForbidden, Detail: "You cannot turn yourself into a service account or a person."}
	case service && c.Password != nil:
		return errServicePassword
	case u.Service && !service && c.Password == nil:
		return &Error{Status: http.StatusBadRequest, Field: "Password", Code: "required", Detail: "A service account becomes a person with a new password only."}
	}
	return nil
}

// proved returns nil if by has proved to be the person who may set the password
// of u. A superuser sets the password of others. For their own, everybody needs
// more than a session that somebody left open, or a token.
func (a *Accounts) proved(ctx context.Context, by *Principal, u store.User, current string) error {
	// Another node may be ahead a little. A login that is far ahead, because a clock was
	// set back, is not fresh.
	fresh := !by.Proved.IsZero() && time.Since(by.Proved).Abs() < a.fresh
	if by.ID != u.ID || fresh && current == "" { // a wrong password is never ignored
		return nil
	}
	if current == "" {
		return &Error{
			Status: http.StatusBadRequest, Field: "CurrentPassword", Code: "required_now",
			Detail: "Send the current password too, or log in again.",
		}
	}
	_, err := a.passwords.Verify(ctx, u.Name, current)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusUnauthorized {
		return &Error{Status: http.StatusBadRequest, Field: "CurrentPassword", Code: "wrong", Detail: "Not the current password."}
	}
	return err
}

// setPassword sets the password of a user and returns the user as of then. The hash
// takes a while, in which somebody else may end the login of by or set another
// password. One's own password replaces that of the login, and nothing that came
// after it.
func (a *Accounts) setPassword(ctx context.Context, by *Principal, id, password string) (store.User, error) {
	hash, err := a.passwords.hash(ctx, password)
	if err != nil {
		return store.User{}, err
	}
	before, err := a.user(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	if before.Service { // since Change looked
		return store.User{}, errServicePassword
	}
	if err := a.stillThere(ctx, by); err != nil {
		return store.User{}, err
	}
	if by.ID == id && by.HasEpoch {
		before.Epoch = by.Epoch
	}
	switch u, err := a.store.ReplacePassword(ctx, id, before.Epoch, hash); {
	case errors.Is(err, store.ErrConflict):
		return store.User{}, errPasswordSet
	case errors.Is(err, store.ErrNotFound):
		return store.User{}, errNotFound
	case err != nil:
		return store.User{}, fmt.Errorf("auth: set a password: %w", err)
	case u.Epoch == before.Epoch:
		return store.User{}, errors.New("auth: the password is set, but ReplacePassword of the user table has not raised Epoch: the user's sessions live on")
	default:
		a.passwords.eventChanged(ctx, id)
		return u, nil
	}
}

// changed returns a value that is to be checked: nil for one that stays, which
// may be older than the rules.
func changed(to *string, have string) *string {
	if to != nil && *to == have {
		return nil
	}
	return to
}

// The lengths of the longest fields of a user, in characters.
const (
	maxPersonName = 150
	maxEmail      = 254 // RFC 5321 section 4.5.3.1.3, without the brackets
)

// checkUser returns a refusal for each invalid field. It ignores nil.
func checkUser(name, email, first, last *string) error {
	wrong := func(field, why string) error {
		return &Error{Status: http.StatusBadRequest, Field: field, Detail: why}
	}
	var errs []error
	if name != nil {
		switch why := text.Name(*name, MaxUserName); {
		case *name == "":
			errs = append(errs, &Error{Status: http.StatusBadRequest, Field: "UserName", Code: "required", Detail: "The name " + why + "."})
		case why != "":
			errs = append(errs, wrong("UserName", "The name "+why+"."))
		}
	}
	if email != nil && *email != "" && !plausibleEmail(*email) {
		errs = append(errs, wrong("Email", "Enter a valid email address."))
	}
	for field, s := range map[string]*string{"FirstName": first, "LastName": last} {
		switch {
		case s == nil:
		case utf8.RuneCountInString(*s) > maxPersonName:
			errs = append(errs, wrong(field, fmt.Sprintf("Ensure this field has no more than %d characters.", maxPersonName)))
		case !text.Seen(*s):
			errs = append(errs, wrong(field, "Control characters are not allowed."))
		}
	}
	return errors.Join(errs...)
}

// plausibleEmail reports whether s looks like an address. Only mail that arrives
// proves one.
func plausibleEmail(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && local != "" && domain != "" && !strings.Contains(domain, "@") &&
		utf8.RuneCountInString(s) <= maxEmail && text.Seen(s) && !strings.ContainsFunc(s, unicode.IsSpace) && !strings.ContainsAny(s, "\u200c\u200d")
}
