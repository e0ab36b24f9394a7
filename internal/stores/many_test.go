package stores_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// table has the users "1" to "4", and counts what it is asked for.
type table struct {
	store.Users
	together bool // it finds many by one query
	down     bool
	asked    []string
}

func (db *table) UserByID(ctx context.Context, id string) (store.User, error) {
	if db.down {
		return store.User{}, errors.New("down")
	}
	db.asked = append(db.asked, id)
	if m := stores.WantedUsers(ctx, db, id); m != nil && db.together {
		var found []store.User
		for _, id := range m.IDs {
			if slices.Contains([]string{"1", "2", "3", "4"}, id) {
				found = append(found, store.User{ID: id})
			}
		}
		m.Note(found)
	}
	if !slices.Contains([]string{"1", "2", "3", "4"}, id) {
		return store.User{}, store.ErrNotFound
	}
	return store.User{ID: id}, nil
}

// Each user is asked for once, or all of them by one question.
func TestUsersByID(t *testing.T) {
	for name, tt := range map[string]struct {
		ids      string
		together bool
		behind   bool // the table is asked by another one
		want     string
		asked    string
	}{
		"one by one":             {"2 1 2 9 3", false, false, "123", "2193"},
		"together":               {"2 1 2 9 3", true, false, "123", "2"},
		"together, no such user": {"9 1 2", true, false, "12", "9"},
		"one alone":              {"2 2", true, false, "2", "2"},
		"behind another":         {"2 1 3", true, true, "123", "213"},
		"seen before":            {"4 2", true, false, "24", "2"},
		"nobody":                 {"", true, false, "", ""},
	} {
		db := &table{together: tt.together}
		var users store.Users = db
		if tt.behind {
			users = &decorator{db}
		}
		ctx := context.WithValue(t.Context(), stores.SeenKey{}, &stores.Seen{})
		stores.See(ctx, db, store.User{ID: "4"})
		var ids []string
		for _, id := range tt.ids {
			ids = append(ids, string(id))
			if id == ' ' {
				ids[len(ids)-1] = "" // nobody
			}
		}
		found, err := stores.UsersByID(ctx, users, ids)
		var got, asked string
		for _, id := range []string{"1", "2", "3", "4", "9", ""} {
			if u, ok := found[id]; ok {
				got += u.ID
			}
		}
		for _, id := range db.asked {
			asked += id
		}
		if diff := cmp.Diff([]string{tt.want, tt.asked}, []string{got, asked}); err != nil || diff != "" {
			t.Errorf("%s: %v, found and asked (-want +got):\n%s", name, err, diff)
		}
	}
	if found, err := stores.UsersByID(t.Context(), &table{down: true}, []string{"1"}); err == nil {
		t.Errorf("an outage found %v", found)
	}
}
