// Package auth authenticates the requests of a Go service: login sessions, HTTP
// Basic, OAuth 2.0 bearer tokens with scopes, and trusted proxies, over stores
// that can be exchanged.
//
// Build the parts you want, put them in order with [FirstOf], and let a [Gate]
// guard handlers:
//
//	gate := auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil)
//	mux.Handle("/jobs/", gate.Require(jobs))
//
// A handler behind the gate finds out who is asking with [FromContext]. Package
// httpapi adds login, token and user endpoints that speak the wire format of
// AWX; store/memory and store/sqlstore keep the data.
//
// Promises: a credential that is present but wrong is final, it never falls
// through to another one or to anonymous; an outage of a store is answered 503
// and never taken for an answer; secrets are stored as digests only; the zero
// value of every option is the safe one. Everything here is safe for concurrent
// use and does not change after construction.
//
// Not protected: what a handler does with the rights it was given, and anyone
// who can write to the store.
package auth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// An Authenticator finds out who a request acts for.
type Authenticator interface {
	// Authenticate returns the principal, or an error that wraps
	// [ErrNoCredentials] if r carries no credential of its kind. Any other
	// error is final: no other authenticator is asked. An [*Error] is a refusal
	// that the client may see; everything else is an outage.
	//
	// It must not read the body or change r.
	Authenticate(r *http.Request) (*Principal, error)
}

// AuthenticatorFunc is a function that is an [Authenticator].
type AuthenticatorFunc func(r *http.Request) (*Principal, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(r *http.Request) (*Principal, error) { return f(r) }

// ErrNoCredentials reports that a request carries no credential of the kind that
// an [Authenticator] looks for.
var ErrNoCredentials = errors.New("auth: no credentials")

// FirstOf asks the authenticators in order until one of them has an answer. It
// panics if one is nil.
func FirstOf(as ...Authenticator) Authenticator {
	c := make(chain, len(as))
	for i, a := range as {
		c[i] = byValue(a)
	}
	return c
}

// A valuer is an Authenticator of this package that returns its principal
// without putting it on the heap: the gate has a better place for it.
type valuer interface {
	Authenticator
	authenticate(r *http.Request) (Principal, error)
}

// byValue makes any authenticator a valuer.
func byValue(a Authenticator) valuer {
	if isNil(a) {
		panic("auth: nil Authenticator")
	}
	if v, ok := a.(valuer); ok {
		return v
	}
	return foreign{a}
}

type foreign struct{ Authenticator }

func (f foreign) authenticate(r *http.Request) (Principal, error) {
	p, err := f.Authenticate(r)
	if err != nil {
		return Principal{}, err
	}
	if p == nil {
		return Principal{}, fmt.Errorf("auth: %T returned neither a principal nor an error", f.Authenticator)
	}
	return *p, nil
}

type chain []valuer

func (c chain) Authenticate(r *http.Request) (*Principal, error) { return onHeap(c.authenticate(r)) }

func (c chain) authenticate(r *http.Request) (Principal, error) {
	for _, v := range c {
		p, err := v.authenticate(r)
		if err == ErrNoCredentials || err != nil && errors.Is(err, ErrNoCredentials) {
			continue
		}
		return p, err
	}
	return Principal{}, ErrNoCredentials
}

func onHeap(p Principal, err error) (*Principal, error) {
	if err != nil {
		return nil, err
	}
	return &p, nil
}

// A Principal is who a request acts as, and how that was proved.
type Principal struct {
	ID, Name string // of the resource owner; store.User
	Scopes   Scopes // what the credential may do; zero permits nothing
	TokenID  int64  // of the access token, 0 if none
	// ApplicationID is the application that the token was issued to, 0 if none.
	// Where ID is empty, the token acts for the application alone.
	ApplicationID int64

	Admin      bool // may do everything the scopes allow
	Auditor    bool // may read everything the scopes allow
	Credential Credential
}

// Credential is the kind of proof that a request brought.
type Credential uint8

// The kinds of credential.
const (
	CredentialNone Credential = iota
	CredentialSession
	CredentialBasic
	CredentialBearer
	CredentialProxy
)

// String returns the name of c as it stands in audit events.
func (c Credential) String() string {
	switch c {
	case CredentialSession:
		return "session"
	case CredentialBasic:
		return "basic"
	case CredentialBearer:
		return "bearer"
	case CredentialProxy:
		return "proxy"
	}
	return "none"
}

type principalKey struct{}

// NewContext returns a context that carries p. A [Gate] does this for the
// handlers behind it; package authtest does it for tests.
func NewContext(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// FromContext returns the principal that ctx carries. It belongs to the request:
// nothing else reads it, but it should not be changed.
func FromContext(ctx context.Context) (*Principal, bool) {
	if c, ok := ctx.(*carrier); ok {
		return &c.principal, true
	}
	p, ok := ctx.Value(principalKey{}).(*Principal)
	return p, ok && p != nil
}

// A carrier holds a principal, the context that carries it and the request that
// has this context, in one allocation.
type carrier struct {
	context.Context
	principal Principal
	request   http.Request
}

// Format keeps the credentials of the request out of logs that print contexts.
func (c *carrier) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "auth.principal") }

