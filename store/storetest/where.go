package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

var whereChecks = []check{
	{
		name:    "text is compared byte for byte",
		promise: "each comparison of a text holds for the records that meet it, byte for byte, and Not for all others",
		alone:   true,
		run:     whereText,
	},
	{
		name:    "Fold ignores the case of ASCII letters",
		promise: "Fold ignores the case of the ASCII letters of a text",
		alone:   true,
		run:     whereFold,
	},
	{
		name:    "IDs are compared by number",
		promise: "the ID of a user is text, ordered by number where IDs are numbers",
		alone:   true,
		run:     whereIDs,
	},
	{
		name:    "flags and times",
		promise: "Equal and Unset compare flags; times are compared in microseconds, and one that is never meets Unset alone",
		alone:   true,
		run:     whereFlags,
	},
	{
		name:    "groups are combined with and, conditions with or",
		promise: "a record is listed if it meets at least one condition of each group; no group lists all, an empty one none",
		alone:   true,
		run:     whereGroups,
	},
	{
		name:    "a page of what is left",
		promise: "ListUsers returns one page of the users that f names, and how many there are in all",
		alone:   true,
		run:     wherePages,
	},
	{
		name:    "what a list does not have is an error",
		promise: "a store may return an error for a column or a value that does not fit; it must not list what was not asked for",
		alone:   true,
		run:     whereWrong,
	},
	{
		name:    "tokens",
		promise: "each column of a token is compared",
		alone:   true,
		run:     whereTokens,
		needs:   oauthPart,
	},
	{
		name:    "applications",
		promise: "each column of an application is compared",
		alone:   true,
		run:     whereApplications,
		needs:   oauthPart,
	},
}

// wheres asks for the names of the users that meet w.
func (t *tester) wheres(w store.Where) []string {
	t.Helper()
	list, total, err := t.st.ListUsers(t.Context(), store.UserFilter{Where: w}, store.Page{Limit: 1000})
	t.must(err)
	if total != len(list) {
		t.Errorf("%v: got a total of %d and %d users", w, total, len(list))
	}
	var names []string
	for _, u := range list {
		names = append(names, u.Name)
	}
	slices.Sort(names)
	return names
}

// only returns the Where of one condition.
func only(c store.Condition) store.Where { return store.Where{{c}} }

var textComparisons = map[store.Comparison]func(have, value string) bool{
	store.Equal:      func(have, value string) bool { return have == value },
	store.Less:       func(have, value string) bool { return have < value },
	store.AtMost:     func(have, value string) bool { return have <= value },
	store.Greater:    func(have, value string) bool { return have > value },
	store.AtLeast:    func(have, value string) bool { return have >= value },
	store.Contains:   strings.Contains,
	store.StartsWith: strings.HasPrefix,
	store.EndsWith:   strings.HasSuffix,
}

