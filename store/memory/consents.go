package memory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// consents are the consents of users. Those of a deleted application are not
// found; they are removed in steps.
type consents struct {
	consentsOf map[string][]*consent
	given      []*consent
	unswept    int // how many of given are still to be swept, from its end
}

type consent struct {
	store.Consent
	placeOfUser, placeOfEvery int32
}

func consentOfUser(c *consent) *int32  { return &c.placeOfUser }
func consentOfEvery(c *consent) *int32 { return &c.placeOfEvery }

func newConsents() consents { return consents{consentsOf: make(map[string][]*consent)} }

func (cs *consents) drop(c *consent) {
	cs.given = leave(cs.given, c, consentOfEvery)
	if cs.consentsOf[c.UserID] = leave(cs.consentsOf[c.UserID], c, consentOfUser); len(cs.consentsOf[c.UserID]) == 0 {
		delete(cs.consentsOf, c.UserID)
	}
}

func (cs *consents) dropUser(id string) {
	for list := cs.consentsOf[id]; len(list) > 0; list = cs.consentsOf[id] {
		cs.drop(list[len(list)-1])
	}
}

// sweep makes sweepConsents look at all consents again.
func (cs *consents) sweep() { cs.unswept = len(cs.given) }

// sweepConsents drops consents of applications that are gone, in one step.
func (s *Store) sweepConsents() {
	cs := &s.consents
	cs.unswept = min(cs.unswept, len(cs.given))
	for range min(cs.unswept, stepSize) {
		cs.unswept--
		if c := cs.given[cs.unswept]; s.apps[c.ApplicationID] == nil {
			cs.drop(c)
		}
	}
}

// find returns the consent of a user, or nil.
func (cs *consents) find(userID string, applicationID int64, redirectURI string) *consent {
	for _, c := range cs.consentsOf[userID] {
		if c.ApplicationID == applicationID && c.RedirectURI == redirectURI {
			return c
		}
	}
	return nil
}

// SaveConsent implements [store.Consents].
func (s *Store) SaveConsent(ctx context.Context, r, prev store.Consent) error {
	r.Created, prev.Created = micro(r.Created), micro(prev.Created)
	return s.write(ctx, func() error {
		if s.apps[r.ApplicationID] == nil {
			return store.ErrNotFound
		}
		c := s.consents.find(r.UserID, r.ApplicationID, r.RedirectURI)
		switch {
		case c != nil && c.Consent == prev:
			c.Consent = r
			return nil
		case c != nil || prev.ApplicationID != 0:
			return store.ErrConflict
		}
		c = &consent{Consent: r}
		s.consents.consentsOf[r.UserID] = join(s.consents.consentsOf[r.UserID], c, consentOfUser)
		s.consents.given = join(s.consents.given, c, consentOfEvery)
		return nil
	})
}

// ConsentFor implements [store.Consents].
func (s *Store) ConsentFor(ctx context.Context, userID string, applicationID int64, redirectURI string) (r store.Consent, err error) {
	err = s.read(ctx, func() error {
		c := s.consents.find(userID, applicationID, redirectURI)
		if c == nil || s.apps[applicationID] == nil {
			return store.ErrNotFound
		}
		r = c.Consent
		return nil
	})
	return r, err
}

// ListConsents implements [store.Consents].
func (s *Store) ListConsents(ctx context.Context, userID string, p store.Page) (list []store.Consent, total int, err error) {
	err = s.read(ctx, func() error {
		l := newLister(p, consentOrder(p.Order))
		l.take(source[*consent]{records: slices.Values(s.consents.consentsOf[userID]), few: true}, func(c *consent) bool {
			return s.apps[c.ApplicationID] != nil
		})
		list = shown(l.page(), func(c *consent) store.Consent { return c.Consent })
		total = l.total
		return nil
	})
	return list, total, err
}

func consentOrder(by store.OrderBy) func(a, b *consent) int {
	return func(a, b *consent) int {
		c := 0
		if by == store.OrderCreated {
			c = a.Created.Compare(b.Created)
		}
		return cmp.Or(c, cmp.Compare(a.ApplicationID, b.ApplicationID), cmp.Compare(a.RedirectURI, b.RedirectURI))
	}
}

// WithdrawConsent implements [store.Consents].
func (s *Store) WithdrawConsent(ctx context.Context, userID string, applicationID int64, at time.Time) error {
	return s.write(ctx, func() error {
		for _, c := range slices.Clone(s.consents.consentsOf[userID]) {
			if c.ApplicationID == applicationID {
				s.consents.drop(c)
			}
		}
		if userID != "" && applicationID != 0 {
			s.revoke(store.Selection{UserID: userID, ApplicationID: applicationID}, instantOf(at))
		}
		return nil
	})
}
