package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/store"
)

var (
	applicationFilters = filters{
		"id":                       {column: store.ColumnID, kind: filterNumber},
		"name":                     {column: store.ColumnName},
		"description":              {column: store.ColumnDescription},
		"organization":             {column: store.ColumnOrganization, kind: filterNumber},
		"client_type":              {column: store.ColumnConfidential, kind: filterClientType},
		"authorization_grant_type": {column: store.ColumnGrantType},
		"skip_authorization":       {column: store.ColumnSkipConsent, kind: filterBool},
		"created":                  {column: store.ColumnCreated, kind: filterTime},
		"modified":                 {column: store.ColumnModified, kind: filterTime},
	}
	applicationOrders = map[string]store.OrderBy{
		"id":           store.OrderID,
		"created":      store.OrderCreated,
		"modified":     store.OrderModified,
		"name":         store.OrderName,
		"organization": store.OrderOrganization,
	}
)

// An applicationOf is an application with its summary.
type applicationOf struct {
	application store.Application
	summary     applicationSummary
}

func (a *api) listApplications(w http.ResponseWriter, r *http.Request) error {
	f, nothing, err := a.pathOrganization(r)
	if err != nil {
		return err
	}
	q, err := parseList(r, applicationFilters, applicationOrders, store.ColumnName, store.ColumnDescription)
	if err != nil {
		return err
	}
	if !q.values.Has("order_by") && !q.values.Has("order") {
		q.Order = store.OrderOrganization // and then by name, as in AWX
	}
	f.ID, f.Name = q.takeNumber(store.ColumnID), q.takeText(store.ColumnName)
	f.Where = q.conditionsOf()
	ctx, p := r.Context(), principal(r)
	list := func(page store.Page) ([]store.Application, int, error) {
		if nothing {
			return nil, 0, nil
		}
		return a.OAuth.ListApplications(ctx, p, f, page)
	}
	e, err := fetch(q, list, func(apps []store.Application) ([]applicationOf, error) {
		summaries, err := a.summarize(ctx, p, apps...)
		if err != nil {
			return nil, err
		}
		shown := make([]applicationOf, len(apps))
		for i, app := range apps {
			shown[i] = applicationOf{app, summaries[i]}
		}
		return shown, nil
	})
	if err != nil {
		return err
	}
	return writeList(w, r, q, e, func(b []byte, app applicationOf) []byte {
		return a.appendApplication(b, app.application, app.summary, "")
	})
}
