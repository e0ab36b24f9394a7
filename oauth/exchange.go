package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// Every method below needs an authenticated application, see
// [Server.Authenticate]. Refusals are an [*auth.Error] with a code of RFC 6749
// section 5.2.

// A CodeExchange is an access token request of RFC 6749 section 4.1.3.
type CodeExchange struct {
	Code        string
	RedirectURI string   // "" if not given
	Verifier    string   // RFC 7636 section 4.5, "" if not given
	Resources   []string // RFC 8707; they may narrow the granted ones
}

// Exchange issues tokens for an authorization code, once. A second use of the
// code ends all tokens that were issued for it. A wrong verifier also uses the
// code up, because it comes from somebody who intercepted the code. A code of
// another application does not change. App must be authenticated, see
// [Server.Authenticate]. Refusals are an [*auth.Error] with a code of RFC 6749
// section 5.2.
func (srv *Server) Exchange(ctx context.Context, app store.Application, x CodeExchange) (out auth.IssuedToken, err error) {
	defer func() { srv.observeGrant(ctx, observe.KindAuthorizationCode, err) }()
	if app.GrantType != GrantAuthorizationCode {
		return auth.IssuedToken{}, errWrongGrant
	}
	if x.Code == "" {
		return auth.IssuedToken{}, errInvalidRequest("Missing code parameter.")
	}
	if !secret.WellFormed(x.Code, srv.tokens.Prefix(), secret.Code) {
		return auth.IssuedToken{}, errInvalidGrant
	}
	digest := store.DigestOf(x.Code)
	code, err := srv.store.CodeByDigest(ctx, digest)
	if errors.Is(err, store.ErrNotFound) || err == nil && code.ApplicationID != app.ID {
		return auth.IssuedToken{}, errInvalidGrant
	}
	if err != nil {
		return auth.IssuedToken{}, fmt.Errorf("oauth: look up a code: %w", err)
	}
	now := time.Now()
	var u store.User
	audience := code.Audience
	if code.Spent.IsZero() { // otherwise the store must end its tokens, even for a wrong request
		if u, audience, err = srv.checkExchange(ctx, app, code, x, now); err != nil {
			return auth.IssuedToken{}, err
		}
	}
	issued := srv.issueTo(app, u, auth.Scopes(code.Scopes), audience, now)
	issued.Token, err = srv.store.Redeem(ctx, store.Redemption{Code: digest, ApplicationID: app.ID, At: now, Token: issued.Token})
	return srv.redeemed(ctx, app, observe.KindAuthorizationCode, code.UserID, issued, err)
}

// checkExchange checks a request for an unspent code.
func (srv *Server) checkExchange(ctx context.Context, app store.Application, code store.Code, x CodeExchange, now time.Time) (store.User, string, error) {
	redirectGood := x.RedirectURI == code.RedirectURI
	if code.RedirectURI == "" { // the request meant the only registered one
		redirectGood = x.RedirectURI == "" || redirectRegistered(app.RedirectURIs, x.RedirectURI)
	}
	switch {
	case !now.Before(code.Expires) || !redirectGood:
		return store.User{}, "", errInvalidGrant
	case code.Challenge != "" && x.Verifier == "":
		return store.User{}, "", errInvalidRequest("Code verifier required.")
	case !proves(x.Verifier, code.Challenge):
		return store.User{}, "", srv.burn(ctx, app, code, now)
	}
	audience, err := srv.narrowAudience(code.Audience, x.Resources)
	if err != nil {
		return store.User{}, "", err
	}
	u, err := srv.grantee(ctx, code.UserID, code.Epoch)
	return u, audience, err
}

// burn uses up an intercepted code.
func (srv *Server) burn(ctx context.Context, app store.Application, code store.Code, now time.Time) error {
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	if err := srv.store.SpendCode(ctx, code.Digest, now); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("oauth: use up a code: %w", err)
	}
	srv.granted(ctx, slog.LevelWarn, audit.GrantRefused, app, code.UserID, code.Scopes, slog.String(audit.KeyReason, "wrong code verifier"))
	// The code may have been redeemed since it was read. Then this is its
	// second use.
	code, err := srv.store.CodeByDigest(ctx, code.Digest)
	if err == nil && code.Family != 0 {
		_, err = srv.store.RevokeTokens(ctx, store.Selection{Family: code.Family}, now)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("oauth: use up a code: %w", err)
	}
	return errInvalidGrant
}

