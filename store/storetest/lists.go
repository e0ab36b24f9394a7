package storetest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

var tokenListChecks = []check{
	{
		name:    "who may be listed",
		promise: "tokens of UserID, and tokens of applications that belong to one of Organizations, or All; none of them set lists nothing",
		alone:   true,
		run:     listWho,
		needs:   oauthPart,
	},
	{
		name:    "each filter narrows the list",
		promise: "each of the filters narrows the list further where it is not zero",
		alone:   true,
		run:     listFilters,
		needs:   oauthPart,
	},
	{
		name:    "text is matched byte for byte",
		promise: "OwnerID, Scopes and Description are exact, Search is part of the description, byte for byte",
		alone:   true,
		run:     listText,
	},
	{
		name:    "revoked tokens are never listed, expired ones are",
		promise: "a TokenFilter says which tokens to list; revoked tokens never are",
		alone:   true,
		run:     listRevoked,
	},
	{
		name:    "orders and pages",
		promise: "ListTokens returns one page of the tokens that f names, and how many there are in all; never used first",
		alone:   true,
		run:     listOrders,
	},
	{
		name:    "equal values are ordered by ID",
		promise: "equal values are ordered by ID",
		alone:   true,
		run:     listTies,
	},
	countCheck,
}

// listed reports if f does not list exactly want, in order of ID.
func (t *tester) listed(what string, f store.TokenFilter, want ...store.Token) {
	t.Helper()
	list, total, err := t.st.ListTokens(t.Context(), f, store.Page{Limit: 1000})
	t.must(err)
	t.same(what, want, list)
	t.same(what+": total", len(want), total)
}

func listWho(t *tester) {
	u, v := t.user(), t.user()
	a1, b1, a2, none := t.applicationOf(1), t.applicationOf(1), t.applicationOf(2), t.applicationOf(0)
	uPersonal, vPersonal := t.insert(t.personal(u.ID)), t.insert(t.personal(v.ID))
	uA1, vA1, vB1, vA2 := t.insert(t.pair(u.ID, a1.ID)), t.insert(t.pair(v.ID, a1.ID)), t.insert(t.pair(v.ID, b1.ID)), t.insert(t.pair(v.ID, a2.ID))
	machine, vNone := t.insert(t.pair("", a2.ID)), t.insert(t.pair(v.ID, none.ID))

	t.listed("nobody", store.TokenFilter{})
	t.listed("no organization", store.TokenFilter{Organizations: []int64{}})
	t.listed("nobody, with filters", store.TokenFilter{Kind: store.ApplicationToken, OwnerID: u.ID, ApplicationID: a1.ID})
	t.listed("all", store.TokenFilter{All: true}, uPersonal, vPersonal, uA1, vA1, vB1, vA2, machine, vNone)
	t.listed("a user", store.TokenFilter{UserID: u.ID}, uPersonal, uA1)
	t.listed("an unknown user", store.TokenFilter{UserID: "nobody"})
	t.listed("a user in another case", store.TokenFilter{UserID: u.ID + " "})
	t.listed("an organization", store.TokenFilter{Organizations: []int64{1}}, uA1, vA1, vB1)
	t.listed("two organizations", store.TokenFilter{Organizations: []int64{2, 1}}, uA1, vA1, vB1, vA2, machine)
	t.listed("one twice", store.TokenFilter{Organizations: []int64{2, 2}}, vA2, machine)
	t.listed("an unknown organization", store.TokenFilter{Organizations: []int64{3}})
	t.listed("organization 0 has no personal tokens", store.TokenFilter{Organizations: []int64{0}}, vNone)
	t.listed("a user and an organization", store.TokenFilter{UserID: u.ID, Organizations: []int64{2}}, uPersonal, uA1, vA2, machine)
	t.listed("a user and all", store.TokenFilter{UserID: u.ID, All: true}, uPersonal, vPersonal, uA1, vA1, vB1, vA2, machine, vNone)
	var many []int64
	for i := range int64(500) {
		many = append(many, 1000+i)
	}
	t.listed("many organizations", store.TokenFilter{Organizations: append(many, 2)}, vA2, machine)

	a1.OrganizationID = 2
	t.must(t.st.UpdateApplication(t.Context(), a1))
	t.listed("an organization that lost an application", store.TokenFilter{Organizations: []int64{1}}, vB1)
	t.listed("an organization that gained one", store.TokenFilter{Organizations: []int64{2}}, uA1, vA1, vA2, machine)
}

