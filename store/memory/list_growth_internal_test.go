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
			}, store.InsertLimits{})
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
		s.listTokens(f, p, func(tok *token) bool { n++; return s.listed(tok, f) })
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
				for _, to := range []int{-1, 0, 200} {
					p := store.Page{Limit: 50, Order: order, Descending: down, CountTo: to}
					few, many := looked(500, f, p), looked(2000, f, p)
					if few != many || many > 2*51 {
						t.Errorf("%s: %+v looks at %d of 500, %d of 2,000", name, p, few, many)
					}
				}
			}
		}
	}
}

// What a revocation has ended is not counted while its record is still to be marked,
// and neither is what ends with a token above it that is purged, or with one that was
// there before it.
func TestCountsBesideMarkings(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s, digests := New(), 0
	insert := func(tok store.Token) store.Token {
		t.Helper()
		digests++
		tok.Digest, tok.Created, tok.Scopes = store.DigestOf(fmt.Sprint(digests)), now, "read"
		if tok.Expires.IsZero() {
			tok.Expires = now.Add(time.Hour)
		}
		tok, err := s.InsertToken(t.Context(), tok, store.InsertLimits{Depth: 1, Live: 10})
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	counts := func(when string, want int, known bool) {
		t.Helper()
		for _, f := range []store.TokenFilter{{All: true}, {UserID: "u"}} {
			_, total, err := s.ListTokens(t.Context(), f, store.Page{Limit: 1})
			if _, ok := s.counted(f); total != want || ok != known || err != nil {
				t.Errorf("%s: %+v lists %d tokens, known: %v, %v, want %d", when, f, total, ok, err, want)
			}
		}
	}
	for range 2*stepSize + 1 {
		insert(store.Token{UserID: "u"})
	}
	counts("before", 2*stepSize+1, true)
	if _, err := s.RevokeTokens(t.Context(), store.Selection{UserID: "u"}, now); err != nil {
		t.Fatal(err)
	}
	counts("after a revocation", 0, false)
	if n, err := s.Purge(t.Context(), now.Add(time.Minute), 10*stepSize); n != 2*stepSize+1 || err != nil {
		t.Errorf("%d tokens purged, %v", n, err)
	}

	parent := insert(store.Token{UserID: "u"})
	child := insert(store.Token{UserID: "u", ParentID: parent.ID})
	child.Expires = now.Add(3 * time.Hour)
	if err := s.UpdateToken(t.Context(), child, store.KeepMinted); err != nil {
		t.Fatal(err)
	}
	counts("a child that outlives its parent", 2, true)
	if n, err := s.Purge(t.Context(), now.Add(2*time.Hour), 1); n != 1 || err != nil {
		t.Errorf("%d tokens purged, %v", n, err)
	}
	if a, err := s.AccessByDigest(t.Context(), child.Digest); err != nil || a.Revoked.IsZero() {
		t.Errorf("the child of a parent that is gone is alive: %+v, %v", a, err)
	}
	if _, total, err := s.ListTokens(t.Context(), store.TokenFilter{All: true}, store.Page{Limit: 1}); total != 0 || err != nil {
		t.Errorf("%d tokens are listed, %v", total, err)
	}
	if n, err := s.Purge(t.Context(), now, 10); n != 0 || err != nil { // which marks
		t.Errorf("%d tokens purged, %v", n, err)
	}
	counts("after the marking", 0, true)
	if late := insert(store.Token{UserID: "u", Family: child.Family}); late.Revoked.IsZero() {
		t.Error("a token of a family that has ended is alive")
	}
	counts("with a token of a family that has ended", 0, true)
	if n, err := s.Purge(t.Context(), now.Add(2*time.Hour), 10); n != 2 || err != nil {
		t.Errorf("%d tokens purged, %v", n, err)
	}
	counts("in the end", 0, true)

	// A family of several users does not end as the cut-off of one of them says.
	first := insert(store.Token{UserID: "v"})
	insert(store.Token{UserID: "u", Family: first.Family})
	insert(store.Token{UserID: "u", ParentID: first.Family})
	if _, err := s.RevokeTokens(t.Context(), store.Selection{UserID: "v"}, now); err != nil {
		t.Fatal(err)
	}
	list, total, err := s.ListTokens(t.Context(), store.TokenFilter{UserID: "u"}, store.Page{Limit: 10})
	if total != len(list) || err != nil {
		t.Errorf("%d tokens of a family of two users are listed as %d, %v", len(list), total, err)
	}
}

// The same of the lists of other records.
func TestOtherPagesReadWhatTheyShow(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	filled := func(rows int) *Store {
		s := New()
		for i := range rows {
			// No order of the lists is that of the insertion.
			k := i * 7919 % rows
			name := fmt.Sprintf("n%05d", i*611953%rows)
			_, err := s.InsertUser(t.Context(), store.User{
				ID: fmt.Sprint(k + 1), Name: name, Active: true, Created: now.Add(time.Duration(i*104729%rows) * time.Second),
			})
			if err == nil {
				_, err = s.InsertApplication(t.Context(), store.Application{ClientID: name, Name: name, OrganizationID: int64(i % 2)})
			}
			if err == nil {
				_, _, err = s.InsertSession(t.Context(), store.Session{
					Digest: store.DigestOf(name), UserID: fmt.Sprint(k + 1), Created: now, Seen: now, Expires: now.Add(time.Hour),
				}, store.Digest{}, 0)
			}
			if err == nil {
				_, err = s.InsertActivity(t.Context(), store.Activity{
					At: now.Add(time.Duration(k) * time.Second), UserID: fmt.Sprint(i % 2), TokenID: int64(1 + i%2),
					ApplicationID: int64(1 + i%2), OrganizationID: int64(i % 2),
				}, rows)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		// Of some there are few, behind all others.
		for i := range 51 {
			_, err := s.InsertActivity(t.Context(), store.Activity{At: now.Add(-time.Hour), UserID: "few", OrganizationID: int64(7 + i%2)}, 60)
			if err == nil {
				_, err = s.InsertApplication(t.Context(), store.Application{ClientID: fmt.Sprint(i), Name: fmt.Sprint(i), OrganizationID: 7})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	stores := [2]*Store{filled(500), filled(2000)}
	for _, order := range []store.OrderBy{store.OrderID, store.OrderCreated, store.OrderName, store.OrderOrganization} {
		for _, down := range []bool{false, true} {
			for _, to := range []int{-1, 200} {
				p := store.Page{Limit: 50, Order: order, Descending: down, CountTo: to}
				lists := map[string]func(s *Store) (n, most int){}
				if slices.Contains(userOrders[:], order) {
					lists["users"] = func(s *Store) (n, most int) {
						return lookedAt(p, userOrder(order), s.usersFor(store.UserFilter{}, p))
					}
				}
				if order == store.OrderID || order == store.OrderOrganization {
					lists["applications"] = func(s *Store) (n, most int) {
						return lookedAt(p, appOrder(order), s.appsFor(store.ApplicationFilter{All: true}, p))
					}
					lists["applications of an organization with few"] = func(s *Store) (n, most int) {
						return lookedAt(p, appOrder(order), s.appsFor(store.ApplicationFilter{Organizations: []int64{7, 7, 8}}, p))
					}
				}
				if order == store.OrderID {
					lists["sessions"] = func(s *Store) (n, most int) {
						return lookedAt(p, sessionsByID, s.sessionsFor(store.SessionFilter{All: true}, p))
					}
					for name, f := range map[string]store.ActivityFilter{
						"all": {All: true}, "own": {UserID: "1"}, "of few": {UserID: "few"}, "of a user": {All: true, ConcernedID: "0"},
						"of few for all": {All: true, ConcernedID: "few"}, "of a token": {All: true, TokenID: 2},
						"of an application": {All: true, ApplicationID: 1}, "of an organization": {Organizations: []int64{1}},
						"of organizations with few": {Organizations: []int64{8, 7, 8}}, "of few and an organization": {UserID: "few", Organizations: []int64{1}},
						"own and of an organization": {UserID: "1", Organizations: []int64{1}},
					} {
						lists["activities "+name] = func(s *Store) (n, most int) {
							return lookedAt(p, byTime, slices.Collect(s.activities.sources(f, p))...)
						}
					}
				}
				for name, list := range lists {
					few, most := list(stores[0])
					many, _ := list(stores[1])
					if few != many || few == 0 || many > most {
						t.Errorf("%s: %+v looks at %d of 500, %d of 2,000, not %d", name, p, few, many, most)
					}
				}
			}
		}
	}
}

// What has few sessions, or one, is listed without a look at others.
func TestFewSessionsAreFoundAmongMany(t *testing.T) {
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	s := New()
	for i := range 500 {
		_, _, err := s.InsertSession(t.Context(), store.Session{
			Digest: store.DigestOf(fmt.Sprint(i)), UserID: fmt.Sprint(i), Created: now, Expires: now.Add(time.Hour),
		}, store.Digest{}, 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		f    store.SessionFilter
		want int
	}{
		{store.SessionFilter{UserID: "7"}, 1}, {store.SessionFilter{All: true, UserID: "7"}, 1}, {store.SessionFilter{UserID: "7", ID: 8}, 1},
		{store.SessionFilter{All: true, ID: 9}, 1}, {store.SessionFilter{ID: 9}, 0}, {store.SessionFilter{UserID: "nobody"}, 0},
	} {
		p, looked := store.Page{Limit: 50}, 0
		newLister(p, sessionsByID).take(s.sessionsFor(tt.f, p), func(*session) bool { looked++; return true })
		list, total, err := s.ListSessions(t.Context(), tt.f, now, p)
		if looked != tt.want || len(list) != tt.want || total != tt.want || err != nil {
			t.Errorf("%+v looks at %d and lists %d of %d, %v, want %d", tt.f, looked, len(list), total, err, tt.want)
		}
	}
}

// lookedAt returns how many records of sources are looked at for a page, and how many
// that may be. The page must be what sorting all of them yields.
func lookedAt[T comparable](p store.Page, order func(a, b T) int, from ...source[T]) (n, most int) {
	l := newLister(p, order)
	var all []T
	for _, x := range from {
		l.take(x, func(T) bool { n++; return true })
		all = append(all, slices.Collect(x.records)...)
	}
	slices.SortFunc(all, l.order)
	if all = slices.Compact(all); !slices.Equal(l.page(), all[:p.Limit]) {
		return n, 0
	}
	return n, len(from) * (1 + max(p.Limit+1, p.CountTo+1))
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
			}, store.InsertLimits{})
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

// A sorted list is what sorting yields, whatever was added and removed.
func TestSorted(t *testing.T) {
	ts := new(tokens)
	l := sorted[token]{ordering: new(ts.ordering(tokenOrder(store.OrderID)))}
	var want []*token
	for i := range 5000 {
		self, tok := ts.slab.take()
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
