package memory

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/ostiary/auth/store"
)

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) (list []store.Token, total int, err error) {
	err = s.read(ctx, func() error {
		found := slices.DeleteFunc(s.candidates(f), func(t *token) bool { return !s.listed(t, f) })
		total = len(found)
		for _, t := range page(found, p, tokenOrder(p.Order)) {
			list = append(list, t.record())
		}
		return nil
	})
	return list, total, err
}

// candidates returns tokens of which all that f can name are some, by the
// narrowest index.
func (s *Store) candidates(f store.TokenFilter) (list []*token) {
	owner := f.OwnerID
	if owner == "" && !f.All && len(f.Organizations) == 0 {
		owner = f.UserID
	}
	switch {
	case f.ID != 0:
		return s.selected(store.Selection{TokenID: f.ID})
	case owner != "":
		return s.selected(store.Selection{UserID: owner})
	case f.ApplicationID != 0:
		return s.selected(store.Selection{ApplicationID: f.ApplicationID})
	case f.All:
		return s.selected(store.Selection{All: true})
	case len(f.Organizations) == 0:
		return nil
	}
	if f.UserID != "" {
		list = s.selected(store.Selection{UserID: f.UserID})
	}
	for _, a := range s.apps {
		if !slices.Contains(f.Organizations, a.OrganizationID) {
			continue
		}
		for _, t := range s.byApplication.lists[a.ID] {
			if f.UserID == "" || t.owner.id != f.UserID {
				list = append(list, t)
			}
		}
	}
	return list
}

func (s *Store) listed(t *token, f store.TokenFilter) bool {
	visible := f.All || f.UserID != "" && t.owner.id == f.UserID
	if app := s.apps[t.application]; !visible && app != nil {
		visible = slices.Contains(f.Organizations, app.OrganizationID)
	}
	st := t.state.Load()
	return visible && st.revoked == 0 &&
		(f.Kind != store.PersonalToken || t.application == 0) &&
		(f.Kind != store.ApplicationToken || t.application != 0) &&
		(f.OwnerID == "" || t.owner.id == f.OwnerID) &&
		(f.ApplicationID == 0 || t.application == f.ApplicationID) &&
		(f.Scopes == "" || st.scopes.Value() == f.Scopes) &&
		(f.Description == nil || st.description == *f.Description) &&
		strings.Contains(st.description, f.Search)
}

func tokenOrder(by store.OrderBy) func(a, b *token) int {
	return func(a, b *token) int {
		var c int
		switch by {
		case store.OrderCreated:
			c = cmp.Compare(a.created, b.created)
		case store.OrderModified:
			c = cmp.Compare(a.state.Load().modified, b.state.Load().modified)
		case store.OrderExpires:
			c = cmp.Compare(a.state.Load().expires, b.state.Load().expires)
		case store.OrderLastUsed:
			c = cmp.Compare(a.used.Load(), b.used.Load())
		}
		return cmp.Or(c, cmp.Compare(a.id, b.id))
	}
}
