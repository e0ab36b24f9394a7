package auth

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/uri"
)

// Bearer authenticates requests by the access token in their Authorization
// field (RFC 6750 section 2.1). A token in the URL or in a form is no
// credential; one in the URL beside a field is refused.
type Bearer struct {
	tokens   *Tokens
	resource string
	only     bool // refuse tokens that were issued without a resource
}

// NewBearer returns an authenticator for the access tokens of t. It panics if t
// is nil.
func NewBearer(t *Tokens) *Bearer {
	if t == nil {
		panic("auth: NewBearer: nil Tokens")
	}
	return &Bearer{tokens: t, resource: t.opts.Resource}
}

// For returns an authenticator for another resource of the same service (RFC
// 8707). It accepts tokens that were issued for the resource, and tokens that
// were issued without one. With an empty resource it accepts only the latter.
func (b *Bearer) For(resource string) *Bearer { return &Bearer{tokens: b.tokens, resource: resource} }

// Only is [Bearer.For] that refuses tokens that were issued without a resource, which
// personal access tokens are. The Model Context Protocol asks for it of tool servers.
// It panics if resource is not an absolute URI without a fragment (RFC 8707 section 2).
func (b *Bearer) Only(resource string) *Bearer {
	if !uri.Resource(resource) {
		panic("auth: Bearer.Only: " + strconv.Quote(resource) + " is not an absolute URI without a fragment (RFC 8707 section 2)")
	}
	return &Bearer{tokens: b.tokens, resource: resource, only: true}
}

// maxBearer is the length of the longest bearer credential, in bytes.
const maxBearer = 512

var (
	errMalformedBearer = &Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The access token is malformed.",
	}
)

// Authenticate implements [Authenticator].
func (b *Bearer) Authenticate(r *http.Request) (*Principal, error) {
	var p Principal
	return onHeap(&p, b.authenticate(incoming{Request: r}, authorizationOf(r), &p))
}

// authenticate sets p if it returns no error.
func (b *Bearer) authenticate(r incoming, a authorization, p *Principal) error {
	switch a.scheme {
	case schemeBearer:
	case schemeDoubled:
		return errDoubled
	case schemeEmpty:
		return errMalformedBearer // an empty field is a failed attempt
	default:
		return ErrNoCredentials
	}
	if header.TokenInQuery(r.Request) {
		return errDoubled
	}
	addresses, err := b.tokens.verify(r.Context(), a.credentials, b.resource, b.only, p)
	switch {
	case err != nil:
		return refused(err, a.credentials)
	case len(addresses) > 0 && !client.In(addresses, r.client()):
		*p = Principal{}
		return errTokenAddress
	}
	return nil
}

// Verify returns the principal of an access token that did not come by
// [net/http], such as one in the metadata of gRPC. It refuses the tokens that
// [Bearer.Authenticate] refuses. The address of the client is the one that ctx
// carries, see [WithClientAddr]. A token that is bound to addresses is refused
// if ctx carries none.
func (b *Bearer) Verify(ctx context.Context, token string) (*Principal, error) {
	var p Principal
	addresses, err := b.tokens.verify(ctx, token, b.resource, b.only, &p)
	if err != nil {
		return nil, refused(err, token)
	}
	if len(addresses) > 0 {
		if addr, _ := client.From(ctx); !client.In(addresses, addr) {
			return nil, errTokenAddress
		}
	}
	return onHeap(&p, nil)
}

// refused returns the error of a [Bearer] for a token that [Tokens] refuses with err. The
// form is checked for refused tokens only, because that takes time.
func refused(err error, token string) error {
	if err == errInvalidToken && !isToken68(token) {
		return errMalformedBearer
	}
	return err
}

// isToken68 reports whether s has the form of b64token (RFC 6750 section 2.1),
// before anything is hashed or looked up.
func isToken68(s string) bool {
	body := s[:min(len(s), maxBearer+1)]
	for body != "" && body[len(body)-1] == '=' { // strings.TrimRight is slow
		body = body[:len(body)-1]
	}
	if body == "" || len(s) > maxBearer {
		return false
	}
	others := byte(0)
	for t := &noToken68; len(body) >= 8; body = body[8:] {
		others |= t[body[0]] | t[body[1]] | t[body[2]] | t[body[3]] | t[body[4]] | t[body[5]] | t[body[6]] | t[body[7]]
	}
	for i := range len(body) {
		others |= noToken68[body[i]]
	}
	return others == 0
}

// noToken68 is 1 for each byte that a b64token has none of but for = at its end.
var noToken68 = func() (t [256]byte) {
	for c := range t {
		if !strings.ContainsRune(secret.Base62+"-._~+/", rune(c)) {
			t[c] = 1
		}
	}
	return t
}()
