package storetest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"

	"github.com/ostiary/auth/store"
)

var userListChecks = []check{
	{
		name:    "IDs are ordered by number",
		promise: "the order of ListUsers is OrderID, by number where IDs are numbers",
		alone:   true,
		run: func(t *tester) {
			t.userList([]store.User{{ID: "10"}, {ID: "9"}, {ID: "100"}, {ID: "2"}, {ID: "11"}}, store.OrderID,
				func(a, b store.User) int { return cmp.Compare(number(a.ID), number(b.ID)) })
		},
	},
	{
		name:    "names are ordered byte for byte",
		promise: "the order of ListUsers is OrderName; text is compared byte for byte",
		alone:   true,
		run: func(t *tester) {
			var users []store.User
			for i, s := range oddTexts() {
				users = append(users, store.User{ID: fmt.Sprint(1000 - i), Name: "n" + s})
			}
			t.userList(users, store.OrderName, func(a, b store.User) int { return cmp.Compare(a.Name, b.Name) })
		},
	},
	{
		name:    "a name is exact",
		promise: "ListUsers returns the users whose name is name, byte for byte",
		alone:   true,
		run: func(t *tester) {
			for _, s := range oddTexts() {
				_, err := t.st.InsertUser(t.Context(), store.User{Name: "n" + s})
				t.must(err)
			}
			for _, name := range []string{"nroot", "nROOT", "nroot ", "n%", "n_", `n\`, "n\U0001f511"} {
				list, total, err := t.st.ListUsers(t.Context(), store.UserFilter{Name: name}, store.Page{Limit: 10})
				t.must(err)
				if total != 1 || len(list) != 1 || list[0].Name != name {
					t.Errorf("name %q: got %d users, %v, want it alone", name, total, list)
				}
			}
			list, total, err := t.st.ListUsers(t.Context(), store.UserFilter{Name: "%root%"}, store.Page{Limit: 10})
			t.must(err)
			if total != 0 || len(list) != 0 {
				t.Errorf("a name that nobody has: got %d users, %v", total, list)
			}
		},
	},
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// userList stores users and reads them back in that order.
func (t *tester) userList(users []store.User, order store.OrderBy, compare func(a, b store.User) int) {
	t.Helper()
	for i := range users {
		if users[i].Name == "" {
			users[i].Name = rand.Text()
		}
		u, err := t.st.InsertUser(t.Context(), users[i])
		t.must(err)
		users[i] = u
	}
	slices.SortFunc(users, compare)
	pages(t, order, users, func(p store.Page) ([]store.User, int, error) {
		return t.st.ListUsers(t.Context(), store.UserFilter{}, p)
	})
}

// pages reads a whole list in every way that a page can be asked for. No two
// records of want may be equal under the order.
func pages[T any](t *tester, order store.OrderBy, want []T, list func(store.Page) ([]T, int, error)) {
	t.Helper()
	down := slices.Clone(want)
	slices.Reverse(down)
	for _, tt := range []struct {
		name string
		page store.Page
		want []T
	}{
		{"all", store.Page{Limit: 1000}, want},
		{"all, descending", store.Page{Limit: 1000, Descending: true}, down},
		{"exactly all", store.Page{Limit: len(want)}, want},
		{"the first two", store.Page{Limit: 2}, want[:2]},
		{"the next two", store.Page{Offset: 2, Limit: 2}, want[2:4]},
		{"the next two, descending", store.Page{Offset: 2, Limit: 2, Descending: true}, down[2:4]},
		{"the last", store.Page{Offset: len(want) - 1, Limit: 2}, want[len(want)-1:]},
		{"beyond the end", store.Page{Offset: len(want), Limit: 2}, nil},
		{"far beyond the end", store.Page{Offset: 1 << 30, Limit: 1 << 30}, nil},
		{"a negative offset counts as 0", store.Page{Offset: -3, Limit: 2}, want[:2]},
		{"no limit, no records", store.Page{}, nil},
		{"a negative limit, no records", store.Page{Limit: -1}, nil},
		{"offset without a limit", store.Page{Offset: 1}, nil},
	} {
		tt.page.Order = order
		got, total, err := list(tt.page)
		t.must(err)
		t.same(tt.name, tt.want, got)
		if total != len(want) {
			t.Errorf("%s: got a total of %d, want %d", tt.name, total, len(want))
		}
	}
}
