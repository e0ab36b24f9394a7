package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ostiary/auth/store"
)

// An Authorization is the checked authorization request of an application (RFC
// 6749 section 4.1.1): what the user is asked to agree to.
type Authorization struct {
	Application store.Application
	Scopes      Scopes
	Audience    string // space-separated resources, RFC 8707; "" for any
	State       string // of the client, never interpreted
	// RedirectURI is where the answer goes. It is set only if it was proved to
	// be the application's.
	RedirectURI string

	redirectGiven bool // rather than implied by the only one registered
	challenge     string
	issuer        string
}

// ParseAuthorization checks the parameters of an authorization request.
//
// An error with an empty RedirectURI must be shown to the user on a page of this
// server, and the browser must not be sent anywhere: the client is unknown, or
// the redirect URI is not its own. Every other refusal is for the client: send
// the browser to [Authorization.Refuse] of what is returned with it.
func (t *Tokens) ParseAuthorization(ctx context.Context, v url.Values) (Authorization, error) {
	var a Authorization
	clientID, ok := one(v, "client_id")
	if !ok || clientID == "" {
		return a, errInvalidRequest("The request needs one client_id parameter.")
	}
	app, err := t.clientByID(ctx, clientID)
	if errors.Is(err, store.ErrNotFound) {
		return a, errInvalidRequest("The client_id is not known here.")
	}
	if err != nil {
		return a, err
	}
	uri, ok := one(v, "redirect_uri")
	a.redirectGiven = uri != ""
	if ok && uri == "" && len(app.RedirectURIs) == 1 {
		uri = app.RedirectURIs[0]
	}
	if !ok || !redirectRegistered(app.RedirectURIs, uri) {
		return a, errInvalidRequest("The redirect_uri is not one that is registered for this client.")
	}
	a.Application, a.RedirectURI, a.issuer = app, uri, t.opts.Issuer
	return a, t.parseAuthorization(&a, v)
}

// parseAuthorization checks what can be wrong once the client is proved to be
// the one who will read the answer.
func (t *Tokens) parseAuthorization(a *Authorization, v url.Values) error {
	var ok bool
	if a.State, ok = one(v, "state"); !ok {
		return errInvalidRequest("The state parameter is given more than once.")
	}
	for name, values := range v {
		if len(values) > 1 && name != "resource" { // RFC 6749 section 3.1
			return errInvalidRequest("The parameter " + clip(name) + " is given more than once.")
		}
	}
	switch v.Get("response_type") {
	case "code":
	case "":
		return errInvalidRequest("The response_type parameter is missing.")
	default:
		return oauthError("unsupported_response_type", "The response_type must be code.")
	}
	if mode := v.Get("response_mode"); mode != "" && mode != "query" {
		return errInvalidRequest("The response_mode must be query.")
	}
	if a.Application.GrantType != GrantAuthorizationCode {
		return errWrongGrant
	}
	if err := t.parseChallenge(a, v); err != nil {
		return err
	}
	var err error
	if a.Scopes, err = t.requestedScopes(v.Get("scope"), v.Has("scope")); err != nil {
		return err
	}
	a.Audience, err = t.requestedAudience(v["resource"])
	return err
}

// parseChallenge: RFC 7636 section 4.3. An absent method means plain there,
// which is refused: it protects nothing once the request has leaked.
func (t *Tokens) parseChallenge(a *Authorization, v url.Values) error {
	a.challenge = v.Get("code_challenge")
	switch method := v.Get("code_challenge_method"); {
	case a.challenge == "" && (method != "" || v.Has("code_challenge")):
		return errInvalidRequest("The code_challenge is missing.")
	case a.challenge == "" && (t.opts.RequirePKCE || !a.Application.Confidential):
		return errInvalidRequest("Code challenge required: use PKCE with the method S256.")
	case a.challenge != "" && method != "S256":
		return errInvalidRequest("The code_challenge_method must be S256.")
	case a.challenge != "" && !validChallenge(a.challenge):
		return errInvalidRequest("The code_challenge is malformed.")
	}
	return nil
}

// one returns the value of a parameter, "" if there is none, and whether it is
// given at most once.
func one(v url.Values, name string) (string, bool) {
	switch values := v[name]; len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], true
	}
	return "", false
}

// Refuse returns where to send the browser to tell the client why there is no
// code (RFC 6749 section 4.1.2.1). What is no [*Error] becomes server_error. It
// panics if the redirect URI is not proved.
func (a Authorization) Refuse(err error) string {
	code, description := "server_error", "The service is temporarily unavailable."
	if e, ok := errors.AsType[*Error](err); ok {
		code, description = e.Code, e.Detail
		if e.Status == http.StatusForbidden || code == "" || code == "invalid_grant" {
			code = "access_denied"
		}
	}
	return a.redirect("error", code, "error_description", quotable(description))
}

// Deny returns where to send the browser of a user who said no.
func (a Authorization) Deny() string {
	return a.redirect("error", "access_denied", "error_description", "The user denied the request.")
}

// redirect adds the state, and the issuer against mix-up (RFC 9207).
func (a Authorization) redirect(pairs ...string) string {
	if a.RedirectURI == "" {
		panic("auth: redirect to a URI that is not proved to be the client's")
	}
	return withParameters(a.RedirectURI, append(pairs, "state", a.State, "iss", a.issuer)...)
}

// maxConsents bounds how many tokens are looked at for an earlier consent.
const maxConsents = 100

// NeedsConsent reports whether the user has to be asked. Public applications
// always ask, because anybody can pose as one. A confidential one does not if it
// was set up so, or, where the request has approval_prompt=auto, if it already
// holds a live token of the user that may do as much.
func (t *Tokens) NeedsConsent(ctx context.Context, by *Principal, a Authorization, auto bool) (bool, error) {
	switch {
	case !a.Application.Confidential:
		return true, nil
	case a.Application.SkipConsent:
		return false, nil
	case !auto || by.ID == "":
		return true, nil
	}
	u, err := t.users.UserByID(ctx, by.ID)
	if err != nil {
		return true, fmt.Errorf("auth: look up a user: %w", err)
	}
	list, _, err := t.store.ListTokens(ctx,
		store.TokenFilter{UserID: by.ID, OwnerID: by.ID, ApplicationID: a.Application.ID, Kind: store.ApplicationToken},
		store.Page{Limit: maxConsents, Order: store.OrderExpires, Descending: true})
	if err != nil {
		return true, fmt.Errorf("auth: list tokens: %w", err)
	}
	now := time.Now()
	for _, tok := range list {
		if now.Before(tok.Expires) && tok.Epoch == u.Epoch && tok.ParentID == 0 &&
			a.Scopes.Within(Scopes(tok.Scopes)) && (tok.Audience == "" || tok.Audience == a.Audience) {
			return false, nil
		}
	}
	return true, nil
}

// Authorize issues an authorization code because by, who logged in and was asked
// if [Tokens.NeedsConsent] says so, agreed. It returns where to send the
// browser. An error that is an [*Error] can be told the client, see
// [Authorization.Refuse].
func (t *Tokens) Authorize(ctx context.Context, by *Principal, a Authorization) (redirect string, err error) {
	u, err := t.consenting(ctx, by, a.Scopes)
	if err == nil {
		err = t.checkQuota(ctx, u.ID)
	}
	if err != nil {
		return "", err
	}
	now := time.Now()
	secret := newSecret(t.opts.Prefix, kindCode)
	code := store.Code{
		Digest:        store.DigestOf(secret.Reveal()),
		ApplicationID: a.Application.ID,
		UserID:        u.ID,
		Scopes:        string(a.Scopes),
		Audience:      a.Audience,
		Epoch:         u.Epoch,
		Challenge:     a.challenge,
		Created:       now,
		Expires:       now.Add(t.opts.CodeLifetime),
	}
	if a.redirectGiven {
		code.RedirectURI = a.RedirectURI
	}
	err = t.store.InsertCode(ctx, code, t.opts.MaxCodes)
	if errors.Is(err, store.ErrConflict) {
		return "", &Error{
			Status:     http.StatusTooManyRequests,
			Code:       "temporarily_unavailable", // RFC 6749 section 4.1.2.1
			Detail:     "The user has too many authorization codes that wait to be used. Try again later.",
			RetryAfter: t.opts.CodeLifetime,
		}
	}
	if err != nil {
		return "", fmt.Errorf("auth: store a code: %w", err)
	}
	t.grantEvent(ctx, slog.LevelInfo, eventConsented, a.Application, u.ID, string(a.Scopes))
	return a.redirect("code", secret.Reveal()), nil
}

// consenting returns the user as whom by may agree to something.
func (t *Tokens) consenting(ctx context.Context, by *Principal, scopes Scopes) (store.User, error) {
	// Consent takes a person: a token that could agree would be worth as much
	// as the login it was made with.
	if by.ID == "" || by.TokenID != 0 || !scopes.Within(by.Scopes) {
		return store.User{}, errForbidden
	}
	u, err := t.users.UserByID(ctx, by.ID)
	if errors.Is(err, store.ErrNotFound) || err == nil && !u.Active {
		return store.User{}, errForbidden
	}
	if err != nil {
		return store.User{}, fmt.Errorf("auth: look up a user: %w", err)
	}
	return u, t.mayIssue(ctx, u)
}

// clientByID looks an application up by its client identifier. What cannot be
// one does not reach the store.
func (t *Tokens) clientByID(ctx context.Context, clientID string) (store.Application, error) {
	if len(clientID) > maxClientID || !printable(clientID) {
		return store.Application{}, store.ErrNotFound
	}
	app, err := t.store.ApplicationByClientID(ctx, clientID)
	if err != nil {
		return app, fmt.Errorf("auth: look up an application: %w", err)
	}
	return app, nil
}