// same compares what w lists with those of all that want keeps.
func (t *tester) keeps(what string, all []string, w store.Condition, want func(string) bool) {
	t.Helper()
	for _, not := range []bool{false, true} {
		w.Not = not
		var names []string
		for _, name := range all {
			if want(name) != not {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		t.same(fmt.Sprintf("%s, not %t", what, not), names, t.wheres(only(w)))
	}
}

func whereText(t *tester) {
	var all []string
	for _, s := range oddTexts() {
		name := "n" + s + "x"
		_, err := t.st.InsertUser(t.Context(), store.User{Name: name, Email: s, FirstName: name, LastName: name})
		t.must(err)
		all = append(all, name)
	}
	for _, value := range []string{"", "n", "x", "nrootx", "Root", "root ", "otx", "%", "_", `\`, `'; --`, "\u0131", "\U0001f511x", "日本", "\u00f6", "zzz", "$1", "?"} {
		for is, meets := range textComparisons {
			for _, column := range []store.Column{store.ColumnName, store.ColumnFirstName, store.ColumnLastName} {
				t.keeps(fmt.Sprintf("column %d, comparison %d, %q", column, is, value), all,
					store.Condition{Column: column, Is: is, Values: []any{value}}, func(name string) bool { return meets(name, value) })
			}
		}
	}
	t.keeps("any of several", all, store.Condition{Column: store.ColumnEmail, Values: []any{"root", "ROOT", "%", "nobody"}},
		func(name string) bool { return name == "nrootx" || name == "nROOTx" || name == "n%x" })
	t.keeps("any of none", all, store.Condition{Column: store.ColumnEmail}, func(string) bool { return false })
	t.keeps("unset", all, store.Condition{Column: store.ColumnEmail, Is: store.Unset}, func(name string) bool { return name == "nx" })
}

func whereFold(t *tester) {
	all := []string{"alice", "Alice", "ALICE ", "alic", "bob@alice", "\u00e4lice", "a%ice"}
	for _, name := range all {
		_, err := t.st.InsertUser(t.Context(), store.User{Name: name, Email: name})
		t.must(err)
	}
	for _, value := range []string{"ALICE", "alice", "aLiC", "E", "E ", "\u00e4LICE", "%", "nobody"} {
		for is, meets := range textComparisons {
			if is != store.Equal && is < store.Contains {
				continue
			}
			t.keeps(fmt.Sprintf("comparison %d, %q", is, value), all,
				store.Condition{Column: store.ColumnEmail, Is: is, Values: []any{value}, Fold: true},
				func(name string) bool { return meets(strings.ToLower(name), strings.ToLower(value)) })
		}
	}
}

func whereIDs(t *tester) {
	all := []string{"-3", "0", "2", "9", "10", "100", "007", "abc"} // in their order
	for _, id := range all {
		_, err := t.st.InsertUser(t.Context(), store.User{ID: id, Name: id})
		t.must(err)
	}
	for is, meets := range map[store.Comparison]func(order int) bool{
		store.Equal:   func(order int) bool { return order == 0 },
		store.Less:    func(order int) bool { return order < 0 },
		store.AtMost:  func(order int) bool { return order <= 0 },
		store.Greater: func(order int) bool { return order > 0 },
		store.AtLeast: func(order int) bool { return order >= 0 },
	} {
		for i, value := range all {
			t.keeps(fmt.Sprintf("comparison %d, %s", is, value), all, store.Condition{Column: store.ColumnID, Is: is, Values: []any{value}},
				func(name string) bool { return meets(cmp.Compare(slices.Index(all, name), i)) })
		}
	}
	t.keeps("one of several", all, store.Condition{Column: store.ColumnID, Values: []any{"10", "abc", "010"}},
		func(name string) bool { return name == "10" || name == "abc" })
}

func whereFlags(t *tester) {
	all := []string{"a", "b", "c", "d"}
	for i, name := range all {
		u := store.User{Name: name, Admin: i == 0, Auditor: i == 1, Active: i == 2, Service: i == 3, Created: at(time.Duration(i) * us)}
		if name == "c" {
			u.Created = time.Time{}
		}
		_, err := t.st.InsertUser(t.Context(), u)
		t.must(err)
	}
	for column, name := range map[store.Column]string{store.ColumnAdmin: "a", store.ColumnAuditor: "b", store.ColumnActive: "c", store.ColumnService: "d"} {
		is := func(n string) bool { return n == name }
		t.keeps("set", all, store.Condition{Column: column, Values: []any{true}}, is)
		t.keeps("not set", all, store.Condition{Column: column, Values: []any{false}}, func(n string) bool { return !is(n) })
		t.keeps("unset", all, store.Condition{Column: column, Is: store.Unset}, func(n string) bool { return !is(n) })
	}
	for is, want := range map[store.Comparison]string{
		store.Less: "a", store.AtMost: "ab", store.Equal: "b", store.AtLeast: "bd", store.Greater: "d",
	} {
		t.keeps(fmt.Sprintf("time, comparison %d", is), all, store.Condition{Column: store.ColumnCreated, Is: is, Values: []any{at(us + 1)}},
			func(n string) bool { return strings.Contains(want, n) })
	}
	t.keeps("never", all, store.Condition{Column: store.ColumnCreated, Is: store.Unset}, func(n string) bool { return n == "c" })
}

func whereGroups(t *tester) {
	for _, name := range []string{"a", "b", "c", "d"} {
		_, err := t.st.InsertUser(t.Context(), store.User{Name: name, Email: name + "@"})
		t.must(err)
	}
	is := func(name string) store.Condition {
		return store.Condition{Column: store.ColumnName, Values: []any{name}}
	}
	not := func(name string) store.Condition {
		return store.Condition{Column: store.ColumnEmail, Values: []any{name + "@"}, Not: true}
	}
	for _, tt := range []struct {
		name string
		w    store.Where
		want []string
	}{
		{"no group", store.Where{}, []string{"a", "b", "c", "d"}},
		{"an empty group", store.Where{{}}, nil},
		{"an empty group beside another", store.Where{{is("a")}, {}}, nil},
		{"or", store.Where{{is("a"), is("c")}}, []string{"a", "c"}},
		{"and", store.Where{{is("a")}, {is("c")}}, nil},
		{"or, and not", store.Where{{is("a"), is("c")}, {not("a")}}, []string{"c"}},
		{"two nots", store.Where{{not("a")}, {not("b")}}, []string{"c", "d"}},
		{"one of two nots", store.Where{{not("a"), not("b")}}, []string{"a", "b", "c", "d"}},
	} {
		t.same(tt.name, tt.want, t.wheres(tt.w))
	}
	list, total, err := t.st.ListUsers(t.Context(), store.UserFilter{Name: "a", Where: store.Where{{not("a")}}}, store.Page{Limit: 9})
	t.must(err)
	if len(list) != 0 || total != 0 {
		t.Errorf("a name and a Where that excludes it: got %d users", total)
	}
}

func wherePages(t *tester) {
	var want []store.User
	for i := range 12 {
		u, err := t.st.InsertUser(t.Context(), store.User{Name: fmt.Sprint("u", i), Auditor: i%2 == 0, Created: at(time.Duration(20-i) * us)})
		t.must(err)
		if u.Auditor {
			want = append(want, u)
		}
	}
	f := store.UserFilter{Where: only(store.Condition{Column: store.ColumnAuditor, Values: []any{true}})}
	list := func(p store.Page) ([]store.User, int, error) { return t.st.ListUsers(t.Context(), f, p) }
	pages(t, store.OrderID, want, list)
	slices.Reverse(want)
	pages(t, store.OrderCreated, want, list)
}

func whereWrong(t *tester) {
	t.user()
	for _, c := range []store.Condition{
		{Column: store.ColumnScopes, Values: []any{"read"}},
		{Values: []any{"read"}},
		{Column: store.ColumnName, Values: []any{int64(1)}},
		{Column: store.ColumnAdmin, Is: store.Less, Values: []any{true}},
		{Column: store.ColumnCreated, Is: store.Contains, Values: []any{at(0)}},
		{Column: store.ColumnName, Is: store.Less},
		{Column: store.ColumnName, Is: store.Contains, Values: []any{"a", "b"}},
	} {
		list, _, err := t.st.ListUsers(t.Context(), store.UserFilter{Where: only(c)}, store.Page{Limit: 9})
		if err == nil && len(list) > 0 {
			t.Errorf("%+v: got %d users and no error", c, len(list))
		}
	}
}

func whereTokens(t *tester) {
	u := t.user()
	app := t.application()
	first := t.personal(u.ID)
	first.Scopes, first.Description, first.Created, first.Modified, first.Expires = "read", "First one", at(us), at(us), at(day)
	first = t.insert(first)
	second := t.pair(u.ID, app.ID)
	second.Scopes, second.Description, second.Created, second.Modified, second.Expires = "read write", "", at(2*us), at(2*us), at(2*day)
	second = t.insert(second)
	t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: second.ID, At: at(3 * us)}}))
	for _, tt := range []struct {
		c    store.Condition
		want []int64
	}{
		{store.Condition{Column: store.ColumnID, Is: store.Greater, Values: []any{first.ID}}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnID, Values: []any{first.ID, second.ID}}, []int64{first.ID, second.ID}},
		{store.Condition{Column: store.ColumnCreated, Is: store.Less, Values: []any{at(2 * us)}}, []int64{first.ID}},
		{store.Condition{Column: store.ColumnModified, Is: store.AtLeast, Values: []any{at(2 * us)}}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnDescription, Is: store.StartsWith, Values: []any{"first"}, Fold: true}, []int64{first.ID}},
		{store.Condition{Column: store.ColumnDescription, Is: store.EndsWith, Values: []any{"ONE"}, Fold: true}, []int64{first.ID}},
		{store.Condition{Column: store.ColumnDescription, Is: store.Contains, Values: []any{"first"}}, nil},
		{store.Condition{Column: store.ColumnDescription, Is: store.Unset}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnUser, Values: []any{u.ID}}, []int64{first.ID, second.ID}},
		{store.Condition{Column: store.ColumnApplication, Is: store.Unset}, []int64{first.ID}},
		{store.Condition{Column: store.ColumnApplication, Values: []any{app.ID}}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnScopes, Is: store.Contains, Values: []any{"write"}}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnExpires, Is: store.Greater, Values: []any{at(day)}}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnLastUsed, Is: store.Unset}, []int64{first.ID}},
		{store.Condition{Column: store.ColumnLastUsed, Is: store.Less, Values: []any{at(day)}}, []int64{second.ID}},
		{store.Condition{Column: store.ColumnLastUsed, Is: store.Less, Values: []any{at(day)}, Not: true}, []int64{first.ID}},
	} {
		var ids []int64
		list, total, err := t.st.ListTokens(t.Context(), store.TokenFilter{UserID: u.ID, Where: only(tt.c)}, store.Page{Limit: 9})
		t.must(err)
		for _, tok := range list {
			ids = append(ids, tok.ID)
		}
		t.same(fmt.Sprintf("%+v", tt.c), tt.want, ids)
		t.same("total", len(tt.want), total)
	}
	t.refusedColumn(func(ctx context.Context, w store.Where) (int, error) {
		list, _, err := t.st.ListTokens(ctx, store.TokenFilter{All: true, Where: w}, store.Page{Limit: 9})
		return len(list), err
	})
}

