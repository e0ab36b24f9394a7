package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth/store"
)

// Every method below is for an application that has proved who it is, see
// [Applications.Authenticate]. Refusals are an [*Error] with a code of RFC 6749
// section 5.2.

// A CodeExchange is an access token request of RFC 6749 section 4.1.3.
type CodeExchange struct {
	Code        string
	RedirectURI string   // "" if not given
	Verifier    string   // RFC 7636 section 4.5, "" if not given
	Resources   []string // RFC 8707; they may narrow what was granted
}

// Exchange issues tokens for an authorization code, once: the second use of a
// code ends all that was issued for it. A wrong verifier uses the code up, too,
// because whoever sends it has the code and is not the one who asked for it. A
// code of another application is left alone.
func (t *Tokens) Exchange(ctx context.Context, app store.Application, x CodeExchange) (IssuedToken, error) {
	if app.GrantType != GrantAuthorizationCode {
		return IssuedToken{}, errWrongGrant
	}
	if x.Code == "" {
		return IssuedToken{}, errInvalidRequest("Missing code parameter.")
	}
	if !wellFormed(x.Code, t.opts.Prefix, kindCode) {
		return IssuedToken{}, errInvalidGrant
	}
	digest := store.DigestOf(x.Code)
	code, err := t.store.CodeByDigest(ctx, digest)
	if errors.Is(err, store.ErrNotFound) || err == nil && code.ApplicationID != app.ID {
		return IssuedToken{}, errInvalidGrant
	}
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: look up a code: %w", err)
	}
	now := time.Now()
	var u store.User
	audience := code.Audience
	if code.Spent.IsZero() { // otherwise the store has to know, whatever else is wrong
		if u, audience, err = t.checkExchange(ctx, app, code, x, now); err != nil {
			return IssuedToken{}, err
		}
	}
	issued := t.issueTo(app, u, Scopes(code.Scopes), audience, now)
	issued.Token, err = t.store.Redeem(ctx, store.Redemption{Code: digest, ApplicationID: app.ID, At: now, Token: issued.Token})
	return t.redeemed(ctx, app, code.UserID, issued, err)
}

// checkExchange holds a request against the unspent code it brings.
func (t *Tokens) checkExchange(ctx context.Context, app store.Application, code store.Code, x CodeExchange, now time.Time) (store.User, string, error) {
	redirectGood := x.RedirectURI == code.RedirectURI
	if code.RedirectURI == "" { // the only one registered was meant
		redirectGood = x.RedirectURI == "" || redirectRegistered(app.RedirectURIs, x.RedirectURI)
	}
	switch {
	case !now.Before(code.Expires) || !redirectGood:
		return store.User{}, "", errInvalidGrant
	case code.Challenge != "" && x.Verifier == "":
		return store.User{}, "", errInvalidRequest("Code verifier required.")
	case !proves(x.Verifier, code.Challenge):
		return store.User{}, "", t.burn(ctx, app, code, now)
	}
	audience, err := t.narrowAudience(code.Audience, x.Resources)
	if err != nil {
		return store.User{}, "", err
	}
	u, err := t.grantee(ctx, code.UserID, code.Epoch)
	return u, audience, err
}

// burn uses up a code that somebody has who should not.
func (t *Tokens) burn(ctx context.Context, app store.Application, code store.Code, now time.Time) error {
	ctx, cancel := background(ctx)
	defer cancel()
	if err := t.store.SpendCode(ctx, code.Digest, now); err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("auth: use up a code: %w", err)
	}
	t.grantEvent(ctx, slog.LevelWarn, eventGrantRefused, app, code.UserID, code.Scopes, slog.String("reason", "wrong code verifier"))
	// It may have been redeemed since it was read. Then this was its second
	// use, as if it had come a moment later.
	code, err := t.store.CodeByDigest(ctx, code.Digest)
	if err == nil && code.Family != 0 {
		_, err = t.store.RevokeTokens(ctx, store.Selection{Family: code.Family}, now)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("auth: use up a code: %w", err)
	}
	return errInvalidGrant
}

