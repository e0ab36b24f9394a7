package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/stores"
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

// userLinks are the paths below that of a user, by name as JSON orders them.
var userLinks = []struct {
	name string
	when func(*api) bool
}{
	{"activity_stream", func(a *api) bool { return a.Activity != nil }},
	{"authorized_tokens", func(a *api) bool { return a.OAuth != nil }},
	{"personal_tokens", func(a *api) bool { return a.Tokens != nil }},
	{"sessions", func(a *api) bool { return a.Session != nil }},
	{"tokens", func(a *api) bool { return a.OAuth != nil }}, // without OAuth there are no others
}

// appendUserPath appends userPath(id) for a JSON string.
func appendUserPath(b []byte, id string) []byte {
	b = append(b, "/api/v2/users/"...)
	b = appendEscaped(b, url.PathEscape(id))
	return append(b, '/')
}

// appendUser appends the JSON of a user, as p may see it. Reflection takes ten times
// as long.
func (a *api) appendUser(b []byte, p *auth.Principal, u store.User) []byte {
	b = append(b, `{"id":`...)
	b = userID(u.ID).append(b)
	b = append(b, `,"type":"user","url":"`...)
	from := len(b)
	b = appendUserPath(b, u.ID)
	to := len(b)
	b = append(b, `","related":{`...)
	for _, l := range userLinks {
		if l.when(a) {
			b = append(append(append(b, '"'), l.name...), `":"`...)
			b = append(b, b[from:to]...)
			b = append(append(b, l.name...), `/",`...)
		}
	}
	b = closeObject(b)
	b = appendBool(b, `,"summary_fields":{"user_capabilities":{"edit":`, a.Accounts != nil && a.Accounts.MayChange(p, u))
	b = appendBool(b, `,"delete":`, a.Accounts != nil && a.Accounts.MayDelete(p, u))
	b = append(b, `}},"created":`...)
	from = len(b)
	b = timestamp(u.Created).append(b)
	b = append(append(b, `,"modified":`...), b[from:]...)
	b = appendText(b, `,"username":`, u.Name)
	b = appendText(b, `,"first_name":`, u.FirstName)
	b = appendText(b, `,"last_name":`, u.LastName)
	b = appendText(b, `,"email":`, u.Email)
	b = appendBool(b, `,"is_superuser":`, u.Admin)
	b = appendBool(b, `,"is_system_auditor":`, u.Auditor)
	b = appendBool(b, `,"is_active":`, u.Active)
	b = appendBool(b, `,"is_service_account":`, u.Service)
	if !u.Service {
		b = append(b, `,"password":"`+userMask+`"`...)
	}
	return append(b, '}')
}

func (a *api) writeUser(w http.ResponseWriter, r *http.Request, status int, p *auth.Principal, u store.User) error {
	return writeAppended(w, r, status, func(b []byte) []byte { return a.appendUser(b, p, u) })
}

// appendMe appends the text of the JSON of a me with the one page that there is.
func (a *api) appendMe(b []byte, p *auth.Principal, u store.User) []byte {
	b = append(b, `{"count":1,"next":null,"previous":null,"results":[`...)
	from := len(b)
	b = a.appendUser(b, p, u)
	to := len(b)
	b = append(b, `],`...)
	return append(b, b[from+1:to]...)
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
	page := 1
	if r.URL.RawQuery != "" {
		q, err := parseList(r, nil, meOrders)
		if err != nil {
			return err
		}
		page = q.page
	}
	u, err := stores.UserByID(r.Context(), a.Users, p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return errForbidden // an application that acts for itself, or a user that was just deleted
	}
	if err != nil {
		return err
	}
	if page > 1 {
		return errPage
	}
	return writeAppended(w, r, http.StatusOK, func(b []byte) []byte { return a.appendMe(b, p, u) })
}

func (a *api) getUser(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	return a.writeUser(w, r, http.StatusOK, principal(r), u)
}

// pathUser returns the user of the path, by ID or name. A user that is not
// visible to the caller is 404, like one that does not exist. AWX shows every
// superuser to everybody.
func (a *api) pathUser(r *http.Request) (store.User, error) {
	p := principal(r)
	u, err := a.userNamed(r.Context(), pathValue(r, "user"))
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
	u, err := stores.UserByID(ctx, a.Users, n)
	if errors.Is(err, store.ErrNotFound) && !isDecimal(n) { // a number is always an ID
		u, err = a.Users.UserByName(ctx, n)
	}
	return u, err
}
