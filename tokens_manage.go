package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/internal/client"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

var errNotFound = &Error{Status: http.StatusNotFound, Detail: "Not found."}

// errApplicationToken refuses to end a token that only its application may
// revoke (RFC 7009 section 2.1).
var errApplicationToken = &Error{Status: http.StatusUnauthorized, Code: "invalid_client", Detail: "Client authentication failed."}

// mayRead reports whether by is the owner of tok, a superuser or a system
// auditor. For others the token does not exist.
func mayRead(by *Principal, tok store.Token) bool {
	return mayChange(by, tok) || by.Auditor
}

// mayChange reports whether by may change or end tok.
func mayChange(by *Principal, tok store.Token) bool {
	return by.Admin || by.ID != "" && by.ID == tok.UserID
}

// Token returns the token with that ID. If the token does not exist, is
// revoked, or is not visible to by, it returns an [*Error] with status 404.
// Administrators of an organization see and change the tokens of its
// applications.
func (t *Tokens) Token(ctx context.Context, by *Principal, id int64) (store.Token, error) {
	tok, _, err := t.token(ctx, by, id)
	return tok, err
}

// token also reports whether by may change it.
func (t *Tokens) token(ctx context.Context, by *Principal, id int64) (tok store.Token, change bool, err error) {
	if by == nil {
		return store.Token{}, false, errNobody
	}
	tok, err = t.store.TokenByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !tok.Revoked.IsZero() {
		return store.Token{}, false, errNotFound
	}
	if err != nil {
		return store.Token{}, false, fmt.Errorf("auth: look up a token: %w", err)
	}
	change = mayChange(by, tok)
	if !change && tok.ApplicationID != 0 {
		if change, err = t.administersToken(ctx, by, id); err != nil {
			return store.Token{}, false, err
		}
	}
	if !change && !mayRead(by, tok) {
		return store.Token{}, false, errNotFound
	}
	return tok, change, nil
}

// administersToken reports whether by administers the organization of the
// application that the token was issued to.
func (t *Tokens) administersToken(ctx context.Context, by *Principal, id int64) (bool, error) {
	m, err := t.opts.Organizations.Memberships(ctx, by)
	if err != nil || len(m.Admin) == 0 {
		return false, err
	}
	_, n, err := t.store.ListTokens(ctx, store.TokenFilter{ID: id, Organizations: m.Admin}, store.Page{CountTo: 1})
	if err != nil {
		return false, fmt.Errorf("auth: look up the organization of a token: %w", err)
	}
	return n > 0, nil
}

// changeable is Token for a caller that means to change it.
func (t *Tokens) changeable(ctx context.Context, by *Principal, id int64) (store.Token, error) {
	tok, change, err := t.token(ctx, by, id)
	if err == nil && !change {
		err = errForbidden
	}
	return tok, err
}

// Visible returns the filter for the tokens that by may see: all of them, or
// those of by and those of the applications that by administers.
func (t *Tokens) Visible(ctx context.Context, by *Principal) (store.TokenFilter, error) {
	m, err := t.opts.Organizations.Memberships(ctx, by)
	if err != nil {
		return store.TokenFilter{}, err
	}
	return store.TokenFilter{UserID: by.ID, Organizations: m.Admin, All: by.Admin || by.Auditor}, nil
}

// List returns one page of the tokens that match f and are visible to by, and
// the number of all such tokens. It ignores f.UserID, f.Organizations and
// f.All. Its error is [store.ErrOrder] where there are too many for p.Order.
func (t *Tokens) List(ctx context.Context, by *Principal, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	visible, err := t.Visible(ctx, by)
	if err != nil {
		return nil, 0, err
	}
	f.UserID, f.Organizations, f.All = visible.UserID, visible.Organizations, visible.All
	list, total, err := t.store.ListTokens(ctx, f, p)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list tokens: %w", err)
	}
	return list, total, nil
}

// TokenChange is a change of a token. A nil field stays as it is.
type TokenChange struct {
	// Description must not be blank if the token is of a service account.
	Description *string
	// Scopes must be within the present ones. With MintChildren a narrowed
	// token ends its descendants. The grant behind the token of an application
	// narrows with it, so that no refresh restores the old scopes.
	Scopes *Scopes
	// Expires must be in the future and must not be later than the present one.
	// With MintChildren a token that ends sooner ends its descendants. The refresh
	// token of an application token stays as it is.
	Expires *time.Time
}

