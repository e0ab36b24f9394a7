package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/internal/uri"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// requestedScopes checks the scope parameter of a request. An absent one means
// write.
func (srv *Server) requestedScopes(s string) (auth.Scopes, error) {
	if s == "" {
		return auth.ScopeWrite, nil
	}
	scopes, err := srv.tokens.ParseScopes(s)
	if err != nil {
		return "", oauthError("invalid_scope", "The scope must be a list of "+strings.Join(srv.tokens.ScopeNames(), ", ")+", separated by single spaces.")
	}
	return scopes, nil
}

// OfflineAccess is the scope by which clients ask for a refresh token (OpenID Connect
// Core 1.0 section 11). Every grant that can be refreshed accepts it beside another
// scope. They get a refresh token without it, too, and no token has this scope.
const OfflineAccess = "offline_access"

// refreshableScopes is requestedScopes for a request that is answered with a refresh
// token. It accepts and removes OfflineAccess, which alone asks for nothing.
func (srv *Server) refreshableScopes(s string) (auth.Scopes, error) {
	var words []string
	found := false
	for word := range strings.SplitSeq(s, " ") {
		if word == OfflineAccess && !found {
			found = true
			continue
		}
		words = append(words, word)
	}
	rest := strings.Join(words, " ")
	if found && rest == "" { // which would mean write
		return "", oauthError("invalid_scope", "The scope offline_access needs another one beside it.")
	}
	return srv.requestedScopes(rest)
}

// KnowsResource reports whether tokens can be requested for a resource.
func (srv *Server) KnowsResource(r string) bool {
	return r != "" && (r == srv.tokens.Resource() || slices.Contains(srv.opts.Resources, r))
}

// requestedAudience checks the resource parameters of a request (RFC 8707
// section 2) and returns them as a Token keeps them, in the spelling of the
// options.
func (srv *Server) requestedAudience(resources []string) (string, error) {
	var known []string
	for _, r := range resources {
		r = srv.resource(r)
		if r == "" || slices.Contains(known, r) {
			return "", errInvalidTarget
		}
		known = append(known, r)
	}
	return strings.Join(known, " "), nil
}

// resource returns the spelling in the options of a resource that tokens can be
// requested for, or "". Clients of the Model Context Protocol may send the scheme and
// the host in upper case, and some send the path "/" in place of none.
func (srv *Server) resource(r string) string {
	if srv.KnowsResource(r) {
		return r
	}
	for _, known := range append([]string{srv.tokens.Resource()}, srv.opts.Resources...) {
		if known != "" && uri.SameResource(known, r) {
			return known
		}
	}
	return ""
}

// requested checks the scope parameter and the resource parameters of a request
// without a grant that is answered with a refresh token.
func (srv *Server) requested(scope string, resources []string) (auth.Scopes, string, error) {
	scopes, err := srv.refreshableScopes(scope)
	if err != nil {
		return "", "", err
	}
	audience, err := srv.requestedAudience(resources)
	return scopes, audience, err
}

// narrowAudience returns the audience of a new token: these resources within
// the granted ones. Unlike a scope it stays narrowed, because a record has one
// audience.
func (srv *Server) narrowAudience(granted string, resources []string) (string, error) {
	asked, err := srv.requestedAudience(resources)
	if err != nil || asked == "" {
		return granted, err
	}
	for r := range strings.SplitSeq(asked, " ") {
		if granted != "" && !ascii.HasWord(granted, r) {
			return "", errInvalidTarget
		}
	}
	return asked, nil
}

// grantee returns the user of a grant, who must be active, no service account, and
// of the epoch of the grant. Otherwise the grant is invalid.
func (srv *Server) grantee(ctx context.Context, id string, epoch int64) (store.User, error) {
	u, err := srv.tokens.Owner(ctx, id)
	if err == nil && u.Service {
		err = errService
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		refusal := *errInvalidGrant
		refusal.Err = e.Err
		return store.User{}, &refusal
	}
	if err == nil && u.Epoch != epoch {
		return store.User{}, errInvalidGrant
	}
	return u, err
}

// errService refuses to let an application act for a service account, which has
// nobody who could consent.
var errService = &auth.Error{Status: http.StatusForbidden, Detail: "No application acts for a service account: issue a personal access token to it."}

// person returns the user of by, who must be no service account.
func (srv *Server) person(ctx context.Context, by *auth.Principal) (store.User, error) {
	u, err := srv.tokens.OwnerBy(ctx, by)
	if err == nil && u.Service {
		return store.User{}, errService
	}
	return u, err
}

// issueTo prepares the tokens of app that act for u, or for the application
// alone if u is zero.
func (srv *Server) issueTo(app store.Application, u store.User, scopes auth.Scopes, audience string, now time.Time) auth.IssuedToken {
	issued := auth.IssuedToken{Token: store.Token{
		UserID:        u.ID,
		Epoch:         u.Epoch,
		ApplicationID: app.ID,
		Scopes:        string(scopes),
		Audience:      audience,
		Created:       now,
		Modified:      now,
		Expires:       now.Add(srv.opts.AccessLifetime),
	}}
	srv.addSecret(&issued)
	if u.ID != "" { // none for the application alone: RFC 6749 section 4.4.3
		srv.addRefresh(&issued, now, time.Time{})
	}
	return issued
}

