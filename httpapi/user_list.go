package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/store"
)

var (
	userFilters = filters{
		"id":                 {column: store.ColumnID, kind: filterUserID},
		"username":           {column: store.ColumnName},
		"email":              {column: store.ColumnEmail},
		"first_name":         {column: store.ColumnFirstName},
		"last_name":          {column: store.ColumnLastName},
		"is_superuser":       {column: store.ColumnAdmin, kind: filterBool},
		"is_system_auditor":  {column: store.ColumnAuditor, kind: filterBool},
		"is_active":          {column: store.ColumnActive, kind: filterBool},
		"is_service_account": {column: store.ColumnService, kind: filterBool},
		"created":            {column: store.ColumnCreated, kind: filterTime},
	}
	userOrders = map[string]store.OrderBy{
		"id":       store.OrderID,
		"username": store.OrderName,
		"created":  store.OrderCreated,
	}
)

// listUsers lists the users that the caller may see.
func (a *api) listUsers(w http.ResponseWriter, r *http.Request) error {
	ctx, p := r.Context(), principal(r)
	if p.ID == "" {
		return errForbidden // an application that acts for itself
	}
	q, err := parseList(r, userFilters, userOrders, store.ColumnName, store.ColumnFirstName, store.ColumnLastName, store.ColumnEmail)
	if err != nil {
		return err
	}
	f := store.UserFilter{Name: q.takeText(store.ColumnName), Where: q.conditionsOf()}
	e, err := fetch(q, func(page store.Page) ([]store.User, int, error) { return a.Accounts.List(ctx, p, f, page) },
		func(users []store.User) ([]store.User, error) { return users, nil })
	if err != nil {
		return err
	}
	return writeList(w, r, q, e, func(b []byte, u store.User) []byte { return a.appendUser(b, p, u) })
}
