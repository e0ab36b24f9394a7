package oauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/observe"
)

// observeIssued reports the token of an application.
func (srv *Server) observeIssued(ctx context.Context, grant observe.Kind) {
	if grant == observe.KindRefreshToken {
		srv.hook.One(ctx, observe.TokenRefreshed, observe.KindFirst, observe.ReasonNone)
		return
	}
	srv.hook.One(ctx, observe.TokenIssued, grant, observe.ReasonNone)
}

// observeGrant reports a request for a token that got none.
func (srv *Server) observeGrant(ctx context.Context, grant observe.Kind, err error) {
	if srv.hook != nil && err != nil {
		srv.hook.One(ctx, observe.GrantRefused, grant, reasonOf(err))
	}
}

// observeClient reports a client that did not authenticate.
func (srv *Server) observeClient(ctx context.Context, err error) {
	if srv.hook == nil {
		return
	}
	reason := reasonOf(err)
	if errors.Is(err, errInvalidClient) {
		reason = observe.ReasonInvalidCredential
	}
	srv.hook.One(ctx, observe.ClientRefused, observe.KindNone, reason)
}

// codeReasons are the reasons of refusals by their code.
var codeReasons = map[string]observe.Reason{
	"invalid_request":         observe.ReasonInvalidRequest,
	"invalid_grant":           observe.ReasonInvalidGrant,
	"invalid_scope":           observe.ReasonInvalidScope,
	"invalid_target":          observe.ReasonInvalidScope,
	"unauthorized_client":     observe.ReasonForbidden,
	"invalid_client":          observe.ReasonForbidden,
	"access_denied":           observe.ReasonDenied,
	"authorization_pending":   observe.ReasonPending,
	"slow_down":               observe.ReasonPending,
	"expired_token":           observe.ReasonExpiredToken,
	"temporarily_unavailable": observe.ReasonThrottled,
}

// reasonOf returns the reason that err stands for. An error of the host has the one
// of its status.
func reasonOf(err error) observe.Reason {
	e, refused := errors.AsType[*auth.Error](err)
	if errors.Is(err, context.Canceled) {
		return observe.ReasonCanceled
	}
	if !refused {
		return observe.ReasonOutage
	}
	if reason, ok := codeReasons[e.Code]; ok {
		return reason
	}
	switch {
	case e.Status == http.StatusTooManyRequests:
		return observe.ReasonThrottled
	case e.Status == http.StatusForbidden:
		return observe.ReasonForbidden
	case e.Status == http.StatusServiceUnavailable:
		return observe.ReasonBusy
	case e.Status >= http.StatusInternalServerError:
		return observe.ReasonOutage
	}
	return observe.ReasonInvalidRequest
}
