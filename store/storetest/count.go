package storetest

import (
	"fmt"

	"github.com/ostiary/auth/store"
)

var countCheck = check{
	name:    "totals are as exact as the page asks for",
	promise: "a total of up to CountTo must be exact; a greater one must be greater than CountTo; the total is greater than Offset+Limit exactly if more records follow the page",
	alone:   true,
	run:     countTo,
	needs:   oauthPart,
}

// countTo lists tokens of a user, of an organization and of both, applications,
// and all of them.
func countTo(t *tester) {
	const n = 3
	u, v := t.user(), t.user()
	for i := range n {
		app := t.applicationOf(1)
		t.insert(t.personal(u.ID))
		t.insert(t.pair(v.ID, app.ID))
		if i == 0 {
			dead := t.insert(t.personal(u.ID))
			_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
			t.must(err)
		}
	}
	for name, f := range map[string]store.TokenFilter{
		"a user": {UserID: u.ID}, "an organization": {Organizations: []int64{1}}, "an owner": {All: true, OwnerID: v.ID},
		"both": {UserID: u.ID, Organizations: []int64{1}}, "all": {All: true},
	} {
		records := n
		if name == "both" || name == "all" {
			records = 2 * n
		}
		t.counted(name, records, func(p store.Page) (int, int, error) {
			list, total, err := t.st.ListTokens(t.Context(), f, p)
			return len(list), total, err
		})
	}
	t.counted("applications", n, func(p store.Page) (int, int, error) {
		list, total, err := t.st.ListApplications(t.Context(), store.ApplicationFilter{Organizations: []int64{1}}, p)
		return len(list), total, err
	})
}

// counted checks the totals of pages of n records.
func (t *tester) counted(what string, n int, list func(store.Page) (records, total int, err error)) {
	t.Helper()
	for _, to := range []int{-1, 0, 1, n - 1, n, n + 1, 1_000_000} {
		for offset := range n + 2 {
			for limit := range n + 2 {
				p := store.Page{Offset: offset, Limit: limit, CountTo: to}
				records, total, err := list(p)
				t.must(err)
				name := fmt.Sprintf("%s: %d records, %+v", what, n, p)
				if want := max(min(limit, n-offset), 0); records != want {
					t.Errorf("%s: got %d, want %d", name, records, want)
				}
				exact := to == 0 || to >= n
				if total > n || exact && total != n || to > 0 && !exact && total <= to {
					t.Errorf("%s: got a total of %d", name, total)
				}
				if follow := offset+limit < n; limit > 0 && follow != (total > offset+limit) {
					t.Errorf("%s: got a total of %d; more follow: %v", name, total, follow)
				}
			}
		}
	}
}
