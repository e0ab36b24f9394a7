package httpapi

import (
	"net/http"

	"github.com/ostiary/auth/store"
)

var (
	tokenFilters = filters{
		"id":          {column: store.ColumnID, kind: filterNumber},
		"description": {column: store.ColumnDescription},
		"scope":       {column: store.ColumnScopes},
		"application": {column: store.ColumnApplication, kind: filterNumber, nullable: true},
		"user":        {column: store.ColumnUser, kind: filterUserRef, nullable: true},
		"created":     {column: store.ColumnCreated, kind: filterTime},
		"modified":    {column: store.ColumnModified, kind: filterTime},
		"expires":     {column: store.ColumnExpires, kind: filterTime},
		"last_used":   {column: store.ColumnLastUsed, kind: filterTime, nullable: true},
	}
	tokenOrders = map[string]store.OrderBy{
		"id":        store.OrderID,
		"created":   store.OrderCreated,
		"modified":  store.OrderModified,
		"expires":   store.OrderExpires,
		"last_used": store.OrderLastUsed,
	}
)

// A tokenOf is a token with its parties.
type tokenOf struct {
	token *store.Token
	of    parties
}

func (a *api) listTokens(w http.ResponseWriter, r *http.Request) error {
	return a.writeTokens(w, r, store.TokenFilter{})
}

func (a *api) listPersonal(w http.ResponseWriter, r *http.Request) error {
	return a.listOwned(w, r, store.PersonalToken)
}

// listOwned lists the tokens of the user in the path.
func (a *api) listOwned(w http.ResponseWriter, r *http.Request, kind store.TokenKind) error {
	u, err := a.pathUser(r)
	if err != nil {
		return err
	}
	if p := principal(r); !mayManage(p, u) && !p.Auditor {
		return errForbidden
	}
	return a.writeTokens(w, r, store.TokenFilter{OwnerID: u.ID, Kind: kind})
}

// writeTokens writes the tokens that match f and the query and are visible to
// the caller.
func (a *api) writeTokens(w http.ResponseWriter, r *http.Request, f store.TokenFilter) error {
	q, err := parseList(r, tokenFilters, tokenOrders, store.ColumnDescription)
	if err != nil {
		return err
	}
	f.ID = q.takeNumber(store.ColumnID)
	if f.ApplicationID == 0 {
		f.ApplicationID = q.takeNumber(store.ColumnApplication)
	}
	if f.OwnerID == "" {
		f.OwnerID = q.takeText(store.ColumnUser)
	}
	f.Where = q.conditionsOf()
	ctx, p := r.Context(), principal(r)
	list := func(page store.Page) ([]store.Token, int, error) { return a.Tokens.List(ctx, p, f, page) }
	e, err := fetch(q, list, func(tokens []store.Token) ([]tokenOf, error) {
		of, err := a.partiesOf(ctx, tokens)
		if err != nil {
			return nil, err
		}
		shown := make([]tokenOf, len(tokens))
		for i := range tokens {
			shown[i] = tokenOf{&tokens[i], of[i]}
		}
		return shown, nil
	})
	if err != nil {
		return err
	}
	return writeList(w, r, q, e, func(b []byte, t tokenOf) []byte { return a.appendToken(b, t.token, t.of, tokenSecrets{}) })
}

func (a *api) listApplicationTokens(w http.ResponseWriter, r *http.Request) error {
	app, err := a.pathApplication(r)
	if err != nil {
		return err
	}
	return a.writeTokens(w, r, store.TokenFilter{ApplicationID: app.ID})
}

func (a *api) listUserTokens(w http.ResponseWriter, r *http.Request) error {
	return a.listOwned(w, r, store.AnyToken)
}

func (a *api) listAuthorized(w http.ResponseWriter, r *http.Request) error {
	return a.listOwned(w, r, store.ApplicationToken)
}
