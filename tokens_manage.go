package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/ostiary/auth/store"
)

var errNotFound = &Error{Status: http.StatusNotFound, Detail: "Not found."}

// mayRead reports whether by may see tok: its owner may, a superuser and a
// system auditor. Whoever may not gets the same answer as for a token that does
// not exist.
func mayRead(by *Principal, tok store.Token) bool {
	return mayChange(by, tok) || by.Auditor
}

// mayChange reports whether by may change or end tok.
func mayChange(by *Principal, tok store.Token) bool {
	return by.Admin || by.ID != "" && by.ID == tok.UserID
}

// Token returns the token with that ID, or an [*Error] with status 404 if there
// is none, it is revoked, or by may not see it. Administrators of an organization
// see and change the tokens of its applications.
func (t *Tokens) Token(ctx context.Context, by *Principal, id int64) (store.Token, error) {
	tok, _, err := t.token(ctx, by, id)
	return tok, err
}

// token also reports whether by may change it.
func (t *Tokens) token(ctx context.Context, by *Principal, id int64) (tok store.Token, change bool, err error) {
	tok, err = t.store.TokenByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !tok.Revoked.IsZero() {
		return store.Token{}, false, errNotFound
	}
	if err != nil {
		return store.Token{}, false, fmt.Errorf("auth: look up a token: %w", err)
	}
	change = mayChange(by, tok)
	if !change && tok.ApplicationID != 0 {
		if change, err = t.administersApplication(ctx, by, tok.ApplicationID); err != nil {
			return store.Token{}, false, err
		}
	}
	if !change && !mayRead(by, tok) {
		return store.Token{}, false, errNotFound
	}
	return tok, change, nil
}

// changeable is Token for a caller that means to change it.
func (t *Tokens) changeable(ctx context.Context, by *Principal, id int64) (store.Token, error) {
	tok, change, err := t.token(ctx, by, id)
	if err == nil && !change {
		err = errForbidden
	}
	return tok, err
}

// List returns one page of the tokens that f names and by may see, and how many
// there are. Who may be listed is decided here: f.UserID, f.Organizations and
// f.All are ignored.
func (t *Tokens) List(ctx context.Context, by *Principal, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	m, err := t.memberships(ctx, by)
	if err != nil {
		return nil, 0, err
	}
	f.Organizations = m.Admin
	f.UserID = by.ID
	f.All = by.Admin || by.Auditor
	list, total, err := t.store.ListTokens(ctx, f, p)
	if err != nil {
		return nil, 0, fmt.Errorf("auth: list tokens: %w", err)
	}
	return list, total, nil
}

// TokenChange says what to change about a token; nil leaves a field alone.
type TokenChange struct {
	Description *string
	// Scopes may only narrow: what leaked as harmless never becomes harmful. The
	// grant behind the token of an application narrows with it, so that no
	// refresh brings back what was taken away.
	Scopes *Scopes
}

// Change describes or narrows a token and returns it as it is then. It returns
// an [*Error] with status 404 or 403 if by may not, 400 for a change that cannot
// be, and 409 if somebody else changed the token at the same time.
func (t *Tokens) Change(ctx context.Context, by *Principal, id int64, c TokenChange) (store.Token, error) {
	tok, err := t.changeable(ctx, by, id)
	if err != nil {
		return store.Token{}, err
	}
	if c.Description != nil {
		if err := checkDescription(*c.Description); err != nil {
			return store.Token{}, err
		}
		tok.Description = *c.Description
	}
	if c.Scopes != nil {
		if _, err := t.ParseScopes(string(*c.Scopes)); err != nil {
			return store.Token{}, err
		}
		if !c.Scopes.Within(Scopes(tok.Scopes)) {
			return store.Token{}, &Error{Status: http.StatusBadRequest, Code: "invalid_scope", Field: "scope", Detail: "The scope of a token can only be narrowed: create a new one."}
		}
		tok.Scopes = string(*c.Scopes)
		if tok.Refresh.Digest != (store.Digest{}) {
			tok.Refresh.Scopes = tok.Scopes
		}
	}
	if err := t.update(ctx, tok); err != nil {
		return store.Token{}, err
	}
	t.event(ctx, eventTokenChanged, by, tok)
	return t.Token(ctx, by, id)
}

// Rotate gives a token a new secret; the old one is dead when it returns. ID,
// scopes, expiry and children stay, so a token may rotate itself. A token that
// belongs to an application is refused: its refresh token does that.
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
	}
	secret := newSecret(t.opts.Prefix, kindAccess)
	tok.Digest = store.DigestOf(secret.Reveal())
	if err := t.update(ctx, tok); err != nil {
		return IssuedToken{}, err
	}
	t.event(ctx, eventTokenRotated, by, tok)
	return IssuedToken{Token: tok, AccessToken: secret}, nil
}

// update stores tok if nobody changed it since it was read.
func (t *Tokens) update(ctx context.Context, tok store.Token) error {
	tok.Modified = time.Now()
	switch err := t.store.UpdateToken(ctx, tok); {
	case errors.Is(err, store.ErrConflict):
		return &Error{Status: http.StatusConflict, Detail: "The token was changed at the same time: try again."}
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case err != nil:
		return fmt.Errorf("auth: change a token: %w", err)
	}
	return nil
}

// End revokes a token, its refresh token and everything it minted. It returns an
// [*Error] with status 404 or 403 if by may not, and 404 if it was revoked
// before. When it returns nil the token is dead everywhere.
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
	t.event(ctx, eventTokenRevoked, by, tok)
	return nil
}
