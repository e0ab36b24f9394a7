package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

func (a *api) addApplications() {
	list := methods{"GET": a.listApplications, "POST": a.createApplication}
	a.add("/api/v2/applications/", protected, list)
	a.add("/api/v2/applications/{app}/", protected, methods{
		"GET": a.getApplication, "PUT": a.changeApplication, "PATCH": a.changeApplication, "DELETE": a.deleteApplication,
	})
	a.add("/api/v2/applications/{app}/rotate_secret/", protected, methods{"POST": a.rotateSecret})
	a.add("/api/v2/applications/{app}/tokens/", protected, methods{"GET": a.listApplicationTokens, "POST": a.createApplicationToken})
	a.add("/api/v2/organizations/{organization}/applications/", protected, list)
	a.add("/api/v2/users/{user}/applications/", protected, list)
	a.add("/api/v2/users/{user}/tokens/", protected, methods{"GET": a.listUserTokens, "POST": a.createUserToken})
	a.add("/api/v2/users/{user}/authorized_tokens/", protected, methods{"GET": a.listAuthorized, "POST": a.createAuthorized})
}

// application is an application as AWX shows it. The secret is there only for
// confidential ones.
type application struct {
	ID           int64              `json:"id"`
	Type         string             `json:"type"`
	URL          string             `json:"url"`
	Related      map[string]string  `json:"related"`
	Summary      applicationSummary `json:"summary_fields"`
	Created      timestamp          `json:"created"`
	Modified     timestamp          `json:"modified"`
	Name         string             `json:"name"`
	Description  string             `json:"description"`
	ClientID     string             `json:"client_id"`
	ClientSecret string             `json:"client_secret,omitempty"`
	ClientType   string             `json:"client_type"`
	RedirectURIs string             `json:"redirect_uris"`
	GrantType    string             `json:"authorization_grant_type"`
	SkipConsent  bool               `json:"skip_authorization"`
	Organization int64              `json:"organization"`
}

type applicationSummary struct {
	Organization *organizationSummary `json:"organization,omitempty"`
	Capabilities struct {
		Edit   bool `json:"edit"`
		Delete bool `json:"delete"`
	} `json:"user_capabilities"`
	Tokens struct {
		Count   int              `json:"count"`
		Results []listedTokenRef `json:"results"`
	} `json:"tokens"`
}

