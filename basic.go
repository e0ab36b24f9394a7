package auth

import (
	"net/http"

	"github.com/ostiary/auth/internal/header"
)

// Basic authenticates requests by user name and password in their Authorization
// field (RFC 7617). Every success is an audit event. A password that was right
// is remembered, in memory and for at most five minutes, so that a client that
// sends it with each request does not cost a hash each time; a new password and
// a disabled user count at once.
type Basic struct {
	passwords *Passwords
	opts      BasicOptions
}

// BasicOptions are the options of [NewBasic].
// A zero BasicOptions consists entirely of default values.
type BasicOptions struct {
	// Enabled switches Basic off and on while the service runs; nil means on.
	// While it returns false the field is as good as absent, and right and
	// wrong passwords get the same answer.
	Enabled func() bool

	// RequireTLS refuses requests that came in clear, without looking at the
	// password. Behind a [Proxy] the scheme counts that it vouches for.
	RequireTLS bool
}

// NewBasic returns an authenticator that asks p. Nil options mean the defaults.
// It panics if p is nil.
func NewBasic(p *Passwords, opts *BasicOptions) *Basic {
	if p == nil {
		panic("auth: NewBasic: nil Passwords")
	}
	b := &Basic{passwords: p}
	if opts != nil {
		b.opts = *opts
	}
	return b
}

var (
	errMalformedBasic = &Error{
		Status: http.StatusUnauthorized,
		Detail: "The Basic credentials are malformed.",
	}
	errBasicInClear = &Error{
		Status: http.StatusForbidden,
		Detail: "Basic authentication needs HTTPS.",
	}
)

// Authenticate implements [Authenticator].
func (b *Basic) Authenticate(r *http.Request) (*Principal, error) {
	return onHeap(b.authenticate(r))
}

func (b *Basic) authenticate(r *http.Request) (Principal, error) {
	if b.opts.Enabled != nil && !b.opts.Enabled() {
		return Principal{}, ErrNoCredentials
	}
	scheme, credentials, err := authorization(r)
	if err != nil {
		return Principal{}, err
	}
	if !header.IsScheme(scheme, "basic") {
		if scheme == "" {
			return Principal{}, errUnauthorized // an empty field is a failed attempt
		}
		return Principal{}, ErrNoCredentials
	}
	if b.opts.RequireTLS && !overTLS(r) {
		return Principal{}, errBasicInClear
	}
	// Browsers replay Basic credentials as they do cookies.
	if !harmless(r) {
		if err := checkOrigin(r, nil); err != nil {
			return Principal{}, err
		}
	}
	name, password, ok := header.Basic(credentials)
	if !ok {
		return Principal{}, errMalformedBasic
	}
	u, err := b.passwords.verifyRequest(r, name, password)
	if err != nil {
		return Principal{}, err
	}
	return Principal{
		ID:         u.ID,
		Name:       u.Name,
		Scopes:     Unrestricted,
		Admin:      u.Admin,
		Auditor:    u.Auditor,
		Credential: CredentialBasic,
	}, nil
}
