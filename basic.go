package auth

import (
	"net/http"

	"github.com/ostiary/auth/internal/forwarded"
)

// Basic authenticates requests by user name and password in their Authorization
// field (RFC 7617). Every success is an audit event. A Basic keeps proof of a
// right password in memory for at most five minutes, so that a client which
// sends it with each request costs one hash. A new password and a disabled user
// count at once.
type Basic struct {
	passwords *Passwords
	opts      BasicOptions
}

// BasicOptions are the options of [NewBasic].
// A zero BasicOptions consists entirely of default values.
type BasicOptions struct {
	// Enabled switches Basic off and on while the service runs; nil means on.
	// While it returns false, all authenticators of the gate, such as a
	// [Session], take a field of the scheme Basic for absent, because it may
	// belong to a proxy in front of the service. Right and wrong passwords get
	// the same answer. A gate without a Basic refuses the scheme. A gate does
	// not see a Basic that is embedded in a type of the host.
	Enabled func() bool

	// RequireTLS refuses requests over plain HTTP and does not look at their
	// password. Behind a [Proxy] the scheme that the proxy reports counts.
	RequireTLS bool
}

// NewBasic returns an authenticator that checks passwords with p. Nil options
// mean the defaults. It panics if p is nil.
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

var errBasicInClear = &Error{
	Status: http.StatusForbidden,
	Detail: "Basic authentication needs HTTPS.",
}

// Authenticate implements [Authenticator].
func (b *Basic) Authenticate(r *http.Request) (*Principal, error) {
	var p Principal
	return onHeap(&p, b.authenticate(r, authorizationOf(r), &p))
}

// authenticate sets p if it returns no error.
func (b *Basic) authenticate(r *http.Request, a authorization, p *Principal) error {
	if b.off() {
		return ErrNoCredentials
	}
	switch a.scheme {
	case schemeBasic:
	case schemeDoubled:
		return errDoubled
	case schemeEmpty:
		return errUnauthorized // an empty field is a failed attempt
	default:
		return ErrNoCredentials
	}
	if b.opts.RequireTLS && !forwarded.OverTLS(r) {
		return errBasicInClear
	}
	// Browsers replay Basic credentials as they do cookies.
	if err := ownOrigin.Check(r); err != nil {
		return err
	}
	u, at, err := b.passwords.verifyCached(r, a.credentials)
	if err != nil {
		return err
	}
	*p = Principal{
		ID:         u.ID,
		Name:       u.Name,
		Scopes:     Unrestricted,
		Admin:      u.Admin,
		Auditor:    u.Auditor,
		Credential: CredentialBasic,
		Epoch:      u.Epoch,
		HasEpoch:   true,
		Proved:     at,
	}
	return nil
}

// off reports whether Basic is switched off.
func (b *Basic) off() bool { return b.opts.Enabled != nil && !b.opts.Enabled() }

// allOff reports whether there are authenticators for Basic, all switched off.
func allOff(list []*Basic) bool {
	for _, b := range list {
		if !b.off() {
			return false
		}
	}
	return len(list) > 0
}
