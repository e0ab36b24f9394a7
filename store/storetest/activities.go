package storetest

import (
	"crypto/rand"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// RunActivities checks the promises of [store.Activities]. Each call of open must
// return a store that is empty, shares nothing with the others and is closed
// through t.Cleanup.
func RunActivities(t *testing.T, open func(t *testing.T) store.Activities) {
	run(t, activitiesPart, false, func(t *testing.T, _ store.Users) Store {
		own, _ := ownUsers(nil)
		return composed{Accounts: own, Activities: open(t)}
	})
}

var activityChecks = []check{
	{
		name:    "an entry comes back as it went in",
		promise: "InsertActivity stores a and returns it with its ID; later entries have greater ones; a store keeps any text of Changes of at most MaxChanges bytes, and any name of at most 1,024",
		run:     activityRoundTrip,
	},
	{
		name:    "the newest of a subject stay",
		promise: "InsertActivity removes the oldest entries of the same Subject, so that the newest keep of them stay; if there are more than 100 to remove, later calls go on",
		run:     activityKeep,
	},
	{
		name:    "the newest of a subject stay in a race",
		races:   true,
		promise: "the newest keep entries of a Subject stay, whatever calls run at the same time",
		run:     activityKeepRace,
	},
	{
		name:    "a list comes in pages",
		promise: "ListActivities returns one page of the entries, by At and then by ID, whatever p.Order is",
		alone:   true,
		run:     activityPages,
	},
	{
		name:    "totals are as exact as the page asks for",
		promise: "a total of up to CountTo must be exact; a greater one must be greater than CountTo; the total is greater than Offset+Limit exactly if more records follow the page",
		run:     activityTotals,
	},
	{
		name:    "who may see what",
		promise: "an entry must match UserID, Organizations or All; without any of them nothing is listed",
		alone:   true,
		run:     activityVisible,
	},
	{
		name:    "filters are combined with and",
		promise: "each field that is not zero narrows the list further",
		alone:   true,
		run:     activityFilters,
	},
	{
		name:    "what is older goes and nothing else",
		promise: "PurgeActivities removes at most max entries with an At before the given instant, and returns the number of removed ones",
		alone:   true,
		run:     activityPurge,
	},
}

func (t *tester) stream() store.Activities { return t.st.(store.Activities) }

// entry stores an entry of a user.
func (t *tester) entry(userID string, when time.Time, keep int) store.Activity {
	t.Helper()
	return t.enter(store.Activity{
		At: when, Operation: store.OperationCreate, Object: store.ObjectToken, ActorID: userID, UserID: userID, TokenID: 7, Changes: "{}",
	}, keep)
}

func (t *tester) enter(a store.Activity, keep int) store.Activity {
	t.Helper()
	a, err := t.stream().InsertActivity(t.Context(), a, keep)
	t.must(err)
	return a
}

func (t *tester) entries(f store.ActivityFilter, p store.Page) ([]store.Activity, int) {
	t.Helper()
	list, total, err := t.stream().ListActivities(t.Context(), f, p)
	t.must(err)
	return list, total
}

const many = 1_000_000

func activityRoundTrip(t *tester) {
	last := int64(0)
	times := oddTimes()
	texts := append(oddTexts(), strings.Repeat("x", 1024))
	for i, text := range texts {
		a := store.Activity{
			At: times[i%len(times)], Operation: store.OperationAssociate, Object: store.ObjectUser, Associated: store.ObjectApplication,
			ActorID: text[:min(len(text), 100)], Actor: text, ActorTokenID: int64(i), UserID: rand.Text(), User: text, TokenID: math.MaxInt64,
			ApplicationID: 1 << 53, Application: text, OrganizationID: math.MaxInt64 - 1, Changes: strings.Repeat(text, 3),
		}
		if i == len(texts)-1 {
			a.Changes = strings.Repeat("x", store.MaxChanges)
		}
		want := a
		got := t.enter(a, many)
		if got.ID <= last {
			t.Errorf("ID %d after %d", got.ID, last)
		}
		last, want.ID = got.ID, got.ID
		want.At = kept(a.At)
		t.same("as it was stored", want, got)
		list, total := t.entries(store.ActivityFilter{UserID: a.UserID}, store.Page{Limit: 10})
		t.same("in the list", []store.Activity{want}, list)
		t.same("how many", 1, total)
	}
}

func activityKeep(t *tester) {
	u, v := rand.Text(), rand.Text()
	var all []store.Activity
	for i := range 5 {
		all = append(all, t.entry(u, at(time.Duration(i)*us), many))
	}
	other := t.entry(v, at(-day), many)
	app := t.enter(store.Activity{At: at(-day), ApplicationID: 1 << 40, Object: store.ObjectApplication}, many)
	token := t.enter(store.Activity{At: at(-day), ApplicationID: 1 << 40, UserID: v}, many)
	want := func(what string, f store.ActivityFilter, want ...store.Activity) {
		t.Helper()
		list, _ := t.entries(f, store.Page{Limit: 1000})
		t.same(what, want, list)
	}
	newer := t.entry(u, at(day), 3)
	want("three stay", store.ActivityFilter{UserID: u}, all[3], all[4], newer)
	t.entry(u, at(0), 3)
	want("one that is older than these goes at once", store.ActivityFilter{UserID: u}, all[3], all[4], newer)
	newest := t.entry(u, at(day), -1)
	want("one stays at least", store.ActivityFilter{UserID: u}, newest)
	second := t.enter(store.Activity{At: at(0), ApplicationID: 1 << 40, Object: store.ObjectApplication}, 1)
	want("an entry of an application without a user", store.ActivityFilter{All: true, ApplicationID: 1 << 40}, token, second)
	want("another subject", store.ActivityFilter{UserID: v}, other, token)
	_ = app

	w := rand.Text()
	for i := range 250 {
		t.entry(w, at(time.Duration(i)*us), many)
	}
	for i, left := range []int{151, 52, 1, 1} {
		t.entry(w, at(day+time.Duration(i)*us), 1)
		if _, total := t.entries(store.ActivityFilter{UserID: w}, store.Page{}); total > max(left, 1) {
			t.Errorf("after %d calls with a limit of 1 there are %d entries", i+1, total)
		}
	}
}

func activityKeepRace(t *tester) {
	t.rounds(func() {
		u := rand.Text()
		race(8, func(i int) struct{} {
			if _, err := t.stream().InsertActivity(t.Context(), store.Activity{At: at(time.Duration(i) * us), UserID: u}, 2); err != nil {
				t.Error(err)
			}
			return struct{}{}
		})
		list, total := t.entries(store.ActivityFilter{UserID: u}, store.Page{Limit: 100})
		if total != 2 || len(list) != 2 || !list[0].At.Equal(at(6*us)) || !list[1].At.Equal(at(7*us)) {
			t.Errorf("the two newest of 8 should stay, but these do: %v", list)
		}
	})
}

func activityPages(t *tester) {
	u := rand.Text()
	var all []store.Activity
	for i := range 7 {
		all = append(all, t.entry(u, at(time.Duration(i/2)*us), many)) // two of an instant
	}
	early := t.entry(u, at(-us), many) // though it is stored last
	all = append([]store.Activity{early}, all...)
	reversed := make([]store.Activity, len(all))
	for i, a := range all {
		reversed[len(all)-1-i] = a
	}
	for _, tt := range []struct {
		name string
		page store.Page
		want []store.Activity
	}{
		{"all", store.Page{Limit: 100}, all},
		{"the newest first", store.Page{Limit: 100, Descending: true}, reversed},
		{"the first three", store.Page{Limit: 3}, all[:3]},
		{"the next three", store.Page{Limit: 3, Offset: 3}, all[3:6]},
		{"the last two", store.Page{Limit: 3, Offset: 6}, all[6:]},
		{"two of the newest", store.Page{Limit: 2, Offset: 1, Descending: true}, reversed[1:3]},
		{"beyond the end", store.Page{Limit: 3, Offset: 8}, nil},
		{"a negative offset", store.Page{Limit: 2, Offset: -1}, all[:2]},
		{"a negative limit", store.Page{Limit: -1}, nil},
		{"another order", store.Page{Limit: 100, Order: store.OrderName}, all},
	} {
		for name, f := range map[string]store.ActivityFilter{"of a user": {UserID: u}, "of all": {All: true}} {
			got, total := t.entries(f, tt.page)
			t.same(tt.name+" "+name, tt.want, got)
			t.same(tt.name+" "+name+": how many there are", len(all), total)
		}
	}
}

func activityTotals(t *tester) {
	u := rand.Text()
	for range 7 {
		t.entry(u, at(0), many)
	}
	t.counted("entries of a user", 7, func(p store.Page) (int, int, error) {
		list, total, err := t.stream().ListActivities(t.Context(), store.ActivityFilter{UserID: u}, p)
		return len(list), total, err
	})
}

// lists checks which entries filters list.
func (t *tester) lists(cases map[string]store.ActivityFilter, want map[string][]store.Activity) {
	t.Helper()
	for name, f := range cases {
		list, total := t.entries(f, store.Page{Limit: 100})
		t.same(name, want[name], list)
		t.same(name+": how many there are", len(want[name]), total)
	}
}

func activityVisible(t *tester) {
	u, v := rand.Text(), rand.Text()
	mine := t.entry(u, at(0), many)
	granted := t.enter(store.Activity{At: at(us), UserID: u, ApplicationID: 3, OrganizationID: 1}, many)
	app := t.enter(store.Activity{At: at(2 * us), ApplicationID: 3, OrganizationID: 1, ActorID: u}, many)
	other := t.enter(store.Activity{At: at(3 * us), UserID: v, ApplicationID: 4, OrganizationID: 2, ActorID: u}, many)
	none := t.enter(store.Activity{At: at(4 * us)}, many)
	t.lists(map[string]store.ActivityFilter{
		"nobody": {}, "a user": {UserID: u}, "another": {UserID: v}, "a stranger": {UserID: "x"},
		"an organization": {Organizations: []int64{1}}, "two": {Organizations: []int64{1, 2}}, "one twice": {Organizations: []int64{2, 1, 2}}, "another organization": {Organizations: []int64{9}},
		"both": {UserID: v, Organizations: []int64{1}}, "all": {All: true}, "all and a user": {All: true, UserID: u},
		"a narrowed nobody": {ConcernedID: u, TokenID: 7}, "an ID alone": {ID: mine.ID},
	}, map[string][]store.Activity{
		"a user": {mine, granted}, "another": {other},
		"an organization": {granted, app}, "two": {granted, app, other}, "one twice": {granted, app, other},
		"both": {granted, app, other}, "all": {mine, granted, app, other, none}, "all and a user": {mine, granted, app, other, none},
	})
}

func activityFilters(t *tester) {
	u, v := rand.Text(), rand.Text()
	a := t.enter(store.Activity{
		At: at(0), Operation: store.OperationCreate, Object: store.ObjectToken, ActorID: u, UserID: u, TokenID: 1, ApplicationID: 5, OrganizationID: 1,
	}, many)
	b := t.enter(store.Activity{
		At: at(us), Operation: store.OperationDelete, Object: store.ObjectToken, ActorID: v, UserID: u, TokenID: 1, ApplicationID: 5, OrganizationID: 1,
	}, many)
	c := t.enter(store.Activity{
		At: at(2 * us), Operation: store.OperationUpdate, Object: store.ObjectApplication, ActorID: u, ApplicationID: 6, OrganizationID: 1,
	}, many)
	d := t.enter(store.Activity{At: at(3 * us), Operation: store.OperationUpdate, Object: store.ObjectUser, UserID: v}, many)
	where := func(column store.Column, is store.Comparison, values ...any) store.ActivityFilter {
		return store.ActivityFilter{All: true, Where: store.Where{{{Column: column, Is: is, Values: values}}}}
	}
	t.lists(map[string]store.ActivityFilter{
		"an ID": {All: true, ID: b.ID}, "an ID and its user": {UserID: u, ID: b.ID}, "the ID of another's": {UserID: v, ID: b.ID},
		"a user": {All: true, ConcernedID: u}, "a user among mine": {UserID: v, ConcernedID: u}, "a user of an organization": {Organizations: []int64{1}, ConcernedID: u},
		"a token": {All: true, TokenID: 1}, "an application": {All: true, ApplicationID: 5}, "a token of another application": {All: true, TokenID: 1, ApplicationID: 6},
		"operation": where(store.ColumnOperation, store.Equal, "update"), "object": where(store.ColumnObject, store.Equal, "token", "user"),
		"actor": where(store.ColumnActor, store.Equal, u), "no actor": where(store.ColumnActor, store.Unset), "user": where(store.ColumnUser, store.Equal, v),
		"token": where(store.ColumnToken, store.Unset), "application": where(store.ColumnApplication, store.Greater, int64(5)),
		"since": where(store.ColumnCreated, store.AtLeast, at(2*us)), "before": where(store.ColumnCreated, store.Less, at(us)), "id": where(store.ColumnID, store.AtMost, a.ID),
	}, map[string][]store.Activity{
		"an ID": {b}, "an ID and its user": {b}, "a user": {a, b}, "a user of an organization": {a, b},
		"a token": {a, b}, "an application": {a, b},
		"operation": {c, d}, "object": {a, b, d}, "actor": {a, c}, "no actor": {d}, "user": {d}, "token": {c, d}, "application": {c},
		"since": {c, d}, "before": {a}, "id": {a},
	})
	if _, _, err := t.stream().ListActivities(t.Context(), where(store.ColumnOperation, store.Equal, 1), store.Page{}); err == nil {
		t.Error("a number is compared with a text, but there is no error")
	}
}

func activityPurge(t *tester) {
	u := rand.Text()
	var all []store.Activity
	for i := range 6 {
		all = append(all, t.entry(u, at(time.Duration(i)*us), many))
	}
	for _, tt := range []struct {
		name       string
		before     time.Time
		max        int
		want, left int
	}{
		{"nothing is older", at(0), 100, 0, 6},
		{"none at most", at(day), 0, 0, 6},
		{"a negative number", at(day), -1, 0, 6},
		{"the older two", at(2 * us), 100, 2, 4},
		{"again", at(2 * us), 100, 0, 4},
		{"one at most", at(day), 1, 1, 3},
		{"the rest", at(day), 3, 3, 0},
		{"an empty store", at(day), 3, 0, 0},
	} {
		t.purge(tt.name, tt.want, func() (int, error) { return t.stream().PurgeActivities(t.Context(), tt.before, tt.max) })
		list, total := t.entries(store.ActivityFilter{UserID: u}, store.Page{Limit: 100})
		t.same(tt.name+": what stays", all[6-tt.left:], list)
		t.same(tt.name+": how many stay", tt.left, total)
	}
}
