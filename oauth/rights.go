package oauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// application returns an application that is visible to by, and whether by may
// change it. An invisible application gets the same error as one that does not
// exist.
func (srv *Server) application(ctx context.Context, by *auth.Principal, id int64) (app store.Application, change bool, err error) {
	if by == nil {
		return store.Application{}, false, errNobody
	}
	app, err = srv.store.ApplicationByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.Application{}, false, errNotFound
	}
	if err != nil {
		return store.Application{}, false, fmt.Errorf("oauth: look up an application: %w", err)
	}
	if by.Admin {
		return app, true, nil
	}
	m, err := srv.tokens.Organizations().Memberships(ctx, by)
	if err != nil {
		return store.Application{}, false, err
	}
	if !by.Auditor && !m.Includes(app.OrganizationID) {
		return store.Application{}, false, errNotFound
	}
	return app, m.Administers(app.OrganizationID), nil
}

// mayUse refuses an application that is not visible to by, as if it did not
// exist.
func (srv *Server) mayUse(ctx context.Context, by *auth.Principal, id int64) error {
	app, _, err := srv.application(ctx, by, id)
	if errors.Is(err, errNotFound) || err == nil && app.Disabled {
		return noSuchObject("ApplicationID")
	}
	stores.SeeApplication(ctx, app)
	return err
}

// Organization returns the organization with that ID, or an [*auth.Error] with
// status 404. See [auth.Organizations].
func (srv *Server) Organization(ctx context.Context, id int64) (auth.Organization, error) {
	return srv.tokens.Organizations().Organization(ctx, id)
}
