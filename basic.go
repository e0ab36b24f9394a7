package auth

import (
	"net/http"
	"net/netip"
	"time"

	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/forwarded"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/store"
)

// Basic authenticates requests by user name and password in their Authorization
// field (RFC 7617). Every success is an audit event. A Basic keeps proof of a
// right password in memory, which counts for five minutes, so that a client which
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
	return onHeap(&p, b.authenticate(&incoming{Request: r}, authorizationOf(r), &p))
}

// authenticate sets p if it returns no error. It settles a request with credentials.
func (b *Basic) authenticate(in *incoming, a authorization, p *Principal) error {
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
	r := in.settle()
	if b.opts.RequireTLS && !forwarded.OverTLS(r) {
		return errBasicInClear
	}
	// Browsers replay Basic credentials as they do cookies.
	if err := ownOrigin.Check(r); err != nil {
		return err
	}
	var u store.User
	at, err := b.passwords.verifyBasic(r, a.credentials, &u)
	if err != nil {
		return err
	}
	p.ID, p.Name = u.ID, u.Name
	p.Scopes = Unrestricted
	p.Admin, p.Auditor = u.Admin, u.Auditor
	p.Credential = CredentialBasic
	p.Epoch, p.HasEpoch = u.Epoch, true
	p.Proved = at
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

// firstForBasic returns the [Basic] of a list, if those in front of it leave a field of
// the scheme to it while it is on.
func firstForBasic(list []Authenticator) *Basic {
	for _, a := range list {
		switch a := a.(type) {
		case *Basic:
			return a
		case *Bearer, *Session:
		default:
			return nil
		}
	}
	return nil
}

// verifyBasic is Verify for a client that sends its password with every request. It
// sets u, and returns the time of the proof. An earlier success from the same network
// counts, as long as neither the stored hash nor the user's state has changed.
func (p *Passwords) verifyBasic(r *http.Request, credentials string, u *store.User) (at time.Time, err error) {
	began := p.hook.Now()
	network, known := client.Network(client.Of(r)), false
	if e := p.proofs.find(credentials, network); e != nil && !p.off() {
		var hash string
		hash, err = p.lookUp(r.Context(), e.name, u)
		at = time.Now()
		known = err == nil && u.Active && e.covers(u.ID, hash, at)
	}
	if err == nil && !known {
		at, err = p.verifyAnew(r, credentials, network, u)
	}
	if p.hook != nil && err != errMalformedBasic && !rechecks(r.Context()) { // which is no other login
		observeChecked(r.Context(), p.hook, began, err)
	}
	return at, err
}

// verifyAnew compares the password and remembers a right one.
func (p *Passwords) verifyAnew(r *http.Request, credentials string, network netip.Prefix, u *store.User) (at time.Time, err error) {
	name, password, ok := header.Basic(credentials)
	if !ok {
		return at, errMalformedBasic
	}
	p.noteProxy(r)
	ctx := client.Context(r)
	a, err := p.prepare(ctx, network, name, password)
	if err != nil {
		return at, err
	}
	now := time.Now()
	if *u, err = p.decide(ctx, a); err != nil {
		return at, err
	}
	p.proofs.put(credentials, &a, now)
	return time.Now(), nil
}
