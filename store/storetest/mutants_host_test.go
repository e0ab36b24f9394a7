package storetest_test

import (
	"context"
	"errors"
	"strings"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

// hostMutants are tables of hosts, which RunUsers must reject.
var hostMutants = []mutant{
	{"a host folds case", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return foldsUserNames{r} }},
	{"a host trims blanks", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return trimsNames{r} }},
	{"a host reads IDs as numbers", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return numericIDs{r} }},
	{"a host hides the inactive", "HostUsers/active or not", func(r right) storetest.Store { return hidesInactive{r} }},
	{"a host has a hash for nobody", "HostUsers/nobody is ErrNotFound", func(r right) storetest.Store { return hashOfNobody{r} }},
	{"a host's password leaves the epoch", "Epochs/a new password changes the epoch", func(r right) storetest.Store { return passwordWithoutEpoch{r} }},
	{"a host's swap changes the epoch", "Users/SwapPasswordHash needs the stored hash", func(r right) storetest.Store { return swapChangesEpoch{r} }},
	{"a host reads, then swaps", "Users/of 64 swaps of one hash one succeeds", func(r right) storetest.Store { return readsThenSwaps{r} }},
}

// foldsUserNames is a column with a collation that ignores case.
type foldsUserNames struct{ right }

func (m foldsUserNames) UserByName(ctx context.Context, name string) (store.User, error) {
	all, _, err := m.ListUsers(ctx, store.UserFilter{}, store.Page{Limit: 1000})
	for _, u := range all {
		if strings.EqualFold(u.Name, name) {
			return u, nil
		}
	}
	return store.User{}, errors.Join(err, store.ErrNotFound)
}

// numericIDs is a key of integers that is asked for text.
type numericIDs struct{ right }

func (m numericIDs) UserByID(ctx context.Context, id string) (store.User, error) {
	return m.Store.UserByID(ctx, strings.TrimLeft(strings.TrimSpace(id), "+0"))
}

type hashOfNobody struct{ right }

func (m hashOfNobody) PasswordHash(ctx context.Context, id string) (string, error) {
	hash, err := m.Store.PasswordHash(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return hash, err
}
