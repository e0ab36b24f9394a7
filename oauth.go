package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// The grant types that an application can be registered for, one each, in AWX's
// spelling. Refresh tokens work for all of them.
const (
	GrantAuthorizationCode = "authorization-code"
	GrantPassword          = "password"
	GrantClientCredentials = "client-credentials"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
)

// completeOAuth fills in the defaults and refuses what is weak or contradictory.
func (o *TokensOptions) completeOAuth() error {
	o.AccessLifetime = cmp.Or(o.AccessLifetime, time.Hour)
	o.RefreshLifetime = cmp.Or(o.RefreshLifetime, 30*day)
	o.GrantLifetime = cmp.Or(o.GrantLifetime, max(365*day, o.RefreshLifetime))
	o.CodeLifetime = cmp.Or(o.CodeLifetime, time.Minute)
	o.MaxCodes = cmp.Or(o.MaxCodes, 100)
	o.Resources = slices.Clone(o.Resources)
	for _, l := range []struct {
		name  string
		value time.Duration
	}{
		{"AccessLifetime", o.AccessLifetime},
		{"RefreshLifetime", o.RefreshLifetime},
		{"GrantLifetime", o.GrantLifetime},
	} {
		if l.value < time.Second || l.value > maxLifetime {
			return fmt.Errorf("auth: TokensOptions.%s %v is not between a second and %v", l.name, l.value, maxLifetime)
		}
	}
	switch {
	case o.RefreshLifetime > o.GrantLifetime:
		return fmt.Errorf("auth: TokensOptions.RefreshLifetime %v is above GrantLifetime, %v", o.RefreshLifetime, o.GrantLifetime)
	case o.CodeLifetime < time.Second || o.CodeLifetime > 10*time.Minute:
		return fmt.Errorf("auth: TokensOptions.CodeLifetime %v is not between a second and ten minutes (RFC 6749 section 4.1.2)", o.CodeLifetime)
	case o.MaxCodes < 0:
		return errors.New("auth: TokensOptions.MaxCodes is negative")
	case o.RefreshGrace < 0 || o.RefreshGrace > time.Minute:
		return fmt.Errorf("auth: TokensOptions.RefreshGrace %v is not between 0 and a minute", o.RefreshGrace)
	case o.Issuer != "" && !validIssuer(o.Issuer):
		return fmt.Errorf("auth: TokensOptions.Issuer %q is not an https URL, or an http one on a loopback address, without query, fragment and last slash", o.Issuer)
	case o.Resource != "" && !validResource(o.Resource):
		return fmt.Errorf("auth: TokensOptions.Resource %q is not an absolute URI without a fragment (RFC 8707 section 2)", o.Resource)
	}
	for _, r := range o.Resources {
		if !validResource(r) {
			return fmt.Errorf("auth: TokensOptions.Resources: %q is not an absolute URI without a fragment (RFC 8707 section 2)", r)
		}
	}
	return nil
}

// validIssuer: RFC 8414 section 2, with http for development on this machine.
func validIssuer(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || !printable(s) || strings.ContainsAny(s, "?#") || strings.HasSuffix(s, "/") {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && (isLoopback(u.Hostname()) || u.Hostname() == "localhost")
}

// validResource: RFC 8707 section 2. Lists of resources are kept with spaces in
// between.
func validResource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && printable(s) && !strings.Contains(s, "#") && len(s) <= maxRedirectURI
}

// printable reports whether s is visible ASCII.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// Issuer returns TokensOptions.Issuer.
func (t *Tokens) Issuer() string { return t.opts.Issuer }

// Resource returns TokensOptions.Resource.
func (t *Tokens) Resource() string { return t.opts.Resource }

// GrantLifetime returns TokensOptions.GrantLifetime.
func (t *Tokens) GrantLifetime() time.Duration { return t.opts.GrantLifetime }

// ScopeNames returns the names that scopes can have.
func (t *Tokens) ScopeNames() []string {
	return append([]string{ScopeRead, ScopeWrite}, t.opts.Scopes...)
}

// oauthError is a refusal of RFC 6749 section 5.2.
func oauthError(code, description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Detail: description}
}

func errInvalidRequest(why string) *Error { return oauthError("invalid_request", why) }

var (
	errInvalidGrant = oauthError("invalid_grant", "The grant is invalid, expired, used or revoked, or was issued to another client.")
	// errWrongGrant: the application was registered for another grant type.
	errWrongGrant    = oauthError("unauthorized_client", "The application is not registered for this grant type.")
	errInvalidTarget = oauthError("invalid_target", "The resource is unknown, or was not granted.") // RFC 8707 section 2
)

// requestedScopes checks the scope parameter of a request. An absent one means
// write; an empty one is refused, it must not become a default.
func (t *Tokens) requestedScopes(s string, given bool) (Scopes, error) {
	if !given {
		return ScopeWrite, nil
	}
	scopes, err := t.ParseScopes(s)
	if err != nil {
		return "", oauthError("invalid_scope", "The scope must be a list of "+strings.Join(t.ScopeNames(), ", ")+", separated by single spaces.")
	}
	return scopes, nil
}

