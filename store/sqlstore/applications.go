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
	a.Revision = 1
	err = s.write(ctx, "insert an application", func(tx *tx) (err error) {
		a.ID, err = tx.insert(insertApplication, a.ClientID, orNone(a.Secret), orNone(a.OldSecret), orNever(a.OldSecretExpires),
			a.Name, a.Description, a.OrganizationID, a.Confidential, a.GrantType, uris, a.SkipConsent,
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
	n, err := s.change(ctx, "update an application", false, updateApplication, orNone(a.Secret), orNone(a.OldSecret),
		orNever(a.OldSecretExpires), a.Name, a.Description, a.OrganizationID, a.Confidential, a.GrantType, uris,
		a.SkipConsent, micros(a.Modified), a.ID, a.Revision)
	if err != nil || n == 1 {
		return err
	}
	if _, err := s.ApplicationByID(ctx, a.ID); err != nil {
		return err
	}
	return store.ErrConflict
}

// DeleteApplication implements [store.Applications].
func (s *Store) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	return s.write(ctx, "delete an application", func(tx *tx) error {
		n, err := tx.exec(deleteApplication, id)
		if err != nil {
			return err
		}
		if n == 0 {
			return store.ErrNotFound
		}
		for _, query := range []string{deleteApplicationCodes, deleteApplicationDevices} {
			if _, err := tx.exec(query, id); err != nil {
				return err
			}
		}
		_, err = tx.revoke(store.Selection{ApplicationID: id}, at)
		return err
	})
}
