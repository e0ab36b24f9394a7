package memory

import (
	"cmp"
	"context"
	"errors"
	"iter"
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
	return s.application(ctx, func() *store.Application { return s.clients[clientID] })
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
	all := matcher[*store.Application]{where: f.Where, column: appColumn}
	l := newLister(p, appOrder(p.Order))
	err = s.read(ctx, func() error {
		l.take(s.appsFor(f, p), func(a *store.Application) bool {
			return (f.All || slices.Contains(f.Organizations, a.OrganizationID)) &&
				(f.ID == 0 || a.ID == f.ID) &&
				(len(f.IDs) == 0 || slices.Contains(f.IDs, a.ID)) &&
				(f.Name == "" || a.Name == f.Name) &&
				(strings.Contains(a.Name, f.Search) || strings.Contains(a.Description, f.Search)) && all.meet(a)
		})
		return errors.Join(all.err, l.err)
	})
	if err != nil {
		return nil, 0, err
	}
	// They are never changed in place.
	return shown(l.page(), func(a *store.Application) store.Application { return copiedApp(*a) }), l.total, nil
}

// appsFor returns the shortest list in which all applications are that f can name.
func (s *Store) appsFor(f store.ApplicationFilter, p store.Page) source[*store.Application] {
	ids := f.IDs
	if f.ID != 0 {
		ids = []int64{f.ID}
	}
	switch {
	case len(ids) > 0:
		return source[*store.Application]{few: true, records: func(yield func(*store.Application) bool) {
			for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
				if a := s.apps[id]; a != nil && !yield(a) {
					return
				}
			}
		}}
	case !f.All:
		return source[*store.Application]{records: s.appsOf(f.Organizations), few: p.Order == store.OrderOrganization}
	case p.Order == store.OrderOrganization:
		return source[*store.Application]{records: s.appsByOrganization.all(p.Descending), ordered: true}
	}
	return source[*store.Application]{records: s.appsByID.all(p.Descending), ordered: p.Order == store.OrderID}
}

// appsOf yields the applications of organizations.
func (s *Store) appsOf(organizations []int64) iter.Seq[*store.Application] {
	return func(yield func(*store.Application) bool) {
		for _, id := range slices.Compact(slices.Sorted(slices.Values(organizations))) {
			for a := range s.appsByOrganization.from(&store.Application{OrganizationID: id}) {
				if a.OrganizationID != id {
					break
				}
				if !yield(a) {
					return
				}
			}
		}
	}
}

func appColumn(a *store.Application, c store.Column) (any, bool) {
	switch c {
	case store.ColumnID:
		return a.ID, true
	case store.ColumnName:
		return a.Name, true
	case store.ColumnCreated:
		return a.Created, true
	case store.ColumnModified:
		return a.Modified, true
	case store.ColumnDescription:
		return a.Description, true
	case store.ColumnOrganization:
		return a.OrganizationID, true
	case store.ColumnConfidential:
		return a.Confidential, true
	case store.ColumnGrantType:
		return a.GrantType, true
	case store.ColumnSkipConsent:
		return a.SkipConsent, true
	}
	return nil, false
}

// SummarizeTokens implements [store.Applications].
func (s *Store) SummarizeTokens(ctx context.Context, applications []int64, f store.TokenFilter, most int) (list []store.TokenSummary, err error) {
	list = make([]store.TokenSummary, len(applications))
	all := matcher[*token]{where: f.Where, column: s.tokenColumn}
	err = s.read(ctx, func() error {
		for i, id := range applications {
			if id == 0 { // which no application has, but every personal token
				continue
			}
			x := s.byVia[id]
			if x == nil {
				continue
			}
			l := newLister(store.Page{Limit: most}, tokenOrder(store.OrderID))
			if of := f; f.ApplicationID == 0 || f.ApplicationID == id {
				of.ApplicationID = id
				if n, known := s.counted(of); known {
					l.knows(n)
				}
			}
			l.take(source[*token]{records: x.byID.all(false), ordered: true}, func(t *token) bool {
				return s.applicationOf(t) == id && (f.ID == 0 || t.id == f.ID) && s.listed(t, f) && all.meet(t)
			})
			list[i].Total = l.total
			for _, t := range l.page() {
				list[i].First = append(list[i].First, store.TokenRef{ID: t.id, Scopes: s.scopesOf(t)})
			}
		}
		return all.err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func appOrder(by store.OrderBy) func(a, b *store.Application) int {
	return func(a, b *store.Application) int {
		var c int
		switch by {
		case store.OrderCreated:
			c = a.Created.Compare(b.Created)
		case store.OrderModified:
			c = a.Modified.Compare(b.Modified)
		case store.OrderName:
			c = strings.Compare(a.Name, b.Name)
		case store.OrderOrganization:
			c = cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), strings.Compare(a.Name, b.Name))
		}
		return cmp.Or(c, cmp.Compare(a.ID, b.ID))
	}
}

// An appName is a name that one application of an organization can have.
type appName struct {
	organization int64
	name         string
}

func nameOf(a store.Application) appName { return appName{a.OrganizationID, a.Name} }

// InsertApplication implements [store.Applications].
func (s *Store) InsertApplication(ctx context.Context, a store.Application) (stored store.Application, err error) {
	a = keptApp(a)
	err = s.write(ctx, func() error {
		if s.clients[a.ClientID] != nil || s.appNames[nameOf(a)] != 0 {
			return store.ErrExists
		}
		s.lastApp++
		a.ID, a.Epoch, a.Revision = s.lastApp, 1, 1
		s.putApplication(&a)
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
		}
		if id := s.appNames[nameOf(a)]; id != 0 && id != a.ID {
			return store.ErrExists
		}
		a.ClientID, a.Created, a.Epoch, a.Revision = old.ClientID, old.Created, old.Epoch, old.Revision+1
		if asksAgain(*old, a) {
			a.Epoch++
		}
		s.dropApplication(old)
		s.putApplication(&a)
		if a.Disabled && !old.Disabled {
			s.revoke(store.Selection{ApplicationID: a.ID}, instantOf(a.Modified))
		}
		return nil
	})
}

// asksAgain reports whether a change asks for another consent.
func asksAgain(old, next store.Application) bool {
	return !slices.Equal(old.RedirectURIs, next.RedirectURIs) || old.Confidential != next.Confidential ||
		old.Secret != next.Secret || old.OrganizationID != next.OrganizationID || old.SkipConsent != next.SkipConsent
}

func (s *Store) putApplication(a *store.Application) {
	s.apps[a.ID], s.clients[a.ClientID], s.appNames[nameOf(*a)] = a, a, a.ID
	s.appsByID.add(a)
	s.appsByOrganization.add(a)
}

func (s *Store) dropApplication(a *store.Application) {
	delete(s.apps, a.ID)
	delete(s.clients, a.ClientID)
	delete(s.appNames, nameOf(*a))
	s.appsByID.remove(a)
	s.appsByOrganization.remove(a)
}

// DeleteApplication implements [store.Applications].
func (s *Store) DeleteApplication(ctx context.Context, id int64, at time.Time) error {
	return s.write(ctx, func() error {
		a := s.apps[id]
		if a == nil {
			return store.ErrNotFound
		}
		s.dropApplication(a)
		s.consents.sweep()
		s.revoke(store.Selection{ApplicationID: id}, instantOf(at))
		return nil
	})
}
