package storetest

import (
	"context"
	"testing"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// HostUsers is a host's own table of users.
type HostUsers struct {
	store.Users

	// Add stores a user with the Name and the Active of u and without a
	// password, and returns the user as UserByID does. The names consist of
	// letters and digits.
	Add func(ctx context.Context, u store.User) (store.User, error)
}

// RunUsers checks the promises of [store.Users]. Each call of open must return a
// table that shares nothing with the others and is closed through t.Cleanup.
func RunUsers(t *testing.T, open func(t *testing.T) HostUsers) {
	run(t, usersPart, false, func(t *testing.T, _ store.Users) Store {
		h := open(t)
		if h.Users == nil || h.Add == nil {
			t.Fatal("storetest: RunUsers: HostUsers.Users and HostUsers.Add must be set")
		}
		return composed{Accounts: accounts{HostUsers: h}}
	})
}

// RunTokens checks the promises of [store.Tokens] that need no application and
// no grant. Each call of open must return a store that is empty, shares nothing
// with the others and is closed through t.Cleanup. Its AccessByDigest must
// return the user that users has.
func RunTokens(t *testing.T, open func(t *testing.T, users store.Users) store.Tokens) {
	run(t, tokensPart, false, func(t *testing.T, users store.Users) Store {
		own, users := ownUsers(users)
		return composed{Accounts: own, OAuth: onlyTokens{Tokens: open(t, users)}}
	})
}

// RunGrants checks the promises of [store.OAuth]. Open must do the same as for
// [RunTokens].
func RunGrants(t *testing.T, open func(t *testing.T, users store.Users) store.OAuth) {
	run(t, tokensPart|oauthPart, false, func(t *testing.T, users store.Users) Store {
		own, users := ownUsers(users)
		return composed{Accounts: own, OAuth: open(t, users)}
	})
}

// RunSessions checks the promises of [store.Sessions]. Each call of open must
// return a store that is empty, shares nothing with the others and is closed
// through t.Cleanup. Its SessionByDigest must return the user that users has.
func RunSessions(t *testing.T, open func(t *testing.T, users store.Users) store.Sessions) {
	run(t, sessionsPart, false, func(t *testing.T, users store.Users) Store {
		own, users := ownUsers(users)
		return composed{Accounts: own, Sessions: open(t, users)}
	})
}

// RunAttempts checks the promises of [store.Attempts]. Each call of open must
// return a store that is empty, shares nothing with the others and is closed
// through t.Cleanup.
func RunAttempts(t *testing.T, open func(t *testing.T) store.Attempts) {
	run(t, attemptsPart, false, func(t *testing.T, _ store.Users) Store {
		own, _ := ownUsers(nil)
		return composed{Accounts: own, Attempts: open(t)}
	})
}

// composed is a store of parts. A method of a part that it does not have panics.
type composed struct {
	store.Accounts
	store.OAuth
	store.Sessions
	store.Attempts
	store.Activities
}

// onlyTokens is a store.OAuth of which there are only the tokens.
type onlyTokens struct {
	store.Tokens
	others
}

type others interface {
	store.Grants
	store.Devices
	store.Consents
	store.Applications
}

// accounts are a host's users where checks expect accounts.
type accounts struct {
	store.Accounts // which nothing calls
	HostUsers
}

// These are in both.
func (a accounts) UserByID(ctx context.Context, id string) (store.User, error) {
	return a.HostUsers.UserByID(ctx, id)
}

func (a accounts) UserByName(ctx context.Context, name string) (store.User, error) {
	return a.HostUsers.UserByName(ctx, name)
}

func (a accounts) PasswordHash(ctx context.Context, id string) (string, error) {
	return a.HostUsers.PasswordHash(ctx, id)
}

func (a accounts) SwapPasswordHash(ctx context.Context, id, prev, next string) error {
	return a.HostUsers.SwapPasswordHash(ctx, id, prev, next)
}

func (a accounts) SetPasswordHash(ctx context.Context, id, hash string) error {
	return a.HostUsers.SetPasswordHash(ctx, id, hash)
}

func (a accounts) InsertUser(ctx context.Context, u store.User) (store.User, error) {
	return a.Add(ctx, u)
}

// ownUsers returns the accounts of a store that has none, and the users to give
// to it: users, unless that is nil.
func ownUsers(users store.Users) (store.Accounts, store.Users) {
	own := memory.New()
	if users == nil {
		users = own
	}
	return own, users
}
