package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// MintLimits returns TokensOptions.MaxDepth and MaxMinted.
func (t *Tokens) MintLimits() store.MintLimits {
	return store.MintLimits{Depth: t.opts.MaxDepth, Live: t.opts.MaxMinted}
}

var errMintLimit = &Error{
	Status: http.StatusConflict,
	Detail: "The token has issued as many tokens as it may, or is too far below the one that a person made: delete some, or log in.",
}

// adopt makes tok a child of the token of by, if there is one, and returns the
// end of that token, or the zero time.
func (t *Tokens) adopt(ctx context.Context, by *Principal, tok *store.Token) (ends time.Time, err error) {
	if by.TokenID == 0 {
		return ends, nil
	}
	parent, err := t.minter(ctx, by, Scopes(tok.Scopes))
	if err != nil {
		return ends, err
	}
	tok.Audience = parent.Audience // a token for one resource makes none for others
	tok.ParentID = parent.Family
	tok.Independent = t.opts.Minting == InsecureMintIndependent
	if len(parent.Addresses) > 0 {
		if len(tok.Addresses) == 0 {
			tok.Addresses = parent.Addresses
		}
		for _, p := range tok.Addresses {
			if !covered(p, parent.Addresses) {
				return ends, &Error{Status: http.StatusBadRequest, Field: "Addresses", Detail: p.String() + " is not among the addresses of the token that asks."}
			}
		}
	}
	return parent.Expires, nil
}

// minter returns the token of by for minting one with these scopes. It returns
// an [*Error] if that token has ended, or has another secret or fewer scopes by
// now.
func (t *Tokens) minter(ctx context.Context, by *Principal, scopes Scopes) (store.Token, error) {
	tok, err := t.store.TokenByID(ctx, by.TokenID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return store.Token{}, errInvalidToken
	case err != nil:
		return store.Token{}, fmt.Errorf("auth: look up the parent of a new token: %w", err)
	case !tok.Revoked.IsZero() || replaced(by, tok):
		return store.Token{}, errInvalidToken
	case !scopes.Within(Scopes(tok.Scopes)):
		return store.Token{}, &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: string(scopes)}
	}
	return tok, nil
}

// replaced reports whether tok, the token of by, has another secret than when
// by was verified.
func replaced(by *Principal, tok store.Token) bool {
	return by.TokenDigest != (store.Digest{}) && by.TokenDigest != tok.Digest
}

// Confirm checks the token of by again after tok was stored, and before its
// secret is shown. If the token of by has ended, or has another secret or fewer
// scopes, Confirm ends tok and returns an [*Error]. Package oauth calls it for
// the tokens of applications. Later changes by the owner reach tok like every
// minted token.
func (t *Tokens) Confirm(ctx context.Context, by *Principal, tok store.Token) error {
	switch {
	case by == nil:
		return errNobody
	case by.TokenID == 0:
		return nil
	}
	_, err := t.minter(ctx, by, Scopes(tok.Scopes))
	if err == nil {
		return nil
	}
	ctx, cancel := stores.Detach(ctx)
	defer cancel()
	if _, revokeErr := t.store.RevokeTokens(ctx, store.Selection{TokenID: tok.ID}, time.Now()); revokeErr != nil {
		// Nobody will ever know its secret.
		t.log.WarnContext(ctx, audit.StoreFailed, audit.KeyOperation, "end a token that is given to nobody", audit.KeyTokenID, tok.ID, audit.KeyError, revokeErr)
	}
	return err
}

// covered reports whether one of the prefixes contains all of p.
func covered(p netip.Prefix, prefixes []netip.Prefix) bool {
	for _, outer := range prefixes {
		if outer.Bits() <= p.Bits() && outer.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
