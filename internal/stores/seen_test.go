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
