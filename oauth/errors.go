package oauth

import (
	"errors"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// The refusals of RFC 6749 section 5.2, and those of managing objects.
var (
	// errNobody: the host has no principal to ask for, and asks nevertheless.
	errNobody = &auth.Error{
		Status: http.StatusUnauthorized,
		Detail: "Authentication credentials were not provided.",
		Err:    errors.New("nil Principal: the request has passed no Gate, or is anonymous behind Gate.Identify; put Gate.Require around the handler"),
	}
	errForbidden    = &auth.Error{Status: http.StatusForbidden, Detail: "You do not have permission to perform this action."}
	errNotFound     = &auth.Error{Status: http.StatusNotFound, Detail: "Not found."}
	errInvalidGrant = oauthError("invalid_grant", "The grant is invalid, expired, used or revoked, or was issued to another client.")
	// errWrongGrant refuses an application that is registered for another grant
	// type.
	errWrongGrant = oauthError("unauthorized_client", "The application is not registered for this grant type.")
	// errTokenEnded refuses a token that has ended during the request (RFC 6750
	// section 3.1).
	errTokenEnded = &auth.Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token is invalid or revoked.",
	}
	errMintLimit = &auth.Error{
		Status: http.StatusConflict,
		Detail: "The token has issued as many tokens as it may, or is too far below the one that a person made: delete some, or log in.",
	}
	errApplicationGone = oauthError("unauthorized_client", "The application is deleted or disabled.")
	errWithdrawn       = &auth.Error{
		Status: http.StatusForbidden,
		Code:   "access_denied", // RFC 6749 section 4.1.2.1
		Detail: "The consent to this application was withdrawn at the same time.",
	}
	errInvalidTarget = oauthError("invalid_target", "The resource is unknown, or was not granted.") // RFC 8707 section 2
	// errInvalidClient is the answer to every failed client authentication. If
	// the client used the Authorization field, the response must have a
	// WWW-Authenticate field with the Basic scheme.
	errInvalidClient = &auth.Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_client",
		Detail: "Client authentication failed.",
	}
)

// oauthError is a refusal of RFC 6749 section 5.2.
func oauthError(code, description string) *auth.Error {
	return &auth.Error{Status: http.StatusBadRequest, Code: code, Detail: description}
}

func errInvalidRequest(why string) *auth.Error { return oauthError("invalid_request", why) }

// badField is a refusal with a field of [ApplicationRequest] or another
// request, "" for several together, and a code for the kind of fault, or "".
func badField(field, kind, why string) *auth.Error {
	return &auth.Error{Status: http.StatusBadRequest, Code: kind, Field: field, Detail: why}
}

func missing(field string) *auth.Error { return badField(field, "required", "This field is required.") }

// noSuchObject is a refusal of an ID without an object that is visible to the
// caller.
func noSuchObject(field string) *auth.Error {
	return badField(field, "does_not_exist", "There is no object with this ID.")
}

// tooMany is the refusal of a throttle.
func tooMany(v store.Verdict) *auth.Error {
	return &auth.Error{
		Status:     http.StatusTooManyRequests,
		Detail:     "Too many attempts. Try again later.",
		RetryAfter: max(v.RetryAfter, time.Second),
	}
}
