package storetest_test

import (
	"context"
	"errors"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var serviceMutants = []mutant{
	{"forgets who is a service account", "Users/every field is kept", func(r right) storetest.Store { return forgetsService{r} }},
	{"keeps the password of a service account", "ServiceAccounts/ChangeUser ends the logins and the password", func(r right) storetest.Store { return keepsPassword{r} }},
	{"updates and keeps the password of a service account", "ServiceAccounts/UpdateUser ends the logins and the password", func(r right) storetest.Store { return keepsPassword{r} }},
	{"keeps the epoch of a service account", "ServiceAccounts/ChangeUser ends the logins and the password", func(r right) storetest.Store { return keepsEpoch{r} }},
	{"one reason for an epoch hides the other", "ServiceAccounts/deactivation and Service at once", func(r right) storetest.Store { return oneReason{r} }},
	{"makes a service account in two steps", "ServiceAccounts/no order of a password and a service account leaves a password", func(r right) storetest.Store { return serviceInSteps{r} }},
	{"hides service accounts from tokens", "ServiceAccounts/tokens and sessions come with it", func(r right) storetest.Store { return joinsNoService{r} }},
	{"takes a service account for an administrator", "ServiceAccounts/a service account is no last administrator", func(r right) storetest.Store { return serviceAdmin{r} }},
	{"cannot list service accounts", "Where/flags and times", func(r right) storetest.Store {
		return altersWhere{r, func(c *store.Condition) {
			if c.Column == store.ColumnService {
				c.Column = store.ColumnActive
			}
		}}
	}},
}

type forgetsService struct{ right }

func (m forgetsService) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	u.Service = false
	return m.Store.InsertUser(ctx, u)
}

type keepsPassword struct{ right }

func (m keepsPassword) ChangeUser(ctx context.Context, id string, c store.UserChange) (store.User, error) {
	hash, err := m.PasswordHash(ctx, id)
	if err != nil {
		return store.User{}, err
	}
	u, err := m.Store.ChangeUser(ctx, id, c)
	_ = m.SwapPasswordHash(ctx, id, "", hash)
	return u, err
}

func (m keepsPassword) UpdateUser(ctx context.Context, u store.User) error {
	hash, err := m.PasswordHash(ctx, u.ID)
	if err != nil {
		return err
	}
	err = m.Store.UpdateUser(ctx, u)
	_ = m.SwapPasswordHash(ctx, u.ID, "", hash)
	return err
}

type keepsEpoch struct{ right }

func (m keepsEpoch) UserByID(ctx context.Context, id string) (store.User, error) {
	u, err := m.Store.UserByID(ctx, id)
	if u.Service {
		u.Epoch--
	}
	return u, err
}

type oneReason struct{ right }

func (m oneReason) ChangeUser(ctx context.Context, id string, c store.UserChange) (store.User, error) {
	before, _ := m.UserByID(ctx, id)
	u, err := m.Store.ChangeUser(ctx, id, c)
	if c.Active != nil && c.Service != nil && u.Service == before.Service {
		u.Epoch = before.Epoch
	}
	return u, err
}

type serviceInSteps struct{ right }

func (m serviceInSteps) ChangeUser(ctx context.Context, id string, c store.UserChange) (store.User, error) {
	hash, err := m.PasswordHash(ctx, id)
	if err == nil {
		err = m.SwapPasswordHash(ctx, id, hash, "")
	}
	if err != nil {
		return store.User{}, err
	}
	gap()
	return keepsPassword(m).ChangeUser(ctx, id, c)
}

type joinsNoService struct{ right }

func (m joinsNoService) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	a, err := m.Store.AccessByDigest(ctx, d)
	a.User.Service = false
	return a, err
}

type serviceAdmin struct{ right }

func (m serviceAdmin) DeleteUser(ctx context.Context, id string, at time.Time) error {
	err := m.Store.DeleteUser(ctx, id, at)
	if !errors.Is(err, store.ErrLastAdmin) {
		return err
	}
	f := store.UserFilter{Where: store.Where{{{Column: store.ColumnAdmin, Values: []any{true}}}, {{Column: store.ColumnActive, Values: []any{true}}}}}
	if _, n, _ := m.ListUsers(ctx, f, store.Page{}); n > 1 {
		return nil
	}
	return err
}
