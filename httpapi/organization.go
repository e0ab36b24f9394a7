package httpapi

import (
	"context"
	"net/http"
	"strconv"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

type organizationSummary struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

// showOrganization returns nil for an organization that does not exist.
func showOrganization(o auth.Organization) *organizationSummary {
	if o.ID == 0 {
		return nil
	}
	return &organizationSummary{o.ID, o.Name, o.Description}
}

// summarizeOrganization returns nil for an organization that does not exist.
func (a *api) summarizeOrganization(ctx context.Context, id int64) (*organizationSummary, error) {
	o, err := a.OAuth.Organization(ctx, id)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return nil, err
	}
	return showOrganization(o), nil
}

// pathOrganization narrows a list to the organization of the path, if there is
// one. The user of a path must be visible and has no other effect.
func (a *api) pathOrganization(r *http.Request) (f store.ApplicationFilter, nothing bool, err error) {
	if pathValue(r, "user") != "" {
		_, err = a.pathUser(r)
	}
	s := pathValue(r, "organization")
	if err != nil || s == "" {
		return f, false, err
	}
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !isDecimal(s) || id < 1 {
		return f, true, errNotFound
	}
	// Only callers that see every application may learn which organizations
	// exist. For others an unknown organization is like one that they do not
	// belong to: its list is empty, and they can create nothing in it.
	if p := principal(r); p.Admin || p.Auditor {
		if _, err := a.OAuth.Organization(r.Context(), id); err != nil {
			return f, true, err
		}
	}
	f.Organizations = []int64{id}
	return f, false, nil
}
