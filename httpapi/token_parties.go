package httpapi

import (
	"context"
	"errors"
	"slices"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// parties are the owner of a token and its application.
type parties struct {
	owner       *store.User // shared by the tokens of one owner
	application string      // its name
}

// partiesOf looks up the parties of tokens: all owners by one query where they are
// the store's, each of them once where they are the host's, and all applications by
// another query.
func (a *api) partiesOf(ctx context.Context, tokens []store.Token) ([]parties, error) {
	var ids []int64
	var users []string
	for i := range tokens { // a token is large
		if id := tokens[i].ApplicationID; id != 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if id := tokens[i].UserID; !slices.Contains(users, id) { // a page has few owners, or few tokens
			users = append(users, id)
		}
	}
	names, err := a.applicationNames(ctx, ids)
	if err != nil {
		return nil, err
	}
	owners, err := a.owners(ctx, users)
	if err != nil {
		return nil, err
	}
	list := make([]parties, len(tokens))
	for i := range tokens {
		list[i] = parties{owners[tokens[i].UserID], names[tokens[i].ApplicationID]}
	}
	return list, nil
}

// partyOf is partiesOf for one token, with that owner and application, 0 for none.
func (a *api) partyOf(ctx context.Context, ownerID string, applicationID int64) (parties, error) {
	var ids []int64
	if applicationID != 0 {
		ids = []int64{applicationID}
	}
	names, err := a.applicationNames(ctx, ids)
	if err != nil {
		return parties{}, err
	}
	owner, err := a.owner(ctx, ownerID)
	return parties{&owner, names[applicationID]}, err
}

func (a *api) applicationNames(ctx context.Context, ids []int64) (map[int64]string, error) {
	if a.OAuth == nil {
		return nil, nil
	}
	return a.OAuth.ApplicationNames(ctx, ids)
}

// owner returns the user of a token. It returns a User with an ID alone if the user does
// not exist, and the zero User for "".
func (a *api) owner(ctx context.Context, id string) (store.User, error) {
	if id == "" { // the token acts for its application alone
		return store.User{}, nil
	}
	u, err := stores.UserByID(ctx, a.Users, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{ID: id}, nil
	}
	return u, err
}

// owners is owner for many users, by their IDs, of which some may be equal.
func (a *api) owners(ctx context.Context, ids []string) (map[string]*store.User, error) {
	if len(ids) == 1 { // as for a page of one's own tokens: no need of the maps
		u, err := a.owner(ctx, ids[0])
		return map[string]*store.User{ids[0]: &u}, err
	}
	found, err := stores.UsersByID(ctx, a.Users, ids)
	if err != nil {
		return nil, err
	}
	of := make(map[string]*store.User)
	for _, id := range ids {
		if of[id] == nil {
			u := found[id]
			u.ID = id
			of[id] = &u
		}
	}
	return of, nil
}
