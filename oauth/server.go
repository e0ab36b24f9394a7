// Package oauth is an OAuth 2.0 authorization server (RFC 6749) for the users
// of package auth. It has applications, the authorization code grant with PKCE,
// refresh tokens, the client credentials, password and device grants, consents,
// revocation and introspection. An application is an OAuth client.
//
// A [Server] has no URLs: package httpapi serves its endpoints. It issues the
// access tokens that an [auth.Bearer] of the same [auth.Tokens] accepts.
//
//	tokens := auth.Must(auth.NewTokens(db, db, nil))
//	server := auth.Must(oauth.NewServer(tokens, db, db, &oauth.Options{Issuer: "https://api.example"}))
//
// Refusals are an [*auth.Error] with a code of RFC 6749. Every other error is an
// outage of a store. A Server is safe for concurrent use and does not change
// after construction.
package oauth

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/internal/hook"
	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/store"
)

// The grant types of applications, in AWX's spelling. Each application is
// registered for one.
const (
	GrantAuthorizationCode = "authorization-code"
	GrantPassword          = "password"
	GrantClientCredentials = "client-credentials"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
)

// Server issues tokens to applications and manages the applications.
// [auth.Organizations] has the rights of users and administrators.
type Server struct {
	tokens   *auth.Tokens
	store    store.OAuth
	attempts store.Attempts
	opts     Options
	log      *slog.Logger
	hook     *hook.Hook
}

// NewServer returns an authorization server that issues tokens of t, keeps
// tokens and applications in st, and counts failures in a. St must be the store
// of t. Nil options mean the defaults. It panics if t, st or a is nil.
func NewServer(t *auth.Tokens, st store.OAuth, a store.Attempts, opts *Options) (*Server, error) {
	if t == nil || options.IsNil(st) || options.IsNil(a) {
		panic("oauth: NewServer: nil Tokens or store")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	o.AccessLifetime = cmp.Or(o.AccessLifetime, time.Hour)
	o.RefreshLifetime = cmp.Or(o.RefreshLifetime, 30*day)
	o.GrantLifetime = cmp.Or(o.GrantLifetime, max(365*day, o.RefreshLifetime))
	o.CodeLifetime = cmp.Or(o.CodeLifetime, time.Minute)
	o.MaxCodes = cmp.Or(o.MaxCodes, 100)
	o.RefreshInterval = cmp.Or(o.RefreshInterval, min(time.Minute, o.AccessLifetime/4))
	o.ClientFailures = cmp.Or(o.ClientFailures, store.Limit{Max: 30, Window: time.Minute})
	o.Resources, o.PrivateSchemes = slices.Clone(o.Resources), slices.Clone(o.PrivateSchemes)
	if err := o.check(); err != nil {
		return nil, err
	}
	if slices.Contains(t.ScopeNames(), OfflineAccess) {
		return nil, errors.New("oauth: TokensOptions.Scopes has offline_access, which is a name of the server itself and of no scope of a token")
	}
	if o.Devices != nil {
		d, err := o.Devices.complete()
		if err != nil {
			return nil, err
		}
		o.Devices = &d
	}
	if o.Documents != nil {
		d, err := o.Documents.complete(o.Issuer)
		if err != nil {
			return nil, err
		}
		o.Documents = &d
	}
	log := options.Logger(o.Logger)
	return &Server{tokens: t, store: st, attempts: a, opts: o, log: log, hook: hook.New(o.Observe, log)}, nil
}

// Tokens returns the Tokens that were given to [NewServer].
func (srv *Server) Tokens() *auth.Tokens { return srv.tokens }

// Issuer returns Options.Issuer.
func (srv *Server) Issuer() string { return srv.opts.Issuer }

// GrantLifetime returns Options.GrantLifetime.
func (srv *Server) GrantLifetime() time.Duration { return srv.opts.GrantLifetime }

// HasDevices reports whether the device grant is on.
func (srv *Server) HasDevices() bool { return srv.opts.Devices != nil }
