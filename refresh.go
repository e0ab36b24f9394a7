package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"github.com/ostiary/auth/store"
)

// A RefreshExchange is an access token request of RFC 6749 section 6.
type RefreshExchange struct {
	RefreshToken string
	Scope        *string  // narrows this access token; nil for all that was granted
	Resources    []string // RFC 8707; they narrow this token and its successors
}

// Refresh issues a new access token and a new refresh token. The ones before are
// dead when it returns. Who uses a refresh token twice ends all that was issued
// from the same grant, but for the retry that TokensOptions.RefreshGrace allows.
// A refresh token of another application is left alone, and so is an unspent one
// when the request is refused.
func (t *Tokens) Refresh(ctx context.Context, app store.Application, x RefreshExchange) (IssuedToken, error) {
	if x.RefreshToken == "" {
		return IssuedToken{}, errInvalidRequest("Missing refresh token parameter.")
	}
	if !wellFormed(x.RefreshToken, t.opts.Prefix, kindRefresh) {
		return IssuedToken{}, errInvalidGrant
	}
	// Once more, if what the token was minted by is refreshed at the same time,
	// or its owner changes it.
	for range 3 {
		issued, err := t.refresh(ctx, app, x)
		if !errors.Is(err, store.ErrConflict) {
			return issued, err
		}
	}
	return IssuedToken{}, errInvalidGrant
}

func (t *Tokens) refresh(ctx context.Context, app store.Application, x RefreshExchange) (IssuedToken, error) {
	digest := store.DigestOf(x.RefreshToken)
	old, err := t.store.TokenByRefresh(ctx, digest)
	if errors.Is(err, store.ErrNotFound) || err == nil && old.ApplicationID != app.ID {
		return IssuedToken{}, errInvalidGrant
	}
	if err != nil {
		return IssuedToken{}, fmt.Errorf("auth: look up a refresh token: %w", err)
	}
	now := time.Now()
	r := store.Rotation{Refresh: digest, ApplicationID: app.ID, Revision: old.Revision, At: now, Grace: t.opts.RefreshGrace}
	issued, err := t.successor(ctx, app, old, x, now)
	if err != nil {
		_, refused := errors.AsType[*Error](err)
		if old.Refresh.Spent.IsZero() || !refused {
			return IssuedToken{}, err
		}
		r.Grace = 0 // spent before: the store has to know, whatever else is wrong
	}
	if t.opts.RefreshGrace > 0 {
		_, _ = rand.Read(r.Nonce[:]) // never fails
		t.derive(&issued, x.RefreshToken, r.Nonce)
	}
	r.Token = issued.Token
	out, err := t.store.Rotate(ctx, r)
	if err == nil && out.Replayed {
		return t.replay(ctx, app, x.RefreshToken, out, now)
	}
	issued.Token = out.Token
	return t.redeemed(ctx, app, old.UserID, issued, err)
}

// successor prepares the tokens that follow old, if the request may have them.
func (t *Tokens) successor(ctx context.Context, app store.Application, old store.Token, x RefreshExchange, now time.Time) (IssuedToken, error) {
	if !now.Before(old.Refresh.Expires) {
		return IssuedToken{}, errInvalidGrant
	}
	granted := Scopes(old.Refresh.Scopes)
	scopes := granted
	if x.Scope != nil {
		var err error
		if scopes, err = t.requestedScopes(*x.Scope, true); err != nil {
			return IssuedToken{}, err
		}
		if !scopes.Within(granted) {
			return IssuedToken{}, oauthError("invalid_scope", "The scope goes beyond what was granted.")
		}
	}
	audience, err := t.narrowAudience(old.Audience, x.Resources)
	if err != nil {
		return IssuedToken{}, err
	}
	u, err := t.grantee(ctx, old.UserID, old.Epoch)
	if err != nil {
		return IssuedToken{}, err
	}
	issued := t.issueTo(app, u, scopes, audience, now)
	issued.ParentID = old.ParentID
	issued.Addresses = old.Addresses
	issued.Description = old.Description
	// A narrower access token leaves the grant as it was (RFC 6749 section 6),
	// and no refresh moves its end.
	issued.Refresh.Scopes = old.Refresh.Scopes
	issued.Refresh.GrantExpires = old.Refresh.GrantExpires
	issued.Refresh.Expires = earlier(issued.Refresh.Expires, old.Refresh.GrantExpires)
	issued.Expires = earlier(issued.Expires, old.Refresh.GrantExpires)
	return issued, nil
}

