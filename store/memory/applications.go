package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

func keptApp(a store.Application) store.Application {
	a = copiedApp(a)
	a.Created, a.Modified, a.OldSecretExpires = micro(a.Created), micro(a.Modified), micro(a.OldSecretExpires)
	return a
}

func copiedApp(a store.Application) store.Application {
	a.RedirectURIs = slices.Clone(a.RedirectURIs)
	return a
}

// ApplicationByID implements [store.Applications].
func (s *Store) ApplicationByID(ctx context.Context, id int64) (store.Application, error) {
	return s.application(ctx, func() *store.Application { return s.apps[id] })
}

// ApplicationByClientID implements [store.Applications].
func (s *Store) ApplicationByClientID(ctx context.Context, clientID string) (store.Application, error) {
	return s.application(ctx, func() *store.Application { return s.appsByID[clientID] })
}

func (s *Store) application(ctx context.Context, find func() *store.Application) (a store.Application, err error) {
	err = s.read(ctx, func() error {
		record := find()
		if record == nil {
			return store.ErrNotFound
		}
		a = copiedApp(*record)
		return nil
	})
	return a, err
}

// ListApplications implements [store.Applications].
func (s *Store) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) (list []store.Application, total int, err error) {
	err = s.read(ctx, func() error {
		for _, a := range s.apps {
			if (f.All || slices.Contains(f.Organizations, a.OrganizationID)) &&
				(f.ID == 0 || a.ID == f.ID) &&
				(f.Name == "" || a.Name == f.Name) &&
				(strings.Contains(a.Name, f.Search) || strings.Contains(a.Description, f.Search)) {
				list = append(list, copiedApp(*a))
			}
		}
		return nil
	})
	total = len(list)
	return page(list, p, appOrder(p.Order), func(a, b store.Application) int { return cmp.Compare(a.ID, b.ID) }), total, err
}

func appOrder(by store.OrderBy) func(a, b store.Application) int {
	return func(a, b store.Application) int {
		switch by {
		case store.OrderCreated:
			return a.Created.Compare(b.Created)
		case store.OrderModified:
			return a.Modified.Compare(b.Modified)
		case store.OrderName:
			return strings.Compare(a.Name, b.Name)
		case store.OrderOrganization:
			return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), strings.Compare(a.Name, b.Name))
		}
		return 0
	}
}

// nameTaken reports whether another application of the organization has the name.
func (s *Store) nameTaken(a store.Application) bool {
	for _, other := range s.apps {
		if other.ID != a.ID && other.OrganizationID == a.OrganizationID && other.Name == a.Name {
			return true
		}
	}
	return false
}

// InsertApplication implements [store.Applications].
func (s *Store) InsertApplication(ctx context.Context, a store.Application) (stored store.Application, err error) {
	a = keptApp(a)
	a.ID = 0
	err = s.write(ctx, func() error {
		if s.appsByID[a.ClientID] != nil || s.nameTaken(a) {
			return store.ErrExists
		}
		s.lastApp++
		a.ID, a.Revision = s.lastApp, 1
		s.apps[a.ID], s.appsByID[a.ClientID] = &a, &a
		stored = copiedApp(a)
		return nil
	})
	return stored, err
}

// UpdateApplication implements [store.Applications].
func (s *Store) UpdateApplication(ctx context.Context, a store.Application) error {
	a = keptApp(a)
	return s.write(ctx, func() error {
		old := s.apps[a.ID]
		switch {
		case old == nil:
			return store.ErrNotFound
		case old.Revision != a.Revision:
			return store.ErrConflict
		case s.nameTaken(a):
			return store.ErrExists
		}
		a.ClientID, a.Created, a.Revision = old.ClientID, old.Created, old.Revision+1
		s.apps[a.ID], s.appsByID[a.ClientID] = &a, &a
		return nil
	})
}

// DeleteApplication implements [store.Applications].
func (s *Store) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	return s.write(ctx, func() error {
		a := s.apps[id]
		if a == nil {
			return store.ErrNotFound
		}
		delete(s.apps, id)
		delete(s.appsByID, a.ClientID)
		for d, c := range s.codes {
			if c.ApplicationID == id {
				delete(s.codes, d)
			}
		}
		for _, d := range s.devices {
			if d.ApplicationID == id {
				s.dropDevice(d)
			}
		}
		s.revoke(store.Selection{ApplicationID: id}, micro(at))
		return nil
	})
}
