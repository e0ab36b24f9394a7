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

// partiesOf looks up the parties of tokens: each owner once, and all
// applications by one query.
func (a *api) partiesOf(ctx context.Context, tokens []store.Token) ([]parties, error) {
	var ids []int64
	for i := range tokens { // a token is large
		if id := tokens[i].ApplicationID; id != 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	names, err := a.applicationNames(ctx, ids)
	if err != nil {
		return nil, err
	}
	owners := make(map[string]*store.User)
	list := make([]parties, len(tokens))
	for i := range tokens {
		t := &tokens[i]
		owner := owners[t.UserID]
		if owner == nil {
			u, err := a.owner(ctx, t.UserID)
			if err != nil {
				return nil, err
			}
			owner = &u
			owners[t.UserID] = owner
		}
		list[i] = parties{owner, names[t.ApplicationID]}
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

// owner returns the user of a token, or the zero User if the user does not
// exist.
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
