package stores_test

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// users answer every look-up by a user of that name.
type users struct {
	store.Users
	name string
}

func (u *users) UserByID(_ context.Context, id string) (store.User, error) {
	return store.User{ID: id, Name: u.name}, nil
}

func (u *users) PasswordHash(context.Context, string) (string, error) { return u.name, nil }

// Only the hash of the user that is asked for counts, and only where the same one
// compared it.
func TestSeenHash(t *testing.T) {
	db, one, other := &users{name: "read again"}, new(int), new(int)
	carried := context.WithValue(t.Context(), stores.SeenKey{}, new(stores.Seen))
	for _, tt := range []struct {
		name     string
		ctx      context.Context
		of, hash string
		then     func()
		by       *int
		id       string
		want     string
	}{
		{"nothing was compared", carried, "", "", nil, one, "1", "read again"},
		{"no request", t.Context(), "1", "compared", nil, one, "1", "read again"},
		{"compared", carried, "1", "compared", nil, one, "1", "compared"},
		{"compared by another", carried, "1", "compared", nil, other, "1", "read again"},
		{"another user", carried, "1", "compared", nil, one, "2", "read again"},
		{"not known", carried, "2", "", nil, one, "2", "read again"},
		{"a user was read since", carried, "1", "compared", func() { stores.See(carried, db, store.User{ID: "1"}) }, one, "1", "read again"},
	} {
		stores.SeeHash(tt.ctx, one, tt.of, tt.hash)
		if tt.then != nil {
			tt.then()
		}
		if hash, err := stores.PasswordHash(tt.ctx, tt.by, db, tt.id); err != nil || hash != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, hash, err, tt.want)
		}
	}
	stores.SeeHash(carried, one, "1", "compared")
	for _, id := range []string{"", "1"} {
		if u, err := stores.UserByID(carried, db, id); err != nil || u.Name != "read again" {
			t.Errorf("user %q after a hash: %+v, %v", id, u, err)
		}
	}
}

// Only the user that is asked for counts, and only where the same store read it: a
// store of the host may know more about a user.
func TestSeen(t *testing.T) {
	db, decorated := &users{name: "read again"}, &users{name: "decorated"}
	carried := context.WithValue(t.Context(), stores.SeenKey{}, new(stores.Seen))
	for _, tt := range []struct {
		name  string
		ctx   context.Context
		seen  []store.User
		users *users
		id    string
		want  string
	}{
		{"nothing was read", carried, nil, db, "1", "read again"},
		{"no request", t.Context(), []store.User{{ID: "1", Name: "seen"}}, db, "1", "read again"},
		{"seen", carried, []store.User{{ID: "1", Name: "seen"}}, db, "1", "seen"},
		{"seen again", carried, []store.User{{ID: "1", Name: "old"}, {ID: "1", Name: "new"}}, db, "1", "new"},
		{"another user", carried, []store.User{{ID: "1", Name: "seen"}}, db, "2", "read again"},
		{"another store", carried, []store.User{{ID: "1", Name: "seen"}}, decorated, "1", "decorated"},
		{"no user", carried, []store.User{{Name: "seen"}}, decorated, "", "decorated"},
	} {
		for _, u := range tt.seen {
			stores.See(tt.ctx, db, u)
		}
		if u, err := stores.UserByID(tt.ctx, tt.users, tt.id); err != nil || u.Name != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, u.Name, err, tt.want)
		}
	}
}

// tokens is a store of tokens and users.
type tokens struct {
	store.Tokens
	users
}

// What a decision may rest on is what was read under RecheckKey, and by the store
// that is asked.
func TestRechecked(t *testing.T) {
	db, other := &tokens{users: users{name: "read again"}}, &tokens{}
	carried := context.WithValue(t.Context(), stores.SeenKey{}, new(stores.Seen))
	again := context.WithValue(carried, stores.RecheckKey{}, true)
	access := store.Access{TokenID: 1, Family: 2, Scopes: "read", Audience: "a", User: store.User{ID: "1", Name: "seen"}}
	digest := store.DigestOf("x")
	for _, tt := range []struct {
		name  string
		ctx   context.Context // of the look-up
		then  func()
		by    *tokens
		user  string
		id    int64
		token bool
		want  string
	}{
		{"a first look-up", carried, nil, db, "1", 1, false, "read again"},
		{"a recheck", again, nil, db, "1", 1, true, "seen"},
		{"a recheck of another token and user", again, nil, db, "2", 2, false, "read again"},
		{"another store", again, nil, other, "1", 1, false, ""},
		{"a first look-up since", again, func() { stores.SeeAccess(carried, db, access, digest) }, db, "1", 1, false, "read again"},
		{"a user was read since", again, func() { stores.See(carried, db, access.User) }, db, "1", 1, false, "read again"},
		{"a session was read again since", again, func() { stores.See(again, db, access.User) }, db, "1", 1, false, "seen"},
		{"a password was compared since", again, func() { stores.SeeHash(again, new(int), "1", "hash") }, db, "1", 1, false, "read again"},
	} {
		stores.SeeAccess(tt.ctx, db, access, digest)
		if tt.then != nil {
			tt.then()
		}
		if u, err := stores.RecheckedUser(carried, tt.by, tt.user); err != nil || u.Name != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, u.Name, err, tt.want)
		}
		tok, ok := stores.RecheckedToken(carried, tt.by, tt.id)
		if want := (store.Token{ID: 1, Digest: digest, Family: 2, Scopes: "read", Audience: "a"}); ok != tt.token || ok && !reflect.DeepEqual(tok, want) {
			t.Errorf("%s: %+v, %t, want %t", tt.name, tok, ok, tt.token)
		}
		if _, ok := stores.RecheckedToken(t.Context(), tt.by, tt.id); ok {
			t.Errorf("%s: a token without a request", tt.name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, age := range []time.Duration{0, 999 * time.Millisecond, time.Second, time.Hour} {
			stores.SeeAccess(again, db, access, digest)
			time.Sleep(age)
			_, ok := stores.RecheckedToken(carried, db, 1)
			u, err := stores.RecheckedUser(carried, db, "1")
			if just := age < time.Second; ok != just || err != nil || (u.Name == "seen") != just {
				t.Errorf("after %v: token %t, user %q, %v", age, ok, u.Name, err)
			}
		}
	})
	dead := access
	dead.Revoked = time.Now()
	stores.SeeAccess(again, db, dead, digest)
	if _, ok := stores.RecheckedToken(carried, db, 1); ok {
		t.Error("a token that was revoked")
	}
}