type organizationSummary struct {
	ID          int64  `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
}

type listedTokenRef struct {
	ID    int64  `json:"id"`
	Token string `json:"token"`
	Scope string `json:"scope"`
}

// maxSummary is how many tokens the summary of an application lists.
const maxSummary = 10

func applicationPath(id int64) string {
	return "/api/v2/applications/" + strconv.FormatInt(id, 10) + "/"
}

// showApplication shows an application with what summarize, or createApplication,
// found out about it.
func showApplication(app store.Application, summary applicationSummary, secret auth.Secret) application {
	path := applicationPath(app.ID)
	shown := application{
		ID:   app.ID,
		Type: "o_auth2_application",
		URL:  path,
		Related: map[string]string{
			"tokens":          path + "tokens/",
			"activity_stream": path + "activity_stream/",
			"organization":    "/api/v2/organizations/" + strconv.FormatInt(app.OrganizationID, 10) + "/",
		},
		Summary:      summary,
		Created:      timestamp(app.Created),
		Modified:     timestamp(app.Modified),
		Name:         app.Name,
		Description:  app.Description,
		ClientID:     app.ClientID,
		ClientType:   auth.ClientPublic,
		RedirectURIs: strings.Join(app.RedirectURIs, " "),
		GrantType:    app.GrantType,
		SkipConsent:  app.SkipConsent,
		Organization: app.OrganizationID,
	}
	if app.Confidential {
		shown.ClientType, shown.ClientSecret = auth.ClientConfidential, mask
		if secret != "" {
			shown.ClientSecret = secret.Reveal()
		}
	}
	return shown
}

// summarize returns what p may know about app beside itself.
func (a *api) summarize(ctx context.Context, p *auth.Principal, app store.Application) (s applicationSummary, err error) {
	if s.Organization, err = a.summarizeOrganization(ctx, app.OrganizationID); err != nil {
		return s, err
	}
	s.Capabilities.Edit, s.Capabilities.Delete, err = a.Applications.MayChange(ctx, p, app.ID)
	if err != nil {
		return s, err
	}
	tokens, total, err := a.Tokens.List(ctx, p, store.TokenFilter{ApplicationID: app.ID}, store.Page{Limit: maxSummary})
	if err != nil {
		return s, err
	}
	s.Tokens.Count, s.Tokens.Results = total, make([]listedTokenRef, len(tokens))
	for i, t := range tokens {
		s.Tokens.Results[i] = listedTokenRef{t.ID, mask, t.Scopes}
	}
	return s, nil
}

// summarizeOrganization returns nil for an organization that does not exist.
func (a *api) summarizeOrganization(ctx context.Context, id int64) (*organizationSummary, error) {
	o, err := a.Tokens.Organization(ctx, id)
	switch {
	case isStatus(err, http.StatusNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &organizationSummary{o.ID, o.Name, o.Description}, nil
}

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*auth.Error](err)
	return ok && e.Status == status
}

func (a *api) writeApplication(w http.ResponseWriter, r *http.Request, app store.Application) error {
	summary, err := a.summarize(r.Context(), principal(r), app)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, showApplication(app, summary, ""))
}

// pathApplication returns the application that the path names, by ID or as
// name++organization.
func (a *api) pathApplication(r *http.Request) (store.Application, error) {
	ctx, p, s := r.Context(), principal(r), r.PathValue("app")
	if isDecimal(s) {
		id, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return store.Application{}, errNotFound
		}
		return a.Applications.Application(ctx, p, id)
	}
	name, organization, ok := strings.Cut(s, "++")
	if !ok || name == "" || !storable(s) {
		return store.Application{}, errNotFound
	}
	list, _, err := a.Applications.List(ctx, p, store.ApplicationFilter{Name: name}, store.Page{Limit: maxPageSize})
	if err != nil {
		return store.Application{}, err
	}
	for _, app := range list {
		o, err := a.Tokens.Organization(ctx, app.OrganizationID)
		if err == nil && o.Name == organization {
			return app, nil
		}
		if err != nil && !isStatus(err, http.StatusNotFound) {
			return store.Application{}, err
		}
	}
	return store.Application{}, errNotFound
}

var (
	applicationFilters = []string{"id", "name", "organization", "search", "or__id", "or__name"}
	applicationOrders  = map[string]store.OrderBy{
		"id":           store.OrderID,
		"created":      store.OrderCreated,
		"modified":     store.OrderModified,
		"name":         store.OrderName,
		"organization": store.OrderOrganization,
	}
	applicationWritable = []string{"name", "description", "organization", "client_type", "authorization_grant_type", "redirect_uris", "skip_authorization"}
	// What a representation has and callers cannot set; AWX ignores it, too.
	applicationIgnored = []string{"id", "type", "url", "related", "summary_fields", "created", "modified", "client_id", "client_secret", "user"}
)

func (a *api) listApplications(w http.ResponseWriter, r *http.Request) error {
	f, nothing, err := a.pathOrganization(r)
	if err != nil {
		return err
	}
	q, err := parseList(r, applicationFilters, applicationOrders)
	if err != nil {
		return err
	}
	if !q.values.Has("order_by") && !q.values.Has("order") {
		q.Order = store.OrderOrganization // and then by name, as in AWX
	}
	var either idOrName
	for name := range q.filters {
		v := q.filters.Get(name)
		switch name {
		case "id", "organization", "or__id":
			n, err := strconv.ParseInt(v, 10, 64)
			switch {
			case err != nil:
				return badRequest(strconv.Quote(name) + " must be a number.")
			case name == "or__id":
				either.id = n
				continue
			}
			nothing = nothing || n < 1
			if name == "id" {
				f.ID = n
			} else {
				nothing = nothing || len(f.Organizations) > 0 && f.Organizations[0] != n
				f.Organizations = []int64{n}
			}
		case "name":
			nothing = nothing || v == ""
			f.Name = v
		case "search":
			f.Search = v
		case "or__name":
			either.name = v
		}
	}
	ctx, p := r.Context(), principal(r)
	list := func(page store.Page) ([]store.Application, int, error) {
		switch {
		case nothing:
			return nil, 0, nil
		case q.filters.Has("or__id") || q.filters.Has("or__name"):
			return a.listEither(ctx, p, f, either, page)
		}
		return a.Applications.List(ctx, p, f, page)
	}
	e, err := fetch(q, list, func(app store.Application) (application, error) {
		summary, err := a.summarize(ctx, p, app)
		return showApplication(app, summary, ""), err
	})
	if err != nil {
		return err
	}
	return writeList(w, r, q, e)
}

// An idOrName is what the Ansible collection asks for where a name could be an
// ID, with the filters or__id and or__name.
type idOrName struct {
	id   int64
	name string
}

// listEither lists the applications of f with the ID, and then those with the
// name, of which every organization has at most one.
func (a *api) listEither(ctx context.Context, p *auth.Principal, f store.ApplicationFilter, either idOrName, page store.Page) ([]store.Application, int, error) {
	var filters []store.ApplicationFilter
	if either.id > 0 && (f.ID == 0 || f.ID == either.id) {
		byID := f
		byID.ID = either.id
		filters = append(filters, byID)
	}
	if either.name != "" && (f.Name == "" || f.Name == either.name) {
		byName := f
		byName.Name = either.name
		filters = append(filters, byName)
	}
	var found []store.Application
	for _, f := range filters {
		list, _, err := a.Applications.List(ctx, p, f, store.Page{Limit: maxPageSize, Order: page.Order, Descending: page.Descending})
		if err != nil {
			return nil, 0, err
		}
		for _, app := range list {
			if !slices.ContainsFunc(found, func(have store.Application) bool { return have.ID == app.ID }) {
				found = append(found, app)
			}
		}
	}
	from := min(page.Offset, len(found))
	return found[from:min(from+page.Limit, len(found))], len(found), nil
}

// pathOrganization narrows a list to the organization of the path, if there is
// one. The user of a path must be visible and makes no other difference.
func (a *api) pathOrganization(r *http.Request) (f store.ApplicationFilter, nothing bool, err error) {
	if r.PathValue("user") != "" {
		_, err = a.pathUser(r)
	}
	s := r.PathValue("organization")
	if err != nil || s == "" {
		return f, false, err
	}
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !isDecimal(s) || id < 1 {
		return f, true, errNotFound
	}
	// Only who sees every application learns which organizations there are. For
	// others one that does not exist is like one they do not belong to: there is
	// nothing in it, and nothing can be put there.
	if p := principal(r); p.Admin || p.Auditor {
		if _, err := a.Tokens.Organization(r.Context(), id); err != nil {
			return f, true, err
		}
	}
	f.Organizations = []int64{id}
	return f, false, nil
}

func (a *api) createApplication(w http.ResponseWriter, r *http.Request) error {
	f, _, err := a.pathOrganization(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, applicationWritable, applicationIgnored)
	if err != nil {
		return err
	}
	c, grantType, err := readApplication(o)
	if err != nil {
		return err
	}
	var req auth.ApplicationRequest
	set(&req.Name, c.Name)
	set(&req.Description, c.Description)
	set(&req.OrganizationID, c.OrganizationID)
	set(&req.ClientType, c.ClientType)
	set(&req.GrantType, grantType)
	set(&req.RedirectURIs, c.RedirectURIs)
	set(&req.SkipConsent, c.SkipConsent)
	if len(f.Organizations) > 0 {
		req.OrganizationID = f.Organizations[0] // the path decides, as in AWX
	}
	// Looked up before: no read may fail between the commit and the one reply
	// that shows the secret.
	summary := applicationSummary{}
	if summary.Organization, err = a.summarizeOrganization(r.Context(), req.OrganizationID); err != nil {
		return err
	}
	app, err := a.Applications.Create(r.Context(), principal(r), req)
	if err != nil {
		return err
	}
	summary.Capabilities.Edit, summary.Capabilities.Delete = true, true // who creates it may
	summary.Tokens.Results = []listedTokenRef{}
	w.Header().Set("Location", applicationPath(app.ID))
	return writeJSON(w, r, http.StatusCreated, showApplication(app.Application, summary, app.ClientSecret))
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// readApplication reads the fields that callers can set, and the grant type,
// which they can set once.
func readApplication(o object) (c auth.ApplicationChange, grantType *string, err error) {
	for name, to := range map[string]**string{
		"name": &c.Name, "description": &c.Description, "client_type": &c.ClientType, "authorization_grant_type": &grantType,
	} {
		var fieldErr error
		*to, fieldErr = o.text(name)
		err = errors.Join(err, fieldErr)
	}
	uris, fieldErr := o.text("redirect_uris")
	err = errors.Join(err, fieldErr)
	if uris != nil {
		list := strings.Fields(*uris)
		c.RedirectURIs = &list
	}
	if raw, ok := o["organization"]; ok {
		var id *int64
		switch jsonErr := json.Unmarshal(raw, &id); {
		case jsonErr != nil:
			err = errors.Join(err, badField("organization", "Incorrect type. Expected pk value, received "+clip(string(raw))+"."))
		case id == nil:
			err = errors.Join(err, badField("organization", "This field may not be null."))
		default:
			c.OrganizationID = id
		}
	}
	if raw, ok := o["skip_authorization"]; ok {
		if jsonErr := json.Unmarshal(raw, &c.SkipConsent); jsonErr != nil || c.SkipConsent == nil {
			err = errors.Join(err, badField("skip_authorization", "Must be a valid boolean."))
		}
	}
	return c, grantType, err
}

func (a *api) getApplication(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.writeApplication(w, r, app)
}

func (a *api) changeApplication(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, applicationWritable, applicationIgnored)
	if err != nil {
		return err
	}
	delete(o, "authorization_grant_type") // ignored, as in AWX
	c, _, err := readApplication(o)
	if err != nil {
		return err
	}
	app, err = a.Applications.Change(r.Context(), principal(r), app.ID, c)
	if err != nil {
		return err
	}
	return a.writeApplication(w, r, app)
}

func (a *api) deleteApplication(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err == nil {
		err = a.Applications.Delete(r.Context(), principal(r), app.ID)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// rotateSecret gives an application a new secret. The member overlap of the body
// says for how many seconds the old one stays good; it is 0 if not given.
func (a *api) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, []string{"overlap"}, nil)
	if err != nil {
		return err
	}
	var seconds int64
	if raw, ok := o["overlap"]; ok {
		if err := json.Unmarshal(raw, &seconds); err != nil || seconds < 0 || seconds > int64(auth.MaxSecretOverlap/time.Second) {
			return badField("overlap", "Must be a number of seconds, at most "+strconv.FormatInt(int64(auth.MaxSecretOverlap/time.Second), 10)+".")
		}
	}
	summary, err := a.summarize(r.Context(), principal(r), app) // before, see createApplication
	if err != nil {
		return err
	}
	issued, err := a.Applications.RotateSecret(r.Context(), principal(r), app.ID, time.Duration(seconds)*time.Second)
	if err != nil {
		return err
	}
	return writeJSON(w, r, http.StatusOK, showApplication(issued.Application, summary, issued.ClientSecret))
}
