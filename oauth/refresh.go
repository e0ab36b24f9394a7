package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// A RefreshExchange is an access token request of RFC 6749 section 6.
type RefreshExchange struct {
	RefreshToken string
	Scope        string   // narrows this access token; "" for all that was granted
	Resources    []string // RFC 8707; they narrow this token and its successors
}

// Refresh issues a new access token and a new refresh token. The previous ones
// are dead when it returns. A second use of a refresh token ends all tokens of
// the grant, except for a retry within [Options].RefreshGrace. A refresh token
// of another application does not change, nor does an unspent one if the
// request is refused.
func (srv *Server) Refresh(ctx context.Context, app store.Application, x RefreshExchange) (out auth.IssuedToken, err error) {
	defer func() { srv.observeGrant(ctx, observe.KindRefreshToken, err) }()
	if x.RefreshToken == "" {
		return auth.IssuedToken{}, errInvalidRequest("Missing refresh token parameter.")
	}
	if !srv.tokens.CouldBeRefresh(x.RefreshToken) {
		return auth.IssuedToken{}, errInvalidGrant
	}
	// Once more if the parent is refreshed, or the owner changes the token, at
	// the same time.
	for range 3 {
		issued, err := srv.refresh(ctx, app, x)
		if !errors.Is(err, store.ErrConflict) {
			return issued, err
		}
	}
	return auth.IssuedToken{}, errInvalidGrant
}

func (srv *Server) refresh(ctx context.Context, app store.Application, x RefreshExchange) (auth.IssuedToken, error) {
	old, err := srv.byRefresh(ctx, x.RefreshToken)
	if errors.Is(err, store.ErrNotFound) || err == nil && old.ApplicationID != app.ID {
		return auth.IssuedToken{}, errInvalidGrant
	}
	if err != nil {
		return auth.IssuedToken{}, fmt.Errorf("oauth: look up a refresh token: %w", err)
	}
	now := time.Now()
	r := store.Rotation{Refresh: store.DigestOf(x.RefreshToken), ApplicationID: app.ID, Revision: old.Revision, At: now, Grace: srv.opts.RefreshGrace}
	issued, err := srv.successor(ctx, app, old, x, now)
	if err != nil {
		_, refused := errors.AsType[*auth.Error](err)
		if old.Refresh.Spent.IsZero() || !refused {
			return auth.IssuedToken{}, err
		}
		r.Grace = 0 // spent before: the store must end its family, even for a wrong request
	}
	if srv.opts.RefreshGrace > 0 {
		_, _ = rand.Read(r.Nonce[:]) // never fails
		srv.derive(&issued, x.RefreshToken, r.Nonce)
	} else {
		setRefresh(&issued, secret.Succeed(srv.tokens.Prefix(), x.RefreshToken))
	}
	r.Token = issued.Token
	out, err := srv.store.Rotate(ctx, r)
	if err == nil && out.Replayed {
		return srv.replay(ctx, app, x.RefreshToken, out, now)
	}
	issued.Token = out.Token
	return srv.redeemed(ctx, app, observe.KindRefreshToken, old.UserID, issued, err)
}

// byRefresh returns the record of a refresh token, spent or not. A store removes
// the records of those that were spent before the last one. For such a token
// byRefresh returns the newest record of the grant, as a spent one.
func (srv *Server) byRefresh(ctx context.Context, text string) (store.Token, error) {
	tok, err := srv.store.TokenByRefresh(ctx, store.DigestOf(text))
	locator := secret.Locator(text)
	if locator == "" || !errors.Is(err, store.ErrNotFound) {
		return tok, err
	}
	tok, err = srv.store.TokenByGrant(ctx, store.DigestOf(locator))
	tok.Refresh.Spent = time.Now() // or before
	tok.Revision = 0               // that of no record
	return tok, err
}

