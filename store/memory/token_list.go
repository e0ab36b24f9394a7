package memory

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/ostiary/auth/store"
)

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) (list []store.Token, total int, err error) {
	err = s.read(ctx, func() error {
		all := matcher[*token]{where: f.Where, column: s.tokenColumn}
		l := s.listTokens(f, p, func(t *token) bool { return s.listed(t, f) && all.meet(t) })
		list = shown(l.page(), s.record)
		total = l.total
		return errors.Join(all.err, l.err)
	})
	if err != nil {
		return nil, 0, err
	}
	return list, total, nil
}

// listTokens makes a page of the tokens for which listed returns true, among those
// that f can name.
func (s *Store) listTokens(f store.TokenFilter, p store.Page, listed func(*token) bool) *lister[*token] {
	l := newLister(p, tokenOrder(p.Order))
	if n, known := s.counted(f); known {
		l.knows(n)
	}
	for source := range s.sources(f, p) {
		l.take(source, listed)
	}
	return l
}

// sourceOf returns a shelf as a source.
func sourceOf(x *shelf, p store.Page) source[*token] {
	list, ordered := x.by(p.Order)
	return source[*token]{records: list.all(p.Descending), ordered: ordered}
}

// sources yields the shortest lists among whose tokens are all that f can name.
func (s *Store) sources(f store.TokenFilter, p store.Page) iter.Seq[source[*token]] {
	return func(yield func(source[*token]) bool) {
		owner := f.OwnerID
		if owner == "" && !f.All && len(f.Organizations) == 0 {
			owner = f.UserID
		}
		switch {
		case f.ID != 0:
			if t := s.tokenByID(f.ID); t != nil {
				yield(source[*token]{records: slices.Values([]*token{t})})
			}
		case owner != "" || f.ApplicationID != 0:
			if x := s.narrowest(owner, f.ApplicationID); x != nil {
				yield(sourceOf(x, p))
			}
		case f.All:
			yield(source[*token]{records: s.every.all(p.Descending), ordered: p.Order == store.OrderID})
		default:
			s.visible(f, p, yield)
		}
	}
}

// narrowest returns the shelf with fewer tokens of that of a user and that of an
// application, or nil. Either may be empty.
func (s *Store) narrowest(user string, application int64) (x *shelf) {
	if application != 0 {
		x = s.byVia[application]
		if x == nil || user == "" {
			return x
		}
	}
	a := s.account(user)
	if a == nil {
		return nil
	}
	if x == nil || a.tokens.byID.n < x.byID.n {
		return &a.tokens
	}
	return x
}

// visible yields the shelves of the user and of the applications of organizations.
func (s *Store) visible(f store.TokenFilter, p store.Page, yield func(source[*token]) bool) {
	if f.UserID != "" {
		if a := s.account(f.UserID); a != nil && !yield(sourceOf(&a.tokens, p)) {
			return
		}
	}
	if f.Kind == store.PersonalToken || len(f.Organizations) == 0 {
		return
	}
	for app := range s.appsOf(f.Organizations) {
		x := s.byVia[app.ID]
		if x == nil {
			continue
		}
		next := sourceOf(x, p)
		if f.UserID != "" {
			next.without = func(t *token) bool { return s.ownerOf(t).id == f.UserID }
		}
		if !yield(next) {
			return
		}
	}
}

func (s *Store) listed(t *token, f store.TokenFilter) bool {
	p := s.partyOf(t)
	owner, application := p.key.owner.id, p.key.application
	visible := f.All || f.UserID != "" && owner == f.UserID
	if !visible && len(f.Organizations) > 0 {
		app := s.apps[application]
		visible = app != nil && slices.Contains(f.Organizations, app.OrganizationID)
	}
	return visible && s.ended(t) == 0 &&
		(f.Kind != store.PersonalToken || application == 0) &&
		(f.Kind != store.ApplicationToken || application != 0) &&
		(f.OwnerID == "" || owner == f.OwnerID) &&
		(f.ApplicationID == 0 || application == f.ApplicationID) &&
		(f.Scopes == "" || s.scopesOf(t) == f.Scopes) &&
		(f.Description == nil || s.texts.of(t.description) == *f.Description) &&
		strings.Contains(s.texts.of(t.description), f.Search)
}

func (s *Store) tokenColumn(t *token, c store.Column) (any, bool) {
	switch c {
	case store.ColumnID:
		return t.id, true
	case store.ColumnCreated:
		return t.created.time(), true
	case store.ColumnModified:
		return t.modified.time(), true
	case store.ColumnDescription:
		return s.texts.of(t.description), true
	case store.ColumnUser:
		return s.ownerOf(t).id, true
	case store.ColumnApplication:
		return s.applicationOf(t), true
	case store.ColumnScopes:
		return s.scopesOf(t), true
	case store.ColumnExpires:
		return t.expires.time(), true
	case store.ColumnLastUsed:
		return instant(t.used.Load()).time(), true
	}
	return nil, false
}

func tokenOrder(by store.OrderBy) func(a, b *token) int {
	return func(a, b *token) int {
		var c int
		switch by {
		case store.OrderCreated:
			c = cmp.Compare(a.created, b.created)
		case store.OrderModified:
			c = cmp.Compare(a.modified, b.modified)
		case store.OrderExpires:
			c = cmp.Compare(a.expires, b.expires)
		case store.OrderLastUsed:
			c = cmp.Compare(a.used.Load(), b.used.Load())
		}
		return cmp.Or(c, cmp.Compare(a.id, b.id))
	}
}
