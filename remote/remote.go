// Package remote authenticates requests of a sister service: by the access
// tokens of an authorization server that is another service of the same house.
//
//	bearer, err := remote.New("https://auth.example", &remote.Options{
//		ClientID: "…", Secret: secret, Resource: "https://jobs.example/",
//	})
//	gate := auth.NewGate(bearer, nil)
//
// The other service runs package oauth. There a superuser lets an application
// stand for the resource, and this service has the credentials of that
// application. For a token it asks the introspection endpoint (RFC 7662), and it
// keeps the answer for a short time.
//
// # What is kept
//
// An answer is kept by the digest of its token, for Options.MaxAge at most and not
// beyond the expiry of the token. So a revoked token passes for MaxAge at most,
// and [auth.Gate.Recheck] sees an answer of that age. Answers stand in a table
// that is allocated at once and has a fixed number of places, of 96 bytes and the
// text of one user each. Each token has eight places where it can stand. If all
// are taken, it replaces the answer that ends first. A long text (above 512 bytes)
// is not kept.
//
// Refusals are kept for a second in a table of their own, of 1,024 places, so that
// a client that repeats a dead token makes one call a second. They cannot push
// out an answer about a live token. A token is random, so none becomes live
// after it was refused, except when its user or application is enabled again.
//
// A token that is new here costs a call. Options.MaxCalls and Options.Timeout bound
// the calls, so a flood of made-up tokens can make requests with new tokens wait
// and fail with 503. A limit on requests of one address belongs in front of
// a service that is open to the world.
//
// # What an answer is taken for
//
// A live token needs all of this: status 200, JSON, at most 16 KiB, each member
// once, "active" true, "iss" the issuer, "aud" the resource, "exp" and "jti".
//
//	"active" is false                              401 invalid_token
//	another token_type, as of a refresh token      401 invalid_token
//	"aud" without the resource                     401 invalid_token
//	no "aud", unless Options.Unbound is set        401 invalid_token
//	"exp" has passed                               401 invalid_token
//	no answer in time, another status, a redirect  503
//	another type of content, a longer body         503
//	no JSON object, a doubled or mistyped member   503
//	no "active", "exp" or "jti"                    503
//	another issuer, or none                        503
//	a scope that is none, or "*"                   503
//	neither a user nor an application              503
//
// So an authorization server that is down, slow, misconfigured or replaced refuses
// nobody for good: clients keep their tokens and try again.
package remote

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/internal/recent"
	"github.com/ostiary/auth/store"
)

// Authenticator is an [auth.Authenticator] for the access tokens of another
// service. It refuses as [auth.Bearer] does. It is safe for concurrent use.
type Authenticator struct {
	asker    asker
	answers  *recent.Table[entry]
	refusals *refusals
	flights  recent.Flights[entry]
	maxAge   time.Duration
	started  time.Time // the zero of the times in the tables
}

// New returns an authenticator for the access tokens of an issuer (RFC 8414
// section 2), which is the oauth.Options.Issuer of the other service. It calls
// nobody. It returns an error for weak or contradictory options.
func New(issuer string, opts *Options) (*Authenticator, error) {
	if opts == nil {
		opts = &Options{}
	}
	o, err := opts.complete(issuer)
	if err != nil {
		return nil, err
	}
	return &Authenticator{
		asker:    newAsker(issuer, o),
		answers:  recent.New[entry](o.MaxEntries),
		refusals: &refusals{},
		maxAge:   o.MaxAge,
		started:  time.Now(),
	}, nil
}

// maxToken is the length of the longest token, in bytes.
const maxToken = 512

// The refusals of [auth.Bearer].
var (
	errDoubled   = &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Detail: "The request carries more than one credential."}
	errMalformed = invalidToken("The access token is malformed.")
	errInvalid   = invalidToken("The access token is invalid or revoked.")
	errExpired   = invalidToken("The access token has expired.")
	errAudience  = invalidToken("The access token was not issued for this resource.")
)

func invalidToken(detail string) *auth.Error {
	return &auth.Error{Status: http.StatusUnauthorized, Code: "invalid_token", Detail: detail} // RFC 6750 section 3.1
}

// Authenticate implements [auth.Authenticator].
func (a *Authenticator) Authenticate(r *http.Request) (*auth.Principal, error) {
	scheme, token, err := header.Authorization(r.Header)
	switch {
	case err == header.ErrAbsent:
		return nil, auth.ErrNoCredentials
	case err != nil:
		return nil, errDoubled
	case scheme == "":
		return nil, errMalformed // an empty field is a failed attempt
	case !header.IsScheme(scheme, "bearer"):
		return nil, auth.ErrNoCredentials
	case header.TokenInQuery(r):
		return nil, errDoubled // RFC 6750 section 2
	}
	return a.Verify(r.Context(), token)
}

// Verify returns the principal of an access token. It returns an [*auth.Error] with
// status 401 for a token that is not good here. Any other error is an outage: the
// authorization server could not be asked, or its answer means nothing.
//
// The principal has the ID and the name that the user has at the authorization
// server. HasEpoch is false. TokenID and ApplicationID are those of the
// authorization server, so that no store of this service issues anything for
// the principal.
func (a *Authenticator) Verify(ctx context.Context, token string) (*auth.Principal, error) {
	if len(token) > maxToken || !ascii.Token68(token) {
		return nil, errMalformed
	}
	digest := store.DigestOf(token)
	now := time.Now()
	e, ok := a.answers.Get(&digest, now.Sub(a.started))
	if !ok {
		if err := a.refusals.get(&digest, now.Sub(a.started)); err != nil {
			return nil, err
		}
		var err error
		if e, err = a.ask(ctx, token, digest); err != nil {
			return nil, err
		}
		now = time.Now()
	}
	if now.Unix() >= e.expires {
		return nil, errExpired
	}
	return e.principal(digest), nil
}

// ask asks the authorization server, once for all requests that ask for a token at
// the same time.
func (a *Authenticator) ask(ctx context.Context, token string, digest store.Digest) (entry, error) {
	f, leads := a.flights.Join(digest)
	if !leads {
		select {
		case <-f.Done:
			return f.Value, f.Err
		case <-ctx.Done():
			return entry{}, ctx.Err()
		}
	}
	// The call panics where a transport of the host does: then this is an outage
	// for those who wait.
	f.Err = errors.New("remote: the call that others made for this token has ended without an answer")
	defer a.flights.Leave(digest, f)

	// Another call may have ended between the look into the table and join.
	start := time.Now()
	if e, ok := a.answers.Get(&digest, start.Sub(a.started)); ok {
		f.Value, f.Err = e, nil
		return e, nil
	}
	e, err := a.asker.ask(ctx, token)
	f.Value, f.Err = e, err
	if err == nil && len(e.text) <= maxText {
		// What was answered may have been true at the start of the call only.
		age := min(a.maxAge, time.Unix(e.expires, 0).Sub(start))
		a.answers.Put(&digest, e, start.Add(age).Sub(a.started), start.Sub(a.started))
	} else if refusal, ok := errors.AsType[*auth.Error](err); ok {
		a.refusals.put(&digest, refusal, time.Since(a.started))
	}
	return e, err
}
