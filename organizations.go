package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostiary/auth/store"
)

// Organizations looks up organizations and their members. Every application
// belongs to one organization. AWX's rules for applications and their tokens
// are:
//
//	                                   superuser  system   administrator   member of
//	                                              auditor  of the organization
//	see an application, get a token    yes        yes      yes             yes
//	create, change, delete it          yes        no       yes             no
//	see a token of it                  yes        yes      yes             only the own
//	change or end a token of it        yes        no       yes             only the own
//
// Only an administrator of both organizations can move an application. Only a
// superuser can switch consent off, or change the capabilities of an
// application without consent. Otherwise the administrator of an organization
// could get tokens of every user that opens a link.
//
// The zero Organizations has organization 1, "Default", without members:
// superusers manage applications, and system auditors see them. ByID and Of
// must be safe for concurrent use.
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

// Memberships are the IDs of the organizations that a user belongs to. An ID in
// Admin counts as one in Member, too.
type Memberships struct{ Member, Admin []int64 }

// Includes reports whether the user belongs to the organization.
func (m Memberships) Includes(id int64) bool {
	return slices.Contains(m.Member, id) || m.Administers(id)
}

// Administers reports whether the user administers the organization.
func (m Memberships) Administers(id int64) bool { return slices.Contains(m.Admin, id) }

// Organization returns the organization with that ID, or an [*Error] with
// status 404.
func (o Organizations) Organization(ctx context.Context, id int64) (Organization, error) {
	if o.ByID == nil {
		if id == 1 {
			return Organization{ID: 1, Name: "Default"}, nil
		}
		return Organization{}, errNotFound
	}
	found, err := o.ByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return Organization{}, errNotFound
	}
	if err != nil {
		return Organization{}, fmt.Errorf("auth: look up an organization: %w", err)
	}
	return found, nil
}

// Memberships returns the organizations that by belongs to.
func (o Organizations) Memberships(ctx context.Context, by *Principal) (Memberships, error) {
	switch {
	case by == nil:
		return Memberships{}, errNobody
	case by.ID == "" || o.Of == nil:
		return Memberships{}, nil
	}
	m, err := o.Of(ctx, by.ID)
	if err != nil {
		return Memberships{}, fmt.Errorf("auth: look up the organizations of a user: %w", err)
	}
	return m, nil
}
