package grpcauth

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
)

// refuse reports a refusal and returns its status.
func (i *Interceptors) refuse(c *call, err error) error {
	e, ok := errors.AsType[*auth.Error](err)
	if !ok || e.Status < 400 || e.Status > 599 {
		if e = errMissing; !errors.Is(err, auth.ErrNoCredentials) {
			e = &auth.Error{
				Status: http.StatusServiceUnavailable, RetryAfter: time.Second,
				Detail: "The service is temporarily unavailable.", Err: err,
			}
		}
	}
	i.refused(c, e)
	if gone := c.ctx.Err(); gone != nil && e.Status >= 500 {
		return status.FromContextError(gone).Err()
	}
	s := status.New(code(e.Status), e.Detail)
	if e.RetryAfter > 0 {
		if with, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}); err == nil {
			s = with
		}
	}
	return s.Err()
}

// code returns the code for the status of a refusal.
func code(status int) codes.Code {
	switch {
	case status == http.StatusBadRequest, status == http.StatusUnauthorized:
		return codes.Unauthenticated
	case status == http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case status >= 500:
		return codes.Unavailable
	}
	return codes.PermissionDenied
}

// allowed reports a call that was let in. Began is a time of the hook.
func (i *Interceptors) allowed(c *call, began time.Time) {
	if i.hook != nil {
		i.hook.Took(c.ctx, observe.RequestAllowed, observe.KindBearer, observe.ReasonNone, began)
	}
	if i.log.Enabled(c.ctx, slog.LevelDebug) {
		i.event(c, slog.LevelDebug, audit.RequestAllowed, slog.String(audit.KeyOutcome, "success"))
	}
}

// refused reports a refusal.
func (i *Interceptors) refused(c *call, e *auth.Error) {
	reason, level := e.Reason(), slog.LevelWarn
	switch {
	case e == errMissing:
		reason, level = observe.ReasonNoCredentials, slog.LevelInfo // every visit starts like this
	case e == errDoubled, e == errScheme, e == errMalformed:
		reason = observe.ReasonMalformed
	case e == errExpired:
		reason = observe.ReasonExpiredToken
	case e.Status >= http.StatusInternalServerError:
		level = slog.LevelError
	}
	i.hook.One(c.ctx, observe.RequestRefused, c.kind, reason)
	if !i.log.Enabled(c.ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String(audit.KeyOutcome, "failure"), slog.Int(audit.KeyStatus, e.Status),
		slog.String(audit.KeyCode, e.Code), slog.String(audit.KeyReason, audit.Clip(e.Detail)),
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String(audit.KeyError, audit.Clip(e.Err.Error())))
	}
	i.event(c, level, audit.RequestRefused, attrs...)
}

// event logs an audit event about a call.
func (i *Interceptors) event(c *call, level slog.Level, name string, attrs ...slog.Attr) {
	addr, _ := client.From(c.ctx)
	// Each request of gRPC is a POST.
	attrs = append(attrs, slog.String(audit.KeyMethod, http.MethodPost), slog.String(audit.KeyPath, audit.Clip(c.method)), audit.Client(addr))
	if p := c.principal; p != nil {
		attrs = append(attrs, slog.String(audit.KeyUser, audit.Clip(p.Name)), slog.String(audit.KeyUserID, p.ID),
			slog.String(audit.KeyCredential, p.Credential.String()), slog.Int64(audit.KeyTokenID, p.TokenID),
			slog.Int64(audit.KeyApplicationID, p.ApplicationID))
	}
	i.log.LogAttrs(c.ctx, level, name, attrs...)
}