func whereApplications(t *tester) {
	one, err := t.st.InsertApplication(t.Context(), store.Application{
		ClientID: "c1", Name: "One", Description: "An app", OrganizationID: 1, Confidential: true, GrantType: "password", Created: at(us), Modified: at(us),
	})
	t.must(err)
	two, err := t.st.InsertApplication(t.Context(), store.Application{
		ClientID: "c2", Name: "two", OrganizationID: 2, GrantType: "authorization-code", SkipConsent: true, Created: at(2 * us), Modified: at(2 * us),
	})
	t.must(err)
	for _, tt := range []struct {
		c    store.Condition
		want []int64
	}{
		{store.Condition{Column: store.ColumnID, Is: store.AtMost, Values: []any{one.ID}}, []int64{one.ID}},
		{store.Condition{Column: store.ColumnName, Values: []any{"ONE", "x"}, Fold: true}, []int64{one.ID}},
		{store.Condition{Column: store.ColumnDescription, Is: store.Unset}, []int64{two.ID}},
		{store.Condition{Column: store.ColumnOrganization, Values: []any{int64(2)}}, []int64{two.ID}},
		{store.Condition{Column: store.ColumnConfidential, Values: []any{true}}, []int64{one.ID}},
		{store.Condition{Column: store.ColumnGrantType, Is: store.StartsWith, Values: []any{"auth"}}, []int64{two.ID}},
		{store.Condition{Column: store.ColumnSkipConsent, Values: []any{false}}, []int64{one.ID}},
		{store.Condition{Column: store.ColumnCreated, Is: store.Greater, Values: []any{at(us)}}, []int64{two.ID}},
		{store.Condition{Column: store.ColumnModified, Is: store.Greater, Values: []any{at(us)}, Not: true}, []int64{one.ID}},
	} {
		var ids []int64
		list, total, err := t.st.ListApplications(t.Context(), store.ApplicationFilter{All: true, Where: only(tt.c)}, store.Page{Limit: 9})
		t.must(err)
		for _, app := range list {
			ids = append(ids, app.ID)
		}
		t.same(fmt.Sprintf("%+v", tt.c), tt.want, ids)
		t.same("total", len(tt.want), total)
	}
	t.refusedColumn(func(ctx context.Context, w store.Where) (int, error) {
		list, _, err := t.st.ListApplications(ctx, store.ApplicationFilter{All: true, Where: w}, store.Page{Limit: 9})
		return len(list), err
	})
}

// refusedColumn asks for a column that the records of the list do not have.
func (t *tester) refusedColumn(list func(context.Context, store.Where) (int, error)) {
	t.Helper()
	n, err := list(t.Context(), only(store.Condition{Column: store.ColumnAdmin, Values: []any{true}}))
	if err == nil && n > 0 {
		t.Errorf("a column of other records: got %d and no error", n)
	}
}
