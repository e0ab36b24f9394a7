package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

func (a *api) addTokens() {
	a.add("/api/v2/tokens/", protected, methods{"GET": a.listTokens, "POST": a.createToken})
	a.add("/api/v2/tokens/{id}/", protected, tokenMethods(a, a.pathToken))
	a.add("/api/v2/tokens/{id}/rotate/", protected, methods{"POST": a.rotateToken})
	a.add("/api/v2/users/{user}/personal_tokens/", protected, methods{"GET": a.listPersonal, "POST": a.createPersonal})
	a.add("/api/v2/users/{user}/personal_tokens/{id}/", protected, tokenMethods(a, a.pathPersonal))
}

// tokenMethods serve the token that find takes from the path.
func tokenMethods(a *api, find func(*http.Request) (store.Token, error)) methods {
	change := func(w http.ResponseWriter, r *http.Request) error { return a.changeToken(w, r, find) }
	return methods{
		"GET": func(w http.ResponseWriter, r *http.Request) error {
			t, err := find(r)
			if err != nil {
				return err
			}
			return a.writeToken(w, r, t)
		},
		"PUT":   change,
		"PATCH": change,
		"DELETE": func(w http.ResponseWriter, r *http.Request) error {
			t, err := find(r)
			if err == nil {
				err = a.Tokens.End(r.Context(), principal(r), t.ID)
			}
			if err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		},
	}
}

// mask stands for secrets in every answer but the one that issues them.
const mask = "************"

// token is a token as AWX shows it, with its last use and its addresses, which
// AWX does not show.
type token struct {
	ID           int64             `json:"id"`
	Type         string            `json:"type"`
	URL          string            `json:"url"`
	Related      map[string]string `json:"related"`
	Summary      tokenSummary      `json:"summary_fields"`
	Created      timestamp         `json:"created"`
	Modified     timestamp         `json:"modified"`
	Description  string            `json:"description"`
	User         userID            `json:"user"`
	Token        string            `json:"token"`
	RefreshToken *string           `json:"refresh_token"`
	Application  *int64            `json:"application"`
	Expires      timestamp         `json:"expires"`
	Scope        string            `json:"scope"`
	LastUsed     timestamp         `json:"last_used"`
}

type tokenSummary struct {
	User        *userSummary           `json:"user,omitempty"`
	Application *applicationRefSummary `json:"application,omitempty"`
}

