package auth

import (
	"log/slog"
	"net/http"
	"time"

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

// report reports a refusal that is about to be written, and returns it with what is
// prepared for it, or nil.
func (g *Gate) report(r incoming, p *Principal, err error) (*Error, *prepared) {
	e := refusal(err)
	ready := g.prepared[e]
	g.observeRefused(r, p, e)
	g.eventRefused(r, p, e, ready)
	return e, ready
}

func (g *Gate) eventRefused(r incoming, p *Principal, e *Error, ready *prepared) {
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
	if ready != nil {
		attrs = append(attrs, ready.event)
	} else {
		attrs = append(attrs, refusalAttrs(e)...)
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
	if header.TokenInQuery(r.Request) {
		attrs = append(attrs, slog.Bool(audit.KeyTokenInURL, true)) // RFC 6750 section 5.3
	}
	event := slog.NewRecord(time.Now(), level, audit.RequestRefused, g.made)
	event.AddAttrs(attrs...)
	_ = g.log.Handler().Handle(ctx, event) // as a logger does, but that looks for its caller
}

func (g *Gate) observeRefused(r incoming, p *Principal, e *Error) {
	if g.hook == nil {
		return
	}
	kind := presented(r.Request, e)
	if p != nil && p.Credential != CredentialNone {
		kind = credentialKind(p.Credential)
	}
	g.hook.One(r.Context(), observe.RequestRefused, kind, e.Reason())
}