func listFilters(t *tester) {
	u, v, a, b := t.user(), t.user(), t.application(), t.application()
	personal, vPersonal := t.insert(t.personal(u.ID)), t.insert(t.personal(v.ID))
	uA, uB, vA := t.insert(t.pair(u.ID, a.ID)), t.insert(t.pair(u.ID, b.ID)), t.insert(t.pair(v.ID, a.ID))
	for _, tt := range []struct {
		name   string
		filter store.TokenFilter
		want   []store.Token
	}{
		{"any kind", store.TokenFilter{Kind: store.AnyToken}, []store.Token{personal, vPersonal, uA, uB, vA}},
		{"personal", store.TokenFilter{Kind: store.PersonalToken}, []store.Token{personal, vPersonal}},
		{"of applications", store.TokenFilter{Kind: store.ApplicationToken}, []store.Token{uA, uB, vA}},
		{"ID", store.TokenFilter{ID: uB.ID}, []store.Token{uB}},
		{"ID that never was", store.TokenFilter{ID: uB.ID + 1e6}, nil},
		{"owner", store.TokenFilter{OwnerID: v.ID}, []store.Token{vPersonal, vA}},
		{"application", store.TokenFilter{ApplicationID: a.ID}, []store.Token{uA, vA}},
		{"owner and application", store.TokenFilter{OwnerID: u.ID, ApplicationID: a.ID}, []store.Token{uA}},
		{"owner, kind and application", store.TokenFilter{OwnerID: u.ID, Kind: store.PersonalToken, ApplicationID: a.ID}, nil},
	} {
		all, own := tt.filter, tt.filter
		all.All = true
		t.listed(tt.name, all, tt.want...)
		// A filter never returns tokens that it does not select.
		own.UserID = u.ID
		t.listed(tt.name+", of a user", own, slices.DeleteFunc(slices.Clone(tt.want), func(tok store.Token) bool {
			return tok.UserID != u.ID
		})...)
	}
}

func listText(t *tester) {
	var all []store.Token
	for _, s := range oddTexts() {
		tok := t.personal("u" + s)
		tok.Scopes, tok.Description = "s"+s, s
		all = append(all, t.insert(tok))
	}
	for i, s := range oddTexts() {
		t.listed(fmt.Sprintf("user %q", s), store.TokenFilter{UserID: "u" + s}, all[i])
		t.listed(fmt.Sprintf("owner %q", s), store.TokenFilter{All: true, OwnerID: "u" + s}, all[i])
		t.listed(fmt.Sprintf("scopes %q", s), store.TokenFilter{All: true, Scopes: "s" + s}, all[i])
		t.listed(fmt.Sprintf("description %q", s), store.TokenFilter{All: true, Description: &s}, all[i])
	}
	tok := t.personal("u")
	tok.Description = `100%_of\x 'Root'`
	tok = t.insert(tok)
	for _, tt := range []struct {
		search string
		want   bool
	}{
		{`100`, true},
		{`%_`, true},
		{`0%_of`, true},
		{`\x`, true},
		{`'`, true},
		{`Root'`, true},
		{tok.Description, true},
		{tok.Description + " ", false},
		{`root`, false},
		{`1%f`, false},
		{`1_0`, false},
		{`of\\x`, false},
		{`%%`, false},
	} {
		f := store.TokenFilter{All: true, Search: tt.search, ID: tok.ID}
		if tt.want {
			t.listed("search "+tt.search, f, tok)
		} else {
			t.listed("search "+tt.search, f)
		}
	}
	var want []store.Token
	for _, tok := range append(all, tok) {
		if strings.Contains(tok.Description, "oot") {
			want = append(want, tok)
		}
	}
	t.listed("search in several", store.TokenFilter{All: true, Search: "oot"}, want...)
}

func listRevoked(t *tester) {
	u := t.user()
	dead, tok, expired := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID)), t.personal(u.ID)
	expired.Created, expired.Expires = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2001, 1, 2, 0, 0, 0, 0, time.UTC)
	expired = t.insert(expired)
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	t.listed("all", store.TokenFilter{All: true}, tok, expired)
	t.listed("of the user", store.TokenFilter{UserID: u.ID}, tok, expired)
	t.listed("by ID", store.TokenFilter{All: true, ID: dead.ID})
}