// Change sets the description of a token, narrows its scopes or shortens its life,
// and returns the changed token. It returns an [*Error] with status 404 or 403 if by lacks the
// right, 400 for an invalid change, and 409 if another request changed the
// token at the same time.
func (t *Tokens) Change(ctx context.Context, by *Principal, id int64, c TokenChange) (store.Token, error) {
	tok, err := t.changeable(ctx, by, id)
	if err != nil {
		return store.Token{}, err
	}
	before := slog.Group(audit.KeyBefore, slog.String(audit.KeyScope, tok.Scopes), slog.Time(audit.KeyExpires, tok.Expires))
	minted := store.KeepMinted
	if c.Description != nil {
		u, _, err := t.OwnerOf(ctx, tok)
		if err == nil {
			err = checkDescription(*c.Description, u)
		}
		if err != nil {
			return store.Token{}, err
		}
		tok.Description = *c.Description
	}
	if c.Scopes != nil {
		if _, err := t.ParseScopes(string(*c.Scopes)); err != nil {
			return store.Token{}, err
		}
		if !c.Scopes.Within(Scopes(tok.Scopes)) {
			return store.Token{}, &Error{Status: http.StatusBadRequest, Field: "Scopes", Detail: "The scope of a token can only be narrowed: create a new one."}
		}
		narrower := !Scopes(tok.Scopes).Within(*c.Scopes)
		tok.Scopes = string(*c.Scopes)
		if tok.Refresh.Digest != (store.Digest{}) {
			// An access token before this one may have held all of the grant.
			narrower = narrower || !Scopes(tok.Refresh.Scopes).Within(*c.Scopes)
			tok.Refresh.Scopes = tok.Scopes
		}
		if t.opts.Minting == MintChildren && narrower {
			minted = store.EndMinted // a child must not have more scopes than its parent
		}
	}
	if c.Expires != nil {
		if err := checkShortened(*c.Expires, tok.Expires); err != nil {
			return store.Token{}, err
		}
		if t.opts.Minting == MintChildren && c.Expires.Before(tok.Expires) {
			minted = store.EndMinted // what it minted could outlive it
		}
		tok.Expires = *c.Expires
	}
	if err := t.update(ctx, tok, minted); err != nil {
		return store.Token{}, err
	}
	t.event(ctx, audit.TokenChanged, by, tok, before)
	t.hook.One(ctx, observe.TokenChanged, observe.KindNone, observe.ReasonNone)
	return t.Token(ctx, by, id)
}

// checkShortened returns a refusal unless a token that ends at old may end at
// expires instead.
func checkShortened(expires, old time.Time) error {
	why := ""
	switch {
	case expires.After(old):
		why = "The life of a token can only be shortened: create a new one."
	case !expires.Equal(old) && !expires.After(time.Now()):
		why = "This date is in the past: delete the token."
	default:
		return nil
	}
	return &Error{Status: http.StatusBadRequest, Field: "Expires", Detail: why}
}

// Rotate gives a token a new secret; the old one is dead when it returns. ID,
// scopes and expiry stay. A token that rotates itself keeps its descendants.
// With MintChildren a rotation by the owner's login ends them. Rotate returns an
// [*Error] with status 403 for another user, administrators included, and for
// another token. The token of an application is refused with status 400, because
// its refresh token replaces it.
func (t *Tokens) Rotate(ctx context.Context, by *Principal, id int64) (IssuedToken, error) {
	tok, err := t.changeable(ctx, by, id)
	if err != nil {
		return IssuedToken{}, err
	}
	switch {
	case tok.ApplicationID != 0:
		return IssuedToken{}, &Error{Status: http.StatusBadRequest, Detail: "Use the refresh token of an application token."}
	case tok.UserID != by.ID:
		// The reply shows the secret, and only the owner may know it.
		return IssuedToken{}, errForbidden
	case by.TokenID != 0 && by.TokenID != tok.ID:
		// A token that could rotate another would come to hold its rights.
		return IssuedToken{}, &Error{Status: http.StatusForbidden, Detail: "A token may rotate only itself: log in, or use Basic."}
	case by.TokenID != 0 && replaced(by, tok):
		return IssuedToken{}, errInvalidToken // somebody else was faster
	}
	if _, err := t.OwnerBy(ctx, by); err != nil {
		return IssuedToken{}, err // a login that has ended gets no secret
	}
	issued := t.withSecret(tok)
	minted := store.KeepMinted
	if by.TokenID == 0 && t.opts.Minting == MintChildren {
		minted = store.EndMinted // the owner mistrusts the use of the old secret
	}
	if err := t.update(ctx, issued.Token, minted); err != nil {
		return IssuedToken{}, err
	}
	t.event(ctx, audit.TokenRotated, by, issued.Token)
	t.hook.One(ctx, observe.TokenRotated, observe.KindNone, observe.ReasonNone)
	return issued, nil
}