// requestedAudience checks the resource parameters of a request (RFC 8707
// section 2) and returns them as a Token keeps them.
func (t *Tokens) requestedAudience(resources []string) (string, error) {
	for i, r := range resources {
		known := r == t.opts.Resource || slices.Contains(t.opts.Resources, r)
		if r == "" || !known || slices.Contains(resources[:i], r) {
			return "", errInvalidTarget
		}
	}
	return strings.Join(resources, " "), nil
}

// narrowAudience returns the audience of a token from a grant with audience
// granted, for a client that asks for these resources. Unlike a scope it stays
// narrowed: there is one audience in a record.
func (t *Tokens) narrowAudience(granted string, resources []string) (string, error) {
	asked, err := t.requestedAudience(resources)
	if err != nil || asked == "" {
		return granted, err
	}
	for _, r := range resources {
		if granted != "" && !hasWord(granted, r) {
			return "", errInvalidTarget
		}
	}
	return asked, nil
}

// grantee returns the user that a grant is for, as long as the user is what it
// was when the grant was given: active, and of the same epoch. Otherwise the
// grant is invalid.
func (t *Tokens) grantee(ctx context.Context, id string, epoch int64) (store.User, error) {
	u, err := t.users.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (!u.Active || u.ID != id || u.Epoch != epoch) {
		return store.User{}, errInvalidGrant
	}
	if err != nil {
		return store.User{}, fmt.Errorf("auth: look up the owner of a grant: %w", err)
	}
	if err := t.mayIssue(ctx, u); err != nil {
		refusal := *errInvalidGrant
		refusal.Err = err
		return store.User{}, &refusal
	}
	return u, nil
}

// issueTo prepares the tokens of app that act for u, or for the application
// alone if u is zero.
func (t *Tokens) issueTo(app store.Application, u store.User, scopes Scopes, audience string, now time.Time) IssuedToken {
	issued := t.withSecrets(store.Token{
		UserID:        u.ID,
		Epoch:         u.Epoch,
		ApplicationID: app.ID,
		Scopes:        string(scopes),
		Audience:      audience,
		Created:       now,
		Modified:      now,
		Expires:       now.Add(t.opts.AccessLifetime),
	})
	if u.ID != "" { // none for the application alone: RFC 6749 section 4.4.3
		t.addRefresh(&issued, now, time.Time{})
	}
	return issued
}

// addRefresh gives the token a refresh token. The family ends after
// GrantLifetime, and with whatever ends at the given instant.
func (t *Tokens) addRefresh(issued *IssuedToken, now, ends time.Time) {
	grantEnds := earlier(now.Add(t.opts.GrantLifetime), ends)
	issued.RefreshToken = newSecret(t.opts.Prefix, kindRefresh)
	issued.Refresh = store.Refresh{
		Digest:       store.DigestOf(issued.RefreshToken.Reveal()),
		Scopes:       issued.Scopes,
		Expires:      earlier(now.Add(t.opts.RefreshLifetime), grantEnds),
		GrantExpires: grantEnds,
	}
	issued.Expires = earlier(issued.Expires, grantEnds)
}

// insert stores a token that no code pays for. A store does not look at the
// application while it inserts, so look afterwards: a deletion that came before
// is seen here, and one that comes later finds the token.
func (t *Tokens) insert(ctx context.Context, tok store.Token) (store.Token, error) {
	if err := t.checkQuota(ctx, tok.UserID); err != nil {
		return store.Token{}, err
	}
	tok, err := t.store.InsertToken(ctx, tok)
	if err != nil {
		return store.Token{}, fmt.Errorf("auth: store a new token: %w", err)
	}
	if tok.ApplicationID == 0 {
		return tok, nil
	}
	_, err = t.store.ApplicationByID(ctx, tok.ApplicationID)
	if err == nil {
		return tok, nil
	}
	ctx, cancel := background(ctx)
	defer cancel()
	if _, revokeErr := t.store.RevokeTokens(ctx, store.Selection{TokenID: tok.ID}, tok.Created); revokeErr != nil {
		err = errors.Join(err, revokeErr)
	}
	if errors.Is(err, store.ErrNotFound) {
		return store.Token{}, errInvalidClient
	}
	return store.Token{}, fmt.Errorf("auth: look up the application of a new token: %w", err)
}

// checkQuota refuses one more token for a user who has as many as there may be. It
// bounds what piles up in the store, and nothing hangs on the exact number.
func (t *Tokens) checkQuota(ctx context.Context, userID string) error {
	if t.opts.MaxPerUser == 0 || userID == "" { // an application for itself
		return nil
	}
	_, n, err := t.store.ListTokens(ctx, store.TokenFilter{UserID: userID, OwnerID: userID}, store.Page{})
	if err != nil {
		return fmt.Errorf("auth: count the tokens of a user: %w", err)
	}
	if n >= t.opts.MaxPerUser {
		return &Error{Status: http.StatusConflict, Detail: fmt.Sprintf("The user has %d tokens, and no more are allowed: delete some first.", n)}
	}
	return nil
}
