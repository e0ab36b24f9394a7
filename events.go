package auth

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/ostiary/auth/store"
)

// The audit events, as messages of log/slog records. None of them ever carries a
// secret, and text from clients is cut to a bounded length; the slog handler
// escapes it.
//
// Requests by session and bearer token are logged at level Debug, all other good
// news at Info, refusals at Warn and outages at Error.
const (
	eventRequestAllowed = "auth: request"
	eventRequestRefused = "auth: request refused"
	eventStoreFailed    = "auth: store failed"

	eventPasswordRefused = "auth: password refused"
	eventPasswordChanged = "auth: password changed"
	eventPasswordRehash  = "auth: password rehashed"

	eventLogin        = "auth: user logged in"
	eventLogout       = "auth: user logged out"
	eventSessionLimit = "auth: session limit reached"
	eventSessionLost  = "auth: session changes lost"

	eventTokenIssued  = "auth: token issued"
	eventTokenChanged = "auth: token changed"
	eventTokenRotated = "auth: token rotated"
	eventTokenRevoked = "auth: token revoked"

	eventApplicationCreated = "auth: application created"
	eventApplicationChanged = "auth: application changed"
	eventApplicationRotated = "auth: client secret rotated"
	eventApplicationDeleted = "auth: application deleted"
	eventClientRefused      = "auth: client refused"

	eventConsented    = "auth: user consented"
	eventGrantRefused = "auth: grant refused"
	eventGrantReused  = "auth: grant used twice, all its tokens revoked"
	eventGrantRetried = "auth: refresh retried"

	eventProxyUnproven = "auth: proof of a proxy refused"
	eventProxyKeys     = "auth: keys of the gateway fetched"
	eventProxyUser     = "auth: user of the gateway refused"
)

// maxLogged is the length to which text from clients is cut in events, in bytes.
const maxLogged = 256

func clip(s string) string {
	if len(s) > maxLogged {
		s = s[:maxLogged] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func (g *Gate) eventRequest(r *http.Request, p *Principal) {
	level := slog.LevelDebug
	if p.Credential == CredentialBasic || p.Credential == CredentialProxy {
		level = slog.LevelInfo
	}
	ctx := r.Context()
	if !g.log.Enabled(ctx, level) {
		return
	}
	g.log.LogAttrs(ctx, level, eventRequestAllowed,
		slog.String("outcome", "success"),
		slog.String("user", clip(p.Name)), slog.String("user_id", p.ID),
		slog.String("credential", p.Credential.String()), slog.Int64("token_id", p.TokenID),
		slog.Int64("application_id", p.ApplicationID),
		slog.String("method", clip(r.Method)), slog.String("path", clip(r.URL.Path)),
		slog.String("client", ClientAddr(r).String()))
}

func (g *Gate) eventRefused(r *http.Request, p *Principal, e *Error) {
	level := slog.LevelWarn
	switch {
	case e.Status >= http.StatusInternalServerError:
		level = slog.LevelError
	case e == errUnauthorized:
		level = slog.LevelInfo // every visit starts like this
	}
	ctx := r.Context()
	if !g.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("outcome", "failure"),
		slog.Int("status", e.Status), slog.String("code", e.Code), slog.String("reason", clip(e.Detail)),
		slog.String("method", clip(r.Method)), slog.String("path", clip(r.URL.Path)),
		slog.String("client", ClientAddr(r).String()),
	}
	if p != nil && (p.ID != "" || p.ApplicationID != 0) {
		attrs = append(attrs, slog.String("user", clip(p.Name)), slog.String("user_id", p.ID),
			slog.String("credential", p.Credential.String()), slog.Int64("token_id", p.TokenID),
			slog.Int64("application_id", p.ApplicationID))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", clip(e.Err.Error())))
	}
	if tokenInQuery(r) {
		attrs = append(attrs, slog.Bool("token_in_url", true)) // RFC 6750 section 5.3
	}
	g.log.LogAttrs(ctx, level, eventRequestRefused, attrs...)
}

func (t *Tokens) event(ctx context.Context, name string, by *Principal, tok store.Token) {
	t.log.LogAttrs(ctx, slog.LevelInfo, name,
		slog.String("actor", clip(by.Name)), slog.String("actor_id", by.ID), slog.Int64("actor_token_id", by.TokenID),
		slog.Int64("token_id", tok.ID), slog.String("user_id", tok.UserID),
		slog.Int64("application_id", tok.ApplicationID), slog.Int64("parent_id", tok.ParentID),
		slog.String("scope", tok.Scopes), slog.Time("expires", tok.Expires),
		slog.String("client", clientOf(ctx)))
}

// grantEvent records what an application was or was not given.
func (t *Tokens) grantEvent(ctx context.Context, level slog.Level, name string, app store.Application, userID, scopes string, attrs ...slog.Attr) {
	t.log.LogAttrs(ctx, level, name, append([]slog.Attr{
		slog.Int64("application_id", app.ID), slog.String("application", clip(app.Name)),
		slog.String("grant_type", app.GrantType), slog.String("user_id", userID), slog.String("scope", scopes),
		slog.String("client", clientOf(ctx)),
	}, attrs...)...)
}

func (a *Applications) event(ctx context.Context, name string, by *Principal, app store.Application) {
	a.log.LogAttrs(ctx, slog.LevelInfo, name,
		slog.String("actor", clip(by.Name)), slog.String("actor_id", by.ID), slog.Int64("actor_token_id", by.TokenID),
		slog.Int64("application_id", app.ID), slog.String("application", clip(app.Name)),
		slog.Int64("organization_id", app.OrganizationID), slog.Bool("confidential", app.Confidential),
		slog.String("grant_type", app.GrantType), slog.Any("redirect_uris", app.RedirectURIs),
		slog.Bool("skip_consent", app.SkipConsent),
		slog.String("client", clientOf(ctx)))
}

func (p *Passwords) event(ctx context.Context, level slog.Level, name, user, reason string) {
	p.log.LogAttrs(ctx, level, name,
		slog.String("user", clip(user)), slog.String("reason", reason), slog.String("client", clientOf(ctx)))
}

func (s *Session) event(ctx context.Context, level slog.Level, name string, u store.User, attrs ...slog.Attr) {
	s.log.LogAttrs(ctx, level, name, append([]slog.Attr{
		slog.String("user", clip(u.Name)), slog.String("user_id", u.ID), slog.String("client", clientOf(ctx)),
	}, attrs...)...)
}

// eventUnproven records why a request with X-Trusted-Proxy counts as one without.
func (p *Proxy) eventUnproven(r *http.Request, reason error) {
	p.log.LogAttrs(r.Context(), slog.LevelWarn, eventProxyUnproven,
		slog.String("outcome", "failure"), slog.String("reason", reason.Error()),
		slog.String("peer", clip(r.RemoteAddr)), slog.String("method", clip(r.Method)), slog.String("path", clip(r.URL.Path)))
}

// clientOf returns the client address that ctx carries, as text; "" if none.
func clientOf(ctx context.Context) string {
	addr, _ := clientAddr(ctx)
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}
