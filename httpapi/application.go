package httpapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/oauth"
	"github.com/ostiary/auth/store"
)

// application is AWX's representation of an application. Only confidential ones
// have a secret.
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
	RequirePKCE  bool               `json:"pkce_required"`
	Resource     string             `json:"resource"`
	Organization int64              `json:"organization"`
}

// applicationFields describes application.
var applicationFields = fields{
	"id":            {Type: "integer", Label: "ID", ReadOnly: true},
	"created":       {Type: "datetime", Label: "Created", ReadOnly: true},
	"modified":      {Type: "datetime", Label: "Modified", ReadOnly: true},
	"name":          {Type: "string", Label: "Name", Required: true},
	"description":   {Type: "string", Label: "Description"},
	"organization":  {Type: "id", Label: "Organization", Required: true},
	"client_id":     {Type: "string", Label: "Client ID", ReadOnly: true},
	"client_secret": {Type: "string", Label: "Client secret", HelpText: "Shown once, when the application is created.", ReadOnly: true},
	"client_type": {Type: "choice", Label: "Client type", Required: true, Choices: [][2]string{
		{oauth.ClientConfidential, "Confidential"}, {oauth.ClientPublic, "Public"},
	}},
	"authorization_grant_type": {Type: "choice", Label: "Authorization grant type", Required: true, Choices: [][2]string{
		{oauth.GrantAuthorizationCode, "Authorization code"}, {oauth.GrantPassword, "Resource owner password-based"},
		{oauth.GrantClientCredentials, "Client credentials"}, {oauth.GrantDeviceCode, "Device code"},
	}},
	"redirect_uris":      {Type: "string", Label: "Redirect URIs", HelpText: "Allowed URIs, separated by spaces."},
	"skip_authorization": {Type: "boolean", Label: "Skip authorization", HelpText: "Do not ask for consent. Only for superusers."},
	"pkce_required":      {Type: "boolean", Label: "PKCE required", HelpText: "Refuse authorization without PKCE. Public clients always need it."},
	"resource":           {Type: "string", Label: "Resource", HelpText: "The resource that the application stands for and introspects tokens of. Only for superusers."},
}

// rotateSecretFields describes the body of rotateSecret.
var rotateSecretFields = fields{
	"overlap": {Type: "integer", Label: "Overlap", HelpText: "For how many seconds the old secret stays good."},
}

var rotateSecretWritable = []string{"overlap"}

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

type listedTokenRef struct {
	ID    int64  `json:"id"`
	Token string `json:"token"`
	Scope string `json:"scope"`
}

// maxSummary is the number of tokens in the summary of an application.
const maxSummary = 10

func applicationPath(id int64) string {
	return "/api/v2/applications/" + strconv.FormatInt(id, 10) + "/"
}

// appendApplication appends the JSON of an application with its summary. A secret
// that is not shown now is the mask.
func (a *api) appendApplication(b []byte, app store.Application, summary applicationSummary, secret auth.Secret) []byte {
	b = appendNumber(b, `{"id":`, app.ID)
	b = append(b, `,"type":"o_auth2_application","url":"`...)
	from := len(b)
	b = appendNumber(b, "/api/v2/applications/", app.ID)
	b = append(b, '/')
	to := len(b)
	b = append(b, `","related":{`...)
	if a.Activity != nil {
		b = append(append(append(b, `"activity_stream":"`...), b[from:to]...), `activity_stream/",`...)
	}
	b = appendNumber(b, `"organization":"/api/v2/organizations/`, app.OrganizationID)
	b = append(append(append(b, `/","tokens":"`...), b[from:to]...), `tokens/"},"summary_fields":`...)
	b = summary.append(b)
	b = appendTime(b, `,"created":`, app.Created)
	b = appendTime(b, `,"modified":`, app.Modified)
	b = appendText(b, `,"name":`, app.Name)
	b = appendText(b, `,"description":`, app.Description)
	b = appendText(b, `,"client_id":`, app.ClientID)
	clientType := oauth.ClientPublic
	if app.Confidential {
		clientType = oauth.ClientConfidential
		b = appendText(b, `,"client_secret":`, cmp.Or(secret.Reveal(), mask))
	}
	b = appendText(b, `,"client_type":`, clientType)
	b = append(b, `,"redirect_uris":"`...)
	for i, uri := range app.RedirectURIs {
		if i > 0 {
			b = append(b, ' ')
		}
		b = appendEscaped(b, uri)
	}
	b = appendText(b, `","authorization_grant_type":`, app.GrantType)
	b = appendBool(b, `,"skip_authorization":`, app.SkipConsent)
	b = appendBool(b, `,"pkce_required":`, a.OAuth.RequiresPKCE(app))
	b = appendText(b, `,"resource":`, app.Resource)
	b = appendNumber(b, `,"organization":`, app.OrganizationID)
	return append(b, '}')
}

func (s *applicationSummary) append(b []byte) []byte {
	b = append(b, '{')
	if o := s.Organization; o != nil {
		b = appendNumber(b, `"organization":{"id":`, o.ID)
		b = appendText(b, `,"name":`, o.Name)
		b = append(appendText(b, `,"description":`, o.Description), "},"...)
	}
	b = appendBool(b, `"user_capabilities":{"edit":`, s.Capabilities.Edit)
	b = appendBool(b, `,"delete":`, s.Capabilities.Delete)
	b = appendNumber(b, `},"tokens":{"count":`, int64(s.Tokens.Count))
	b = append(b, `,"results":[`...)
	for i, t := range s.Tokens.Results {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, `{"id":`, t.ID)
		b = appendText(b, `,"token":`, t.Token)
		b = append(appendText(b, `,"scope":`, t.Scope), '}')
	}
	return append(b, "]}}"...)
}

