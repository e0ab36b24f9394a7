package sqlstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/ostiary/auth/store"
)

// consentDest is where consentColumns go.
func consentDest(c *store.Consent) []any {
	return []any{&c.UserID, &c.ApplicationID, &c.ApplicationEpoch, &c.RedirectURI, &c.Scopes, &c.Audience, when(&c.Created)}
}

// uriDigest returns the form of a redirect URI in a key, because URIs may be
// long.
func uriDigest(uri string) []byte {
	sum := sha256.Sum256([]byte(uri))
	return sum[:]
}

// SaveConsent implements [store.Consents].
func (s *Store) SaveConsent(ctx context.Context, c, prev store.Consent) error {
	uri := uriDigest(c.RedirectURI)
	err := s.write(ctx, "save a consent", func(tx *tx) error {
		if prev.ApplicationID != 0 {
			n, err := tx.exec(deleteConsent, c.UserID, c.ApplicationID, uri, prev.ApplicationEpoch, prev.Scopes, prev.Audience, micros(prev.Created))
			if err != nil {
				return err
			}
			if n == 0 {
				return store.ErrConflict
			}
		}
		n, err := tx.exec(insertConsent, c.UserID, uri, c.ApplicationEpoch, c.RedirectURI, c.Scopes, c.Audience, micros(c.Created), c.ApplicationID)
		if err == nil && n == 0 {
			return store.ErrNotFound
		}
		return err
	})
	if errors.Is(err, store.ErrExists) {
		return store.ErrConflict
	}
	return err
}

// ConsentFor implements [store.Consents].
func (s *Store) ConsentFor(ctx context.Context, userID string, applicationID int64, redirectURI string) (store.Consent, error) {
	var c store.Consent
	err := s.get(ctx, "look up a consent", consentFor, []any{userID, applicationID, uriDigest(redirectURI)}, consentDest(&c)...)
	if err != nil {
		return store.Consent{}, err
	}
	return c, nil
}

// ListConsents implements [store.Consents].
func (s *Store) ListConsents(ctx context.Context, userID string, p store.Page) ([]store.Consent, int, error) {
	var where filter
	where.and("c.user_id = ?", userID)
	columns := []string{"c.application_id", "c.redirect_uri"}
	if p.Order == store.OrderCreated {
		columns = []string{"c.created_at", "c.application_id", "c.redirect_uri"}
	}
	return page(ctx, s, listing[store.Consent]{
		what: "list consents", count: countConsents, query: consentColumns, where: where, columns: columns, few: true, // at most what the user approved by hand
		read: func(scan func(...any) error) (c store.Consent, err error) {
			err = scan(consentDest(&c)...)
			return c, err
		},
	}, p)
}

// WithdrawConsent implements [store.Consents].
func (s *Store) WithdrawConsent(ctx context.Context, userID string, applicationID int64, at time.Time) error {
	key := cutKey{userID: userID, applicationID: applicationID}
	if userID == "" || applicationID == 0 {
		return ctx.Err() // nobody consented to anything
	}
	if checkText(key.args()) != nil {
		return ctx.Err() // nothing like that is stored
	}
	err := s.write(ctx, "withdraw a consent", func(tx *tx) error {
		if _, err := tx.exec(withdrawConsents, userID, applicationID); err != nil {
			return err
		}
		return tx.cutOff(key, 0, at)
	})
	if err == nil {
		s.markNow(ctx, key)
	}
	return err
}
