// Package gatewayjwt authenticates requests by X-DAB-JW-TOKEN, the JSON Web
// Token (RFC 7519) in which the Ansible gateway names the user of a request.
//
// The token counts only if the request comes from a gateway that proved itself
// (see [auth.ProvenProxy]), so that a token from a log is worthless elsewhere.
// The package is a module of its own, because it needs a JOSE library.
//
// A token has one of two forms. Both have the claims iss, aud, sub, exp,
// version and user_data. A current gateway adds service_id and claims_hash, an
// older one adds objects, object_roles and global_roles, with or without
// service_id. This package ignores roles.
package gatewayjwt

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/store"
)

// Claims are the claims of a token about its user.
type Claims struct {
	// Subject is the gateway's stable identifier of the user. A host must look
	// users up by it, because a name can pass to another user.
	Subject   string
	Username  string
	FirstName string
	LastName  string
	Email     string
	Superuser bool

	// ServiceID is the gateway's identifier of the service that made the token.
	// It is "" in tokens of the oldest gateways.
	ServiceID string

	// ClaimsHash is the gateway's digest of the roles of the user, and changes
	// with them. It is "" in tokens of older gateways, which have the roles
	// themselves.
	ClaimsHash string
}

// Authenticator is an [auth.Authenticator] for tokens of a gateway. It is safe
// for concurrent use.
type Authenticator struct {
	proxy    *auth.Proxy
	user     func(context.Context, Claims) (store.User, error)
	expected jwt.Expected
	log      *slog.Logger
	warn     *sync.Once
}

// Options are the options of [New].
// A zero Options consists entirely of default values.
type Options struct {
	// Issuer is the iss claim of good tokens. The default is "ansible-issuer".
	Issuer string

	// Audience is the aud claim of good tokens. The default is
	// "ansible-services".
	Audience string

	// Logger receives the events. Nil means [slog.Default].
	Logger *slog.Logger
}

// New returns an authenticator for requests of the gateway in front of p; the
// Proof of p must have its keys. The function user must return the user for the
// claims of a good token, and may create one. It must return
// [store.ErrNotFound] to refuse a token. Any other error is an outage. It must
// be safe for concurrent use. Unlike AWX, the authenticator never takes a local
// user by name.
//
// New returns an error if p has no keys. It panics if p or user is nil.
func New(p *auth.Proxy, user func(context.Context, Claims) (store.User, error), opts *Options) (*Authenticator, error) {
	if p == nil || user == nil {
		panic("gatewayjwt: New: nil Proxy or function")
	}
	if !p.HasKeys() {
		return nil, errors.New("gatewayjwt: New: the Proxy has no ProxyOptions.Proof, so that no token could be verified; give it ProofOptions with the keys of the gateway")
	}
	if opts == nil {
		opts = &Options{}
	}
	a := &Authenticator{
		proxy: p,
		user:  user,
		expected: jwt.Expected{
			Issuer:      cmp.Or(opts.Issuer, "ansible-issuer"),
			AnyAudience: jwt.Audience{cmp.Or(opts.Audience, "ansible-services")},
		},
		log:  opts.Logger,
		warn: new(sync.Once),
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	return a, nil
}

// maxToken is the length of the longest token, in bytes. A token can be long,
// because it has the roles of its user.
const maxToken = 64 << 10

var (
	errDoubled = &auth.Error{
		Status: http.StatusBadRequest,
		Code:   "invalid_request",
		Detail: "The request carries more than one token of the gateway.",
	}
	errInvalid = &auth.Error{
		Status: http.StatusUnauthorized,
		Code:   "invalid_token",
		Detail: "The token of the gateway is invalid or expired.",
	}
)

// ownOrigin trusts no other origin.
var ownOrigin auth.Origins

// Authenticate implements [auth.Authenticator]. The principal is an
// administrator only if both the user and the token are.
func (a *Authenticator) Authenticate(r *http.Request) (*auth.Principal, error) {
	values := r.Header["X-Dab-Jw-Token"]
	if len(values) == 0 {
		return nil, auth.ErrNoCredentials
	}
	if !auth.ProvenProxy(r.Context()) { // the handler would have removed the token
		a.warn.Do(func() {
			a.log.WarnContext(r.Context(), "gatewayjwt: a token came in a request that has not passed Proxy.Handler; put the handler around the gate")
		})
		return nil, auth.ErrNoCredentials
	}
	if len(values) > 1 {
		return nil, errDoubled
	}
	// The browser authenticates to the gateway by a cookie, so the credential
	// is ambient.
	if err := ownOrigin.Check(r); err != nil {
		return nil, err
	}
	claims, err := a.verify(r.Context(), values[0])
	if err != nil {
		return nil, a.refused(r, err)
	}
	u, err := a.user(r.Context(), claims)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, a.refused(r, errors.New("unknown user"))
	case err != nil:
		return nil, fmt.Errorf("gatewayjwt: look up the user: %w", err)
	case !u.Active || u.ID == "":
		return nil, a.refused(r, errors.New("user is not active"))
	case u.Service:
		return nil, a.refused(r, errors.New("service account"))
	}
	return &auth.Principal{
		ID:         u.ID,
		Name:       u.Name,
		Scopes:     auth.Unrestricted,
		Admin:      u.Admin && claims.Superuser,
		Auditor:    u.Auditor,
		Credential: auth.CredentialProxy,
		Epoch:      u.Epoch,
		HasEpoch:   true,
	}, nil
}

