package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

var errMintLimit = &Error{
	Status: http.StatusConflict,
	Detail: "The token has issued as many tokens as it may, or is too far below the one that a person made: delete some, or log in.",
}

// Why a principal owns no token. The client does not learn more than that it may not.
var (
	errNoOwner = &Error{
		Status: http.StatusForbidden,
		Detail: detailForbidden,
		Err:    errors.New("the users that NewTokens got have no active user with the ID of the owner"),
	}
	errOwnsNothing = &Error{Status: http.StatusForbidden, Detail: detailForbidden, Err: errors.New("Principal.ID is empty, and an application alone owns no token")}
	errOwnerEpoch  = &Error{
		Status: http.StatusUnauthorized,
		Detail: detailUnauthorized,
		Err:    errors.New("Principal.Epoch is not that of the user: the password has changed since the login, or all of the user's sessions were ended"),
	}
)

// adopt makes tok a child of the token of by, if there is one, and returns that
// token, or the zero Token.
func (t *Tokens) adopt(ctx context.Context, by *Principal, tok *store.Token) (parent store.Token, err error) {
	if by.TokenID == 0 {
		return parent, nil
	}
	// The insert compares what a recheck has read with what there is.
	parent, rechecked := stores.RecheckedToken(ctx, t.store, by.TokenID)
	if rechecked {
		err = mayMint(by, parent, Scopes(tok.Scopes))
	} else {
		parent, err = t.minter(ctx, by, Scopes(tok.Scopes))
	}
	if err != nil {
		return parent, err
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
				return parent, &Error{Status: http.StatusBadRequest, Field: "Addresses", Detail: p.String() + " is not among the addresses of the token that asks."}
			}
		}
	}
	return parent, nil
}

// minter returns the token of by for minting one with these scopes. It returns
// an [*Error] if that token has ended, or has another secret or fewer scopes by
// now.
func (t *Tokens) minter(ctx context.Context, by *Principal, scopes Scopes) (store.Token, error) {
	tok, err := t.store.TokenByID(ctx, by.TokenID)
	if errors.Is(err, store.ErrNotFound) {
		return store.Token{}, errInvalidToken
	}
	if err != nil {
		return store.Token{}, fmt.Errorf("auth: look up the parent of a new token: %w", err)
	}
	return tok, mayMint(by, tok, scopes)
}

// mayMint returns an [*Error] unless tok, the token of by, may mint one with these
// scopes.
func mayMint(by *Principal, tok store.Token, scopes Scopes) error {
	if !tok.Revoked.IsZero() || replaced(by, tok) {
		return errInvalidToken
	}
	if tok.UserID != by.ID { // an authenticator of the host has mixed them up
		return errForbidden
	}
	if !scopes.Within(Scopes(tok.Scopes)) {
		return &Error{Status: http.StatusForbidden, Code: "insufficient_scope", Detail: detailForbidden, Scope: string(scopes)}
	}
	return nil
}

// replaced reports whether tok, the token of by, has another secret than when
// by was verified.
func replaced(by *Principal, tok store.Token) bool {
	return by.TokenDigest != (store.Digest{}) && by.TokenDigest != tok.Digest
}

// Insert stores in st what [Tokens.Prepare] has returned for by, with secrets and an
// application where it has any. Parent is that of Prepare. In one step with the insert
// it must not have ended or changed, and the limits of TokensOptions must hold: MaxDepth,
// MaxMinted and MaxPerUser. If a limit is reached, Insert counts the tokens of the user
// by [Tokens.CheckQuota], and goes on without MaxPerUser if that finds room: the
// store may have counted tokens that have ended. A change of the parent that leaves it
// the right is followed.
// Refusals are an [*Error], also those of a child that Prepare does not return for by:
// of another user, with more scopes, addresses or resources than parent, with another
// Independent, or with a grant that has more scopes or no end. ErrLimit
// and ErrConflict of [store.Tokens].InsertToken come as they are. Later changes by the
// owner reach the token like every minted token. Package oauth calls Insert for the
// tokens of applications.
func (t *Tokens) Insert(ctx context.Context, st store.Tokens, by *Principal, tok, parent store.Token) (store.Token, error) {
	if by == nil {
		return store.Token{}, errNobody
	}
	if tok.UserID != by.ID || tok.ParentID != parent.Family || by.TokenID != parent.ID {
		return store.Token{}, errForbidden
	}
	limits := store.InsertLimits{Depth: t.opts.MaxDepth, Live: t.opts.MaxMinted, Owned: max(t.opts.MaxPerUser, 0)}
	if parent.ID != 0 {
		if parent.Digest == (store.Digest{}) || !t.bound(tok, parent) { // without a digest nothing would be compared
			return store.Token{}, errForbidden
		}
		if err := mayMint(by, parent, Scopes(tok.Scopes)); err != nil {
			return store.Token{}, err
		}
	}
	for tries := 0; ; tries++ {
		limits.ParentDigest, limits.ParentScopes = parent.Digest, parent.Scopes
		stored, err := st.InsertToken(ctx, tok, limits)
		switch {
		case err == nil:
			return stored, nil
		case errors.Is(err, store.ErrLimit) && limits.Owned > 0:
			if err := t.CheckQuota(ctx, tok.UserID); err != nil {
				return store.Token{}, err
			}
			limits.Owned = 0 // it is another limit, or the store counted what has ended
		case errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrLimit) && tries < mostChanges:
			now := parent
			if parent.ID != 0 {
				var refused error
				if now, refused = t.minter(ctx, by, Scopes(tok.Scopes)); refused != nil {
					return store.Token{}, refused
				}
			}
			// A token of the user can have ended after it was counted.
			if limits.Owned == 0 && now.Digest == parent.Digest && now.Scopes == parent.Scopes {
				return store.Token{}, err
			}
			if now.ID != 0 && !t.bound(tok, now) {
				return store.Token{}, errForbidden
			}
			parent = now
		default:
			return store.Token{}, err
		}
	}
}

// bound reports whether tok has the bounds that adopt gives to a child of parent, and its
// grant no more scopes, and an end. The store compares the ends.
func (t *Tokens) bound(tok, parent store.Token) bool {
	grant := tok.Refresh
	if grant.Digest != (store.Digest{}) && (grant.GrantExpires.IsZero() || !Scopes(grant.Scopes).Within(Scopes(parent.Scopes))) {
		return false
	}
	outside := func(p netip.Prefix) bool { return !covered(p, parent.Addresses) }
	return tok.Audience == parent.Audience && tok.Independent == (t.opts.Minting == InsecureMintIndependent) &&
		(len(parent.Addresses) == 0 || len(tok.Addresses) > 0 && !slices.ContainsFunc(tok.Addresses, outside))
}

// mostChanges is how many changes of a token during a request that mints are
// followed, if they leave it the right to.
const mostChanges = 3

// covered reports whether one of the prefixes contains all of p.
func covered(p netip.Prefix, prefixes []netip.Prefix) bool {
	for _, outer := range prefixes {
		if outer.Bits() <= p.Bits() && outer.Contains(p.Addr()) {
			return true
		}
	}
	return false
}
