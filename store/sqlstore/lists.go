package sqlstore

import (
	"context"
	"slices"
	"strings"

	"github.com/ostiary/auth/store"
)

// A filter is a list of conditions that must all hold. Their text consists of
// constants of this package; values of callers are in args.
type filter struct {
	parts []string
	args  []any
}

func (f *filter) and(condition string, args ...any) {
	f.parts = append(f.parts, condition)
	f.args = append(f.args, args...)
}

// only adds the condition that a column has one value. For PostgreSQL it is a range,
// so that no other index has the order of [Dialect.orderLive]: it makes one plan for
// all values, and where most tokens are of one user it would look for those of every
// other in the index that has all tokens.
func (f *filter) only(d Dialect, column string, value any) {
	text := column + " = ?"
	if d == Postgres {
		text = column + " >= ? AND " + column + " <= ?"
	}
	f.and(text, onlyArgs(d, value)...)
}

// onlyArgs are those of only.
func onlyArgs(d Dialect, value any) []any {
	if d == Postgres {
		return []any{value, value}
	}
	return []any{value}
}

// add adds the conditions of another.
func (f *filter) add(other filter) {
	f.parts = append(f.parts, other.parts...)
	f.args = append(f.args, other.args...)
}

// with returns the conditions with those of another.
func (f filter) with(other filter) filter {
	return filter{slices.Concat(f.parts, other.parts), slices.Concat(f.args, other.args)}
}

// text returns the conditions, "" if there is none.
func (f *filter) text() string { return strings.Join(f.parts, " AND ") }

// where returns the conditions as a clause.
func (f *filter) where() string {
	if f.parts == nil {
		return ""
	}
	return " WHERE " + f.text()
}

func orderBy(descending bool, columns ...string) string {
	direction := ""
	if descending {
		direction = " DESC"
	}
	return " ORDER BY " + strings.Join(columns, direction+", ") + direction
}

// narrowed returns the conditions by which f narrows what may be listed, and
// whether there can be such tokens.
func (s *Store) narrowed(f store.TokenFilter) (where filter, some bool, err error) {
	switch f.Kind {
	case store.PersonalToken:
		where.and("t.application_id = 0")
	case store.ApplicationToken:
		where.and("t.application_id <> 0")
	}
	if f.ID != 0 {
		where.and("t.id = ?", f.ID)
	}
	if f.OwnerID != "" {
		where.only(s.dialect, "t.user_id", f.OwnerID)
	}
	if f.ApplicationID != 0 {
		where.only(s.dialect, "t.application_id", f.ApplicationID)
	}
	if f.Scopes != "" {
		where.and("t.scopes = ?", f.Scopes)
	}
	if f.Description != nil {
		where.and("t.description = ?", *f.Description)
	}
	if f.Search != "" {
		where.and("INSTR(t.description, ?) > 0", f.Search)
	}
	if err := where.andWhere(s.dialect, f.Where, tokenWhere); err != nil {
		return filter{}, false, err
	}
	// Text that cannot be stored is no token's.
	return where, checkText(where.args) == nil, nil
}

func numbers(list []int64) []any {
	args := make([]any, len(list))
	for i, n := range list {
		args[i] = n
	}
	return args
}

// applicationDest is where applicationColumns go.
func applicationDest(a *store.Application) []any {
	return []any{
		&a.ID, &a.ClientID, (*digestVar)(&a.Secret), (*digestVar)(&a.OldSecret), when(&a.OldSecretExpires), &a.Name,
		&a.Description, &a.OrganizationID, &a.Confidential, &a.GrantType, (*listVar)(&a.RedirectURIs),
		&a.SkipConsent, &a.RequirePKCE, &a.Resource, &a.Disabled, when(&a.Created), when(&a.Modified), &a.Epoch, &a.Revision,
	}
}

// ListApplications implements [store.Applications].
func (s *Store) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	l := listing[store.Application]{what: "list applications", count: countApplications, query: listApplications}
	var where filter
	if !f.All {
		switch len(f.Organizations) {
		case 0:
			return nil, 0, ctx.Err()
		case 1:
			// MySQL's index of UNIQUE (organization_id, name) has the name of its first column.
			l.column, l.value, l.index = "a.organization_id", f.Organizations[0], "organization_id"
			where.only(s.dialect, l.column, l.value)
		default:
			where.and("a.organization_id"+inList(len(f.Organizations)), numbers(f.Organizations)...)
		}
	}
	if f.ID != 0 {
		where.and("a.id = ?", f.ID)
	}
	if len(f.IDs) > 0 {
		where.and("a.id"+inList(len(f.IDs)), numbers(f.IDs)...)
	}
	if f.Name != "" {
		where.and("a.name = ?", f.Name)
	}
	if f.Search != "" {
		where.and("(INSTR(a.name, ?) > 0 OR INSTR(a.description, ?) > 0)", f.Search, f.Search)
	}
	if err := where.andWhere(s.dialect, f.Where, applicationWhere); err != nil {
		return nil, 0, err
	}
	l.where = where
	l.columns, l.key = applicationOrder(f, p)
	l.few = f.ID != 0 || len(f.IDs) > 0 // at most as many as were asked for
	l.read = func(scan func(...any) error) (a store.Application, err error) {
		err = scan(applicationDest(&a)...)
		return a, err
	}
	return page(ctx, s, l, p)
}

// applicationOrder returns the columns of an order, and of what an index has in it also
// their values.
func applicationOrder(f store.ApplicationFilter, p store.Page) (columns []string, key func(store.Application) []any) {
	switch {
	case p.Order == store.OrderOrganization, p.Order == store.OrderName && !f.All && len(f.Organizations) == 1:
		// No two are equal. MariaDB would not find the order with the ID in the index.
		return []string{"a.organization_id", "a.name"}, func(a store.Application) []any { return []any{a.OrganizationID, a.Name} }
	case p.Order == store.OrderCreated:
		columns, key = []string{"a.created_at", "a.id"}, func(a store.Application) []any { return []any{micros(a.Created), a.ID} }
	case p.Order == store.OrderModified:
		columns, key = []string{"a.modified_at", "a.id"}, func(a store.Application) []any { return []any{micros(a.Modified), a.ID} }
	case p.Order == store.OrderName:
		columns, key = []string{"a.name", "a.id"}, func(a store.Application) []any { return []any{a.Name, a.ID} }
	default:
		columns, key = []string{"a.id"}, func(a store.Application) []any { return []any{a.ID} }
	}
	if !f.All { // no index has those of an organization in these orders
		key = nil
	}
	return columns, key
}
