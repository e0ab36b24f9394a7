package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/ostiary/auth/store"
)

// Organizations says which organizations there are and who belongs to them.
// Every application belongs to one. AWX's rules follow from it:
//
//	                                   superuser  system   administrator   member of
//	                                              auditor  of the organization
//	see an application, get a token    yes        yes      yes             yes
//	create, change, delete it          yes        no       yes             no
//	see a token of it                  yes        yes      yes             only the own
//	change or end a token of it        yes        no       yes             only the own
//
// A move from one organization to another takes an administrator of both.
// Consent can be switched off only by a superuser, and after that only a
// superuser can change what the application can do: otherwise the administrator
// of an organization could have tokens of everybody who follows a link.
//
// A zero Organizations knows organization 1, "Default", to which nobody belongs:
// superusers manage applications, and system auditors see them.
type Organizations struct {
	// ByID returns the organization, or an error that wraps
	// [store.ErrNotFound].
	ByID func(ctx context.Context, id int64) (Organization, error)

	// Of returns the organizations that a user belongs to.
	Of func(ctx context.Context, userID string) (Memberships, error)
}

// An Organization owns applications.
type Organization struct {
	ID                int64
	Name, Description string
}

// Memberships are the organizations that a user belongs to, by ID.
// Administrators are members, too, without being named twice.
type Memberships struct{ Member, Admin []int64 }

func (m Memberships) includes(id int64) bool {
	return slices.Contains(m.Member, id) || m.administers(id)
}

func (m Memberships) administers(id int64) bool { return slices.Contains(m.Admin, id) }

// Organization returns the organization with that ID, or an [*Error] with
// status 404.
func (t *Tokens) Organization(ctx context.Context, id int64) (Organization, error) {
	if t.opts.Organizations.ByID == nil {
		if id == 1 {
			return Organization{ID: 1, Name: "Default"}, nil
		}
		return Organization{}, errNotFound
	}
	o, err := t.opts.Organizations.ByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Organization{}, errNotFound
	}
	if err != nil {
		return Organization{}, fmt.Errorf("auth: look up an organization: %w", err)
	}
	return o, nil
}

func (t *Tokens) memberships(ctx context.Context, by *Principal) (Memberships, error) {
	if by.ID == "" || t.opts.Organizations.Of == nil {
		return Memberships{}, nil
	}
	m, err := t.opts.Organizations.Of(ctx, by.ID)
	if err != nil {
		return Memberships{}, fmt.Errorf("auth: look up the organizations of a user: %w", err)
	}
	return m, nil
}

// application returns an application that by may see, and whether by may change
// it. Whoever may not see it gets the same answer as if it did not exist.
func (t *Tokens) application(ctx context.Context, by *Principal, id int64) (app store.Application, change bool, err error) {
	app, err = t.store.ApplicationByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Application{}, false, errNotFound
	}
	if err != nil {
		return store.Application{}, false, fmt.Errorf("auth: look up an application: %w", err)
	}
	if by.Admin {
		return app, true, nil
	}
	m, err := t.memberships(ctx, by)
	if err != nil {
		return store.Application{}, false, err
	}
	if !by.Auditor && !m.includes(app.OrganizationID) {
		return store.Application{}, false, errNotFound
	}
	return app, m.administers(app.OrganizationID), nil
}

func (t *Tokens) administersApplication(ctx context.Context, by *Principal, id int64) (bool, error) {
	_, change, err := t.application(ctx, by, id)
	if errors.Is(err, errNotFound) {
		err = nil
	}
	return change, err
}

// ApplicationName returns the name of an application, "" if it is gone. Whoever
// may see a token may know it.
func (t *Tokens) ApplicationName(ctx context.Context, id int64) (string, error) {
	app, err := t.store.ApplicationByID(ctx, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", fmt.Errorf("auth: look up an application: %w", err)
	}
	return app.Name, nil
}

// mayUse refuses by a token of an application that by may not see. Only those
// who see all applications learn that there is no such one.
func (t *Tokens) mayUse(ctx context.Context, by *Principal, id int64) error {
	_, _, err := t.application(ctx, by, id)
	if !errors.Is(err, errNotFound) {
		return err
	}
	if by.Admin || by.Auditor {
		return noSuchObject("application", id)
	}
	return errForbidden
}

func noSuchObject(field string, id int64) *Error {
	return &Error{Status: http.StatusBadRequest, Field: field, Detail: fmt.Sprintf("Invalid pk %q - object does not exist.", fmt.Sprint(id))}
}
