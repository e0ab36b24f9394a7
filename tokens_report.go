package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/secret"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// maxReported is the number of tokens in the longest report.
const maxReported = 100

// TokenPattern is the regular expression of access tokens and refresh tokens with
// the default prefix, for secret scanners, in the syntax of RE2. The text of a token
// is the prefix, "a" for an access token or "r" for a refresh token, "_", 43 random
// digits and letters, and a checksum of six. The checksum is the CRC-32 (IEEE) of
// all characters before it, as a number of base 62 with the digits 0 to 9, A to Z
// and a to z. A scanner can drop a match with another checksum.
const TokenPattern = `\bost[ar]_[0-9A-Za-z]{49}\b`

// Pattern is [TokenPattern] with TokensOptions.Prefix.
func (t *Tokens) Pattern() string { return secret.Pattern(t.opts.Prefix) }

// EndReported ends access tokens that somebody found in public, with all tokens
// that they minted, independent ones included. By is the principal that reports
// them, for the audit events. A text that is no live token changes nothing: the
// answer does not tell which tokens exist, and repeating a report is harmless. When
// EndReported returns nil, all reported access tokens are dead.
//
// EndReported returns an [*Error] with status 400 for more than 100
// tokens. It does not look at the rights of by.
func (t *Tokens) EndReported(ctx context.Context, by *Principal, reported ...Secret) error {
	if by == nil {
		return errNobody
	}
	if len(reported) > maxReported {
		return &Error{Status: http.StatusBadRequest, Field: "Tokens", Detail: "Must not have more than " + strconv.Itoa(maxReported) + " tokens."}
	}
	for _, s := range reported {
		tok, err := t.Lookup(ctx, s.Reveal())
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.endLeaked(ctx, by, tok); err != nil {
			return err
		}
	}
	return nil
}

// endLeaked ends a token that somebody else may have used. A token that ended
// before may have left independent ones.
func (t *Tokens) endLeaked(ctx context.Context, by *Principal, tok store.Token) error {
	now := time.Now()
	for _, sel := range []store.Selection{{TokenID: tok.ID}, {MintedBy: tok.Family}} {
		if _, err := t.store.RevokeTokens(ctx, sel, now); err != nil {
			return fmt.Errorf("auth: revoke a token that was reported: %w", err)
		}
	}
	if tok.Revoked.IsZero() {
		t.event(ctx, audit.TokenRevoked, by, tok)
		t.hook.One(ctx, observe.TokenRevoked, observe.KindReported, observe.ReasonNone)
	}
	return nil
}