func listOrders(t *tester) {
	u := t.user()
	var all []store.Token
	for i, n := range []int{3, 0, 4, 1, 5, 2} {
		tok := t.personal(u.ID)
		tok.Created, tok.Modified = at(time.Duration(n)*us), at(time.Duration((n+2)%6)*us)
		tok.Expires = at(time.Duration((n+4)%6) * 400 * 365 * day / 10)
		if i != 2 {
			tok.LastUsed = at(time.Duration((n+3)%6) * us)
		}
		all = append(all, t.insert(tok))
	}
	for _, tt := range []struct {
		name  string
		order store.OrderBy
		by    func(a, b store.Token) int
	}{
		{"ID", store.OrderID, func(a, b store.Token) int { return cmp.Compare(a.ID, b.ID) }},
		{"created", store.OrderCreated, func(a, b store.Token) int { return a.Created.Compare(b.Created) }},
		{"modified", store.OrderModified, func(a, b store.Token) int { return a.Modified.Compare(b.Modified) }},
		{"expires", store.OrderExpires, func(a, b store.Token) int { return a.Expires.Compare(b.Expires) }},
		{"last used", store.OrderLastUsed, func(a, b store.Token) int { return a.LastUsed.Compare(b.LastUsed) }},
	} {
		slices.SortFunc(all, tt.by)
		pages(t, tt.order, all, func(p store.Page) ([]store.Token, int, error) {
			return t.st.ListTokens(t.Context(), store.TokenFilter{UserID: u.ID}, p)
		})
		if t.Failed() {
			t.Fatalf("order by %s", tt.name)
		}
	}
}

func listTies(t *tester) {
	u := t.user()
	var all []store.Token
	for range 6 {
		all = append(all, t.insert(t.personal(u.ID)))
	}
	for order := store.OrderID; order <= store.OrderLastUsed; order++ {
		list, _, err := t.st.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 10, Order: order})
		t.must(err)
		t.same(fmt.Sprintf("order %d", order), all, list)
		// Whichever way ties go when descending, pages must fit together.
		var paged []store.Token
		for i := range all {
			list, _, err := t.st.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Offset: i, Limit: 1, Order: order, Descending: true})
			t.must(err)
			paged = append(paged, list...)
		}
		slices.SortFunc(paged, func(a, b store.Token) int { return cmp.Compare(a.ID, b.ID) })
		t.same(fmt.Sprintf("order %d, descending, in pages of one", order), all, paged)
	}
}

var applicationListChecks = []check{
	{
		name:    "which are listed",
		promise: "an ApplicationFilter lists applications of one of Organizations, or All; neither lists nothing",
		alone:   true,
		run:     listApplications,
	},
	{
		name:    "text is matched byte for byte",
		promise: "Name is exact, Search is part of name or description, byte for byte",
		alone:   true,
		run:     listApplicationText,
	},
	{
		name:    "tokens are summarized",
		promise: "SummarizeTokens returns, for each of the applications in the given order, how many tokens that f names belong to it, and the first most of them by ID",
		alone:   true,
		run:     summarizeTokens,
	},
	{
		name:    "orders and pages",
		promise: "OrderName, OrderOrganization (then by name); ListApplications returns one page and how many there are in all",
		alone:   true,
		run:     listApplicationOrders,
	},
}

func (t *tester) listedApplications(what string, f store.ApplicationFilter, want ...store.Application) {
	t.Helper()
	list, total, err := t.st.ListApplications(t.Context(), f, store.Page{Limit: 1000})
	t.must(err)
	t.same(what, want, list)
	t.same(what+": total", len(want), total)
}

func listApplications(t *tester) {
	a, b, c, none := t.applicationOf(1), t.applicationOf(2), t.applicationOf(1), t.applicationOf(0)
	t.listedApplications("nothing", store.ApplicationFilter{})
	t.listedApplications("no organization", store.ApplicationFilter{Organizations: []int64{}})
	t.listedApplications("nothing, with filters", store.ApplicationFilter{ID: a.ID, Name: a.Name})
	t.listedApplications("all", store.ApplicationFilter{All: true}, a, b, c, none)
	t.listedApplications("an organization", store.ApplicationFilter{Organizations: []int64{1}}, a, c)
	t.listedApplications("two organizations", store.ApplicationFilter{Organizations: []int64{2, 1}}, a, b, c)
	t.listedApplications("an unknown organization", store.ApplicationFilter{Organizations: []int64{3}})
	t.listedApplications("organization 0", store.ApplicationFilter{Organizations: []int64{0}}, none)
	t.listedApplications("ID", store.ApplicationFilter{All: true, ID: b.ID}, b)
	t.listedApplications("IDs", store.ApplicationFilter{All: true, IDs: []int64{c.ID, a.ID, 1 << 40}}, a, c)
	t.listedApplications("no IDs", store.ApplicationFilter{All: true, IDs: []int64{}}, a, b, c, none)
	t.listedApplications("IDs of another organization", store.ApplicationFilter{Organizations: []int64{2}, IDs: []int64{a.ID, b.ID}}, b)
	t.listedApplications("IDs without one", store.ApplicationFilter{All: true, IDs: []int64{1 << 40}})
	t.listedApplications("ID of another organization", store.ApplicationFilter{Organizations: []int64{1}, ID: b.ID})
	t.listedApplications("name", store.ApplicationFilter{All: true, Name: c.Name}, c)
	t.listedApplications("name of another organization", store.ApplicationFilter{Organizations: []int64{2}, Name: c.Name})
	t.listedApplications("search of another organization", store.ApplicationFilter{Organizations: []int64{2}, Search: c.Name})
}

