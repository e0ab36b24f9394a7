package httpapi

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/ostiary/auth"
)

// Refusals in AWX's words; clients compare some of them.
var (
	errNoRoute       = &auth.Error{Status: http.StatusNotFound, Detail: "The requested resource could not be found."}
	errNotFound      = &auth.Error{Status: http.StatusNotFound, Detail: "Not found."}
	errForbidden     = &auth.Error{Status: http.StatusForbidden, Detail: "You do not have permission to perform this action."}
	errWrite         = &auth.Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: errForbidden.Detail, Scope: auth.ScopeWrite}
	errNotAcceptable = &auth.Error{Status: http.StatusNotAcceptable, Detail: "Could not satisfy the request Accept header."}
	errMediaType     = &auth.Error{Status: http.StatusUnsupportedMediaType, Detail: "You did not use correct Content-Type in your HTTP request. If you are using our REST API, the Content-Type must be application/json"}
)

func badRequest(detail string) error {
	return &auth.Error{Status: http.StatusBadRequest, Detail: detail}
}

// badField is a refusal with a field of the body.
func badField(name, why string) error {
	return &auth.Error{Status: http.StatusBadRequest, Field: name, Detail: why}
}

func methodNotAllowed(method string) error {
	return &auth.Error{Status: http.StatusMethodNotAllowed, Detail: "Method " + quoted(method) + " not allowed."}
}

func isStatus(err error, status int) bool {
	e, ok := errors.AsType[*auth.Error](err)
	return ok && e.Status == status
}

// allFields is AWX's name for an error about several fields.
const allFields = "__all__"

// wireNames are AWX's names for the fields of requests to packages auth and
// oauth. An error without a field is about several of them, and so are AWX's
// errors about redirect URIs.
var wireNames = map[string]string{
	"":                allFields,
	"Addresses":       "addresses",
	"ApplicationID":   "application",
	"ClientType":      "client_type",
	"CurrentPassword": "current_password",
	"Description":     "description",
	"Email":           "email",
	"Expires":         "expires",
	"FirstName":       "first_name",
	"GrantType":       "authorization_grant_type",
	"LastName":        "last_name",
	"Name":            "name",
	"OrganizationID":  "organization",
	"Overlap":         "overlap",
	"Password":        "password",
	"RedirectURIs":    allFields,
	"RequirePKCE":     "pkce_required",
	"Resource":        "resource",
	"Scopes":          "scope",
	"SkipConsent":     "skip_authorization",
	"Tokens":          "tokens",
	"UserCode":        "user_code",
	"UserName":        "username",
}

// fieldsOf collects the refusals of single fields in err, which may be joined.
func fieldsOf(err error, fields map[string][]string) map[string][]string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range joined.Unwrap() {
			fields = fieldsOf(err, fields)
		}
		return fields
	}
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Field != "" && e.Status == http.StatusBadRequest {
		if fields == nil {
			fields = make(map[string][]string)
		}
		name := cmp.Or(wireNames[e.Field], e.Field)
		fields[name] = append(fields[name], e.Detail)
	}
	return fields
}
