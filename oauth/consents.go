package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/audit"
	"github.com/ostiary/auth/observe"
	"github.com/ostiary/auth/store"
)

// consent returns the stored consent of the user to the application and
// redirect URI of a, or a zero Consent. A consent to another epoch of the
// application does not count.
func (srv *Server) consent(ctx context.Context, userID string, a Authorization) (store.Consent, error) {
	c, err := srv.store.ConsentFor(ctx, userID, a.Application.ID, consentURI(a))
	if errors.Is(err, store.ErrNotFound) || err == nil && c.ApplicationEpoch != a.Application.Epoch {
		return store.Consent{}, nil
	}
	if err != nil {
		return store.Consent{}, fmt.Errorf("oauth: look up a consent: %w", err)
	}
	return c, nil
}

// consentURI returns the redirect URI of the record of a consent to a. All ports of
// this computer that are not registered have one record, or a native application
// would add one each time it runs.
func consentURI(a Authorization) string {
	if anyPort(a) {
		host, rest, _ := cutLoopback(a.RedirectURI)
		return host + ":*" + rest
	}
	return a.RedirectURI
}

// anyPort reports whether the redirect URI of a is registered but for its port.
func anyPort(a Authorization) bool {
	_, _, ok := cutLoopback(a.RedirectURI)
	return ok && !slices.Contains(a.Application.RedirectURIs, a.RedirectURI)
}

// covers reports whether c includes the scopes and resources of a.
func covers(c store.Consent, a Authorization) bool {
	if c.ApplicationID == 0 || !a.Scopes.Within(auth.Scopes(c.Scopes)) {
		return false
	}
	if c.Audience == "" { // any resource
		return true
	}
	granted, asked := strings.Fields(c.Audience), strings.Fields(a.Audience)
	for _, resource := range asked {
		if !slices.Contains(granted, resource) {
			return false
		}
	}
	return len(asked) > 0
}

// rememberTries is how many consents to one application a user may give at once.
// Each repetition means that another one was stored.
const rememberTries = 100

// remember stores that the user agrees to a, besides what the user agreed to
// before. It never restores what was withdrawn in the meantime.
func (srv *Server) remember(ctx context.Context, userID string, a Authorization, now time.Time) error {
	for range rememberTries {
		stored, err := srv.store.ConsentFor(ctx, userID, a.Application.ID, consentURI(a))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return fmt.Errorf("oauth: look up a consent: %w", err)
		}
		before := stored
		if before.ApplicationEpoch != a.Application.Epoch {
			before = store.Consent{}
		}
		if covers(before, a) {
			return nil
		}
		switch err := srv.store.SaveConsent(ctx, together(before, userID, a, now), stored); {
		case errors.Is(err, store.ErrConflict): // saved or withdrawn in the meantime
		case errors.Is(err, store.ErrNotFound):
			return errApplicationGone
		case err != nil:
			return fmt.Errorf("oauth: store a consent: %w", err)
		default:
			return nil
		}
	}
	return errWithdrawn
}

// together returns the record of a consent to a after the one of before. One record
// has all scopes for all resources, so the two are one record only where they differ
// in one of these. Otherwise a takes the place of what was before: together they
// would allow combinations that nobody was shown.
func together(before store.Consent, userID string, a Authorization, now time.Time) store.Consent {
	c := store.Consent{
		UserID:           userID,
		ApplicationID:    a.Application.ID,
		ApplicationEpoch: a.Application.Epoch,
		RedirectURI:      consentURI(a),
		Scopes:           string(a.Scopes),
		Audience:         a.Audience,
		Created:          now,
	}
	old := auth.Scopes(before.Scopes)
	switch {
	case before.ApplicationID == 0:
	case sameWords(before.Audience, a.Audience):
		c.Scopes = union(before.Scopes, string(a.Scopes))
	case a.Audience != "" && old.Within(a.Scopes) && a.Scopes.Within(old):
		c.Audience = union(before.Audience, a.Audience)
	}
	return c
}