func summarizeTokens(t *tester) {
	u, v := t.user(), t.user()
	a, b, none := t.applicationOf(1), t.applicationOf(2), t.applicationOf(1)
	insert := func(userID string, app int64, scopes string) store.TokenRef {
		tok := t.personal(userID)
		tok.ApplicationID, tok.Scopes = app, scopes
		return store.TokenRef{ID: t.insert(tok).ID, Scopes: scopes}
	}
	a1, b1, a2 := insert(u.ID, a.ID, "read"), insert(u.ID, b.ID, "write"), insert(v.ID, a.ID, "read write")
	insert(u.ID, 0, "read")
	gone, a3, a4 := insert(u.ID, a.ID, "gone"), insert(u.ID, a.ID, ""), insert(v.ID, a.ID, "x")
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: gone.ID}, at(us))
	t.must(err)
	sum := func(total int, first ...store.TokenRef) store.TokenSummary {
		return store.TokenSummary{Total: total, First: first}
	}
	all := store.TokenFilter{All: true}
	for _, tt := range []struct {
		name string
		apps []int64
		f    store.TokenFilter
		most int
		want []store.TokenSummary
	}{
		{"all", []int64{a.ID, b.ID, none.ID}, all, 9, []store.TokenSummary{sum(4, a1, a2, a3, a4), sum(1, b1), {}}},
		{"the first two", []int64{b.ID, a.ID}, all, 2, []store.TokenSummary{sum(1, b1), sum(4, a1, a2)}},
		{"none but how many", []int64{a.ID}, all, 0, []store.TokenSummary{sum(4)}},
		{"one twice", []int64{b.ID, b.ID}, all, 1, []store.TokenSummary{sum(1, b1), sum(1, b1)}},
		{"no application", nil, all, 9, []store.TokenSummary{}},
		{"what is none", []int64{0, -1, 1 << 40}, all, 9, []store.TokenSummary{{}, {}, {}}},
		{"nobody's", []int64{a.ID}, store.TokenFilter{}, 9, []store.TokenSummary{{}}},
		{"a user's", []int64{a.ID, b.ID}, store.TokenFilter{UserID: u.ID}, 9, []store.TokenSummary{sum(2, a1, a3), sum(1, b1)}},
		{"an organization's", []int64{a.ID, b.ID}, store.TokenFilter{Organizations: []int64{2}}, 9, []store.TokenSummary{{}, sum(1, b1)}},
		{"a user's and an organization's", []int64{a.ID, b.ID}, store.TokenFilter{UserID: v.ID, Organizations: []int64{2}}, 9, []store.TokenSummary{sum(2, a2, a4), sum(1, b1)}},
		{"with another filter", []int64{a.ID, b.ID}, store.TokenFilter{All: true, Scopes: "read"}, 9, []store.TokenSummary{sum(1, a1), {}}},
		{"one token", []int64{a.ID}, store.TokenFilter{All: true, ID: a3.ID}, 9, []store.TokenSummary{sum(1, a3)}},
		{"personal ones", []int64{a.ID}, store.TokenFilter{All: true, Kind: store.PersonalToken}, 9, []store.TokenSummary{{}}},
	} {
		got, err := t.st.SummarizeTokens(t.Context(), tt.apps, tt.f, tt.most)
		t.must(err)
		t.same(tt.name, tt.want, got)
	}

	// A token that ends with its parent or its application is not counted.
	parent := t.insert(t.personal(u.ID))
	child := t.personal(u.ID)
	child.ParentID, child.ApplicationID, child.Scopes = parent.ID, none.ID, "read"
	c1 := store.TokenRef{ID: t.insert(child).ID, Scopes: "read"}
	summaries := func(what string, want ...store.TokenSummary) {
		t.Helper()
		got, err := t.st.SummarizeTokens(t.Context(), []int64{none.ID, b.ID}, all, 9)
		t.must(err)
		t.same(what, want, got)
	}
	summaries("a child", sum(1, c1), sum(1, b1))
	_, err = t.st.RevokeTokens(t.Context(), store.Selection{TokenID: parent.ID}, at(us))
	t.must(err)
	summaries("a child of a revoked token", sum(0), sum(1, b1))
	_, err = t.st.RevokeTokens(t.Context(), store.Selection{ApplicationID: b.ID}, at(us))
	t.must(err)
	summaries("an application whose tokens were revoked", sum(0), sum(0))
}