func (c *carrier) Value(key any) any {
	if key == (principalKey{}) {
		return &c.principal
	}
	return c.Context.Value(key)
}

// withPrincipal returns a copy of r that carries p.
func withPrincipal(r *http.Request, p Principal) *http.Request {
	c := &carrier{Context: r.Context(), principal: p}
	// WithContext is inlined and its copy stays on the stack: only the carrier
	// is allocated. TestBearerAllocations holds this.
	c.request = *r.WithContext(c)
	return &c.request
}

type clientAddrKey struct{}

// WithClientAddr returns a context that says where the request came from, for
// [ClientAddr], the throttle and the audit events. Only call it with an address
// that was proved, never with one that a header claims.
func WithClientAddr(ctx context.Context, addr netip.Addr) context.Context {
	return context.WithValue(ctx, clientAddrKey{}, &addr)
}

// ClientAddr returns the address of the client: the one in the request's
// context, see [Proxy] and [WithClientAddr], or else the peer. It never
// believes a header, and is the zero Addr where the address cannot be known.
func ClientAddr(r *http.Request) netip.Addr {
	if addr, ok := clientAddr(r.Context()); ok {
		return addr
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// clientAddr returns the address that ctx carries. It is kept as a pointer, which
// fits into an interface without another allocation.
func clientAddr(ctx context.Context) (netip.Addr, bool) {
	addr, ok := ctx.Value(clientAddrKey{}).(*netip.Addr)
	if !ok {
		return netip.Addr{}, false
	}
	return *addr, true
}

// withClient makes sure that the context of r knows the client address.
func withClient(r *http.Request) context.Context {
	if _, ok := clientAddr(r.Context()); ok {
		return r.Context()
	}
	return WithClientAddr(r.Context(), ClientAddr(r))
}

// Error is a refusal that the client may see. [Gate.Deny] writes it.
type Error struct {
	Status     int           // from 400 to 599; anything else is answered 503
	Code       string        // RFC 6749 section 5.2 or RFC 6750 section 3.1; may be empty
	Detail     string        // for the client
	Scope      string        // the scope that would have sufficed
	Field      string        // the field of the request that is at fault, if one is
	RetryAfter time.Duration // when to try again; 0 says nothing
	Err        error         // for the log only
}

// Error returns the detail and the cause, for logs.
func (e *Error) Error() string {
	if e.Err != nil {
		return "auth: " + e.Detail + ": " + e.Err.Error()
	}
	return "auth: " + e.Detail
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Must returns v, or panics if err is not nil. It is for wiring in main and in
// examples.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
