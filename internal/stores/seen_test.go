package stores_test

import (
	"context"
	"testing"

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
