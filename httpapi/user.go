package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// user is AWX's representation of a user.
type user struct {
	ID      userID            `json:"id"`
	Type    string            `json:"type"`
	URL     string            `json:"url"`
	Related map[string]string `json:"related"`
	Summary struct {
		Capabilities struct {
			Edit   bool `json:"edit"`
			Delete bool `json:"delete"`
		} `json:"user_capabilities"`
	} `json:"summary_fields"`
	Created         timestamp `json:"created"`
	Modified        timestamp `json:"modified"`
	Username        string    `json:"username"`
	FirstName       string    `json:"first_name"`
	LastName        string    `json:"last_name"`
	Email           string    `json:"email"`
	IsSuperuser     bool      `json:"is_superuser"`
	IsSystemAuditor bool      `json:"is_system_auditor"`
	IsActive        bool      `json:"is_active"` // which AWX does not show
	// IsService marks a service account. AWX does not have it.
	IsService bool   `json:"is_service_account"`
	Password  string `json:"password,omitempty"` // always the mask; a service account has none
}

// userFields describes user.
var userFields = fields{
	"id":                {Type: "integer", Label: "ID", ReadOnly: true},
	"created":           {Type: "datetime", Label: "Created", ReadOnly: true},
	"modified":          {Type: "datetime", Label: "Modified", ReadOnly: true},
	"username":          {Type: "string", Label: "Username", Required: true},
	"first_name":        {Type: "string", Label: "First name"},
	"last_name":         {Type: "string", Label: "Last name"},
	"email":             {Type: "string", Label: "Email"},
	"is_superuser":      {Type: "boolean", Label: "Superuser", HelpText: "May do everything."},
	"is_system_auditor": {Type: "boolean", Label: "System auditor", HelpText: "May read everything."},
	"is_active":         {Type: "boolean", Label: "Active", HelpText: "May log in."},
	"is_service_account": {
		Type: "boolean", Label: "Service account", HelpText: "Acts by tokens that superusers issue to it, and never logs in.",
	},
	"password": {Type: "string", Label: "Password", HelpText: "Never shown. A service account has none.", Required: true, WriteOnly: true},
	"current_password": {
		Type: "string", Label: "Current password", HelpText: "Needed to change your own password some time after the login.", WriteOnly: true,
	},
}

func userPath(id string) string { return "/api/v2/users/" + url.PathEscape(id) + "/" }

// showUser shows a user to p.
func (a *api) showUser(p *auth.Principal, u store.User) user {
	path := userPath(u.ID)
	related := map[string]string{}
	if a.Session != nil {
		related["sessions"] = path + "sessions/"
	}
	if a.Tokens != nil {
		related["personal_tokens"] = path + "personal_tokens/"
	}
	if a.Activity != nil {
		related["activity_stream"] = path + "activity_stream/"
	}
	if a.OAuth != nil { // without OAuth there are no others
		related["tokens"] = path + "tokens/"
		related["authorized_tokens"] = path + "authorized_tokens/"
	}
	shown := user{
		ID:              userID(u.ID),
		Type:            "user",
		URL:             path,
		Related:         related,
		Created:         timestamp(u.Created),
		Modified:        timestamp(u.Created),
		Username:        u.Name,
		FirstName:       u.FirstName,
		LastName:        u.LastName,
		Email:           u.Email,
		IsSuperuser:     u.Admin,
		IsSystemAuditor: u.Auditor,
		IsActive:        u.Active,
		IsService:       u.Service,
	}
	if !u.Service {
		shown.Password = userMask
	}
	if a.Accounts != nil {
		shown.Summary.Capabilities.Edit = a.Accounts.MayChange(p, u)
		shown.Summary.Capabilities.Delete = a.Accounts.MayDelete(p, u)
	}
	return shown
}

// me is AWX's list of one user, with the fields of the user at the top level:
// AWX's clients read the list, and its documentation has the fields.
type me struct {
	envelope[user]
	user
}

var meOrders = map[string]store.OrderBy{"id": store.OrderID, "username": store.OrderName}

func (a *api) getMe(w http.ResponseWriter, r *http.Request) error {
	p := principal(r)
	q, err := parseList(r, nil, meOrders)
	if err != nil {
		return err
	}
	u, err := a.Users.UserByID(r.Context(), p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return errForbidden // an application that acts for itself, or a user that was just deleted
	}
	if err != nil {
		return err
	}
	shown := a.showUser(p, u)
	e, err := fetch(q, func(store.Page) ([]user, int, error) { return []user{shown}, 1, nil },
		func(list []user) ([]user, error) { return list, nil })
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, me{*e, shown})
}

func (a *api) getUser(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, a.showUser(principal(r), u))
}

// pathUser returns the user of the path, by ID or name. A user that is not
// visible to the caller is 404, like one that does not exist. AWX shows every
// superuser to everybody.
func (a *api) pathUser(r *http.Request) (store.User, error) {
	p := principal(r)
	u, err := a.userNamed(r.Context(), r.PathValue("user"))
	if errors.Is(err, store.ErrNotFound) || err == nil && !maySee(p, u) {
		return store.User{}, errNotFound
	}
	return u, err
}

// mayManage reports whether p may act for u: it is u, or a superuser.
func mayManage(p *auth.Principal, u store.User) bool { return p.Admin || p.ID != "" && p.ID == u.ID }

// maySee reports whether p may see u.
func maySee(p *auth.Principal, u store.User) bool { return mayManage(p, u) || p.Auditor || u.Admin }

func (a *api) userNamed(ctx context.Context, n string) (store.User, error) {
	if !storable(n) || len(n) > 4*auth.MaxUserName {
		return store.User{}, store.ErrNotFound
	}
	u, err := a.Users.UserByID(ctx, n)
	if errors.Is(err, store.ErrNotFound) && !isDecimal(n) { // a number is always an ID
		u, err = a.Users.UserByName(ctx, n)
	}
	return u, err
}
