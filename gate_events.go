package auth

import (
	"log/slog"
	"net/http"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/internal/header"
	"github.com/ostiary/auth/observe"
)

// eventRequest logs that a request is allowed.
func (g *Gate) eventRequest(r incoming, p *Principal) {
	level := slog.LevelDebug
	if p.Credential == CredentialBasic || p.Credential == CredentialProxy {
		level = slog.LevelInfo
	}
	ctx := r.Context()
	if !g.log.Enabled(ctx, level) {
		return
	}
	g.log.LogAttrs(ctx, level, audit.RequestAllowed,
		slog.String(audit.KeyOutcome, "success"),
		slog.String(audit.KeyUser, audit.Clip(p.Name)), slog.String(audit.KeyUserID, p.ID),
		slog.String(audit.KeyCredential, p.Credential.String()), slog.Int64(audit.KeyTokenID, p.TokenID),
		slog.Int64(audit.KeyApplicationID, p.ApplicationID),
		slog.String(audit.KeyMethod, audit.Clip(r.Method)), slog.String(audit.KeyPath, audit.Clip(r.URL.Path)),
		slog.String(audit.KeyClient, client.TextAt(ctx, r.RemoteAddr)))
}

// eventRefused logs a refusal. Ready is a logger with the attributes of e, or nil.
func (g *Gate) eventRefused(r *http.Request, p *Principal, e *Error, ready *slog.Logger) {
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
	var room [14]slog.Attr // on the stack
	attrs := room[:0]
	if ready == nil {
		ready, attrs = g.log, appendRefusal(attrs, e)
	}
	attrs = append(attrs,
		slog.String(audit.KeyMethod, audit.Clip(r.Method)), slog.String(audit.KeyPath, audit.Clip(r.URL.Path)),
		slog.String(audit.KeyClient, client.TextAt(ctx, r.RemoteAddr)))
	if p != nil && (p.ID != "" || p.ApplicationID != 0) {
		attrs = append(attrs, slog.String(audit.KeyUser, audit.Clip(p.Name)), slog.String(audit.KeyUserID, p.ID),
			slog.String(audit.KeyCredential, p.Credential.String()), slog.Int64(audit.KeyTokenID, p.TokenID),
			slog.Int64(audit.KeyApplicationID, p.ApplicationID))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String(audit.KeyError, audit.Clip(e.Err.Error())))
	}
	if header.TokenInQuery(r) {
		attrs = append(attrs, slog.Bool(audit.KeyTokenInURL, true)) // RFC 6750 section 5.3
	}
	ready.LogAttrs(ctx, level, audit.RequestRefused, attrs...)
}

// observeRefused reports a refusal that is being written.
func (g *Gate) observeRefused(r *http.Request, p *Principal, e *Error) {
	if g.hook == nil {
		return
	}
	kind := presented(r, e)
	if p != nil && p.Credential != CredentialNone {
		kind = credentialKind(p.Credential)
	}
	g.hook.One(r.Context(), observe.RequestRefused, kind, e.Reason())
}
