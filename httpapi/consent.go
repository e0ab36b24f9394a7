package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/store"
)

// A parameter is a hidden field of a form.
type parameter struct{ Name, Value string }

// consent is the part of a consent page about the application and its access.
type consent struct {
	User, Application, Organization string
	Scopes, Resources               []string
	Lifetime                        string
	// Document is the URL of the document of an application that nobody has
	// registered, otherwise "". Application is then the host of that URL, and Claim
	// the name that the application gives itself, or "". LoopbackOnly says that
	// every redirect URI is one of the user's computer.
	Document, Claim string
	LoopbackOnly    bool

	// For the digest, the application of a document has neither ID nor epoch,
	// which change with the consents of others, but what the document says.
	id, epoch int64
	uris      []string
}

// newConsent describes the request of app to p. An organization that cannot be
// looked up is not shown.
func (a *api) newConsent(ctx context.Context, p *auth.Principal, app store.Application, scopes auth.Scopes, audience string) consent {
	c := consent{
		User:        p.Name,
		Application: app.Name,
		Scopes:      a.scopeTexts(scopes),
		Resources:   words(audience),
		Lifetime:    a.lifetimeText(a.OAuth.GrantLifetime()),
		id:          app.ID,
		epoch:       app.Epoch,
	}
	if o, err := a.OAuth.Organization(ctx, app.OrganizationID); err == nil {
		c.Organization = o.Name
	}
	return c
}

// shownField is the field of a form with a digest of its page and the user. A
// browser has one session for all its tabs, so a form may be sent by another
// user than the page was shown to, or after a change of the application. Such a
// page is shown again. A client with its own form can leave the field out.
const shownField = "shown"

// of describes the client of a document.
func (c *consent) of(d *clientdoc.Document) {
	c.Application, c.Organization = d.Host, ""
	c.Document, c.Claim, c.LoopbackOnly = d.ClientID, d.Name, d.LoopbackOnly()
	c.id, c.epoch, c.uris = 0, 0, d.RedirectURIs
}

// digest returns a digest of the content of a page, of p, and of the
// application's epoch, because the page does not show a change of the secret.
// It is no secret.
func (c consent) digest(p *auth.Principal, more ...any) string {
	b, err := json.Marshal([]any{p.ID, c, c.id, c.epoch, c.uris, more})
	if err != nil { // texts and lists of them always encode
		return ""
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// scopeTexts returns texts about scopes for users. The scopes of the host have
// their names.
func (a *api) scopeTexts(s auth.Scopes) []string {
	list := words(string(s))
	if slices.Contains(list, auth.ScopeWrite) { // which includes read
		list = slices.DeleteFunc(list, func(name string) bool { return name == auth.ScopeRead })
	}
	for i, name := range list {
		list[i] = a.scopeText(name)
	}
	return list
}

func (a *api) scopeText(name string) string {
	switch name {
	case auth.ScopeRead:
		return a.PageOptions.say("read everything that you can read")
	case auth.ScopeWrite:
		return a.PageOptions.say("read and change everything that you can read and change")
	}
	return a.PageOptions.say("use the scope “%s”", name)
}

// lifetimeText returns d in a unit of which there are at least two.
func (a *api) lifetimeText(d time.Duration) string {
	const day = 24 * time.Hour
	unit, text := time.Minute, "%s minutes"
	switch {
	case d >= 2*day:
		unit, text = day, "%s days"
	case d >= 2*time.Hour:
		unit, text = time.Hour, "%s hours"
	default:
		d += time.Minute // begun ones count
	}
	return a.PageOptions.say(text, strconv.FormatInt(int64(d/unit), 10))
}
