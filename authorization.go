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

// An authorization is the Authorization field of a request. It is taken apart once
// for all authenticators of a gate.
type authorization struct {
	credentials string
	scheme      scheme
}

// A scheme is what an Authorization field begins with, or what is wrong with it.
type scheme uint8

const (
	schemeAbsent scheme = iota // there is no field
	schemeDoubled
	schemeEmpty
	schemeBearer
	schemeBasic
	schemeOther
)

func authorizationOf(r *http.Request) authorization {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return authorization{}
	case 1:
		// As nearly every client writes it. What follows takes three times as long.
		if token, ok := strings.CutPrefix(values[0], "Bearer "); ok && token != "" && token[0] != ' ' {
			return authorization{token, schemeBearer}
		}
		if pair, ok := strings.CutPrefix(values[0], "Basic "); ok && pair != "" && pair[0] != ' ' {
			return authorization{pair, schemeBasic}
		}
	}
	name, credentials, err := header.Credentials(values)
	switch {
	case err != nil:
		return authorization{scheme: schemeDoubled}
	case header.IsScheme(name, "bearer"):
		return authorization{credentials, schemeBearer}
	case header.IsScheme(name, "basic"):
		return authorization{credentials, schemeBasic}
	case name == "":
		return authorization{scheme: schemeEmpty}
	}
	return authorization{scheme: schemeOther}
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