type applicationRefSummary struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type userSummary struct {
	ID        userID `json:"id"`
	Username  string `json:"username"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

// tokenSecrets are what the answer that issues a token shows.
type tokenSecrets struct{ access, refresh auth.Secret }

func tokenPath(id int64) string { return "/api/v2/tokens/" + strconv.FormatInt(id, 10) + "/" }

func showToken(t store.Token, of parties, secrets tokenSecrets) token {
	path := tokenPath(t.ID)
	shown := token{
		ID:   t.ID,
		Type: "o_auth2_access_token",
		URL:  path,
		Related: map[string]string{
			"activity_stream": path + "activity_stream/",
		},
		Created:     timestamp(t.Created),
		Modified:    timestamp(t.Modified),
		Description: t.Description,
		User:        userID(t.UserID),
		Token:       mask,
		Expires:     timestamp(t.Expires),
		Scope:       t.Scopes,
		LastUsed:    timestamp(t.LastUsed),
	}
	if secrets.access != "" {
		shown.Token = secrets.access.Reveal()
	}
	if t.Refresh.Digest != (store.Digest{}) {
		refresh := mask
		if secrets.refresh != "" {
			refresh = secrets.refresh.Reveal()
		}
		shown.RefreshToken = &refresh
	}
	if t.UserID != "" {
		shown.Related["user"] = userPath(t.UserID)
		shown.Summary.User = &userSummary{userID(of.owner.ID), of.owner.Name, of.owner.FirstName, of.owner.LastName}
	}
	if t.ApplicationID != 0 {
		shown.Application = &t.ApplicationID
		shown.Related["application"] = applicationPath(t.ApplicationID)
		shown.Summary.Application = &applicationRefSummary{t.ApplicationID, of.application}
	}
	return shown
}

// parties are whom a token belongs to.
type parties struct {
	owner       store.User
	application string // its name
}

// partiesOf looks up whom tokens belong to, each only once.
func (a *api) partiesOf(ctx context.Context) func(store.Token) (parties, error) {
	owners, names := make(map[string]store.User), map[int64]string{0: ""}
	return func(t store.Token) (of parties, err error) {
		var known bool
		if of.owner, known = owners[t.UserID]; !known {
			if of.owner, err = a.owner(ctx, t.UserID); err != nil {
				return parties{}, err
			}
			owners[t.UserID] = of.owner
		}
		if of.application, known = names[t.ApplicationID]; !known {
			if of.application, err = a.Tokens.ApplicationName(ctx, t.ApplicationID); err != nil {
				return parties{}, err
			}
			names[t.ApplicationID] = of.application
		}
		return of, nil
	}
}

func (a *api) writeToken(w http.ResponseWriter, r *http.Request, t store.Token) error {
	of, err := a.partiesOf(r.Context())(t)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, showToken(t, of, tokenSecrets{}))
}

// owner returns the user of a token, a zero one if the user is gone.
func (a *api) owner(ctx context.Context, id string) (store.User, error) {
	if id == "" { // the token acts for its application alone
		return store.User{}, nil
	}
	u, err := a.Users.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{ID: id}, nil
	}
	return u, err
}

// tokenID reads an ID from the path. What is no number names nothing.
func tokenID(r *http.Request) (int64, error) {
	s := r.PathValue("id")
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !isDecimal(s) {
		return 0, errNotFound
	}
	return id, nil
}

func (a *api) pathToken(r *http.Request) (store.Token, error) {
	id, err := tokenID(r)
	if err != nil {
		return store.Token{}, err
	}
	return a.Tokens.Token(r.Context(), principal(r), id)
}

// pathPersonal returns the token of the path if it is a personal one of the user
// in the path.
func (a *api) pathPersonal(r *http.Request) (store.Token, error) {
	u, err := a.pathUser(r)
	if err != nil {
		return store.Token{}, err
	}
	t, err := a.pathToken(r)
	if err == nil && (t.UserID != u.ID || t.ApplicationID != 0) {
		return store.Token{}, errNotFound
	}
	return t, err
}

var (
	tokenFilters = []string{"id", "description", "scope", "application", "user", "search"}
	tokenOrders  = map[string]store.OrderBy{
		"id":        store.OrderID,
		"created":   store.OrderCreated,
		"modified":  store.OrderModified,
		"expires":   store.OrderExpires,
		"last_used": store.OrderLastUsed,
	}
	// What a representation has and callers cannot set; AWX ignores it, too.
	tokenIgnored = []string{"id", "type", "url", "related", "summary_fields", "created", "modified", "user", "token", "refresh_token", "last_used"}
)

func (a *api) listTokens(w http.ResponseWriter, r *http.Request) error {
	return a.writeTokens(w, r, store.TokenFilter{})
}

func (a *api) listPersonal(w http.ResponseWriter, r *http.Request) error {
	return a.listOwned(w, r, store.PersonalToken)
}

// listOwned lists the tokens of the user in the path.
func (a *api) listOwned(w http.ResponseWriter, r *http.Request, kind store.TokenKind) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	if p := principal(r); !mayManage(p, u) && !p.Auditor {
		return errForbidden
	}
	return a.writeTokens(w, r, store.TokenFilter{OwnerID: u.ID, Kind: kind})
}

// writeTokens lists the tokens of f that the caller may see and the query asks
// for.
func (a *api) writeTokens(w http.ResponseWriter, r *http.Request, f store.TokenFilter) error {
	q, err := parseList(r, tokenFilters, tokenOrders)
	if err != nil {
		return err
	}
	nothing, err := narrow(&f, q)
	if err != nil {
		return err
	}
	ctx, p := r.Context(), principal(r)
	list := func(page store.Page) ([]store.Token, int, error) {
		if nothing {
			return nil, 0, nil
		}
		return a.Tokens.List(ctx, p, f, page)
	}
	partiesOf := a.partiesOf(ctx)
	e, err := fetch(q, list, func(t store.Token) (token, error) {
		of, err := partiesOf(t)
		if err != nil {
			return token{}, err
		}
		return showToken(t, of, tokenSecrets{}), nil
	})
	if err != nil {
		return err
	}
	return writeList(w, r, q, e)
}

// narrow adds the filters of the query to f, and reports whether no token can
// pass them all.
func narrow(f *store.TokenFilter, q *listQuery) (nothing bool, err error) {
	for name := range q.filters {
		v := q.filters.Get(name)
		switch name {
		case "id", "application":
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return false, badRequest(strconv.Quote(name) + " must be a number.")
			}
			nothing = nothing || n < 1 // which the store would take for "any"
			if name == "id" {
				f.ID = n
			} else {
				nothing = nothing || f.ApplicationID != 0 && f.ApplicationID != n
				f.ApplicationID = n
			}
		case "user":
			nothing = nothing || v == "" || f.OwnerID != "" && f.OwnerID != v
			f.OwnerID = v
		case "scope":
			nothing = nothing || v == ""
			f.Scopes = v
		case "description":
			f.Description = &v
		case "search":
			f.Search = v
		}
	}
	return nothing, nil
}

func (a *api) createToken(w http.ResponseWriter, r *http.Request) error {
	return a.issue(w, r, a.anyApplication)
}

func (a *api) createPersonal(w http.ResponseWriter, r *http.Request) error {
	return a.issueOwn(w, r, noApplication)
}

// issueOwn makes a token for the caller. Nobody, not even a superuser, is given
// a token that acts for somebody else.
func (a *api) issueOwn(w http.ResponseWriter, r *http.Request, application func(object) (int64, error)) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	if u.ID != principal(r).ID {
		return errForbidden
	}
	return a.issue(w, r, application)
}

// issue makes a token for the application that the function takes from the body.
func (a *api) issue(w http.ResponseWriter, r *http.Request, application func(object) (int64, error)) error {
	o, err := readObject(w, r, []string{"description", "application", "scope", "expires"}, tokenIgnored)
	if err != nil {
		return err
	}
	var req auth.TokenRequest
	err = errors.Join(
		readDescription(o, &req.Description),
		a.readScope(o, &req.Scopes),
		readExpires(o, &req.Expires),
	)
	var fieldErr error
	req.ApplicationID, fieldErr = application(o)
	if err = errors.Join(err, fieldErr); err != nil {
		return err
	}
	// Looked up before: no read may fail between the commit and the one reply
	// that shows the secret.
	of, err := a.partiesOf(r.Context())(store.Token{UserID: principal(r).ID, ApplicationID: req.ApplicationID})
	if err != nil {
		return err
	}
	t, err := a.Tokens.Issue(r.Context(), principal(r), req)
	if err != nil {
		return err
	}
	w.Header().Set("Location", tokenPath(t.ID))
	return writeJSON(w, r, http.StatusCreated, showToken(t.Token, of, tokenSecrets{t.AccessToken, t.RefreshToken}))
}

func readDescription(o object, to *string) error {
	s, err := o.text("description")
	if s != nil {
		*to = *s
	}
	return err
}

func readExpires(o object, to *time.Time) (err error) {
	*to, err = o.instant("expires")
	return err
}

// readScope reads a list of scopes. An empty one is not the default but an
// error.
func (a *api) readScope(o object, to *auth.Scopes) error {
	raw, ok := o["scope"]
	if !ok {
		return nil
	}
	s, err := o.text("scope")
	if err != nil {
		return badField("scope", "Must be a string of scopes separated by single spaces, not "+clip(string(raw))+".")
	}
	*to, err = a.Tokens.ParseScopes(*s)
	return err
}

// clip shortens what is repeated to the client.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// changeToken describes or narrows a token.
func (a *api) changeToken(w http.ResponseWriter, r *http.Request, find func(*http.Request) (store.Token, error)) error {
	t, err := find(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, []string{"description", "scope"}, append([]string{"application", "expires"}, tokenIgnored...))
	if err != nil {
		return err
	}
	var c auth.TokenChange
	var scopes auth.Scopes
	description, err := o.text("description")
	if err = errors.Join(err, a.readScope(o, &scopes)); err != nil {
		return err
	}
	c.Description = description
	if scopes != "" {
		c.Scopes = &scopes
	}
	t, err = a.Tokens.Change(r.Context(), principal(r), t.ID, c)
	if err != nil {
		return err
	}
	return a.writeToken(w, r, t)
}

// rotateToken gives a token a new secret; the old one is dead.
func (a *api) rotateToken(w http.ResponseWriter, r *http.Request) error {
	id, err := tokenID(r)
	if err != nil {
		return err
	}
	if _, err := readObject(w, r, nil, nil); err != nil {
		return err
	}
	// A token that may be rotated belongs to who asks; see issue.
	of, err := a.partiesOf(r.Context())(store.Token{UserID: principal(r).ID})
	if err != nil {
		return err
	}
	t, err := a.Tokens.Rotate(r.Context(), principal(r), id)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, showToken(t.Token, of, tokenSecrets{access: t.AccessToken}))
}
