package memory

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// What a page of a list looks at does not depend on how many records there are, nor
// on those that were revoked: a page of a few of many tokens looks at those few.
func TestPagesReadWhatTheyShow(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	filled := func(rows int) *Store {
		s := New()
		_, err := s.InsertApplication(t.Context(), store.Application{ClientID: "c", OrganizationID: 1})
		must(err)
		for i := range 2 * rows {
			tok, err := s.InsertToken(t.Context(), store.Token{
				Digest: store.DigestOf(fmt.Sprint(i)), UserID: "u", ApplicationID: 1, Scopes: "read",
				Created: now.Add(time.Duration(i*7919%1000) * time.Second), Modified: now.Add(time.Duration(i*104729%1000) * time.Second),
				Expires: now.Add(time.Hour + time.Duration(i*611953%1000)*time.Second),
			}, store.MintLimits{})
			must(err)
			if i%2 == 0 {
				_, err := s.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, now)
				must(err)
			}
		}
		return s
	}
	stores := map[int]*Store{500: filled(500), 2000: filled(2000)}
	looked := func(rows int, f store.TokenFilter, p store.Page) (n int) {
		s := stores[rows]
		l := newLister(p, tokenOrder(p.Order))
		for source := range s.sources(f, p) {
			l.take(source, func(tok *token) bool { n++; return s.listed(tok, f) })
		}
		list, _, err := s.ListTokens(t.Context(), f, store.Page{Limit: 2 * rows, Order: p.Order, Descending: p.Descending})
		must(err)
		if len(list) != rows || !slices.IsSortedFunc(list, func(a, b store.Token) int {
			if p.Descending {
				a, b = b, a
			}
			return tokenOrder(p.Order)(s.tokenByID(a.ID), s.tokenByID(b.ID))
		}) {
			t.Errorf("%+v: %d of %d tokens, or out of order", p, len(list), rows)
		}
		return n
	}
	for name, f := range map[string]store.TokenFilter{
		"a user": {UserID: "u"}, "an organization": {Organizations: []int64{1}}, "an application": {All: true, ApplicationID: 1},
		"own and an organization's": {UserID: "u", Organizations: []int64{1}},
	} {
		for _, order := range []store.OrderBy{store.OrderID, store.OrderCreated, store.OrderModified, store.OrderExpires} {
			for _, down := range []bool{false, true} {
				for _, to := range []int{-1, 200} {
					p := store.Page{Limit: 50, Order: order, Descending: down, CountTo: to}
					few, many := looked(500, f, p), looked(2000, f, p)
					if few != many || many > 2*(51+max(to, 0)) {
						t.Errorf("%s: %+v looks at %d of 500, %d of 2,000", name, p, few, many)
					}
				}
			}
		}
	}
}

// What ListExpiring looks at does not depend on how many tokens expire later, were
// revoked or belong to applications, also after changes of their expiry.
func TestExpiringReadsWhatItShows(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, rows := range []int{500, 4000} {
		s := New()
		if _, err := s.InsertApplication(t.Context(), store.Application{ClientID: "c"}); err != nil {
			t.Fatal(err)
		}
		for i := range rows {
			tok, err := s.InsertToken(t.Context(), store.Token{
				Digest: store.DigestOf(fmt.Sprint(i)), UserID: "u", ApplicationID: int64(i % 4 / 3), Scopes: "read",
				Created: now, Modified: now, Expires: now.Add(time.Duration(i*7919%rows) * time.Hour),
			}, store.MintLimits{})
			if err == nil && i%5 == 0 {
				_, err = s.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, now)
			}
			if err == nil && i%7 == 1 && i%4 != 3 && i%5 != 0 {
				tok.Expires = now.Add(time.Duration(i%100)*time.Hour + time.Minute)
				err = s.UpdateToken(t.Context(), tok, store.KeepMinted)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		var want []*token
		for tok := range s.every.all(false) {
			if s.applicationOf(tok) == 0 {
				want = append(want, tok)
			}
		}
		slices.SortFunc(want, tokenOrder(store.OrderExpires))
		if got := slices.Collect(s.expiring.all(false)); !slices.Equal(got, want) {
			t.Fatalf("%d tokens, want %d in order of their expiry", len(got), len(want))
		}
		looked := 0
		from := want[10].expires
		for tok := range s.expiresIn(from, want[10].id, never) {
			if looked++; tok != want[10+looked] {
				t.Fatalf("%d behind the position is token %d, want %d", looked, tok.id, want[10+looked].id)
			}
			if looked == 20 {
				break
			}
		}
		list, err := s.ListExpiring(t.Context(), from.time(), want[10].id, now.Add(50_000*time.Hour), 20)
		if err != nil || len(list) != 20 || list[19].ID != want[30].id {
			t.Errorf("of %d: %d tokens, %v", rows, len(list), err)
		}
	}
}

func sortedIn(of *slab[token], compare func(a, b *token) int) sorted[token] {
	return sorted[token]{ordering: &ordering[token]{get: of.locked, self: func(t *token) ref { return t.self }, compare: compare}}
}

// A sorted list is what sorting yields, whatever was added and removed.
func TestSorted(t *testing.T) {
	of := new(slab[token])
	l := sortedIn(of, tokenOrder(store.OrderID))
	var want []*token
	for i := range 5000 {
		self, tok := of.take()
		tok.self = self
		tok.id = int64(i * 7919 % 5003)
		l.add(tok)
		want = append(want, tok)
		if i%3 == 0 {
			at := i * 31 % len(want)
			l.remove(want[at])
			l.remove(want[at]) // which is not there any more
			want = slices.Delete(want, at, at+1)
		}
	}
	slices.SortFunc(want, l.compare)
	if got := slices.Collect(l.all(false)); !slices.Equal(got, want) || l.n != len(want) {
		t.Errorf("%d tokens, want %d in order", len(got), len(want))
	}
	if got := slices.Collect(l.from(position(want[1000].id+1, 0))); !slices.Equal(got, want[1001:]) {
		t.Errorf("from the thousand and first: %d tokens, want %d", len(got), len(want)-1001)
	}
	slices.Reverse(want)
	if got := slices.Collect(l.all(true)); !slices.Equal(got, want) {
		t.Error("not the other way round")
	}
	for _, tok := range want {
		l.remove(tok)
	}
	if l.n != 0 || len(l.parts) != 0 {
		t.Errorf("%d tokens in %d parts are left", l.n, len(l.parts))
	}
}
