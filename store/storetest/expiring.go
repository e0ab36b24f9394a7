package storetest

import (
	"time"

	"github.com/ostiary/auth/store"
)

var expiringChecks = []check{
	{
		name:    "personal tokens by expiry, behind a position",
		promise: "ListExpiring returns personal access tokens that expire before until, by Expires and then ID, at most max, and goes on behind from and after",
		alone:   true,
		run:     expiringPages,
	},
	{
		name:    "what is revoked is left out",
		promise: "ListExpiring never returns revoked tokens; a list shorter than max is the last one",
		alone:   true,
		run:     expiringRevoked,
	},
}

func (t *tester) expiring(from time.Time, after int64, until time.Time, max int) []store.Token {
	t.Helper()
	list, err := t.st.ListExpiring(t.Context(), from, after, until, max)
	t.must(err)
	return list
}

// expiresAt stores a personal token that expires then.
func (t *tester) expiresAt(userID string, when time.Time) store.Token {
	t.Helper()
	tok := t.personal(userID)
	tok.Expires = when
	return t.insert(tok)
}

func (t *tester) endTokens(sel store.Selection, when time.Time) {
	t.Helper()
	_, err := t.st.RevokeTokens(t.Context(), sel, when)
	t.must(err)
}

func expiringPages(t *tester) {
	u, v := t.user(), t.user()
	first, third := t.expiresAt(u.ID, at(hour)), t.expiresAt(v.ID, at(3*hour))
	twin, second := t.expiresAt(v.ID, at(hour)), t.expiresAt(u.ID, at(2*hour))
	all := []store.Token{first, twin, second, third}
	for _, tt := range []struct {
		name  string
		from  time.Time
		after int64
		until time.Time
		max   int
		want  []store.Token
	}{
		{"all", at(0), 0, at(day), 10, all},
		{"until one expires", at(0), 0, at(3 * hour), 10, all[:3]},
		{"until it has", at(0), 0, at(3*hour + us), 10, all},
		{"from where one expires", at(2 * hour), 0, at(day), 10, all[2:]},
		{"from behind it", at(2*hour + us), 0, at(day), 10, all[3:]},
		{"behind one", at(2 * hour), second.ID, at(day), 10, all[3:]},
		{"behind the first of two", at(hour), first.ID, at(day), 10, all[1:]},
		{"behind the second of two", at(hour), twin.ID, at(day), 10, all[2:]},
		{"before the IDs count", at(hour - us), twin.ID, at(day), 10, all},
		{"two", at(0), 0, at(day), 2, all[:2]},
		{"the next two", at(hour), twin.ID, at(day), 2, all[2:]},
		{"exactly all", at(0), 0, at(day), 4, all},
		{"none", at(0), 0, at(day), 0, nil},
		{"fewer than none", at(0), 0, at(day), -1, nil},
		{"an empty time", at(day), 0, at(0), 10, nil},
	} {
		t.same(tt.name, tt.want, t.expiring(tt.from, tt.after, tt.until, tt.max))
	}
}

func expiringRevoked(t *tester) {
	u, v := t.user(), t.user()
	var kept []store.Token
	for i := range 6 {
		parent := t.expiresAt(u.ID, at(2*hour))
		child := t.mintedBy(parent)
		child.ApplicationID, child.Refresh, child.Expires = 0, store.Refresh{}, at(time.Duration(i+1)*us)
		child = t.insert(child)
		if i%2 == 0 {
			t.endTokens(store.Selection{TokenID: parent.ID}, at(0))
		} else {
			kept = append(kept, child)
		}
	}
	t.expiresAt(v.ID, at(us))
	t.endTokens(store.Selection{UserID: v.ID}, at(0))
	t.same("all", kept, t.expiring(at(0), 0, at(hour), 10))
	for i := range kept {
		t.same("the first ones", kept[:i+1], t.expiring(at(0), 0, at(hour), i+1))
	}
}