func listApplicationText(t *tester) {
	var all []store.Application
	for i, s := range oddTexts() {
		given := store.Application{ClientID: "c" + s, Name: "n" + s, OrganizationID: 1}
		if i == 2 {
			given.Description = `100%_of\x 'Quux'`
		}
		a, err := t.st.InsertApplication(t.Context(), given)
		t.must(err)
		all = append(all, a)
	}
	for i, s := range oddTexts() {
		t.listedApplications(fmt.Sprintf("name %q", s), store.ApplicationFilter{All: true, Name: "n" + s}, all[i])
	}
	t.listedApplications("name nobody has", store.ApplicationFilter{All: true, Name: "nRoOt"})
	for _, s := range []string{"nroot\t", "\U0001f511", "n%", "n_", `n\`, "STRA", "asse"} {
		var want []store.Application
		for _, a := range all {
			if strings.Contains(a.Name, s) || strings.Contains(a.Description, s) {
				want = append(want, a)
			}
		}
		t.listedApplications("search "+s, store.ApplicationFilter{All: true, Search: s}, want...)
	}
	for _, s := range []string{`Quux`, `%_of\x`, `'`} {
		found, _, err := t.st.ListApplications(t.Context(), store.ApplicationFilter{All: true, Search: s, ID: all[2].ID}, store.Page{Limit: 10})
		t.must(err)
		t.same("search of the description: "+s, all[2:3], found)
	}
	t.listedApplications("search in another case", store.ApplicationFilter{All: true, Search: "quux"})
}

func listApplicationOrders(t *tester) {
	var all []store.Application
	for _, tt := range []struct {
		name         string
		organization int64
		n            time.Duration
	}{
		{"b", 2, 3}, {"B", 10, 1}, {"a", 10, 5}, {"\u00e4", 2, 0}, {"c", 1, 4}, {"C ", 2, 2},
	} {
		a, err := t.st.InsertApplication(t.Context(), store.Application{
			ClientID: tt.name, Name: tt.name, OrganizationID: tt.organization, Created: at(tt.n * us), Modified: at((tt.n + 3) % 6 * us),
		})
		t.must(err)
		all = append(all, a)
	}
	for _, tt := range []struct {
		name  string
		order store.OrderBy
		by    func(a, b store.Application) int
	}{
		{"ID", store.OrderID, func(a, b store.Application) int { return cmp.Compare(a.ID, b.ID) }},
		{"created", store.OrderCreated, func(a, b store.Application) int { return a.Created.Compare(b.Created) }},
		{"modified", store.OrderModified, func(a, b store.Application) int { return a.Modified.Compare(b.Modified) }},
		{"name", store.OrderName, func(a, b store.Application) int { return cmp.Compare(a.Name, b.Name) }},
	} {
		slices.SortFunc(all, tt.by)
		pages(t, tt.order, all, func(p store.Page) ([]store.Application, int, error) {
			return t.st.ListApplications(t.Context(), store.ApplicationFilter{All: true}, p)
		})
		if t.Failed() {
			t.Fatalf("order by %s", tt.name)
		}
	}
	slices.SortFunc(all, func(a, b store.Application) int {
		return cmp.Or(cmp.Compare(a.OrganizationID, b.OrganizationID), cmp.Compare(a.Name, b.Name))
	})
	list, _, err := t.st.ListApplications(t.Context(), store.ApplicationFilter{All: true}, store.Page{Limit: 10, Order: store.OrderOrganization})
	t.must(err)
	t.same("order by organization, then by name", all, list)
}
