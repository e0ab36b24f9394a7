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
	"github.com/ostiary/auth/internal/ascii"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// find returns the record of an access token or a refresh token, or
// ErrNotFound. It needs no token_type_hint, because the text has the kind. The
// text of an imported token does not, and is looked up as both.
func (srv *Server) find(ctx context.Context, token string) (tok store.Token, refresh bool, err error) {
	err = store.ErrNotFound
	if refresh = srv.tokens.CouldBeRefresh(token); refresh {
		tok, err = srv.byRefresh(ctx, token)
	}
	if errors.Is(err, store.ErrNotFound) {
		refresh = false
		tok, err = srv.tokens.Lookup(ctx, token)
	}
	if err != nil {
		err = fmt.Errorf("oauth: look up a token: %w", err)
	}
	return tok, refresh, err
}

// Revoke ends all tokens of the grant that the access or refresh token belongs
// to (RFC 7009 section 2.1). It returns nil, too, for a text that is no live
// token of app, because the answer must not tell which tokens exist. When it
// returns nil, a token of app is dead everywhere.
func (srv *Server) Revoke(ctx context.Context, app store.Application, token string) error {
	if token == "" {
		return errInvalidRequest("Missing token parameter.")
	}
	tok, _, err := srv.find(ctx, token)
	if errors.Is(err, store.ErrNotFound) || err == nil && tok.ApplicationID != app.ID {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := srv.store.RevokeTokens(ctx, store.Selection{Family: tok.Family}, time.Now())
	if err != nil {
		return fmt.Errorf("oauth: revoke a token: %w", err)
	}
	if n > 0 {
		srv.granted(ctx, slog.LevelInfo, audit.TokenRevoked, app, tok.UserID, tok.Scopes, slog.Int64(audit.KeyTokenID, tok.ID))
		srv.hook.One(ctx, observe.TokenRevoked, observe.KindClient, observe.ReasonNone)
	}
	return nil
}

// Introspection is the state of a token (RFC 7662 section 2.2). The zero
// Introspection is a token that is not active.
type Introspection struct {
	Active   bool
	Refresh  bool        // a refresh token, otherwise an access token
	Token    store.Token // its Scopes and Expires are those of the presented token
	ClientID string      // "" for a personal access token
	Username string      // "" where the token acts for the application alone

	// ForResource reports that the application asked as the resource that it
	// stands for. Admin and Auditor are the rights of the user then, and false
	// otherwise.
	ForResource    bool
	Admin, Auditor bool
}

// Introspect returns the state of a token to a confidential application.
//
// An application sees its own access and refresh tokens. An application that
// stands for a resource, see [ApplicationRequest], sees the live access tokens
// of all applications whose audience has the resource, and no others: refresh
// tokens are never active there, its own included. With
// Options.IntrospectUnbound it sees access tokens without an audience, too.
// Tokens that are bound to client addresses are not active there, because the
// answer does not have the addresses.
//
// All other tokens, unknown ones included, are not active.
func (srv *Server) Introspect(ctx context.Context, app store.Application, token string) (Introspection, error) {
	if !app.Confidential {
		return Introspection{}, &auth.Error{Status: http.StatusBadRequest, Code: "unauthorized_client", Detail: "Introspection is for confidential clients."}
	}
	if token == "" {
		return Introspection{}, errInvalidRequest("Missing token parameter.")
	}
	tok, refresh, err := srv.find(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	if refresh {
		tok.Scopes, tok.Expires = tok.Refresh.Scopes, tok.Refresh.Expires
	}
	if !srv.concerns(app, tok, refresh) || !tok.Revoked.IsZero() || refresh && !tok.Refresh.Spent.IsZero() ||
		!time.Now().Before(tok.Expires) || auth.Scopes(tok.Scopes) == auth.Unrestricted {
		return Introspection{}, nil
	}
	u, ok, err := srv.tokens.OwnerOf(ctx, tok)
	if err != nil || !ok || refresh && tok.UserID != "" && u.Epoch != tok.Epoch {
		return Introspection{}, err
	}
	i := Introspection{Active: true, Refresh: refresh, Token: tok, ClientID: app.ClientID, Username: u.Name}
	if app.Resource == "" {
		return i, nil
	}
	i.ForResource, i.Admin, i.Auditor = true, u.Admin, u.Auditor
	if tok.ApplicationID != app.ID {
		i.ClientID, ok, err = srv.clientOf(ctx, tok)
	}
	if err != nil || !ok {
		return Introspection{}, err
	}
	return i, nil
}

// concerns reports whether an application may know about a token.
func (srv *Server) concerns(app store.Application, tok store.Token, refresh bool) bool {
	switch {
	case app.Resource == "":
		return tok.ApplicationID == app.ID
	case refresh || len(tok.Addresses) > 0:
		return false
	case tok.Audience == "":
		return srv.opts.IntrospectUnbound
	}
	return ascii.HasWord(tok.Audience, app.Resource)
}

// clientOf returns the client identifier of the application that a token was
// issued to, "" for a personal one. Ok reports whether the application is there
// and enabled.
func (srv *Server) clientOf(ctx context.Context, tok store.Token) (clientID string, ok bool, err error) {
	if tok.ApplicationID == 0 {
		return "", true, nil
	}
	app, err := srv.store.ApplicationByID(ctx, tok.ApplicationID)
	if errors.Is(err, store.ErrNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("oauth: look up the application of a token: %w", err)
	}
	return app.ClientID, !app.Disabled, nil
}
