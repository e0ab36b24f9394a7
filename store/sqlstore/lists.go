package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// A filter is a list of conditions that must all hold. Their text consists of
// constants of this package; what callers send goes into args.
type filter struct {
	parts []string
	args  []any
}

func (f *filter) and(condition string, args ...any) {
	f.parts = append(f.parts, condition)
	f.args = append(f.args, args...)
}

func (f *filter) where() string {
	if f.parts == nil {
		return ""
	}
	return " WHERE " + strings.Join(f.parts, " AND ")
}

func orderBy(descending bool, columns ...string) string {
	direction := ""
	if descending {
		direction = " DESC"
	}
	return " ORDER BY " + strings.Join(columns, direction+", ") + direction
}

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) ([]store.Token, int, error) {
	var where filter
	from := ""
	switch {
	case f.All:
	case f.UserID == "" && len(f.Organizations) == 0:
		return nil, 0, ctx.Err()
	case f.UserID == "":
		where.and("t.application_id IN (SELECT a.id FROM auth_applications a WHERE a.organization_id"+
			inList(len(f.Organizations))+")", numbers(f.Organizations)...)
	case len(f.Organizations) == 0:
		where.and("t.user_id = ?", f.UserID)
	default:
		// With OR in the condition PostgreSQL would read the whole table.
		from = visibleTokens + inList(len(f.Organizations)) + visibleTokensEnd
		where.args = append([]any{f.UserID}, numbers(f.Organizations)...)
	}
	where.and("t.revoked_at IS NULL")
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
		where.and("t.user_id = ?", f.OwnerID)
	}
	if f.ApplicationID != 0 {
		where.and("t.application_id = ?", f.ApplicationID)
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
	return page(ctx, s, "list tokens", countTokens, listTokens, from+where.where(), tokenOrder(p), where.args, p,
		func(scan func(...any) error) (t store.Token, err error) {
			err = scan(tokenDest(&t)...)
			return t, err
		})
}

func tokenOrder(p store.Page) string {
	columns := []string{"t.id"}
	switch p.Order {
	case store.OrderCreated:
		columns = []string{"t.created_at", "t.id"}
	case store.OrderModified:
		columns = []string{"t.modified_at", "t.id"}
	case store.OrderExpires:
		columns = []string{"t.expires_at", "t.id"}
	case store.OrderLastUsed:
		// Databases disagree where NULL goes.
		columns = []string{"CASE WHEN t.last_used_at IS NULL THEN 0 ELSE 1 END", "t.last_used_at", "t.id"}
	}
	return orderBy(p.Descending, columns...)
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
		&a.SkipConsent, when(&a.Created), when(&a.Modified), &a.Revision,
	}
}

// ListApplications implements [store.Applications].
func (s *Store) ListApplications(ctx context.Context, f store.ApplicationFilter, p store.Page) ([]store.Application, int, error) {
	var where filter
	if !f.All {
		if len(f.Organizations) == 0 {
			return nil, 0, ctx.Err()
		}
		where.and("a.organization_id"+inList(len(f.Organizations)), numbers(f.Organizations)...)
	}
	if f.ID != 0 {
		where.and("a.id = ?", f.ID)
	}
	if f.Name != "" {
		where.and("a.name = ?", f.Name)
	}
	if f.Search != "" {
		where.and("(INSTR(a.name, ?) > 0 OR INSTR(a.description, ?) > 0)", f.Search, f.Search)
	}
	return page(ctx, s, "list applications", countApplications, listApplications, where.where(), applicationOrder(p), where.args, p,
		func(scan func(...any) error) (a store.Application, err error) {
			err = scan(applicationDest(&a)...)
			return a, err
		})
}

func applicationOrder(p store.Page) string {
	columns := []string{"a.id"}
	switch p.Order {
	case store.OrderCreated:
		columns = []string{"a.created_at", "a.id"}
	case store.OrderModified:
		columns = []string{"a.modified_at", "a.id"}
	case store.OrderName:
		columns = []string{"a.name", "a.id"}
	case store.OrderOrganization:
		columns = []string{"a.organization_id", "a.name", "a.id"}
	}
	return orderBy(p.Descending, columns...)
}

// ListSessions implements [store.Sessions].
func (s *Store) ListSessions(ctx context.Context, userID string, at time.Time) ([]store.Session, error) {
	args := []any{userID, micros(at)}
	if checkText(args) != nil {
		return nil, nil // nothing like that is stored
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return list(ctx, s, "list sessions", listSessions, args, func(scan func(...any) error) (v store.Session, err error) {
		err = scan(&v.ID, &v.UserID, &v.Epoch, when(&v.Created), when(&v.Seen), when(&v.Expires), &v.Revision)
		return v, err
	})
}
