package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/store"
)

const maxApplicationName = 255 // characters, as in AWX

// allFields is how AWX calls what is wrong with the fields together.
const allFields = "__all__"

const required = "This field is required."

var errNameTaken = badField(allFields, "Application with this Name and Organization already exists.")

func badField(field, why string) *Error {
	return &Error{Status: http.StatusBadRequest, Field: field, Detail: why}
}

// checkChoice holds a value against the ones there are, in AWX's words.
func checkChoice(field, value string, choices ...string) error {
	switch {
	case value == "":
		return badField(field, required)
	case !slices.Contains(choices, value):
		return badField(field, strconv.Quote(clip(value))+" is not a valid choice.")
	}
	return nil
}

// check holds an application that is to be stored against all rules, but for
// who may store it, and joins what it finds to what was found before. An outage
// is returned alone: nothing is known then.
func (a *Applications) check(ctx context.Context, by *Principal, app store.Application, found ...error) error {
	errs := append(found, checkName(app.Name))
	if err := checkDescription(app.Description); err != nil {
		errs = append(errs, err)
	}
	if err := a.checkOrganization(ctx, app.OrganizationID); err != nil {
		if _, refused := errors.AsType[*Error](err); !refused {
			return err
		}
		errs = append(errs, err)
	}
	if app.SkipConsent && !by.Admin {
		errs = append(errs, badField("skip_authorization", "Only a superuser can switch consent off."))
	}
	if app.SkipConsent && !app.Confidential {
		errs = append(errs, badField("skip_authorization", "A public client always needs consent: anybody can pose as it."))
	}
	if app.GrantType == GrantClientCredentials && !app.Confidential {
		errs = append(errs, badField("client_type", "A client that acts for itself must be confidential."))
	}
	if app.GrantType == GrantAuthorizationCode && len(app.RedirectURIs) == 0 {
		errs = append(errs, badField(allFields, "redirect_uris cannot be empty with grant_type "+GrantAuthorizationCode))
	}
	if why := a.checkRedirectURIs(app.RedirectURIs); why != "" {
		errs = append(errs, badField(allFields, why))
	}
	return errors.Join(errs...)
}

func checkName(s string) error {
	switch {
	case strings.TrimSpace(s) == "":
		return badField("name", required)
	case !utf8.ValidString(s) || header.HasControl(s):
		return badField("name", "Must be UTF-8 without control characters.")
	case utf8.RuneCountInString(s) > maxApplicationName:
		return badField("name", "Ensure this field has no more than "+strconv.Itoa(maxApplicationName)+" characters.")
	}
	return nil
}

func (a *Applications) checkOrganization(ctx context.Context, id int64) error {
	if id == 0 {
		return badField("organization", required)
	}
	_, err := a.tokens.Organization(ctx, id)
	if errors.Is(err, errNotFound) {
		return noSuchObject("organization", id)
	}
	return err
}

func (a *Applications) checkRedirectURIs(uris []string) string {
	if len(uris) > maxRedirectURIs {
		return "There must not be more than " + strconv.Itoa(maxRedirectURIs) + " redirect URIs"
	}
	for i, uri := range uris {
		if why := checkRedirectURI(uri, a.opts.InsecureHTTPRedirects); why != "" {
			return why
		}
		if slices.Contains(uris[:i], uri) {
			return "Redirect URIs must not repeat"
		}
	}
	return ""
}