// redeemed says what became of a redemption.
func (t *Tokens) redeemed(ctx context.Context, app store.Application, userID string, issued IssuedToken, err error) (IssuedToken, error) {
	switch {
	case err == nil:
		t.grantEvent(ctx, slog.LevelInfo, eventTokenIssued, app, userID, issued.Scopes, slog.Int64("token_id", issued.ID))
		return issued, nil
	case errors.Is(err, store.ErrUsed):
		t.grantEvent(ctx, slog.LevelWarn, eventGrantReused, app, userID, "")
		return IssuedToken{}, errInvalidGrant
	case errors.Is(err, store.ErrNotFound):
		return IssuedToken{}, errInvalidGrant // expired or deleted since it was read
	}
	return IssuedToken{}, fmt.Errorf("auth: redeem a grant: %w", err)
}

// A PasswordExchange is an access token request of RFC 6749 section 4.3.2.
type PasswordExchange struct {
	Username, Password string
	Scope              *string // nil if not given
	Resources          []string
}

// ExchangePassword issues tokens for a user's password, which the application
// gets to see: RFC 9700 section 2.4 advises against it, and only applications
// that are registered for it can do it. Attempts count like logins.
func (t *Tokens) ExchangePassword(ctx context.Context, app store.Application, p *Passwords, x PasswordExchange) (IssuedToken, error) {
	// The grant type comes first: any other client must not be a way to try
	// passwords.
	if app.GrantType != GrantPassword {
		return IssuedToken{}, errWrongGrant
	}
	switch {
	case x.Username == "":
		return IssuedToken{}, errInvalidRequest("Request is missing username parameter.")
	case x.Password == "":
		return IssuedToken{}, errInvalidRequest("Request is missing password parameter.")
	}
	scopes, audience, err := t.requested(x.Scope, x.Resources)
	if err != nil {
		return IssuedToken{}, err
	}
	u, err := p.Verify(ctx, x.Username, x.Password)
	if errors.Is(err, errBadPassword) {
		return IssuedToken{}, errBadCredentials
	}
	if err == nil {
		err = t.mayIssue(ctx, u)
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusForbidden {
		err = &Error{Status: http.StatusBadRequest, Code: "invalid_grant", Detail: e.Detail, Err: e.Err}
	}
	if err != nil {
		return IssuedToken{}, err
	}
	return t.grant(ctx, app, u, scopes, audience)
}

// errBadCredentials is in the words of AWX.
var errBadCredentials = oauthError("invalid_grant", "Invalid credentials given.")

// A ClientExchange is an access token request of RFC 6749 section 4.4.2.
type ClientExchange struct {
	Scope     *string // nil if not given
	Resources []string
}

// ExchangeClient issues an access token that acts for the application itself.
// There is no refresh token with it.
func (t *Tokens) ExchangeClient(ctx context.Context, app store.Application, x ClientExchange) (IssuedToken, error) {
	if app.GrantType != GrantClientCredentials || !app.Confidential {
		return IssuedToken{}, errWrongGrant
	}
	scopes, audience, err := t.requested(x.Scope, x.Resources)
	if err != nil {
		return IssuedToken{}, err
	}
	return t.grant(ctx, app, store.User{}, scopes, audience)
}

func (t *Tokens) requested(scope *string, resources []string) (Scopes, string, error) {
	var s string
	if scope != nil {
		s = *scope
	}
	scopes, err := t.requestedScopes(s, scope != nil)
	if err != nil {
		return "", "", err
	}
	audience, err := t.requestedAudience(resources)
	return scopes, audience, err
}

// grant issues tokens that no code pays for.
func (t *Tokens) grant(ctx context.Context, app store.Application, u store.User, scopes Scopes, audience string) (IssuedToken, error) {
	issued := t.issueTo(app, u, scopes, audience, time.Now())
	var err error
	issued.Token, err = t.insert(ctx, issued.Token)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusConflict {
		err = oauthError("invalid_grant", e.Detail)
	}
	if err != nil {
		return IssuedToken{}, err
	}
	t.grantEvent(ctx, slog.LevelInfo, eventTokenIssued, app, u.ID, issued.Scopes, slog.Int64("token_id", issued.ID))
	return issued, nil
}
