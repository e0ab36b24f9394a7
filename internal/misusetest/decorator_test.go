package misusetest

import (
	"context"
	"testing"

	"github.com/ostiary/auth"
	"github.com/ostiary/auth/authtest"
	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/memory"
)

// counted is a decorator, as a host has one for metrics. It counts what a request
// reads.
type counted struct {
	*memory.Store
	reads *map[string]int
}

func (c counted) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	(*c.reads)["access"]++
	return c.Store.AccessByDigest(ctx, d)
}

func (c counted) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	(*c.reads)["session"]++
	return c.Store.SessionByDigest(ctx, d)
}

func (c counted) UserByID(ctx context.Context, id string) (store.User, error) {
	(*c.reads)["user"]++
	return c.Store.UserByID(ctx, id)
}

type records interface {
	store.Tokens
	store.Sessions
}

// TestDecoratorsCostNoReads: E4. A decorator around the store, around the users or
// around both changes nothing about what a request reads; a host's own users cost
// one read, whatever wraps them.
func TestDecoratorsCostNoReads(t *testing.T) {
	for name, tt := range map[string]struct {
		wrap func(db *memory.Store, c counted) (records, store.Users)
		own  bool // the users are in another store
		user int
	}{
		"around both": {func(_ *memory.Store, c counted) (records, store.Users) {
			return c, c
		}, false, 0},
		"around the store": {func(db *memory.Store, c counted) (records, store.Users) {
			return c, db
		}, false, 0},
		"twice": {func(_ *memory.Store, c counted) (records, store.Users) {
			return c, struct{ store.Users }{c}
		}, false, 0},
		"around users of the host": {func(_ *memory.Store, c counted) (records, store.Users) {
			return counted{memory.NewWithUsers(struct{ store.Users }{c}), c.reads}, c
		}, true, 1},
	} {
		h, reads := newHost(t), map[string]int{}
		st, users := tt.wrap(h.db, counted{h.db, &reads})
		tokens, session := auth.Must(auth.NewTokens(st, users, nil)), auth.Must(auth.NewSession(st, users, nil))
		gate := session.Handler(auth.NewGate(auth.FirstOf(auth.NewBearer(tokens), session), nil).Require(ok))
		bearer, cookie := "Authorization: Bearer "+authtest.AddToken(t, tokens, h.alice, "read"), h.login(session, "https://app.example/")
		for kind, line := range map[string]string{"access": bearer, "session": cookie} {
			clear(reads)
			if res := ask(gate, "GET", "https://app.example/", line); res.StatusCode != 200 || reads[kind] != 1 || reads["user"] != tt.user {
				t.Errorf("%s: %d, a request with %s reads %v", name, res.StatusCode, kind, reads)
			}
		}
	}
}