// successor checks the request and prepares the tokens that follow old.
func (srv *Server) successor(ctx context.Context, app store.Application, old store.Token, x RefreshExchange, now time.Time) (auth.IssuedToken, error) {
	if !now.Before(old.Refresh.Expires) {
		return auth.IssuedToken{}, errInvalidGrant
	}
	if wait := srv.tooOften(old.Refresh, now); wait > 0 {
		return auth.IssuedToken{}, &auth.Error{
			Status:     http.StatusTooManyRequests,
			Code:       "temporarily_unavailable",
			Detail:     "The grant was refreshed too often. Try again later.",
			RetryAfter: wait,
		}
	}
	granted := auth.Scopes(old.Refresh.Scopes)
	scopes := granted
	if x.Scope != "" {
		var err error
		if scopes, err = srv.refreshableScopes(x.Scope); err != nil {
			return auth.IssuedToken{}, err
		}
		if !scopes.Within(granted) {
			return auth.IssuedToken{}, oauthError("invalid_scope", "The scope goes beyond what was granted.")
		}
	}
	audience, err := srv.narrowAudience(old.Audience, x.Resources)
	if err != nil {
		return auth.IssuedToken{}, err
	}
	u, err := srv.grantee(ctx, old.UserID, old.Epoch)
	if err != nil {
		return auth.IssuedToken{}, err
	}
	issued := srv.issueTo(app, u, scopes, audience, now)
	issued.ParentID = old.ParentID
	issued.Addresses = old.Addresses
	issued.Description = old.Description
	// A narrower access token does not narrow the grant (RFC 6749 section 6),
	// and no refresh moves its end.
	issued.Refresh.Scopes = old.Refresh.Scopes
	issued.Refresh.GrantExpires = old.Refresh.GrantExpires
	issued.Refresh.Expires = stores.Earlier(issued.Refresh.Expires, old.Refresh.GrantExpires)
	issued.Expires = stores.Earlier(issued.Expires, old.Refresh.GrantExpires)
	return issued, nil
}

// refreshBurst is the number of refreshes of a grant without the wait of
// Options.RefreshInterval.
const refreshBurst = 100

// tooOften returns the time until the next refresh of a grant is allowed. Each
// refresh writes, so the rate is bounded, by fields of the record and without
// another write.
func (srv *Server) tooOften(r store.Refresh, now time.Time) time.Duration {
	if r.Number < refreshBurst {
		return 0
	}
	began := r.GrantCreated
	if began.IsZero() { // issued by an older version
		began = r.GrantExpires.Add(-srv.opts.GrantLifetime)
	}
	allowed := began.Add(time.Duration(r.Number-refreshBurst+1) * srv.opts.RefreshInterval)
	return max(0, allowed.Sub(now))
}

// derive replaces the secrets of issued by secrets that are computed from the
// spent refresh token and a nonce.
//
// A client that lost the response presents the spent token again and must get
// the same successor, which the store has as a digest only. The successor is
// therefore computed again: it is the HMAC-SHA-256 of the nonce, which the
// store has, under the spent token, which only the client has. Neither alone
// tells anything about it, and there is no server key to leak or lose. The
// price is that a spent token together with a copy of the database gives the
// successor. Without a grace period successors are random and the nonce is
// zero.
func (srv *Server) derive(issued *auth.IssuedToken, spent string, nonce [32]byte) {
	issued.AccessToken = auth.Secret(secret.Derive(srv.tokens.Prefix(), secret.Access, spent, nonce))
	issued.Digest = store.DigestOf(issued.AccessToken.Reveal())
	setRefresh(issued, secret.Derive(srv.tokens.Prefix(), secret.Refresh, spent, nonce))
}

// replay answers a retry with the successor of the first response.
func (srv *Server) replay(ctx context.Context, app store.Application, spent string, out store.RotateOutcome, now time.Time) (auth.IssuedToken, error) {
	issued := auth.IssuedToken{Token: out.Token}
	srv.derive(&issued, spent, out.Nonce)
	if issued.Digest != out.Token.Digest || issued.Refresh.Digest != out.Token.Refresh.Digest {
		// The rotation was done without a grace period, or by a server with
		// another prefix: this is a replay.
		if _, err := srv.store.RevokeTokens(ctx, store.Selection{Family: out.Token.Family}, now); err != nil {
			return auth.IssuedToken{}, fmt.Errorf("oauth: revoke a family: %w", err)
		}
		srv.granted(ctx, slog.LevelWarn, audit.GrantReused, app, out.Token.UserID, "")
		srv.hook.One(ctx, observe.GrantReused, observe.KindRefreshToken, observe.ReasonNone)
		return auth.IssuedToken{}, errInvalidGrant
	}
	srv.hook.One(ctx, observe.TokenRefreshed, observe.KindRetry, observe.ReasonNone)
	srv.granted(ctx, slog.LevelInfo, audit.GrantRetried, app, out.Token.UserID, out.Token.Scopes, slog.Int64(audit.KeyTokenID, out.Token.ID))
	return issued, nil
}
