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
// A handler behind the gate gets the [Principal] of its request from
// [FromContext].
//
// The other packages of the module are:
//
//	audit                 names and attributes of the audit events, for logs
//	observe               the events for metrics and traces
//	activity              the audit events as a stream that users can read
//	oauth                 the OAuth 2.0 authorization server
//	clientdoc             the documents of OAuth clients that nobody has registered
//	remote                the access tokens of another service
//	gateway               signed requests to services behind this one, forward authentication
//	httpapi               login, token, user and OAuth endpoints in the wire format of AWX
//	store                 the contract with databases
//	store/memory          a store in memory
//	store/sqlstore        SQLite, PostgreSQL, MySQL and MariaDB through database/sql
//	store/cached          live access tokens in memory, in front of a database
//	store/storetest       the tests of the contract, for stores of others
//	authtest              principals, users and tokens for the tests of hosts
//
// The module gatewayjwt authenticates by the JSON Web Tokens of a gateway, and
// grpcauth the calls of a gRPC server. The modules promauth and otelauth count the
// events for Prometheus and OpenTelemetry.
// The module pgbus tells the caches of several processes about changes.
//
// # Promises
//
// A wrong credential is final and never falls through to another one or to
// anonymous. An outage of a store is answered 503. Secrets are stored as digests
// only. The zero value of every option is the safe one. A constructor refuses an
// option that is out of range. A negative number is out of range unless the option
// says otherwise. All types here are safe for concurrent use and do not change after
// construction.
//
// The library does not protect against a handler that misuses the rights of its
// principal, nor against somebody with write access to the store.
//
// # Compatibility
//
// Before version 1 a minor version may change the API; CHANGELOG.md has a line for
// each change. From version 1 on, no exported name changes its meaning, and no
// interface that hosts implement gets another method. In every version stored data
// stays readable, and migrations go forward only. Names whose documentation says
// EXPERIMENTAL are excepted.
package auth

import (
	"errors"
	"net/http"
	"time"
)

// An Authenticator proves the user or the application that a request acts for.
// It must be safe for concurrent use.
type Authenticator interface {
	// Authenticate returns the principal, or an error that wraps
	// [ErrNoCredentials] if r carries no credential of its kind. Any other
	// error is final: no other authenticator is asked. An [*Error] is a refusal
	// that the client may see. Any other error is an outage.
	//
	// Authenticate must not read the body or change r.
	Authenticate(r *http.Request) (*Principal, error)
}

// AuthenticatorFunc is a function that is an [Authenticator].
type AuthenticatorFunc func(r *http.Request) (*Principal, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(r *http.Request) (*Principal, error) { return f(r) }

// ErrNoCredentials reports that a request carries no credential of the kind that
// an [Authenticator] looks for.
var ErrNoCredentials = errors.New("auth: no credentials")

// Error is a refusal that the client may see. [Gate.Deny] writes it.
type Error struct {
	Status     int           // from 400 to 599; anything else is answered 503
	Code       string        // RFC 6749 section 5.2 or RFC 6750 section 3.1; may be empty
	Detail     string        // for the client
	Scope      string        // the scope that would have sufficed
	Field      string        // the field of the request that is at fault, by its name in this module, such as "Expires"; may be empty
	RetryAfter time.Duration // when to try again; 0 says nothing
	Err        error         // for the log only
}

// Error returns the field, the detail and the cause, for logs.
func (e *Error) Error() string {
	text := "auth: "
	if e.Field != "" {
		text += e.Field + ": "
	}
	text += e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
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
