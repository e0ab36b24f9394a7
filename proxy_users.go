package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"unicode"
	"unicode/utf8"

	"github.com/ostiary/auth/store"
)

// ProxyUsers authenticates requests by the user name that a gateway puts into
// [ProxyOptions].UserField. The field counts in proven requests only, see
// [ProvenProxy]; in all others it is as good as absent. A gateway that stops
// sending it ends nothing: each request stands for itself.
type ProxyUsers struct {
	proxy *Proxy
	users store.Users
	opts  ProxyUsersOptions
}

// ProxyUsersOptions are the options of [NewProxyUsers].
// A zero ProxyUsersOptions consists entirely of default values.
type ProxyUsersOptions struct {
	// Create is asked for a user that the store does not know. It returns the
	// user that it has stored, or an error: [store.ErrNotFound] to refuse it.
	// Concurrent requests of one new user may call it several times, so
	// [store.ErrExists] makes the store be asked again. Nil refuses unknown
	// users.
	Create func(ctx context.Context, name string) (store.User, error)

	// Admins lets administrators and auditors act as such. Otherwise they act as
	// ordinary users.
	Admins bool
}

// NewProxyUsers returns an authenticator for the users of u that p names. It
// returns an error unless p has a UserField and some way to prove itself. It
// panics if p or u is nil.
func NewProxyUsers(p *Proxy, u store.Users, opts *ProxyUsersOptions) (*ProxyUsers, error) {
	if p == nil || isNil(u) {
		panic("auth: NewProxyUsers: nil Proxy or store")
	}
	if p.opts.UserField == "" {
		return nil, errors.New("auth: NewProxyUsers needs ProxyOptions.UserField")
	}
	if p.proof == nil && !p.opts.UnixSocket && p.opts.PeerCertificate == nil && !p.opts.InsecureAddressAlone {
		return nil, errors.New("auth: NewProxyUsers needs ProxyOptions.Proof, PeerCertificate or UnixSocket: an address proves nobody's name")
	}
	a := &ProxyUsers{proxy: p, users: u}
	if opts != nil {
		a.opts = *opts
	}
	return a, nil
}

// errGatewayUser answers for every user that the gateway may not speak for, so
// that it cannot tell them apart.
var errGatewayUser = &Error{Status: http.StatusUnauthorized, Detail: "The user of the gateway is unknown or disabled."}

// Authenticate implements [Authenticator].
func (a *ProxyUsers) Authenticate(r *http.Request) (*Principal, error) {
	return onHeap(a.authenticate(r))
}

func (a *ProxyUsers) authenticate(r *http.Request) (Principal, error) {
	c := forwardedOf(r.Context())
	if c == nil || !c.proven || c.by != a.proxy {
		return Principal{}, ErrNoCredentials
	}
	values := r.Header[a.proxy.opts.UserField]
	switch {
	case len(values) == 0:
		return Principal{}, ErrNoCredentials
	case len(values) > 1:
		return Principal{}, errDoubled
	case !validIdentity(values[0]):
		return Principal{}, a.refused(r, "malformed name")
	}
	// Whatever the gateway authenticates by, to us it is ambient, as a cookie is.
	if err := CheckOrigin(r); err != nil {
		return Principal{}, err
	}
	u, err := a.user(r.Context(), values[0])
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Principal{}, a.refused(r, "unknown user")
	case err != nil:
		return Principal{}, fmt.Errorf("auth: look up the user of the gateway: %w", err)
	case !u.Active:
		return Principal{}, a.refused(r, "user is not active")
	case u.Name != values[0]:
		return Principal{}, a.refused(r, "another user was created")
	}
	return Principal{
		ID:         u.ID,
		Name:       u.Name,
		Scopes:     Unrestricted,
		Admin:      u.Admin && a.opts.Admins,
		Auditor:    u.Auditor && a.opts.Admins,
		Credential: CredentialProxy,
	}, nil
}

func (a *ProxyUsers) user(ctx context.Context, name string) (store.User, error) {
	u, err := a.users.UserByName(ctx, name)
	if a.opts.Create == nil || !errors.Is(err, store.ErrNotFound) {
		return u, err
	}
	if u, err = a.opts.Create(ctx, name); errors.Is(err, store.ErrExists) {
		return a.users.UserByName(ctx, name)
	}
	return u, err
}

func (a *ProxyUsers) refused(r *http.Request, reason string) error {
	a.proxy.log.LogAttrs(r.Context(), slog.LevelWarn, eventProxyUser,
		slog.String("outcome", "failure"), slog.String("reason", reason),
		slog.String("user", clip(r.Header.Get(a.proxy.opts.UserField))), slog.String("client", clientOf(r.Context())))
	return errGatewayUser
}

// maxIdentity is the longest user name that a field conveys, in bytes.
const maxIdentity = 600 // 150 characters, as AWX has them

// validIdentity reports whether a field can convey name so that nobody on the way
// changes it: no comma, with which lines are joined, no space at the ends, and
// nothing that cannot be seen.
func validIdentity(name string) bool {
	if name == "" || len(name) > maxIdentity || !utf8.ValidString(name) || name != trimOWS(name) {
		return false
	}
	for _, c := range name {
		if c == ',' || c == utf8.RuneError || !unicode.IsPrint(c) {
			return false
		}
	}
	return true
}
