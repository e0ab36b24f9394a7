package auth

import (
	"context"
	"net/http"
	"strings"

	"github.com/ostiary/auth/internal/header"
)

var errDoubled = &Error{
	Status: http.StatusBadRequest,
	Code:   "invalid_request", // RFC 6750 section 3.1: more than one method
	Detail: "The request carries more than one credential.",
}

// authorization returns the parts of the one Authorization field of r, or the
// error with which an authenticator answers.
func authorization(r *http.Request) (scheme, credentials string, err error) {
	scheme, credentials, err = header.Authorization(r.Header)
	switch err {
	case nil:
		return scheme, credentials, nil
	case header.ErrAbsent:
		return "", "", ErrNoCredentials
	}
	return "", "", errDoubled
}

// basicField reports whether these are one Authorization field, of the scheme
// Basic.
func basicField(fields []string) bool {
	if len(fields) != 1 {
		return false
	}
	scheme, _, _ := strings.Cut(fields[0], " ")
	return header.IsScheme(scheme, "basic")
}

type ignoreBasicKey struct{}

// ignoreBasic returns r with the note that authenticators take its
// Authorization field for absent, or without it.
func ignoreBasic(r *http.Request, ignore bool) *http.Request {
	if ignore == basicIgnored(r.Context()) {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), ignoreBasicKey{}, ignore))
}

// basicIgnored reports whether an Authorization field counts as absent.
func basicIgnored(ctx context.Context) bool {
	ignored, _ := ctx.Value(ignoreBasicKey{}).(bool)
	return ignored
}
