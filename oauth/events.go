package oauth

import (
	"context"
	"log/slog"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/store"
)

// granted records an event about a grant to an application.
func (srv *Server) granted(ctx context.Context, level slog.Level, name string, app store.Application, userID, scopes string, attrs ...slog.Attr) {
	srv.log.LogAttrs(ctx, level, name, append([]slog.Attr{
		slog.Int64(audit.KeyApplicationID, app.ID), slog.String(audit.KeyApplication, audit.Clip(app.Name)),
		slog.String(audit.KeyGrantType, app.GrantType), slog.String(audit.KeyUserID, userID), slog.String(audit.KeyScope, scopes),
		slog.String(audit.KeyClient, client.Text(ctx)),
	}, attrs...)...)
}

// managed records an action of by.
func (srv *Server) managed(ctx context.Context, name string, by *auth.Principal, attrs ...slog.Attr) {
	srv.log.LogAttrs(ctx, slog.LevelInfo, name, append([]slog.Attr{
		slog.String(audit.KeyActor, audit.Clip(by.Name)), slog.String(audit.KeyActorID, by.ID), slog.Int64(audit.KeyActorTokenID, by.TokenID),
		slog.String(audit.KeyClient, client.Text(ctx)),
	}, attrs...)...)
}

// applicationEvent records a change of app by by.
func (srv *Server) applicationEvent(ctx context.Context, name string, by *auth.Principal, app store.Application, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.Int64(audit.KeyApplicationID, app.ID)}, append(applicationAttrs(app), attrs...)...)
	srv.managed(ctx, name, by, attrs...)
}

// applicationAttrs returns what events say about an application.
func applicationAttrs(app store.Application) []slog.Attr {
	return []slog.Attr{
		slog.String(audit.KeyApplication, audit.Clip(app.Name)),
		slog.Int64(audit.KeyOrganizationID, app.OrganizationID), slog.Bool(audit.KeyConfidential, app.Confidential),
		slog.String(audit.KeyGrantType, app.GrantType), slog.Any(audit.KeyRedirectURIs, app.RedirectURIs),
		slog.Bool(audit.KeySkipConsent, app.SkipConsent), slog.Bool(audit.KeyRequirePKCE, app.RequirePKCE), slog.String(audit.KeyResource, app.Resource),
		slog.Bool(audit.KeyDisabled, app.Disabled),
	}
}
