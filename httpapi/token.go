package httpapi

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// token is AWX's representation of a token, with its last use and its
// addresses, which AWX does not have.
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
	// Parent is the token that issued this one. AWX does not have it.
	Parent    *int64         `json:"parent"`
	Addresses []netip.Prefix `json:"addresses"` // that may use it; none means any
}

// tokenFields describes token.
var tokenFields = fields{
	"id":          {Type: "integer", Label: "ID", ReadOnly: true},
	"created":     {Type: "datetime", Label: "Created", ReadOnly: true},
	"modified":    {Type: "datetime", Label: "Modified", ReadOnly: true},
	"description": {Type: "string", Label: "Description", HelpText: "What the token is for."},
	"user":        {Type: "id", Label: "User", ReadOnly: true},
	"token":       {Type: "string", Label: "Token", HelpText: "Shown once, when the token is created.", ReadOnly: true},
	"application": {Type: "id", Label: "Application"},
	"expires":     {Type: "datetime", Label: "Expires", HelpText: "When the token ends."},
	"scope":       {Type: "string", Label: "Scope", HelpText: "read, or write, which includes read."},
	"last_used":   {Type: "datetime", Label: "Last used", ReadOnly: true},
	"parent":      {Type: "id", Label: "Parent", HelpText: "The token that issued this one.", ReadOnly: true},
	"addresses":   {Type: "list", Label: "Addresses", HelpText: "Networks that may use the token, such as 192.0.2.0/24."},
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

// tokenSecrets are the secrets in the answer that issues a token.
type tokenSecrets struct{ access, refresh auth.Secret }

func tokenPath(id int64) string { return "/api/v2/tokens/" + strconv.FormatInt(id, 10) + "/" }

// appendToken appends the JSON of a token. Secrets that are not shown now are the
// mask.
func (a *api) appendToken(b []byte, t *store.Token, of parties, secrets tokenSecrets) []byte {
	b = appendNumber(b, `{"id":`, t.ID)
	b = append(b, `,"type":"o_auth2_access_token","url":"`...)
	from := len(b)
	b = appendNumber(b, "/api/v2/tokens/", t.ID)
	b = append(b, '/')
	to := len(b)
	b = append(b, `","related":{`...)
	if a.Activity != nil {
		b = append(append(append(b, `"activity_stream":"`...), b[from:to]...), `activity_stream/",`...)
	}
	if t.ApplicationID != 0 {
		b = append(appendNumber(b, `"application":"/api/v2/applications/`, t.ApplicationID), `/",`...)
	}
	if t.UserID != "" {
		b = append(appendUserPath(append(b, `"user":"`...), t.UserID), `",`...)
	}
	b = append(closeObject(b), `,"summary_fields":{`...)
	if t.UserID != "" {
		b = append(b, `"user":{"id":`...)
		b = userID(of.owner.ID).append(b)
		b = appendText(b, `,"username":`, of.owner.Name)
		b = appendText(b, `,"first_name":`, of.owner.FirstName)
		b = appendText(b, `,"last_name":`, of.owner.LastName)
		b = append(b, "},"...)
	}
	if t.ApplicationID != 0 {
		b = appendNumber(b, `"application":{"id":`, t.ApplicationID)
		b = append(appendText(b, `,"name":`, of.application), "},"...)
	}
	b = append(closeObject(b), `,"created":`...)
	from = len(b)
	b = timestamp(t.Created).append(b)
	to = len(b)
	if t.Modified == t.Created { // as of most tokens
		b = append(append(b, `,"modified":`...), b[from:to]...)
	} else {
		b = appendTime(b, `,"modified":`, t.Modified)
	}
	b = appendText(b, `,"description":`, t.Description)
	b = append(b, `,"user":`...)
	b = userID(t.UserID).append(b)
	b = appendSecret(append(b, `,"token":`...), secrets.access)
	if t.Refresh.Digest == (store.Digest{}) {
		b = append(b, `,"refresh_token":null`...)
	} else {
		b = appendSecret(append(b, `,"refresh_token":`...), secrets.refresh)
	}
	b = appendReference(b, `,"application":`, t.ApplicationID)
	b = appendTime(b, `,"expires":`, t.Expires)
	b = appendText(b, `,"scope":`, t.Scopes)
	b = appendTime(b, `,"last_used":`, t.LastUsed)
	b = appendReference(b, `,"parent":`, t.ParentID)
	b = append(b, `,"addresses":[`...)
	for i, p := range t.Addresses {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(p.AppendTo(append(b, '"')), '"')
	}
	return append(b, "]}"...)
}

// appendSecret appends a secret, or the mask if it is not shown.
func appendSecret(b []byte, s auth.Secret) []byte {
	if s == "" {
		return append(b, `"`+mask+`"`...)
	}
	return appendJSON(b, s.Reveal())
}

// writeToken writes a token that the caller has issued or may see.
func (a *api) writeToken(w http.ResponseWriter, r *http.Request, status int, t store.Token, of parties, secrets tokenSecrets) error {
	return writeAppended(w, r, status, func(b []byte) []byte { return a.appendToken(b, &t, of, secrets) })
}

// lookUpToken is writeToken of a token whose parties are not known yet.
func (a *api) lookUpToken(w http.ResponseWriter, r *http.Request, t store.Token) error {
	of, err := a.partyOf(r.Context(), t.UserID, t.ApplicationID)
	if err != nil {
		return err
	}
	return a.writeToken(w, r, http.StatusOK, t, of, tokenSecrets{})
}

// tokenID reads an ID from the path. A text that is no number is no ID.
func tokenID(r *http.Request) (int64, error) {
	s := pathValue(r, "id")
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || !isDecimal(s) {
		return 0, errNotFound
	}
	return id, nil
}

// pathToken returns the token of the path. Below a user it must be a personal
// token of that user.
func (a *api) pathToken(r *http.Request) (store.Token, error) {
	var u store.User
	var err error
	below := pathValue(r, "user") != ""
	if below {
		if u, err = a.pathUser(r); err != nil {
			return store.Token{}, err
		}
	}
	id, err := tokenID(r)
	if err != nil {
		return store.Token{}, err
	}
	t, err := a.Tokens.Token(r.Context(), principal(r), id)
	if err == nil && below && (t.UserID != u.ID || t.ApplicationID != 0) {
		return store.Token{}, errNotFound
	}
	return t, err
}

func (a *api) getToken(w http.ResponseWriter, r *http.Request) error {
	t, err := a.pathToken(r)
	if err != nil {
		return err
	}
	return a.lookUpToken(w, r, t)
}

// deleteToken ends a token. With ?minted=true it also ends all of its
// descendants.
func (a *api) deleteToken(w http.ResponseWriter, r *http.Request) error {
	end := a.Tokens.End
	switch minted := r.URL.Query()["minted"]; {
	case len(minted) == 1 && minted[0] == "true":
		end = a.Tokens.EndTree
	case len(minted) > 1 || len(minted) == 1 && minted[0] != "false":
		return badRequest(`"minted" must be true or false.`)
	}
	t, err := a.pathToken(r)
	if err == nil {
		err = end(r.Context(), principal(r), t.ID)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

var (
	tokenCreatable  = []string{"description", "application", "scope", "expires", "addresses"}
	tokenChangeable = []string{"description", "scope", "addresses"}
	// tokenIgnored has the fields of a representation that callers cannot set;
	// AWX ignores them, too.
	tokenIgnored = []string{"id", "type", "url", "related", "summary_fields", "created", "modified", "user", "token", "refresh_token", "last_used", "parent"}
	// tokenKept has those that callers cannot change.
	tokenKept = append([]string{"application", "expires"}, tokenIgnored...)
)

// changeToken changes the description or narrows the scopes of a token.
func (a *api) changeToken(w http.ResponseWriter, r *http.Request) error {
	t, err := a.pathToken(r)
	if err != nil {
		return err
	}
	o, err := readObject(w, r, tokenChangeable, tokenKept)
	if err != nil {
		return err
	}
	return a.change(w, r, t, o, auth.TokenChange{})
}

// change makes the changes of c and o to a token, and shows it.
func (a *api) change(w http.ResponseWriter, r *http.Request, t store.Token, o object, c auth.TokenChange) error {
	var scopes auth.Scopes
	description, err := o.textOrNull("description")
	if err = errors.Join(err, a.readScope(o, &scopes), keepsAddresses(o, t)); err != nil {
		return err
	}
	c.Description = description
	if scopes != "" {
		c.Scopes = &scopes
	}
	t, err = a.Tokens.Change(r.Context(), principal(r), t.ID, c)
	if err != nil {
		return a.inAWXWords(err, o)
	}
	return a.lookUpToken(w, r, t)
}

// rotateToken gives a token a new secret; the old one is dead.
func (a *api) rotateToken(w http.ResponseWriter, r *http.Request) error {
	id, err := tokenID(r)
	if err != nil {
		return err
	}
	return a.rotate(w, r, id)
}

func (a *api) rotate(w http.ResponseWriter, r *http.Request, id int64) error {
	if _, err := readObject(w, r, nil, nil); err != nil {
		return err
	}
	// Only the owner can rotate a token; see issue.
	of, err := a.partyOf(r.Context(), principal(r).ID, 0)
	if err != nil {
		return err
	}
	t, err := a.Tokens.Rotate(r.Context(), principal(r), id)
	if err != nil {
		return err
	}
	return a.writeToken(w, r, http.StatusOK, t.Token, of, tokenSecrets{access: t.AccessToken})
}

func readDescription(o object, to *string) error {
	s, err := o.textOrNull("description")
	if s != nil {
		*to = *s
	}
	return err
}

// readExpires refuses the year 1, which a request of package auth takes for no expiry.
func readExpires(o object, to *time.Time) (err error) {
	if *to, err = o.instant("expires"); err == nil && to.IsZero() && o.given("expires") {
		err = badField("expires", "This date is in the past.")
	}
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
	if *to, err = a.Tokens.ParseScopes(*s); err != nil {
		return a.inAWXWords(err, o)
	}
	return nil
}
