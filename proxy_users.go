package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/forwarded"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// ProxyUsers authenticates requests by the user name that a gateway puts into
// [ProxyOptions].UserField. The field counts in proven requests only, see
// [ProvenProxy]; in all others it is absent. There is no session: each request
// is authenticated by its own field.
type ProxyUsers struct {
	proxy *Proxy
	users store.Users
	opts  ProxyUsersOptions
	warn  *sync.Once
}

// ProxyUsersOptions are the options of [NewProxyUsers].
// A zero ProxyUsersOptions consists entirely of default values.
type ProxyUsersOptions struct {
	// Create is called for a user that the store does not have. It must return
	// the user that it has stored, or [store.ErrNotFound] to refuse the user.
	// Two requests of one new user may call it at the same time; after
	// [store.ErrExists] the store is asked again. Nil refuses unknown users.
	Create func(ctx context.Context, name string) (store.User, error)

	// Admins keeps the rights of administrators and auditors. Otherwise they
	// act as ordinary users.
	Admins bool
}

// NewProxyUsers returns an authenticator for the users of u, by the UserField
// of p. It returns an error unless p has a UserField and a way for a proxy to
// prove itself. It panics if p or u is nil.
func NewProxyUsers(p *Proxy, u store.Users, opts *ProxyUsersOptions) (*ProxyUsers, error) {
	if p == nil || options.IsNil(u) {
		panic("auth: NewProxyUsers: nil Proxy or store")
	}
	if p.opts.UserField == "" {
		return nil, errors.New("auth: NewProxyUsers needs ProxyOptions.UserField")
	}
	if !p.proves() {
		return nil, errors.New("auth: NewProxyUsers needs ProxyOptions.Proof, PeerCertificate or UnixSocket: an address proves nobody's name")
	}
	a := &ProxyUsers{proxy: p, users: u, warn: new(sync.Once)}
	if opts != nil {
		a.opts = *opts
	}
	return a, nil
}

// errGatewayUser is the same for every refused user, so that the gateway cannot
// tell unknown ones from disabled ones.
var errGatewayUser = &Error{Status: http.StatusUnauthorized, Detail: "The user of the gateway is unknown or disabled."}

// Authenticate implements [Authenticator].
func (a *ProxyUsers) Authenticate(r *http.Request) (*Principal, error) {
	p, err := a.authenticate(r)
	return onHeap(&p, err)
}

func (a *ProxyUsers) authenticate(r *http.Request) (Principal, error) {
	c := forwarded.Of(r.Context())
	if c == nil || !c.Proven || c.By != a.proxy {
		if len(r.Header[a.proxy.opts.UserField]) > 0 { // the handler would have removed it
			a.warn.Do(func() {
				a.proxy.log.WarnContext(r.Context(), "auth: ProxyUsers got a request that has not passed Proxy.Handler; put the handler around the gate")
			})
		}
		return Principal{}, ErrNoCredentials
	}
	values := r.Header[a.proxy.opts.UserField]
	switch {
	case len(values) == 0:
		return Principal{}, ErrNoCredentials
	case len(values) > 1:
		return Principal{}, errDoubled
	case !forwarded.UserName(values[0]):
		return Principal{}, a.refused(r, "malformed name", observe.ReasonMalformed)
	}
	// The browser may have authenticated to the gateway by a cookie, so the
	// credential is ambient.
	if err := ownOrigin.Check(r); err != nil {
		return Principal{}, err
	}
	u, err := a.user(r.Context(), values[0])
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Principal{}, a.refused(r, "unknown user", observe.ReasonNotFound)
	case err != nil:
		return Principal{}, fmt.Errorf("auth: look up the user of the gateway: %w", err)
	case !u.Active:
		return Principal{}, a.refused(r, "user is not active", observe.ReasonForbidden)
	case u.Service:
		return Principal{}, a.refused(r, "service account", observe.ReasonForbidden)
	case u.Name != values[0]:
		return Principal{}, a.refused(r, "another user was created", observe.ReasonForbidden)
	}
	return Principal{
		ID:         u.ID,
		Name:       u.Name,
		Scopes:     Unrestricted,
		Admin:      u.Admin && a.opts.Admins,
		Auditor:    u.Auditor && a.opts.Admins,
		Credential: CredentialProxy,
		Epoch:      u.Epoch,
		HasEpoch:   true,
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

func (a *ProxyUsers) refused(r *http.Request, reason string, why observe.Reason) error {
	a.proxy.hook.One(r.Context(), observe.GatewayUserRefused, observe.KindNone, why)
	a.proxy.log.LogAttrs(r.Context(), slog.LevelWarn, audit.GatewayUserRefused,
		slog.String(audit.KeyOutcome, "failure"), slog.String(audit.KeyReason, reason),
		slog.String(audit.KeyUser, audit.Clip(r.Header.Get(a.proxy.opts.UserField))), slog.String(audit.KeyClient, client.Text(r.Context())))
	return errGatewayUser
}
