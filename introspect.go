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

// find returns the token, with what was issued along with it, that an access
// token or a refresh token belongs to; any other text is ErrNotFound. A hint
// about the kind is not needed: the text says it.
func (t *Tokens) find(ctx context.Context, token string) (tok store.Token, refresh bool, err error) {
	switch {
	case wellFormed(token, t.opts.Prefix, kindRefresh):
		tok, err = t.store.TokenByRefresh(ctx, store.DigestOf(token))
		refresh = true
	case t.couldBeAccess(token):
		tok, err = t.store.TokenByDigest(ctx, store.DigestOf(token))
	default:
		err = store.ErrNotFound
	}
	if err != nil {
		err = fmt.Errorf("auth: look up a token: %w", err)
	}
	return tok, refresh, err
}

// Revoke ends everything that was issued from the same grant as the access or
// refresh token (RFC 7009 section 2.1). Whatever is no live token of app is left
// alone, without an error: the answer must not tell which tokens exist. When it
// returns nil, a token of app is dead everywhere.
func (t *Tokens) Revoke(ctx context.Context, app store.Application, token string) error {
	if token == "" {
		return errInvalidRequest("Missing token parameter.")
	}
	tok, _, err := t.find(ctx, token)
	if errors.Is(err, store.ErrNotFound) || err == nil && tok.ApplicationID != app.ID {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := t.store.RevokeTokens(ctx, store.Selection{Family: tok.Family}, time.Now())
	if err != nil {
		return fmt.Errorf("auth: revoke a token: %w", err)
	}
	if n > 0 {
		t.grantEvent(ctx, slog.LevelInfo, eventTokenRevoked, app, tok.UserID, tok.Scopes, slog.Int64("token_id", tok.ID))
	}
	return nil
}

// RevokePersonal ends the personal access token that is presented, and what it
// minted. To have it is to be allowed to end it, whatever its scopes. A token of
// an application is refused: only the application, its owner and administrators
// end that.
func (t *Tokens) RevokePersonal(ctx context.Context, token string) error {
	p, err := t.Verify(ctx, token)
	if err != nil {
		return err
	}
	if p.ApplicationID != 0 {
		return errInvalidClient
	}
	if _, err := t.store.RevokeTokens(ctx, store.Selection{TokenID: p.TokenID}, time.Now()); err != nil {
		return fmt.Errorf("auth: revoke a token: %w", err)
	}
	t.event(ctx, eventTokenRevoked, p, store.Token{ID: p.TokenID, UserID: p.ID, Scopes: string(p.Scopes)})
	return nil
}

// Introspection is what a token is good for (RFC 7662 section 2.2). The zero
// Introspection is a token that is not active.
type Introspection struct {
	Active   bool
	Refresh  bool        // a refresh token, otherwise an access token
	Token    store.Token // its Scopes and Expires are those of what was presented
	ClientID string
	Username string // "" where the token acts for the application alone
}

// Introspect tells a confidential application about its own tokens. Everything
// else, the tokens of other applications included, is just not active.
func (t *Tokens) Introspect(ctx context.Context, app store.Application, token string) (Introspection, error) {
	if !app.Confidential {
		return Introspection{}, &Error{Status: http.StatusBadRequest, Code: "unauthorized_client", Detail: "Introspection is for confidential clients."}
	}
	if token == "" {
		return Introspection{}, errInvalidRequest("Missing token parameter.")
	}
	tok, refresh, err := t.find(ctx, token)
	if errors.Is(err, store.ErrNotFound) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, err
	}
	if refresh {
		tok.Scopes, tok.Expires = tok.Refresh.Scopes, tok.Refresh.Expires
	}
	if tok.ApplicationID != app.ID || !tok.Revoked.IsZero() || refresh && !tok.Refresh.Spent.IsZero() ||
		!time.Now().Before(tok.Expires) || Scopes(tok.Scopes) == Unrestricted {
		return Introspection{}, nil
	}
	out := Introspection{Active: true, Refresh: refresh, Token: tok, ClientID: app.ClientID}
	if tok.UserID == "" {
		return out, nil
	}
	u, err := t.users.UserByID(ctx, tok.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, fmt.Errorf("auth: look up the owner of a token: %w", err)
	}
	if !u.Active || u.ID != tok.UserID || (refresh || t.opts.EndWithPassword) && u.Epoch != tok.Epoch {
		return Introspection{}, nil
	}
	out.Username = u.Name
	return out, nil
}
