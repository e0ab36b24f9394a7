package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/store"
)

var (
	activityFilters = filters{
		"id":                   {column: store.ColumnID, kind: filterNumber},
		"timestamp":            {column: store.ColumnCreated, kind: filterTime},
		"operation":            {column: store.ColumnOperation},
		"object1":              {column: store.ColumnObject, kind: filterObject},
		"actor":                {column: store.ColumnActor, kind: filterUserRef, nullable: true},
		"user":                 {column: store.ColumnUser, kind: filterUserRef, nullable: true},
		"o_auth2_access_token": {column: store.ColumnToken, kind: filterNumber, nullable: true},
		"o_auth2_application":  {column: store.ColumnApplication, kind: filterNumber, nullable: true},
	}
	// Entries are numbered in the order in which they are recorded.
	activityOrders = map[string]store.OrderBy{"id": store.OrderCreated, "timestamp": store.OrderCreated}
)

// writeActivities writes the entries that match f and the query and are visible to
// the caller.
func (a *api) writeActivities(w http.ResponseWriter, r *http.Request, f store.ActivityFilter) error {
	q, err := parseList(r, activityFilters, activityOrders)
	if err != nil {
		return err
	}
	f.ID = q.takeNumber(store.ColumnID)
	if f.ConcernedID == "" {
		f.ConcernedID = q.takeText(store.ColumnUser)
	}
	if f.TokenID == 0 {
		f.TokenID = q.takeNumber(store.ColumnToken)
	}
	if f.ApplicationID == 0 {
		f.ApplicationID = q.takeNumber(store.ColumnApplication)
	}
	f.Where = q.conditionsOf()
	ctx, p := r.Context(), principal(r)
	list := func(page store.Page) ([]store.Activity, int, error) { return a.Activity.List(ctx, p, f, page) }
	e, err := fetch(q, list, func(entries []store.Activity) ([][]byte, error) {
		of, err := a.actorsOf(ctx, p, entries)
		if err != nil {
			return nil, err
		}
		shown := make([][]byte, len(entries))
		for i, e := range entries {
			if shown[i], err = json.Marshal(showActivity(e, of)); err != nil {
				return nil, fmt.Errorf("httpapi: encode: %w", err)
			}
		}
		return shown, nil
	})
	if err != nil {
		return err
	}
	return writeList(w, r, q, e, func(b, entry []byte) []byte { return append(b, entry...) })
}

// actors are the users, tokens and applications of entries that exist. Those that
// the caller may not see are not among the tokens, the applications and the visible
// users.
type actors struct {
	users        map[string]store.User
	visible      map[string]bool
	tokens       map[int64]store.Token
	applications map[int64]store.Application
}

// actorsOf looks up the users of the entries as [api.owners] does, all tokens by one
// query and all applications by another.
func (a *api) actorsOf(ctx context.Context, p *auth.Principal, entries []store.Activity) (actors, error) {
	of := actors{map[string]store.User{}, map[string]bool{}, map[int64]store.Token{}, map[int64]store.Application{}}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ActorID, e.UserID)
		if e.TokenID != 0 && e.Object == store.ObjectToken {
			of.tokens[e.TokenID] = store.Token{}
		}
		if e.ApplicationID != 0 {
			of.applications[e.ApplicationID] = store.Application{}
		}
	}
	users, err := a.owners(ctx, ids)
	if err != nil {
		return of, err
	}
	for id, u := range users {
		of.users[id], of.visible[id] = *u, u.Name != "" && maySee(p, *u)
	}
	return of, a.lookUp(ctx, p, &of)
}

// lookUp replaces the tokens and the applications by those that p may see.
func (a *api) lookUp(ctx context.Context, p *auth.Principal, of *actors) error {
	page := store.Page{Limit: maxPageSize, CountTo: -1}
	if ids := slices.Sorted(maps.Keys(of.tokens)); len(ids) > 0 && a.Tokens != nil {
		values := make([]any, len(ids))
		for i, id := range ids {
			values[i] = id
		}
		clear(of.tokens)
		tokens, _, err := a.Tokens.List(ctx, p, store.TokenFilter{Where: store.Where{{{Column: store.ColumnID, Values: values}}}}, page)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			of.tokens[t.ID] = t
		}
	}
	if ids := slices.Sorted(maps.Keys(of.applications)); len(ids) > 0 && a.OAuth != nil {
		clear(of.applications)
		apps, _, err := a.OAuth.ListApplications(ctx, p, store.ApplicationFilter{IDs: ids}, page)
		if err != nil {
			return err
		}
		for _, app := range apps {
			of.applications[app.ID] = app
		}
	}
	return nil
}