// redeemed returns the answer for the outcome of a redemption.
func (srv *Server) redeemed(ctx context.Context, app store.Application, grant observe.Kind, userID string, issued auth.IssuedToken, err error) (auth.IssuedToken, error) {
	switch {
	case err == nil:
		srv.granted(ctx, slog.LevelInfo, audit.TokenIssued, app, userID, issued.Scopes, slog.Int64(audit.KeyTokenID, issued.ID))
		srv.observeIssued(ctx, grant)
		return issued, nil
	case errors.Is(err, store.ErrUsed):
		srv.granted(ctx, slog.LevelWarn, audit.GrantReused, app, userID, "")
		srv.hook.One(ctx, observe.GrantReused, grant, observe.ReasonNone)
		return auth.IssuedToken{}, errInvalidGrant
	case errors.Is(err, store.ErrNotFound):
		return auth.IssuedToken{}, errInvalidGrant // expired or deleted since it was read
	}
	return auth.IssuedToken{}, fmt.Errorf("oauth: redeem a grant: %w", err)
}

// A PasswordExchange is an access token request of RFC 6749 section 4.3.2.
type PasswordExchange struct {
	Username, Password string
	Scope              string // "" means write
	Resources          []string
}

// ExchangePassword issues tokens for the password of a user, which the
// application sees. RFC 9700 section 2.4 advises against this grant. The
// application must be registered for it. Attempts count like logins.
func (srv *Server) ExchangePassword(ctx context.Context, app store.Application, p *auth.Passwords, x PasswordExchange) (out auth.IssuedToken, err error) {
	defer func() { srv.observeGrant(ctx, observe.KindPassword, err) }()
	// The grant type is checked first, so that no other client can try
	// passwords.
	if app.GrantType != GrantPassword {
		return auth.IssuedToken{}, errWrongGrant
	}
	switch {
	case x.Username == "":
		return auth.IssuedToken{}, errInvalidRequest("Request is missing username parameter.")
	case x.Password == "":
		return auth.IssuedToken{}, errInvalidRequest("Request is missing password parameter.")
	}
	scopes, audience, err := srv.requested(x.Scope, x.Resources)
	if err != nil {
		return auth.IssuedToken{}, err
	}
	verified, err := p.Verify(ctx, x.Username, x.Password)
	var u store.User
	if err == nil {
		u, err = srv.tokens.Owner(ctx, verified.ID)
	}
	// A hash takes a while, in which another password may be set. Tokens of the new
	// epoch would outlive that.
	if err == nil && (u.Service || u.Epoch != verified.Epoch) {
		return auth.IssuedToken{}, errBadCredentials
	}
	e, ok := errors.AsType[*auth.Error](err)
	switch {
	case ok && e.Status == http.StatusUnauthorized:
		return auth.IssuedToken{}, errBadCredentials
	case ok && e.Status == http.StatusForbidden:
		err = &auth.Error{Status: http.StatusBadRequest, Code: "invalid_grant", Detail: e.Detail, Err: e.Err}
	}
	if err != nil {
		return auth.IssuedToken{}, err
	}
	return srv.grant(ctx, app, observe.KindPassword, u, scopes, audience)
}

// errBadCredentials has the text of AWX.
var errBadCredentials = oauthError("invalid_grant", "Invalid credentials given.")

// A ClientExchange is an access token request of RFC 6749 section 4.4.2.
type ClientExchange struct {
	Scope     string // "" means write
	Resources []string
}

// ExchangeClient issues an access token that acts for the application itself.
// It has no refresh token (RFC 6749 section 4.4.3).
func (srv *Server) ExchangeClient(ctx context.Context, app store.Application, x ClientExchange) (out auth.IssuedToken, err error) {
	defer func() { srv.observeGrant(ctx, observe.KindClientCredentials, err) }()
	if app.GrantType != GrantClientCredentials || !app.Confidential {
		return auth.IssuedToken{}, errWrongGrant
	}
	scopes, err := srv.requestedScopes(x.Scope)
	if err != nil {
		return auth.IssuedToken{}, err
	}
	audience, err := srv.requestedAudience(x.Resources)
	if err != nil {
		return auth.IssuedToken{}, err
	}
	return srv.grant(ctx, app, observe.KindClientCredentials, store.User{}, scopes, audience)
}
