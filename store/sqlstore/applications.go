package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// ApplicationByID implements [store.Applications].
func (s *Store) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	return s.application(ctx, applicationByID, id)
}

// ApplicationByClientID implements [store.Applications].
func (s *Store) ApplicationByClientID(ctx context.Context, clientID string) (store.Application, error) {
	return s.application(ctx, applicationByClientID, clientID)
}

func (s *Store) application(ctx context.Context, query string, key any) (store.Application, error) {
	var a store.Application
	if err := s.get(ctx, "look up an application", query, []any{key}, applicationDest(&a)...); err != nil {
		return store.Application{}, err
	}
	return a, nil
}

// InsertApplication implements [store.Applications].
func (s *Store) InsertApplication(ctx context.Context, a store.Application) (store.Application, error) {
	uris, err := listText(a.RedirectURIs)
	if err != nil {
		return store.Application{}, err
	}
	a.RedirectURIs = slices.Clone(a.RedirectURIs)
	a.Created, a.Modified, a.OldSecretExpires = stored(a.Created), stored(a.Modified), stored(a.OldSecretExpires)
	a.Epoch, a.Revision = 1, 1
	err = s.write(ctx, "insert an application", func(tx *tx) (err error) {
		a.ID, err = tx.insert(insertApplication, a.ClientID, orNone(a.Secret), orNone(a.OldSecret), orNever(a.OldSecretExpires),
			a.Name, a.Description, a.OrganizationID, a.Confidential, a.GrantType, uris, a.SkipConsent, a.RequirePKCE,
			a.Resource, a.Disabled,
			micros(a.Created), micros(a.Modified))
		return err
	})
	if err != nil {
		return store.Application{}, err
	}
	return a, nil
}

// UpdateApplication implements [store.Applications].
func (s *Store) UpdateApplication(ctx context.Context, a store.Application) error {
	uris, err := listText(a.RedirectURIs)
	if err != nil {
		return err
	}
	disables := false
	err = s.write(ctx, "update an application", func(tx *tx) error {
		var old store.Application
		if err := tx.get(applicationByID, []any{a.ID}, applicationDest(&old)...); err != nil {
			return err
		}
		quiet := 1
		if asksAgain(old, a) {
			quiet = 0
		}
		n, err := tx.exec(updateApplication, orNone(a.Secret), orNone(a.OldSecret),
			orNever(a.OldSecretExpires), a.Name, a.Description, a.OrganizationID, a.Confidential, a.GrantType, uris,
			a.SkipConsent, a.RequirePKCE, a.Resource, a.Disabled, micros(a.Modified), quiet, a.ID, a.Revision)
		if err != nil {
			return err
		}
		if n == 0 || old.Revision != a.Revision {
			return store.ErrConflict // the values that were read do not count
		}
		if disables = a.Disabled && !old.Disabled; disables {
			return tx.cutOff(cutKey{applicationID: a.ID}, 0, a.Modified)
		}
		return nil
	})
	if err == nil && disables {
		s.markNow(ctx, cutKey{applicationID: a.ID})
	}
	return err
}

// asksAgain reports whether a change asks for another consent.
func asksAgain(old, next store.Application) bool {
	return !slices.Equal(old.RedirectURIs, next.RedirectURIs) || old.Confidential != next.Confidential ||
		old.Secret != next.Secret || old.OrganizationID != next.OrganizationID || old.SkipConsent != next.SkipConsent
}

// DeleteApplication implements [store.Applications].
func (s *Store) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	err := s.write(ctx, "delete an application", func(tx *tx) error {
		n, err := tx.exec(deleteApplication, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		return tx.cutOff(cutKey{applicationID: id}, 0, at)
	})
	if err == nil {
		s.markNow(ctx, cutKey{applicationID: id})
	}
	return err
}