// summarize returns the parts of the representation that are not in the
// records, as far as p may see them.
func (a *api) summarize(ctx context.Context, p *auth.Principal, apps ...store.Application) ([]applicationSummary, error) {
	found, err := a.OAuth.Summarize(ctx, p, apps, maxSummary)
	if err != nil {
		return nil, err
	}
	list := make([]applicationSummary, len(found))
	for i, f := range found {
		s := &list[i]
		s.Organization = showOrganization(f.Organization)
		s.Capabilities.Edit, s.Capabilities.Delete = f.MayChange, f.MayDelete
		s.Tokens.Count, s.Tokens.Results = f.Tokens.Total, make([]listedTokenRef, len(f.Tokens.First))
		for i, t := range f.Tokens.First {
			s.Tokens.Results[i] = listedTokenRef{t.ID, mask, t.Scopes}
		}
	}
	return list, nil
}

func (a *api) writeApplication(w http.ResponseWriter, r *http.Request, status int, app store.Application, summary applicationSummary, secret auth.Secret) error {
	return writeAppended(w, r, status, func(b []byte) []byte { return a.appendApplication(b, app, summary, secret) })
}

// lookUpApplication is writeApplication of one whose summary is not known yet.
func (a *api) lookUpApplication(w http.ResponseWriter, r *http.Request, app store.Application) error {
	summaries, err := a.summarize(r.Context(), principal(r), app)
	if err != nil {
		return err
	}
	return a.writeApplication(w, r, http.StatusOK, app, summaries[0], "")
}

// pathApplication returns the application of the path, by ID or by
// name++organization.
func (a *api) pathApplication(r *http.Request) (store.Application, error) {
	ctx, p, s := r.Context(), principal(r), pathValue(r, "app")
	if isDecimal(s) {
		id, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return store.Application{}, errNotFound
		}
		return a.OAuth.Application(ctx, p, id)
	}
	name, organization, ok := strings.Cut(s, "++")
	if !ok || name == "" || !storable(s) {
		return store.Application{}, errNotFound
	}
	list, _, err := a.OAuth.ListApplications(ctx, p, store.ApplicationFilter{Name: name}, store.Page{Limit: maxPageSize})
	if err != nil {
		return store.Application{}, err
	}
	for _, app := range list {
		o, err := a.OAuth.Organization(ctx, app.OrganizationID)
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
	applicationWritable = []string{"name", "description", "organization", "client_type", "authorization_grant_type", "redirect_uris", "skip_authorization", "pkce_required", "resource"}
	// Callers cannot set these fields of a representation; AWX ignores them,
	// too.
	applicationIgnored = []string{"id", "type", "url", "related", "summary_fields", "created", "modified", "client_id", "client_secret", "user"}
)

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// readApplication reads the fields that callers can set, and the grant type,
// which is set at creation only.
func readApplication(o object) (c oauth.ApplicationChange, grantType *string, err error) {
	var errs [9]error
	c.Name, errs[0] = o.text("name")
	c.Description, errs[1] = o.textOrNull("description")
	c.ClientType, errs[2] = o.text("client_type")
	grantType, errs[3] = o.text("authorization_grant_type")
	c.SkipConsent, errs[4] = o.boolean("skip_authorization")
	c.RequirePKCE, errs[7] = o.boolean("pkce_required")
	c.Resource, errs[8] = o.textOrNull("resource")
	c.OrganizationID, errs[5] = o.id("organization")
	if _, given := o["organization"]; given && c.OrganizationID == nil && errs[5] == nil {
		errs[5] = badField("organization", "This field may not be null.")
	}
	uris, err := o.textOrNull("redirect_uris")
	errs[6] = err
	if uris != nil {
		list := strings.Fields(*uris)
		c.RedirectURIs = &list
	}
	return c, grantType, errors.Join(errs[:]...)
}

func (a *api) getApplication(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.lookUpApplication(w, r, app)
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
	app, err = a.OAuth.ChangeApplication(r.Context(), principal(r), app.ID, c)
	if err != nil {
		return a.inAWXWords(err, o)
	}
	return a.lookUpApplication(w, r, app)
}

func (a *api) deleteApplication(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err == nil {
		err = a.OAuth.DeleteApplication(r.Context(), principal(r), app.ID)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// rotateSecret gives an application a new secret. The member overlap of the
// body is the number of seconds for which the old one stays good; the default
// is 0.
func (a *api) rotateSecret(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, rotateSecretWritable, nil)
	if err != nil {
		return err
	}
	const most = int64(oauth.MaxSecretOverlap / time.Second)
	seconds, ok := o.integer("overlap")
	if !ok || seconds != nil && (*seconds < 0 || *seconds > most) {
		return badField("overlap", "Must be a number of seconds, at most "+strconv.FormatInt(most, 10)+".")
	}
	var overlap time.Duration
	if seconds != nil {
		overlap = time.Duration(*seconds) * time.Second
	}
	summaries, err := a.summarize(r.Context(), principal(r), app) // before, see createApplication
	if err != nil {
		return err
	}
	issued, err := a.OAuth.RotateSecret(r.Context(), principal(r), app.ID, overlap)
	if err != nil {
		return a.inAWXWords(err, o)
	}
	return a.writeApplication(w, r, http.StatusOK, issued.Application, summaries[0], issued.ClientSecret)
}
