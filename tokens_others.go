package auth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// mayManageOthers returns an [*Error] unless by is a superuser in person, whose login
// has not ended: no token acts for everybody.
func (t *Tokens) mayManageOthers(ctx context.Context, by *Principal) error {
	switch {
	case by == nil:
		return errNobody
	case !by.Admin || by.ID == "" || by.TokenID != 0 || by.ApplicationID != 0 || by.ViaApplicationID != 0:
		return errForbidden
	}
	if !by.HasEpoch { // an operator's program
		return nil
	}
	_, err := t.OwnerBy(ctx, by)
	return err
}

var errNothingSelected = &Error{Status: http.StatusBadRequest, Detail: "Select the tokens of a user, of an application, or all."}

// IssueTo is [Tokens.Issue] of a personal access token that belongs to another user.
// By must be a superuser who acts by no token, such as the principal of an operator's
// program. Otherwise IssueTo returns an [*Error] with status 403. It also returns one
// if the user is unknown, inactive or refused by TokensOptions.MayIssue. The scopes
// must be within those of by. The token does not end with by: it is how a service
// account, which never logs in, gets its tokens.
func (t *Tokens) IssueTo(ctx context.Context, by *Principal, userID string, req TokenRequest) (IssuedToken, error) {
	if err := t.mayManageOthers(ctx, by); err != nil {
		return IssuedToken{}, err
	}
	return t.issue(ctx, by, &Principal{ID: userID, Scopes: by.Scopes}, req)
}

// EndSelected revokes the tokens that sel selects, with their refresh tokens and all
// that they minted but independent ones. By must be a superuser who acts by no token.
// Otherwise EndSelected returns an [*Error] with status 403. When it returns nil all
// of the tokens are dead. The work is bounded, whatever their number; Purge removes
// their records. Repeating it is harmless. An empty selection is an [*Error] with
// status 400. The audit event has the user, the application and the token of sel.
func (t *Tokens) EndSelected(ctx context.Context, by *Principal, sel store.Selection) error {
	if err := t.mayManageOthers(ctx, by); err != nil {
		return err
	}
	if sel == (store.Selection{}) {
		return errNothingSelected
	}
	if _, err := t.store.RevokeTokens(ctx, sel, time.Now()); err != nil {
		return fmt.Errorf("auth: revoke tokens: %w", err)
	}
	t.event(ctx, audit.TokenRevoked, by, store.Token{ID: sel.TokenID, UserID: sel.UserID, ApplicationID: sel.ApplicationID})
	cause := observe.KindAll
	if sel.TokenID != 0 {
		cause = observe.KindOne
	}
	t.hook.One(ctx, observe.TokenRevoked, cause, observe.ReasonNone)
	return nil
}