// derive replaces the secrets of issued by ones that follow from the refresh
// token that is spent and a nonce.
//
// A client that lost the answer presents the spent token again and must get the
// very same successor, but nobody may have kept that: a store sees digests only.
// So the successor is computed twice: HMAC-SHA-256 of the nonce, which the store
// keeps, under the spent token, which only the client has. Neither alone says
// anything about it, and there is no server key that could leak or be lost.
// Whoever has both could compute the successor; a spent token is refused outside
// the grace period, and ends the family, but together with a copy of the
// database it would still open the chain from there. That is the price of the
// retry. Without a grace period successors are random and the nonce is zero.
func (t *Tokens) derive(issued *IssuedToken, spent string, nonce [32]byte) {
	issued.AccessToken = derivedSecret(t.opts.Prefix, kindAccess, spent, nonce)
	issued.RefreshToken = derivedSecret(t.opts.Prefix, kindRefresh, spent, nonce)
	issued.Digest = store.DigestOf(issued.AccessToken.Reveal())
	issued.Refresh.Digest = store.DigestOf(issued.RefreshToken.Reveal())
}

// derivedSecret returns a secret of the usual form. The kind is part of the
// message, so that the access token does not give the refresh token away.
func derivedSecret(prefix string, kind byte, spent string, nonce [32]byte) Secret {
	mac := hmac.New(sha256.New, []byte(spent))
	_, _ = mac.Write([]byte{kind})
	_, _ = mac.Write(nonce[:])
	b := make([]byte, 0, maxToken)
	b = append(b, prefix...)
	b = append(b, kind, '_')
	b = appendBase62(b, [sha256.Size]byte(mac.Sum(nil)))
	return Secret(appendChecksum(b))
}

// appendBase62 appends the number that sum is, in bodyLen digits: 62^43 is just
// above 2^256, so that different sums have different texts.
func appendBase62(b []byte, sum [sha256.Size]byte) []byte {
	var words [4]uint64 // big-endian
	for i, c := range sum {
		words[i/8] = words[i/8]<<8 | uint64(c)
	}
	var digits [bodyLen]byte
	for i := bodyLen - 1; i >= 0; i-- {
		var rem uint64
		for w := range words {
			words[w], rem = bits.Div64(rem, words[w], 62)
		}
		digits[i] = base62[rem]
	}
	return append(b, digits[:]...)
}

// replay answers a retry with the successor that the first answer had.
func (t *Tokens) replay(ctx context.Context, app store.Application, spent string, out store.RotateOutcome, now time.Time) (IssuedToken, error) {
	issued := IssuedToken{Token: out.Token}
	t.derive(&issued, spent, out.Nonce)
	if issued.Digest != out.Token.Digest || issued.Refresh.Digest != out.Token.Refresh.Digest {
		// The rotation was done while there was no grace period, or by a
		// server with another prefix. Then this is a replay like any other.
		if _, err := t.store.RevokeTokens(ctx, store.Selection{Family: out.Token.Family}, now); err != nil {
			return IssuedToken{}, fmt.Errorf("auth: revoke a family: %w", err)
		}
		t.grantEvent(ctx, slog.LevelWarn, eventGrantReused, app, out.Token.UserID, "")
		return IssuedToken{}, errInvalidGrant
	}
	t.grantEvent(ctx, slog.LevelInfo, eventGrantRetried, app, out.Token.UserID, out.Token.Scopes, slog.Int64("token_id", out.Token.ID))
	return issued, nil
}
