package oauth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/internal/text"
	"github.com/ostiary/auth/store"
)

const maxApplicationName = 255 // characters, as in AWX

var errNameTaken = badField("", "unique", "An application of the organization has this name.")

// checkChoice refuses a value that is none of the choices.
func checkChoice(field, value string, choices ...string) error {
	switch {
	case value == "":
		return missing(field)
	case !slices.Contains(choices, value):
		return badField(field, "invalid_choice", "Must be one of "+strings.Join(choices, ", ")+".")
	}
	return nil
}

// check checks all fields of an application before it is stored, and joins its
// refusals with those in found. It does not check the rights of by to the
// organization. An outage is returned alone.
func (srv *Server) check(ctx context.Context, by *auth.Principal, app store.Application, found ...error) error {
	errs := append(found, checkName(app.Name))
	if why := text.Description(app.Description); why != "" {
		errs = append(errs, badField("Description", "", why))
	}
	if err := srv.checkOrganization(ctx, app.OrganizationID); err != nil {
		if _, refused := errors.AsType[*auth.Error](err); !refused {
			return err
		}
		errs = append(errs, err)
	}
	if app.SkipConsent && (!by.Admin || by.TokenID != 0) {
		errs = append(errs, badField("SkipConsent", "", "Only a superuser who logged in can switch consent off."))
	}
	if app.SkipConsent && !app.Confidential {
		errs = append(errs, badField("SkipConsent", "", "A public client always needs consent: anybody can pose as it."))
	}
	errs = append(errs, srv.checkResource(by, app))
	if app.GrantType == GrantClientCredentials && !app.Confidential {
		errs = append(errs, badField("ClientType", "", "A client that acts for itself must be confidential."))
	}
	if app.GrantType == GrantAuthorizationCode && len(app.RedirectURIs) == 0 {
		errs = append(errs, badField("RedirectURIs", "required", "The grant type needs a redirect URI."))
	}
	if why := srv.checkRedirectURIs(app.RedirectURIs); why != "" {
		errs = append(errs, badField("RedirectURIs", "", why))
	}
	return errors.Join(errs...)
}

// checkResource refuses an application that must not or cannot stand for a
// resource.
func (srv *Server) checkResource(by *auth.Principal, app store.Application) error {
	switch {
	case app.Resource == "":
		return nil
	case !by.Admin || by.TokenID != 0:
		return badField("Resource", "", "Only a superuser who logged in can let an application stand for a resource.")
	case !app.Confidential:
		return badField("Resource", "", "A public client cannot stand for a resource: anybody can pose as it.")
	}
	return nil
}

// checkChosenResource refuses a resource that no token can be for.
func (srv *Server) checkChosenResource(chosen *string) error {
	if chosen != nil && *chosen != "" && !srv.KnowsResource(*chosen) {
		return badField("Resource", "invalid_choice", "Must be a resource that tokens can be requested for.")
	}
	return nil
}

// RequiresPKCE reports whether authorization requests of an application must have
// a code challenge: those of public clients, with Options.RequirePKCE all, and
// those of applications with RequirePKCE.
func (srv *Server) RequiresPKCE(app store.Application) bool {
	return srv.opts.RequirePKCE || !app.Confidential || app.RequirePKCE
}

// checkPKCE refuses a false value that would have no effect.
func (srv *Server) checkPKCE(app store.Application, want *bool) error {
	if want != nil && !*want && srv.RequiresPKCE(app) {
		return badField("RequirePKCE", "", "This client needs PKCE.")
	}
	return nil
}

func checkName(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return missing("Name")
	case utf8.RuneCountInString(s) > maxApplicationName:
		return badField("Name", "max_length", "Must not have more than "+strconv.Itoa(maxApplicationName)+" characters.")
	}
	if why := text.Name(s, maxApplicationName); why != "" {
		return badField("Name", "", "The name "+why+".")
	}
	return nil
}

func (srv *Server) checkOrganization(ctx context.Context, id int64) error {
	if id == 0 {
		return missing("OrganizationID")
	}
	_, err := srv.Organization(ctx, id)
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Status == http.StatusNotFound {
		return noSuchObject("OrganizationID")
	}
	return err
}

func (srv *Server) checkRedirectURIs(uris []string) string {
	if len(uris) > maxRedirectURIs {
		return "There must not be more than " + strconv.Itoa(maxRedirectURIs) + " redirect URIs"
	}
	for i, uri := range uris {
		if why := checkRedirectURI(uri, redirectRules{srv.opts.InsecureHTTPRedirects, srv.opts.PrivateSchemes}); why != "" {
			return why
		}
		if slices.Contains(uris[:i], uri) {
			return "Redirect URIs must not repeat"
		}
	}
	return ""
}

// fromDocument reports whether an application was made of a document. Client
// identifiers are letters and digits otherwise, but imported ones can be anything, URLs
// included. No document may change such an application.
func fromDocument(app store.Application) bool {
	return clientdoc.IsURL(app.ClientID) && app.Name == documentName(app.ClientID) && !app.Confidential && app.RequirePKCE
}

// documentName returns the name of the application of a document.
func documentName(clientID string) string { return strings.TrimPrefix(clientID, "https://") }

// checkReserved refuses a new name of an application that the application of a
// document has or will get. Names are unique within an organization, so the client of
// that document could not be used.
func (srv *Server) checkReserved(old, app store.Application) error {
	moved := old.Name != app.Name || old.OrganizationID != app.OrganizationID
	if moved && srv.HasDocuments() && app.OrganizationID == srv.opts.Documents.OrganizationID && srv.opts.Documents.Fetcher.IsClient("https://"+app.Name) {
		return badField("Name", "", "The name is reserved for the client with the document at that address.")
	}
	return nil
}

// sameDescription reports whether a document changes nothing of an application.
func sameDescription(a, b store.Application) bool {
	return a.Name == b.Name && a.Description == b.Description && slices.Equal(a.RedirectURIs, b.RedirectURIs) &&
		a.Confidential == b.Confidential && a.GrantType == b.GrantType && a.SkipConsent == b.SkipConsent &&
		a.RequirePKCE == b.RequirePKCE && a.Resource == b.Resource
}
