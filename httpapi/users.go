package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// user is a user as AWX shows it.
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
	Password        string    `json:"password"` // always the mask: nothing is ever shown
}

func userPath(id string) string { return "/api/v2/users/" + url.PathEscape(id) + "/" }

func (a *api) showUser(u store.User) user {
	path := userPath(u.ID)
	related := map[string]string{}
	if a.Tokens != nil {
		related["personal_tokens"] = path + "personal_tokens/"
	}
	if a.Applications != nil { // without them there are no others
		related["tokens"] = path + "tokens/"
		related["authorized_tokens"] = path + "authorized_tokens/"
	}
	return user{
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
		Password:        "$encrypted$",
	}
}

// me is AWX's list of one, with the fields of the user beside it: AWX's clients
// read the list, its documentation shows the fields.
type me struct {
	envelope[user]
	user
}

func (a *api) getMe(w http.ResponseWriter, r *http.Request) error {
	p := principal(r)
	q, err := parseList(r, nil, map[string]store.OrderBy{"id": store.OrderID, "username": store.OrderName})
	if err != nil {
		return err
	}
	u, err := a.Users.UserByID(r.Context(), p.ID)
	if errors.Is(err, store.ErrNotFound) {
		return errForbidden // an application that acts for itself, or a user who has just gone
	}
	if err != nil {
		return err
	}
	shown := a.showUser(u)
	e, err := fetch(q, func(store.Page) ([]user, int, error) { return []user{shown}, 1, nil },
		func(u user) (user, error) { return u, nil })
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
	return writeJSON(w, r, http.StatusOK, a.showUser(u))
}

// pathUser returns the user that the path names by ID or name. A user whom the
// caller may not see is as unknown as one that does not exist. AWX shows every
// superuser to everybody.
func (a *api) pathUser(r *http.Request) (store.User, error) {
	p := principal(r)
	u, err := a.userNamed(r.Context(), r.PathValue("user"))
	if errors.Is(err, store.ErrNotFound) || err == nil && !mayManage(p, u) && !p.Auditor && !u.Admin {
		return store.User{}, errNotFound
	}
	return u, err
}

// mayManage reports whether p may act for u: it is u, or a superuser.
func mayManage(p *auth.Principal, u store.User) bool { return p.Admin || p.ID != "" && p.ID == u.ID }

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

// storable reports whether a store can be asked for s.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }
