package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/clientdoc"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/params"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// An Authorization is a checked authorization request (RFC 6749 section 4.1.1),
// for the consent page.
type Authorization struct {
	Application store.Application
	Scopes      auth.Scopes
	Audience    string // space-separated resources, RFC 8707; "" for any
	State       string // of the client, never interpreted
	// RedirectURI is the target of the answer. It is set only if the
	// application has registered it.
	RedirectURI string
	// Silent says that nobody asked the user, because [Server.NeedsConsent]
	// reported that it is not needed. [Server.Authorize] then refuses if it is
	// needed by now.
	Silent bool
	// Document is the document of a client that nobody has registered, or nil.
	// Application is then what the document says, and its ID is 0 before the first
	// consent. A consent page must show Document.Host, and the name in it only as
	// what the client claims.
	Document *clientdoc.Document

	redirectGiven bool // in the request; otherwise it is the only registered one
	challenge     string
	issuer        string
}

// ParseAuthorization checks the parameters of an authorization request.
//
// If RedirectURI is empty, the client is unknown or has not registered the URI.
// The error must then be shown on a page of this server, and the browser must
// not be redirected. Every other refusal is for the client: redirect the
// browser to the result of [Authorization.Refuse].
//
// With Options.Documents it fetches the document of a client that has one. Call it
// for people who are logged in, so that nobody else makes this server send
// requests. The context must have the client address, see [auth.WithClientAddr].
func (srv *Server) ParseAuthorization(ctx context.Context, v url.Values) (Authorization, error) {
	var a Authorization
	v = params.Present(v, "resource")
	clientID, ok := params.One(v, "client_id")
	if !ok || clientID == "" {
		return a, errInvalidRequest("The request needs one client_id parameter.")
	}
	app, doc, err := srv.requesting(ctx, clientID)
	if errors.Is(err, store.ErrNotFound) || err == nil && app.Disabled {
		return a, errInvalidRequest("The client_id is not known here.")
	}
	if err != nil {
		return a, err
	}
	uri, ok := params.One(v, "redirect_uri")
	a.redirectGiven = uri != ""
	// A document can change before the code is exchanged, so the request of its client
	// names the URI, and the code is bound to that.
	if ok && uri == "" && len(app.RedirectURIs) == 1 && doc == nil {
		uri = app.RedirectURIs[0]
	}
	if !ok || !redirectRegistered(app.RedirectURIs, uri) {
		return a, errInvalidRequest("The redirect_uri is not one that is registered for this client.")
	}
	a.Application, a.Document, a.RedirectURI, a.issuer = app, doc, uri, srv.opts.Issuer
	return a, srv.parseAuthorization(&a, v)
}

