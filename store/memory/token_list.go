package memory

import (
	"cmp"
	"context"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/ostiary/auth/store"
)

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) (list []store.Token, total int, err error) {
	err = s.read(ctx, func() error {
		all := matcher[*token]{where: f.Where, column: s.tokenColumn}
		l := newLister(p)
		for source := range s.sources(f, p) {
			l.take(source, func(t *token) bool { return s.listed(t, f) && all.meet(t) })
		}
		for _, t := range l.page() {
			list = append(list, s.record(t))
		}
		total = l.total
		return all.err
	})
	return list, total, err
}

// owned returns the number of live tokens of a user, which need not be exact above
// most.
func (s *Store) owned(user string, most int) int {
	f, p := store.TokenFilter{UserID: user, OwnerID: user}, store.Page{CountTo: most}
	l := newLister(p)
	for source := range s.sources(f, p) {
		l.take(source, func(t *token) bool { return s.listed(t, f) })
	}
	return l.total
}

// A source is a list in which tokens of a page are.
type source struct {
	tokens  iter.Seq[*token]
	ordered bool              // as the page is
	without func(*token) bool // those that are in another source, too; nil for none
}

// sourceOf returns a shelf as a source.
func sourceOf(x *shelf, p store.Page) source {
	list, ordered := x.by(p.Order)
	return source{tokens: list.all(p.Descending), ordered: ordered}
}

// sources yields the shortest lists among whose tokens are all that f can name.
func (s *Store) sources(f store.TokenFilter, p store.Page) iter.Seq[source] {
	return func(yield func(source) bool) {
		owner := f.OwnerID
		if owner == "" && !f.All && len(f.Organizations) == 0 {
			owner = f.UserID
		}
		switch {
		case f.ID != 0:
			if t := s.tokenByID(f.ID); t != nil {
				yield(source{tokens: slices.Values([]*token{t})})
			}
		case owner != "" || f.ApplicationID != 0:
			if x := s.narrowest(owner, f.ApplicationID); x != nil {
				yield(sourceOf(x, p))
			}
		case f.All:
			yield(source{tokens: s.every.all(p.Descending), ordered: p.Order == store.OrderID})
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
func (s *Store) visible(f store.TokenFilter, p store.Page, yield func(source) bool) {
	if f.UserID != "" {
		if a := s.account(f.UserID); a != nil && !yield(sourceOf(&a.tokens, p)) {
			return
		}
	}
	if f.Kind == store.PersonalToken || len(f.Organizations) == 0 {
		return
	}
	for id, x := range s.byVia {
		app := s.apps[id]
		if app == nil || !slices.Contains(f.Organizations, app.OrganizationID) {
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

// A lister makes a page of what it takes from sources, and counts.
type lister struct {
	need  int // how many tokens of each source can be on the page or follow it
	count int // how many are counted before it stops
	p     store.Page
	order func(a, b *token) int
	found []*token
	last  *token // need tokens are not after it; nil while fewer are known
	total int
}

func newLister(p store.Page) *lister {
	l := &lister{p: p, order: tokenOrder(p.Order)}
	if p.Offset = max(p.Offset, 0); p.Limit > 0 {
		l.need = p.Offset + p.Limit + 1
	}
	if p.CountTo >= 0 {
		l.count = min(cmp.Or(p.CountTo, store.MaxCount), math.MaxInt-1) + 1
	}
	if p.Descending {
		ascending := l.order
		l.order = func(a, b *token) int { return ascending(b, a) }
	}
	return l
}

// take takes the tokens of a source for which listed returns true, as far as they
// are needed.
func (l *lister) take(from source, listed func(*token) bool) {
	seen := 0
	for t := range from.tokens {
		if from.ordered && seen >= l.need && max(l.total, seen) >= l.count {
			break
		}
		if !listed(t) {
			continue
		}
		seen++
		if from.without != nil && from.without(t) {
			continue
		}
		l.total++
		if seen <= l.need || !from.ordered {
			l.keep(t)
		}
	}
	l.total = max(l.total, seen)
}

// keep keeps a token unless it comes after all that can be on the page.
func (l *lister) keep(t *token) {
	if l.need == 0 || l.last != nil && l.order(l.last, t) < 0 {
		return
	}
	if l.found = append(l.found, t); len(l.found) >= 2*l.need {
		slices.SortFunc(l.found, l.order)
		l.found = l.found[:l.need]
		l.last = l.found[l.need-1]
	}
}

// page returns the tokens of the page.
func (l *lister) page() []*token {
	slices.SortFunc(l.found, l.order)
	from := min(max(l.p.Offset, 0), len(l.found))
	return l.found[from:min(from+max(l.p.Limit, 0), len(l.found))]
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
