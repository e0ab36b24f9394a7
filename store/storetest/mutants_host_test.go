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
	{"a host finds people by their address", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return spelledUsers{r, address} }},
	{"a host drops dots", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return spelledUsers{r, strings.NewReplacer(".", "").Replace} }},
	{"a host trims what is after a line", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return spelledUsers{r, trimmedLine} }},
	{"a host normalizes", "HostUsers/letters are compared byte for byte", func(r right) storetest.Store { return spelledUsers{r, strings.NewReplacer("\uff21", "A").Replace} }},
	{"a host's column cuts a hash", "HostUsers/a hash comes back whole", func(r right) storetest.Store { return cutsHash{r} }},
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

// spelledUsers finds a user by each name that becomes the user's.
type spelledUsers struct {
	right
	becomes func(string) string
}

func (m spelledUsers) UserByName(ctx context.Context, name string) (store.User, error) {
	return m.Store.UserByName(ctx, m.becomes(name))
}

func address(name string) string {
	before, _, _ := strings.Cut(name, "@x.")
	return before
}

func trimmedLine(name string) string { return strings.TrimRight(name, "\r\n") }

// cutsHash is a column of 100 characters in a database that does not complain.
type cutsHash struct{ right }

func (m cutsHash) PasswordHash(ctx context.Context, id string) (string, error) {
	hash, err := m.Store.PasswordHash(ctx, id)
	return hash[:min(100, len(hash))], err
}

type hashOfNobody struct{ right }

func (m hashOfNobody) PasswordHash(ctx context.Context, id string) (string, error) {
	hash, err := m.Store.PasswordHash(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	return hash, err
}