// parseAuthorization checks the parameters whose refusal goes to the client.
func (srv *Server) parseAuthorization(a *Authorization, v url.Values) error {
	var ok bool
	if a.State, ok = params.One(v, "state"); !ok {
		return errInvalidRequest("The state parameter is given more than once.")
	}
	for name, values := range v {
		if len(values) > 1 && name != "resource" { // RFC 6749 section 3.1
			return errInvalidRequest("The parameter " + audit.Clip(name) + " is given more than once.")
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
	if err := srv.parseChallenge(a, v); err != nil {
		return err
	}
	var err error
	if a.Scopes, err = srv.refreshableScopes(v.Get("scope")); err != nil {
		return err
	}
	a.Audience, err = srv.requestedAudience(v["resource"])
	return err
}

// parseChallenge reads code_challenge and its method (RFC 7636 section 4.3). An
// absent method means plain, which is refused, because it protects nothing once
// the request has leaked.
func (srv *Server) parseChallenge(a *Authorization, v url.Values) error {
	a.challenge = v.Get("code_challenge")
	switch method := v.Get("code_challenge_method"); {
	case a.challenge == "" && method != "":
		return errInvalidRequest("The code_challenge is missing.")
	case a.challenge == "" && (srv.RequiresPKCE(a.Application) || isLocalhost(a.RedirectURI)):
		return errInvalidRequest("Code challenge required: use PKCE with the method S256.")
	case a.challenge != "" && method != "S256":
		return errInvalidRequest("The code_challenge_method must be S256.")
	case a.challenge != "" && !validChallenge(a.challenge):
		return errInvalidRequest("The code_challenge is malformed.")
	}
	return nil
}

// Refuse returns the URL for redirecting the browser with a refusal (RFC 6749
// section 4.1.2.1). An error that is no [*auth.Error] becomes server_error. It
// panics if RedirectURI is empty.
func (a Authorization) Refuse(err error) string {
	code, description := "server_error", "The service is temporarily unavailable."
	if e, ok := errors.AsType[*auth.Error](err); ok {
		code, description = e.Code, e.Detail
		if e.Status == http.StatusForbidden || code == "" || code == "invalid_grant" {
			code = "access_denied"
		}
	}
	return a.redirect("error", code, "error_description", ascii.Quotable(description))
}

// Deny returns the URL for redirecting the browser of a user that refused
// consent. It panics if RedirectURI is empty.
func (a Authorization) Deny() string {
	return a.redirect("error", "access_denied", "error_description", "The user denied the request.")
}

// redirect returns the redirect URI with the given parameters, the state, and
// the issuer against mix-up (RFC 9207).
func (a Authorization) redirect(pairs ...string) string {
	if a.RedirectURI == "" {
		panic("oauth: redirect to a URI that is not proved to be the client's")
	}
	return withParameters(a.RedirectURI, append(pairs, "state", a.State, "iss", a.issuer)...)
}

// NeedsConsent reports whether by must be asked for consent. Public
// applications always need it, because anybody can pose as one. A confidential
// one does not need it if it has SkipConsent. With auto, which is
// approval_prompt=auto, it does not need it either if a stored consent covers
// the request, for the same redirect URI and an application that has not
// changed.
func (srv *Server) NeedsConsent(ctx context.Context, by *auth.Principal, a Authorization, auto bool) (bool, error) {
	switch {
	case by == nil:
		return true, errNobody
	case !a.Application.Confidential:
		return true, nil
	case a.Application.SkipConsent:
		return false, nil
	case !auto || by.ID == "" || anyPort(a): // who listens at a port differs from day to day
		return true, nil
	}
	c, err := srv.consent(ctx, by.ID, a)
	return !covers(c, a), err
}

// Authorize issues an authorization code for by and returns the URL for
// redirecting the browser. By must be logged in, and must have agreed if
// [Server.NeedsConsent] reports so. An [*auth.Error] is for the client, see
// [Authorization.Refuse].
func (srv *Server) Authorize(ctx context.Context, by *auth.Principal, a Authorization) (redirect string, err error) {
	u, err := srv.consenting(ctx, by, a.Scopes)
	if err == nil {
		err = srv.tokens.CheckQuota(ctx, u.ID)
	}
	if err != nil {
		return "", err
	}
	now := time.Now()
	if a.Document != nil {
		if err := srv.keep(ctx, by, &a, now); err != nil {
			return "", err
		}
	}
	if !a.Silent || a.Application.SkipConsent {
		if err := srv.remember(ctx, u.ID, a, now); err != nil {
			return "", err
		}
	}
	clear := secret.New(srv.tokens.Prefix(), secret.Code)
	code := store.Code{
		Digest:        store.DigestOf(clear),
		ApplicationID: a.Application.ID,
		UserID:        u.ID,
		Scopes:        string(a.Scopes),
		Audience:      a.Audience,
		Epoch:         u.Epoch,
		Challenge:     a.challenge,
		Created:       now,
		Expires:       now.Add(srv.opts.CodeLifetime),
	}
	if a.redirectGiven {
		code.RedirectURI = a.RedirectURI
	}
	err = srv.store.InsertCode(ctx, code, srv.opts.MaxCodes)
	switch {
	case errors.Is(err, store.ErrLimit):
		return "", &auth.Error{
			Status:     http.StatusTooManyRequests,
			Code:       "temporarily_unavailable", // RFC 6749 section 4.1.2.1
			Detail:     "The user has too many authorization codes that wait to be used. Try again later.",
			RetryAfter: srv.opts.CodeLifetime,
		}
	case errors.Is(err, store.ErrConflict):
		return "", errApplicationGone
	case err != nil:
		return "", fmt.Errorf("oauth: store a code: %w", err)
	}
	if err := srv.stillAgreed(ctx, by, a); err != nil {
		// Nobody will ever know the code, but its place counts.
		_ = srv.store.SpendCode(ctx, code.Digest, now)
		return "", err
	}
	srv.granted(ctx, slog.LevelInfo, audit.Consented, a.Application, u.ID, string(a.Scopes))
	srv.hook.One(ctx, observe.ConsentGiven, observe.KindAuthorizationCode, observe.ReasonNone)
	return a.redirect("code", clear), nil
}

// consenting returns the user of by, who must be a person with those scopes.
func (srv *Server) consenting(ctx context.Context, by *auth.Principal, scopes auth.Scopes) (store.User, error) {
	if by == nil {
		return store.User{}, errNobody
	}
	// Only a person can consent: a token that could would be worth as much as a
	// login.
	if by.ID == "" || by.TokenID != 0 || !scopes.Within(by.Scopes) {
		return store.User{}, errForbidden
	}
	return srv.person(ctx, by)
}
