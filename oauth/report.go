package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// EndReported is [auth.Tokens.EndReported] for access tokens and refresh tokens. A
// refresh token ends its whole grant, spent or not.
func (srv *Server) EndReported(ctx context.Context, by *auth.Principal, reported ...auth.Secret) error {
	if err := srv.tokens.EndReported(ctx, by, reported...); err != nil {
		return err
	}
	for _, s := range reported {
		if !srv.tokens.CouldBeRefresh(s.Reveal()) {
			continue
		}
		tok, refresh, err := srv.find(ctx, s.Reveal())
		if errors.Is(err, store.ErrNotFound) || err == nil && !refresh {
			continue
		}
		if err != nil {
			return err
		}
		if err := srv.endLeaked(ctx, by, tok); err != nil {
			return err
		}
	}
	return nil
}

// endLeaked ends the grant of a refresh token, and all that it minted.
func (srv *Server) endLeaked(ctx context.Context, by *auth.Principal, tok store.Token) error {
	now := time.Now()
	marked := 0
	for _, sel := range []store.Selection{{Family: tok.Family}, {MintedBy: tok.Family}} {
		n, err := srv.store.RevokeTokens(ctx, sel, now)
		if err != nil {
			return fmt.Errorf("oauth: revoke a token that was reported: %w", err)
		}
		marked += n
	}
	if marked > 0 {
		srv.hook.One(ctx, observe.TokenRevoked, observe.KindReported, observe.ReasonNone)
		srv.log.LogAttrs(ctx, slog.LevelInfo, audit.TokenRevoked,
			slog.String(audit.KeyActor, audit.Clip(by.Name)), slog.String(audit.KeyActorID, by.ID), slog.Int64(audit.KeyActorTokenID, by.TokenID),
			slog.Int64(audit.KeyTokenID, tok.ID), slog.String(audit.KeyUserID, tok.UserID), slog.Int64(audit.KeyApplicationID, tok.ApplicationID),
			slog.Int64(audit.KeyParentID, tok.ParentID), slog.String(audit.KeyScope, tok.Scopes), slog.Time(audit.KeyExpires, tok.Expires),
			slog.String(audit.KeyClient, client.Text(ctx)))
	}
	return nil
}