// stillAgreed returns an [*auth.Error] if the consent to a was withdrawn before the
// code or the device that rests on it was stored. A withdrawal that comes later
// ends these itself.
func (srv *Server) stillAgreed(ctx context.Context, by *auth.Principal, a Authorization) error {
	if a.Silent {
		needed, err := srv.NeedsConsent(ctx, by, a, true)
		if err == nil && needed {
			err = errWithdrawn
		}
		return err
	}
	c, err := srv.consent(ctx, by.ID, a)
	if err == nil && !covers(c, a) {
		err = errWithdrawn
	}
	return err
}

// sameWords reports whether two lists have the same words, in any order.
func sameWords(a, b string) bool {
	return len(strings.Fields(union(a, b))) == len(strings.Fields(a)) && len(strings.Fields(union(b, a))) == len(strings.Fields(b))
}

// union returns the words of two lists, each once.
func union(a, b string) string {
	words := strings.Fields(a)
	for _, w := range strings.Fields(b) {
		if !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// mayManageConsents accepts users and their personal tokens only. A token of an
// application could hide the consents to it.
func mayManageConsents(by *auth.Principal) error {
	if by == nil {
		return errNobody
	}
	if by.ID == "" || by.ViaApplicationID != 0 {
		return errForbidden
	}
	return nil
}

// mayManageConsentsOf accepts the user, as mayManageConsents does, and superusers who
// act by no token and whose login has not ended.
func (srv *Server) mayManageConsentsOf(ctx context.Context, by *auth.Principal, userID string) error {
	if err := mayManageConsents(by); err != nil {
		return err
	}
	if userID == "" || by.ID != userID && (!by.Admin || by.TokenID != 0) {
		return errForbidden
	}
	if by.ID == userID || !by.HasEpoch {
		return nil
	}
	_, err := srv.tokens.OwnerBy(ctx, by)
	return err
}

// ListConsents returns one page of the consents of by, and the number of all of
// them. There is one for each application and redirect URI. A loopback URI with any
// port has "*" for its port. The order is store.OrderID, by application, or
// store.OrderCreated.
func (srv *Server) ListConsents(ctx context.Context, by *auth.Principal, p store.Page) ([]store.Consent, int, error) {
	if err := mayManageConsents(by); err != nil {
		return nil, 0, err
	}
	return srv.ListConsentsOf(ctx, by, by.ID, p)
}

// ListConsentsOf is [Server.ListConsents] for the consents of any user. By must be
// the user, or a superuser who acts by no token. Otherwise ListConsentsOf returns an
// [*auth.Error] with status 403.
func (srv *Server) ListConsentsOf(ctx context.Context, by *auth.Principal, userID string, p store.Page) ([]store.Consent, int, error) {
	if err := srv.mayManageConsentsOf(ctx, by, userID); err != nil {
		return nil, 0, err
	}
	list, total, err := srv.store.ListConsents(ctx, userID, p)
	if err != nil {
		return nil, 0, fmt.Errorf("oauth: list consents: %w", err)
	}
	return list, total, nil
}

// WithdrawConsent deletes the consents of by to an application. It ends the
// application's tokens, codes and approved devices of that user, which are dead
// when it returns nil. Without a consent it does nothing.
func (srv *Server) WithdrawConsent(ctx context.Context, by *auth.Principal, applicationID int64) error {
	if err := mayManageConsents(by); err != nil {
		return err
	}
	return srv.WithdrawConsentOf(ctx, by, by.ID, applicationID)
}

// WithdrawConsentOf is [Server.WithdrawConsent] for the consents of any user. By must
// be the user, or a superuser who acts by no token. Otherwise WithdrawConsentOf
// returns an [*auth.Error] with status 403.
func (srv *Server) WithdrawConsentOf(ctx context.Context, by *auth.Principal, userID string, applicationID int64) error {
	if err := srv.mayManageConsentsOf(ctx, by, userID); err != nil {
		return err
	}
	if err := srv.store.WithdrawConsent(ctx, userID, applicationID, time.Now()); err != nil {
		return fmt.Errorf("oauth: withdraw a consent: %w", err)
	}
	srv.managed(ctx, audit.ConsentWithdrawn, by, slog.Int64(audit.KeyApplicationID, applicationID), slog.String(audit.KeyUserID, userID))
	srv.hook.One(ctx, observe.ConsentWithdrawn, observe.KindNone, observe.ReasonNone)
	return nil
}
