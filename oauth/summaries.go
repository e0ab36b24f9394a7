package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// An ApplicationSummary has the organization and the tokens of an application,
// as far as a user may see them.
type ApplicationSummary struct {
	Organization         auth.Organization // zero if there is none
	MayChange, MayDelete bool
	Tokens               store.TokenSummary // of the tokens that are visible to the user
}

// Summarize returns a summary of each application, with the first tokens, at
// most the given number. The applications must be visible to by. The number of
// queries does not depend on the number of applications; each organization is
// looked up once.
func (srv *Server) Summarize(ctx context.Context, by *auth.Principal, apps []store.Application, most int) ([]ApplicationSummary, error) {
	if len(apps) == 0 {
		return nil, nil
	}
	visible, err := srv.tokens.Visible(ctx, by)
	if err != nil {
		return nil, err
	}
	ids := make([]int64, len(apps))
	for i, app := range apps {
		ids[i] = app.ID
	}
	tokens, err := srv.store.SummarizeTokens(ctx, ids, visible, most)
	if err != nil {
		return nil, fmt.Errorf("oauth: summarize tokens: %w", err)
	}
	organizations := make(map[int64]auth.Organization)
	list := make([]ApplicationSummary, len(apps))
	for i, app := range apps {
		o, known := organizations[app.OrganizationID]
		if !known {
			o, err = srv.Organization(ctx, app.OrganizationID)
			if e, ok := errors.AsType[*auth.Error](err); err != nil && (!ok || e.Status != http.StatusNotFound) {
				return nil, err
			}
			organizations[app.OrganizationID] = o
		}
		// Administrators of the organization see the tokens.
		administers := by.Admin || slices.Contains(visible.Organizations, app.OrganizationID)
		list[i] = ApplicationSummary{
			Organization: o,
			MayChange:    administers && (by.Admin || !privileged(app)),
			MayDelete:    administers,
			Tokens:       tokens[i],
		}
	}
	return list, nil
}

// ApplicationNames returns the names of applications by their IDs, without
// deleted ones. It checks no rights, because a user that may see a token may
// know the name of its application.
func (srv *Server) ApplicationNames(ctx context.Context, ids []int64) (map[int64]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	list, _, err := srv.store.ListApplications(ctx, store.ApplicationFilter{All: true, IDs: ids}, store.Page{Limit: len(ids)})
	if err != nil {
		return nil, fmt.Errorf("oauth: list applications: %w", err)
	}
	names := make(map[int64]string, len(list))
	for _, app := range list {
		names[app.ID] = app.Name
	}
	return names, nil
}