// addSecret gives the token a new access token.
func (srv *Server) addSecret(issued *auth.IssuedToken) {
	issued.AccessToken = auth.Secret(secret.New(srv.tokens.Prefix(), secret.Access))
	issued.Digest = store.DigestOf(issued.AccessToken.Reveal())
}

// addRefresh gives the token a refresh token. The family ends after
// GrantLifetime, or at ends if that is earlier.
func (srv *Server) addRefresh(issued *auth.IssuedToken, now, ends time.Time) {
	grantEnds := stores.Earlier(now.Add(srv.opts.GrantLifetime), ends)
	issued.Refresh = store.Refresh{
		Scopes:       issued.Scopes,
		Expires:      stores.Earlier(now.Add(srv.opts.RefreshLifetime), grantEnds),
		GrantExpires: grantEnds,
	}
	setRefresh(issued, secret.New(srv.tokens.Prefix(), secret.Refresh))
	issued.Expires = stores.Earlier(issued.Expires, grantEnds)
}

// setRefresh sets the text of the refresh token.
func setRefresh(issued *auth.IssuedToken, text string) {
	issued.RefreshToken = auth.Secret(text)
	issued.Refresh.Digest = store.DigestOf(text)
	issued.Refresh.Grant = store.DigestOf(secret.Locator(text))
}

// IssueFor makes an access token and a refresh token with which an application
// acts for by. The application must be visible to by; it takes no part. The access
// token lives for Options.AccessLifetime at most, which is the default. A token that
// is minted by another stays within the rights of its parent, see
// [auth.Tokens.Issue]. Refusals are an [*auth.Error] that names the field.
func (srv *Server) IssueFor(ctx context.Context, by *auth.Principal, applicationID int64, req auth.TokenRequest) (auth.IssuedToken, error) {
	if by == nil {
		return auth.IssuedToken{}, errNobody
	}
	if by.ID == "" || by.ViaApplicationID != 0 && by.ViaApplicationID != applicationID {
		// An application alone owns no token, and may not make tokens of
		// another application.
		return auth.IssuedToken{}, errForbidden
	}
	if err := srv.mayUse(ctx, by, applicationID); err != nil {
		return auth.IssuedToken{}, err
	}
	if _, err := srv.person(ctx, by); err != nil {
		return auth.IssuedToken{}, err
	}
	tok, parent, err := srv.tokens.Prepare(ctx, by, req, srv.opts.AccessLifetime, srv.opts.AccessLifetime)
	if err != nil {
		return auth.IssuedToken{}, err
	}
	tok.ApplicationID = applicationID
	issued := auth.IssuedToken{Token: tok}
	srv.addSecret(&issued)
	srv.addRefresh(&issued, tok.Created, parent.Expires)
	if issued.Token, err = srv.insert(ctx, by, issued.Token, parent); err != nil {
		if errors.Is(err, errInvalidClient) {
			err = srv.conflict(ctx, by, applicationID)
		}
		return auth.IssuedToken{}, err
	}
	srv.managed(ctx, audit.TokenIssued, by, slog.Int64(audit.KeyTokenID, issued.ID), slog.String(audit.KeyUserID, issued.UserID),
		slog.Int64(audit.KeyApplicationID, issued.ApplicationID), slog.Int64(audit.KeyParentID, issued.ParentID),
		slog.String(audit.KeyScope, issued.Scopes), slog.Time(audit.KeyExpires, issued.Expires))
	srv.observeIssued(ctx, observe.KindApplication)
	return issued, nil
}

// conflict returns the reason why a token with which an application would act for by
// was not stored.
func (srv *Server) conflict(ctx context.Context, by *auth.Principal, applicationID int64) error {
	if err := srv.mayUse(ctx, by, applicationID); err != nil {
		return err
	}
	if by.TokenID != 0 {
		return errTokenEnded // or it ends earlier now
	}
	return noSuchObject("ApplicationID")
}

// insert stores a token that is issued without a code.
func (srv *Server) insert(ctx context.Context, by *auth.Principal, tok, parent store.Token) (store.Token, error) {
	tok, err := srv.tokens.Insert(ctx, srv.store, by, tok, parent)
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return store.Token{}, e
	}
	switch {
	case errors.Is(err, store.ErrLimit):
		return store.Token{}, errMintLimit
	case errors.Is(err, store.ErrConflict):
		return store.Token{}, errInvalidClient // deleted or disabled since it was read
	case err != nil:
		return store.Token{}, fmt.Errorf("oauth: store a new token: %w", err)
	}
	return tok, nil
}

// grant issues tokens without a code.
func (srv *Server) grant(ctx context.Context, app store.Application, kind observe.Kind, u store.User, scopes auth.Scopes, audience string) (auth.IssuedToken, error) {
	issued := srv.issueTo(app, u, scopes, audience, time.Now())
	var err error
	issued.Token, err = srv.insert(ctx, &auth.Principal{ID: u.ID}, issued.Token, store.Token{})
	if e, ok := errors.AsType[*auth.Error](err); ok && e.Status == http.StatusConflict {
		err = oauthError("invalid_grant", e.Detail)
	}
	if err != nil {
		return auth.IssuedToken{}, err
	}
	srv.granted(ctx, slog.LevelInfo, audit.TokenIssued, app, u.ID, issued.Scopes, slog.Int64(audit.KeyTokenID, issued.ID))
	srv.observeIssued(ctx, kind)
	return issued, nil
}
