package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

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

// showUser shows a user to p.
func (a *api) showUser(p *auth.Principal, u store.User) user {
	path := userPath(u.ID)
	related := map[string]string{}
	for _, l := range userLinks {
		if l.when(a) {
			related[l.name] = path + l.name + "/"
		}
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

// appendUser appends the text of the JSON of showUser. AWX's clients ask for a user
// more often than for anything else, and reflection takes ten times as long.
func (a *api) appendUser(b []byte, p *auth.Principal, u store.User) []byte {
	path := userPath(u.ID)
	b = append(b, `{"id":`...)
	b = userID(u.ID).append(b)
	b = append(b, `,"type":"user","url":`...)
	b = appendJSON(b, path)
	b = append(b, `,"related":{`...)
	some := false
	for _, l := range userLinks {
		if !l.when(a) {
			continue
		}
		if some {
			b = append(b, ',')
		}
		some = true
		b = append(append(append(b, '"'), l.name...), `":`...)
		b = appendJSON(b, path)
		b = append(append(b[:len(b)-1], l.name...), `/"`...)
	}
	b = append(b, `},"summary_fields":{"user_capabilities":{"edit":`...)
	b = strconv.AppendBool(b, a.Accounts != nil && a.Accounts.MayChange(p, u))
	b = append(b, `,"delete":`...)
	b = strconv.AppendBool(b, a.Accounts != nil && a.Accounts.MayDelete(p, u))
	b = append(b, `}},"created":`...)
	from := len(b)
	b = timestamp(u.Created).append(b)
	b = append(append(b, `,"modified":`...), b[from:]...)
	b = append(b, `,"username":`...)
	b = appendJSON(b, u.Name)
	b = append(b, `,"first_name":`...)
	b = appendJSON(b, u.FirstName)
	b = append(b, `,"last_name":`...)
	b = appendJSON(b, u.LastName)
	b = append(b, `,"email":`...)
	b = appendJSON(b, u.Email)
	b = append(b, `,"is_superuser":`...)
	b = strconv.AppendBool(b, u.Admin)
	b = append(b, `,"is_system_auditor":`...)
	b = strconv.AppendBool(b, u.Auditor)
	b = append(b, `,"is_active":`...)
	b = strconv.AppendBool(b, u.Active)
	b = append(b, `,"is_service_account":`...)
	b = strconv.AppendBool(b, u.Service)
	if !u.Service {
		b = append(b, `,"password":"`+userMask+`"`...)
	}
	return append(b, '}')
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
	q, err := parseList(r, nil, meOrders)
	if err != nil {
		return err
	}
	u, err := stores.UserByID(r.Context(), a.Users, p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return errForbidden // an application that acts for itself, or a user that was just deleted
	}
	if err != nil {
		return err
	}
	if q.page > 1 {
		return errPage
	}
	writeAppended(w, r, http.StatusOK, func(b []byte) []byte { return a.appendMe(b, p, u) })
	return nil
}

func (a *api) getUser(w http.ResponseWriter, r *http.Request) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	writeAppended(w, r, http.StatusOK, func(b []byte) []byte { return a.appendUser(b, principal(r), u) })
	return nil
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
	u, err := stores.UserByID(ctx, a.Users, n)
	if errors.Is(err, store.ErrNotFound) && !isDecimal(n) { // a number is always an ID
		u, err = a.Users.UserByName(ctx, n)
	}
	return u, err
}
