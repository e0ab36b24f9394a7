// Package gatewayjwt authenticates requests by X-DAB-JW-TOKEN, the JSON web token
// with which the Ansible gateway tells a service who its user is.
//
// The token counts only if the request comes from a gateway that proved itself
// (see [auth.ProvenProxy]): a token that leaks from a log is worth nothing
// elsewhere. It is a module of its own, so that only those who import it depend
// on a JOSE library.
package gatewayjwt

import (
	"cmp"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

// Claims are what a token says about its user.
type Claims struct {
	// Subject is the gateway's stable identifier of the user. It is the only
	// thing to look a user up by: names are given away again.
	Subject   string
	Username  string
	FirstName string
	LastName  string
	Email     string
	Superuser bool
}

// Authenticator is an [auth.Authenticator] for tokens of a gateway.
type Authenticator struct {
	proxy    *auth.Proxy
	user     func(context.Context, Claims) (store.User, error)
	expected jwt.Expected
	log      *slog.Logger
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

// New returns an authenticator for requests that the gateway behind p sends; its
// Proof has the keys. The function user returns the user for the claims of a
// good token, and may create one; it returns [store.ErrNotFound] to refuse one,
// any other error is an outage. Unlike AWX, nothing here takes over a local user
// because the name is the same. It panics if p or user is nil.
func New(p *auth.Proxy, user func(context.Context, Claims) (store.User, error), opts *Options) *Authenticator {
	if p == nil || user == nil {
		panic("gatewayjwt: New: nil Proxy or function")
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
		log: opts.Logger,
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	return a
}

// maxToken is the longest token that is looked at, in bytes. It holds the roles of
// its user, so it can be long.
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

// Authenticate implements [auth.Authenticator]. The principal is an administrator
// only if both the store and the token say so.
func (a *Authenticator) Authenticate(r *http.Request) (*auth.Principal, error) {
	values := r.Header["X-Dab-Jw-Token"]
	if len(values) == 0 || !auth.ProvenProxy(r.Context()) {
		return nil, auth.ErrNoCredentials
	}
	if len(values) > 1 {
		return nil, errDoubled
	}
	// The gateway adds the token to whatever a browser sends with its cookie.
	if err := auth.CheckOrigin(r); err != nil {
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
	}
	return &auth.Principal{
		ID:         u.ID,
		Name:       u.Name,
		Scopes:     auth.Unrestricted,
		Admin:      u.Admin && claims.Superuser,
		Auditor:    u.Auditor,
		Credential: auth.CredentialProxy,
	}, nil
}

func (a *Authenticator) refused(r *http.Request, reason error) error {
	a.log.LogAttrs(r.Context(), slog.LevelWarn, "auth: token of the gateway refused",
		slog.String("outcome", "failure"), slog.String("reason", reason.Error()),
		slog.String("client", auth.ClientAddr(r).String()))
	return errInvalid
}

// payload is what must be there besides the registered claims. A pointer tells a
// claim that is missing from one that is empty.
type payload struct {
	UserData *struct {
		Username  *string `json:"username"`
		FirstName *string `json:"first_name"`
		LastName  *string `json:"last_name"`
		Email     *string `json:"email"`
		Superuser *bool   `json:"is_superuser"`
	} `json:"user_data"`
	Objects     *map[string]any `json:"objects"`
	ObjectRoles *map[string]any `json:"object_roles"`
	GlobalRoles *[]any          `json:"global_roles"`
	Version     *any            `json:"version"`
}

// verify returns the claims of a good token. Errors name no claim's value.
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
		var raw map[string]any // the signature first: what is in it comes second
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
	case registered.Expiry == nil || registered.Subject == "" || own.UserData == nil ||
		own.Objects == nil || own.ObjectRoles == nil || own.GlobalRoles == nil || own.Version == nil:
		return Claims{}, errors.New("a claim is missing")
	}
	expected := a.expected
	expected.Time = time.Now()
	if err := registered.ValidateWithLeeway(expected, 0); err != nil {
		return Claims{}, err // a sentence without values
	}
	d := own.UserData
	if d.Username == nil || *d.Username == "" || d.FirstName == nil || d.LastName == nil || d.Email == nil || d.Superuser == nil {
		return Claims{}, errors.New("a member of user_data is missing")
	}
	return Claims{registered.Subject, *d.Username, *d.FirstName, *d.LastName, *d.Email, *d.Superuser}, nil
}
