package auth

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/ostiary/auth/internal/header"
)

// Bearer authenticates requests by the access token in their Authorization field
// (RFC 6750 section 2.1). Tokens in the URL or in a form are never looked at.
type Bearer struct {
	tokens   *Tokens
	resource string
}

// NewBearer returns an authenticator that asks t. It panics if t is nil.
func NewBearer(t *Tokens) *Bearer {
	if t == nil {
		panic("auth: NewBearer: nil Tokens")
	}
	return &Bearer{t, t.opts.Resource}
}

// For returns an authenticator for another resource of the same tokens: it
// accepts those that were issued for it, and those that were issued for no
// resource in particular (RFC 8707). An empty resource stands for none: then
// only the latter are accepted.
func (b *Bearer) For(resource string) *Bearer { return &Bearer{b.tokens, resource} }

// maxBearer is the longest bearer credential that is looked at, in bytes.
const maxBearer = 512

var (
	errDoubled = &Error{
		Status: http.StatusBadRequest,
		Code:   "invalid_request", // RFC 6750 section 3.1: more than one method
		Detail: "The request carries more than one credential.",
	}
	errMalformedBearer = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token is malformed.",
	}
	errInvalidToken = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token", // RFC 6750 section 3.1
		Detail: "The access token is invalid or revoked.",
	}
	errExpiredToken = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token has expired.",
	}
	errTokenAudience = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token was issued for another resource.",
	}
	errTokenAddress = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token is not valid from this address.",
	}
)

// Authenticate implements [Authenticator].
func (b *Bearer) Authenticate(r *http.Request) (*Principal, error) {
	return onHeap(b.authenticate(r))
}

func (b *Bearer) authenticate(r *http.Request) (Principal, error) {
	scheme, token, err := authorization(r)
	if err != nil {
		return Principal{}, err
	}
	if !header.IsScheme(scheme, "bearer") {
		if scheme == "" {
			return Principal{}, errMalformedBearer // an empty field is a failed attempt
		}
		return Principal{}, ErrNoCredentials
	}
	if tokenInQuery(r) {
		return Principal{}, errDoubled
	}
	p, addresses, err := b.tokens.verify(r.Context(), token, b.resource)
	if err == errInvalidToken && !isToken68(token) {
		err = errMalformedBearer // only worth finding out when it is no good
	}
	if err == nil && len(addresses) > 0 && !contains(addresses, ClientAddr(r)) {
		return Principal{}, errTokenAddress
	}
	return p, err
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

// isToken68 reports whether s has the form of b64token (RFC 6750 section 2.1),
// before anything is hashed or looked up.
func isToken68(s string) bool {
	body := strings.TrimRight(s[:min(len(s), maxBearer+1)], "=")
	if body == "" || len(s) > maxBearer {
		return false
	}
	for i := range len(body) {
		switch c := body[i]; {
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z',
			c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

// tokenInQuery reports whether the URL carries a token, too. RFC 6750 section 2
// allows one method in a request.
func tokenInQuery(r *http.Request) bool {
	return strings.Contains(r.URL.RawQuery, "access_token=") && r.URL.Query().Has("access_token")
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
