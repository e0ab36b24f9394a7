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
	owner       store.User
	application string // its name
}

// partiesOf looks up the parties of tokens: each owner once, and all
// applications by one query.
func (a *api) partiesOf(ctx context.Context, tokens ...store.Token) ([]parties, error) {
	var ids []int64
	for _, t := range tokens {
		if t.ApplicationID != 0 && !slices.Contains(ids, t.ApplicationID) {
			ids = append(ids, t.ApplicationID)
		}
	}
	var names map[int64]string
	var err error
	if a.OAuth != nil {
		if names, err = a.OAuth.ApplicationNames(ctx, ids); err != nil {
			return nil, err
		}
	}
	first := make(map[string]int) // the index of the first token, by owner
	list := make([]parties, len(tokens))
	for i, t := range tokens {
		if j, known := first[t.UserID]; known {
			list[i].owner = list[j].owner
		} else {
			if list[i].owner, err = a.owner(ctx, t.UserID); err != nil {
				return nil, err
			}
			first[t.UserID] = i
		}
		list[i].application = names[t.ApplicationID]
	}
	return list, nil
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