// update stores tok if nobody changed it since it was read.
func (t *Tokens) update(ctx context.Context, tok store.Token, minted store.Minted) error {
	tok.Modified = time.Now()
	switch err := t.store.UpdateToken(ctx, tok, minted); {
	case errors.Is(err, store.ErrConflict):
		return &Error{Status: http.StatusConflict, Detail: "The token was changed at the same time: try again."}
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case err != nil:
		return fmt.Errorf("auth: change a token: %w", err)
	}
	return nil
}

// End revokes a token and its refresh token, and with MintChildren its
// descendants. It returns an [*Error] with status 404 or 403 if by lacks the
// right, and 404 if the token was revoked before. When it returns nil the token
// is dead everywhere.
func (t *Tokens) End(ctx context.Context, by *Principal, id int64) error {
	tok, err := t.changeable(ctx, by, id)
	if err != nil {
		return err
	}
	n, err := t.store.RevokeTokens(ctx, store.Selection{TokenID: id}, time.Now())
	if err != nil {
		return fmt.Errorf("auth: revoke a token: %w", err)
	}
	if n == 0 {
		return errNotFound // somebody else was faster
	}
	t.event(ctx, audit.TokenRevoked, by, tok)
	t.hook.One(ctx, observe.TokenRevoked, observe.KindOne, observe.ReasonNone)
	return nil
}

// EndTree is [Tokens.End] that ends the descendants in every mode. The token
// itself may have ended before.
func (t *Tokens) EndTree(ctx context.Context, by *Principal, id int64) error {
	tok, err := t.store.TokenByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return errNotFound
	}
	if err != nil {
		return fmt.Errorf("auth: look up a token: %w", err)
	}
	if err := t.End(ctx, by, id); err != nil {
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusNotFound || tok.Revoked.IsZero() || !mayChange(by, tok) {
			return err
		}
	}
	if _, err := t.store.RevokeTokens(ctx, store.Selection{MintedBy: tok.Family}, time.Now()); err != nil {
		return fmt.Errorf("auth: revoke the descendants of a token: %w", err)
	}
	return nil
}

// EndAll revokes all tokens of a user, personal ones and those of applications,
// with everything that they minted. By must be the user or a superuser, and no
// token of an application. Otherwise EndAll returns an [*Error] with status 403.
// Repeating it is harmless. The audit event has no token.
func (t *Tokens) EndAll(ctx context.Context, by *Principal, userID string) error {
	if by == nil {
		return errNobody
	}
	if userID == "" || by.ViaApplicationID != 0 || by.ApplicationID != 0 || !by.Admin && by.ID != userID {
		return errForbidden
	}
	if _, err := t.store.RevokeTokens(ctx, store.Selection{UserID: userID}, time.Now()); err != nil {
		return fmt.Errorf("auth: revoke the tokens of a user: %w", err)
	}
	t.event(ctx, audit.TokenRevoked, by, store.Token{UserID: userID})
	t.hook.One(ctx, observe.TokenRevoked, observe.KindAll, observe.ReasonNone)
	return nil
}

// RevokePersonal ends the personal access token with this secret, and with
// MintChildren its descendants (RFC 7009). The secret is enough, whatever the
// scopes. The token of an application is refused, because only the application,
// the owner and administrators may end it.
func (t *Tokens) RevokePersonal(ctx context.Context, token string) error {
	p, err := t.Verify(ctx, token)
	if err != nil {
		return err
	}
	if p.ApplicationID != 0 {
		return errApplicationToken
	}
	if _, err := t.store.RevokeTokens(ctx, store.Selection{TokenID: p.TokenID}, time.Now()); err != nil {
		return fmt.Errorf("auth: revoke a token: %w", err)
	}
	t.event(ctx, audit.TokenRevoked, p, store.Token{ID: p.TokenID, UserID: p.ID, Scopes: string(p.Scopes)})
	t.hook.One(ctx, observe.TokenRevoked, observe.KindOne, observe.ReasonNone)
	return nil
}

// event records what by did to tok.
func (t *Tokens) event(ctx context.Context, name string, by *Principal, tok store.Token, attrs ...slog.Attr) {
	t.log.LogAttrs(ctx, slog.LevelInfo, name, append([]slog.Attr{
		slog.String(audit.KeyActor, audit.Clip(by.Name)), slog.String(audit.KeyActorID, by.ID), slog.Int64(audit.KeyActorTokenID, by.TokenID),
		slog.Int64(audit.KeyTokenID, tok.ID), slog.String(audit.KeyUserID, tok.UserID),
		slog.Int64(audit.KeyApplicationID, tok.ApplicationID), slog.Int64(audit.KeyParentID, tok.ParentID),
		slog.String(audit.KeyScope, tok.Scopes), slog.Time(audit.KeyExpires, tok.Expires),
		slog.String(audit.KeyClient, client.Text(ctx)),
	}, attrs...)...)
}