func (a *Authenticator) refused(r *http.Request, reason error) error {
	a.log.LogAttrs(r.Context(), slog.LevelWarn, audit.GatewayTokenRefused,
		slog.String(audit.KeyOutcome, "failure"), slog.String(audit.KeyReason, reason.Error()),
		audit.Client(auth.ClientAddr(r)))
	return errInvalid
}

// payload has the claims of a token besides the registered ones. A pointer
// distinguishes a missing or null claim from an empty one.
type payload struct {
	Version  *any `json:"version"`
	UserData *struct {
		Username  *string `json:"username"`
		FirstName *string `json:"first_name"`
		LastName  *string `json:"last_name"`
		Email     *string `json:"email"`
		Superuser *bool   `json:"is_superuser"`
	} `json:"user_data"`

	// Of a current gateway. The first came a while before the second.
	ServiceID  *string `json:"service_id"`
	ClaimsHash *string `json:"claims_hash"`

	// Of an older one.
	Objects     *map[string]any `json:"objects"`
	ObjectRoles *map[string]any `json:"object_roles"`
	GlobalRoles *[]any          `json:"global_roles"`
}

// maxID is the greatest length of ServiceID and ClaimsHash, in bytes. A UUID and a
// digest in hexadecimal are shorter.
const maxID = 128

var (
	errMissing = errors.New("a claim is missing")
	errForm    = errors.New("claims of neither form")
	errUser    = errors.New("a member of user_data is missing")
)

// claims returns the claims of p about the user subject. A token must have all
// claims of one form. It may have those of the other form as well, but then all
// of them, except that service_id may come with the roles alone.
func (p *payload) claims(subject string) (Claims, error) {
	if subject == "" || p.UserData == nil || p.Version == nil {
		return Claims{}, errMissing
	}
	d := p.UserData
	if d.Username == nil || *d.Username == "" || d.FirstName == nil || d.LastName == nil || d.Email == nil || d.Superuser == nil {
		return Claims{}, errUser
	}
	c := Claims{
		Subject:   subject,
		Username:  *d.Username,
		FirstName: *d.FirstName,
		LastName:  *d.LastName,
		Email:     *d.Email,
		Superuser: *d.Superuser,
	}
	roles := count(p.Objects != nil, p.ObjectRoles != nil, p.GlobalRoles != nil)
	if roles%3 != 0 || roles == 0 && p.ClaimsHash == nil || p.ClaimsHash != nil && p.ServiceID == nil {
		return Claims{}, errForm
	}
	if !readID(p.ServiceID, &c.ServiceID) || !readID(p.ClaimsHash, &c.ClaimsHash) {
		return Claims{}, errForm
	}
	return c, nil
}

// readID sets id to a claim that may be absent, or reports that it cannot be one.
func readID(claim, id *string) bool {
	if claim == nil {
		return true
	}
	*id = *claim
	return *id != "" && len(*id) <= maxID
}

// count returns the number of true conditions.
func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// verify returns the claims of a good token. Its errors have no value of a
// claim.
func (a *Authenticator) verify(ctx context.Context, text string) (Claims, error) {
	if len(text) > maxToken {
		return Claims{}, errors.New("too long")
	}
	// RS256 alone: with a symmetric algorithm the public key would be a secret.
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return Claims{}, errors.New("malformed, or not RS256")
	}
	var registered jwt.Claims
	var own payload
	readable := true
	signed := a.proxy.TryKeys(ctx, func(key *rsa.PublicKey) bool {
		var raw map[string]any // the signature is checked before the claims
		if token.Claims(key, &raw) != nil {
			return false
		}
		readable = token.Claims(key, &registered, &own) == nil
		return true
	})
	switch {
	case !signed:
		return Claims{}, errors.New("wrong signature")
	case !readable:
		return Claims{}, errors.New("a claim of the wrong type")
	case registered.Expiry == nil:
		return Claims{}, errMissing
	}
	expected := a.expected
	expected.Time = time.Now()
	if err := registered.ValidateWithLeeway(expected, 0); err != nil {
		return Claims{}, err // a text without values
	}
	return own.claims(registered.Subject)
}
