package memory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// agree reports where the lists, indexes and counts of a store do not agree.
func agree(t *testing.T, s *Store) {
	t.Helper()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf(format, args...)
	}
	inOrder := func(what string, l *sorted[token]) (refs []ref) {
		for x := range l.all(false) {
			refs = append(refs, x.self)
		}
		at := func(a, b ref) int { return l.compare(s.at(a), s.at(b)) }
		if !slices.IsSortedFunc(refs, at) || l.n != len(refs) {
			fail("%s: %d tokens, counted as %d, in order: %v", what, len(refs), l.n, slices.IsSortedFunc(refs, at))
		}
		return refs
	}
	all := inOrder("endings", &s.endings)
	var listed, personal, refreshes, spendings int
	texts, bounds := map[ref]int32{}, map[ref]int32{}
	parties, issued, perOwner, perVia := map[ref]int32{}, map[*account]int{}, map[*account]int{}, map[int64]int{}
	listedOf, personalOf := map[ref]int{}, map[*shelf]int{}
	live, members, spent := map[*family]int32{}, map[*family]int{}, map[*family]int{}
	below := map[*family]int{} // a root: those minted below it
	for _, r := range all {
		x := s.at(r)
		d := x.getDigest()
		if x.self != r || s.tokenByDigest(&d) != x || s.tokenByID(x.id) != x {
			fail("token %d is not found", x.id)
		}
		texts[ref(x.scopes.Load())]++
		texts[x.description]++
		bounds[ref(x.bounds.Load())]++
		parties[ref(x.party.Load())]++
		p := s.partyOf(x)
		issued[p.key.owner]++
		if f := s.kept(x); f != nil {
			if members[f]++; !slices.Contains(s.members(f), x) || s.keptByID(f.id.Load()) != f {
				fail("token %d is not of its family", x.id)
			}
			if s.waits(x) {
				spent[f]++
			}
			if x.mark() == 0 {
				live[f]++
				if root := s.top(f); root != f {
					below[root]++
				}
			}
		}
		if kept := s.refreshOf(x); kept != nil {
			refreshes++
			texts[kept.scopes]++
			if s.tokenByRefresh(kept.digest) != x || kept.grant != (store.Digest{}) && !slices.Contains(s.ofGrant(kept.grant), x) {
				fail("token %d is not found by its refresh token", x.id)
			}
			if kept.spent != 0 {
				spendings++
			}
		}
		if x.mark() == 0 {
			listed++
			perOwner[p.key.owner]++
			listedOf[ref(x.party.Load())]++
			if p.key.application == 0 {
				personalOf[&p.key.owner.tokens]++
				if p.key.via != 0 {
					personalOf[s.byVia[p.key.via]]++
				}
			}
			if p.key.via != 0 {
				perVia[p.key.via]++
			}
			if p.key.application == 0 {
				personal++
			}
		}
	}
	kept := familiesOf(s)
	var minting int
	for _, f := range kept {
		parties[ref(f.party.Load())]++
		if n := f.live.Load(); n != live[f] {
			fail("family %d has %d live tokens, counted as %d", f.id.Load(), live[f], n)
		}
		waiting := s.spentIn(f)
		if n := len(s.members(f)); n != members[f] || waiting != spent[f] {
			fail("family %d has %d tokens, %d of them spent, listed as %d and %d", f.id.Load(), members[f], spent[f], n, waiting)
		}
		if parent := s.parentOf(f); parent != nil && !slices.Contains(slices.Collect(s.childrenOf(parent)), f) {
			fail("family %d is no child of its parent", f.id.Load())
		}
		for child := range s.childrenOf(f) {
			if s.parentOf(child) != f {
				fail("family %d is the child of another one, too", child.id.Load())
			}
		}
		if m := s.minted(f); m != nil {
			if minting++; m.below.n+m.lapsed.n != below[f] {
				fail("below family %d are %d tokens, listed as %d and %d", f.id.Load(), below[f], m.below.n, m.lapsed.n)
			}
		}
	}
	count := func(what string, got, want int) {
		t.Helper()
		if got != want {
			fail("%s: %d, want %d", what, got, want)
		}
	}
	count("every", len(inOrder("every", &s.every)), listed)
	count("expiring", len(inOrder("expiring", &s.expiring)), personal)
	count("by digest", s.byDigest.held, len(all))
	count("by ID", s.byID.n, len(all))
	count("by refresh", s.byRefresh.held, refreshes)
	count("tokens", taken(&s.tokens.slab), len(all))
	count("refreshes", taken(&s.refreshes), refreshes)
	count("spendings", taken(&s.spendings), spendings)
	count("families", taken(&s.familySlab), len(kept))
	count("families that minted", taken(&s.offsprings.slab), minting)
	delete(texts, 0)
	delete(bounds, 0)
	count("texts", taken(&s.texts.slab), len(texts))
	count("bounds", taken(&s.tokens.bounds.slab), len(bounds))
	count("parties", taken(&s.parties.slab), len(parties))
	for r, n := range texts {
		count("holders of a text", int(s.texts.get(r).refs), int(n))
	}
	for r, n := range bounds {
		count("holders of bounds", int(s.tokens.bounds.get(r).refs), int(n))
	}
	for r, n := range parties {
		count("holders of a party", int(s.parties.get(r).refs), int(n))
		count("live tokens of a party", s.parties.get(r).value.live, listedOf[r])
	}
	shelf := func(what string, x *shelf, want int) {
		t.Helper()
		count(what, len(inOrder(what, &x.byID)), want)
		count("personal "+what, x.personal, personalOf[x])
		for i := range x.others {
			count(what+" in another order", len(inOrder(what, &x.others[i])), want)
		}
	}
	for _, a := range accountsOf(s) {
		count("issued to "+a.id, int(a.issued), issued[a])
		shelf("tokens of "+a.id, &a.tokens, perOwner[a])
		delete(issued, a)
	}
	count("owners without an account", len(issued), 0)
	for via, x := range s.byVia {
		shelf(fmt.Sprint("tokens by way of ", via), x, perVia[via])
		delete(perVia, via)
	}
	count("ways without a list", len(perVia), 0)
}

// agreeOnCounts reports where the numbers that are kept do not say what looking at each
// token does, and returns how many of them say something.
func agreeOnCounts(t *testing.T, s *Store) (known int) {
	t.Helper()
	unmarked := slices.Collect(s.every.all(false))
	count := func(f store.TokenFilter) {
		n, ok := s.counted(f)
		if !ok {
			return
		}
		known++
		want := 0
		for _, x := range unmarked {
			if s.listed(x, f) {
				want++
			}
		}
		if n != want {
			t.Errorf("%+v: %d tokens, want %d", f, n, want)
		}
	}
	for _, f := range []store.TokenFilter{
		{All: true}, {All: true, UserID: "0"}, {UserID: "0"}, {UserID: "1"}, {UserID: "nobody"}, {Organizations: []int64{1}}, {Organizations: []int64{2, 1, 2}},
		{UserID: "0", Organizations: []int64{1}}, {UserID: "1", Organizations: []int64{1, 2, 7}}, {},
	} {
		for _, owner := range []string{"", "0", "1", "nobody"} {
			for application := range int64(4) {
				for kind := range store.ApplicationToken + 1 {
					f.OwnerID, f.ApplicationID, f.Kind = owner, application, kind
					count(f)
				}
			}
		}
	}
	return known
}

// spentIn returns how many tokens takeSpent would take from a family.
func (s *Store) spentIn(f *family) int {
	if c := s.crowds[f.self]; c != nil {
		return c.spent.n
	}
	list, _ := s.takeSpent(f, len(f.few)) // which changes nothing
	return len(list)
}

// familiesOf returns the families that a store keeps.
func familiesOf(s *Store) (list []*family) {
	slots := *s.familyByID.slots.Load()
	for i := range slots {
		if slot := slots[i].Load(); slot != 0 {
			list = append(list, s.familySlab.at(ref(slot)))
		}
	}
	return list
}

// accountsOf returns the accounts of a store.
func accountsOf(s *Store) (list []*account) {
	slots := *s.accounts.byID.slots.Load()
	for i := range slots {
		if slot := slots[i].Load(); slot != 0 {
			list = append(list, s.accounts.get(ref(slot)))
		}
	}
	return list
}

// All lists, indexes and counts agree after any changes, and nothing is left in the end.
func TestStoreAgreesWithItself(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			ctx, s, r := t.Context(), New(), rand.New(rand.NewPCG(seed, 1))
			now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
			for i := range 4 {
				name := fmt.Sprint(i)
				if _, err := s.InsertApplication(ctx, store.Application{ClientID: name, Name: name, OrganizationID: int64(i % 3)}); err != nil {
					t.Fatal(err)
				}
			}
			digests := 0
			digest := func() store.Digest {
				digests++
				return store.DigestOf(fmt.Sprint(digests))
			}
			newToken := func() store.Token {
				tok := store.Token{
					Digest: digest(), UserID: fmt.Sprint(r.IntN(30) / 25), ApplicationID: max(0, r.Int64N(9)-4), Scopes: fmt.Sprint(r.IntN(9)),
					Description: fmt.Sprint(r.IntN(9)), Audience: []string{"", "https://a.example"}[r.IntN(2)],
					Created: now, Modified: now, Expires: now.Add(time.Duration(r.IntN(7200)) * time.Second),
				}
				if tok.ApplicationID != 0 {
					tok.Refresh = store.Refresh{Digest: digest(), Grant: digest(), Scopes: "read", Expires: tok.Expires.Add(time.Hour)}
				}
				return tok
			}
			pick := func() *token {
				return s.tokenByID(max(1, s.lastToken-r.Int64N(300)))
			}
			known, chosen := 0, seed%2 == 1 // families that callers name, with which few counts are known
			for op := range 6000 {
				var err error
				x := pick()
				switch do := r.IntN(100); {
				case do < 50 || x == nil:
					tok := newToken()
					if r.IntN(3) == 0 && x != nil {
						tok.ParentID, tok.Independent, tok.Expires = s.familyID(x), r.IntN(3) == 0, x.expires.time()
					} else if chosen && r.IntN(20) == 0 {
						tok.Family = s.lastToken + r.Int64N(9) - 4
					}
					_, err = s.InsertToken(ctx, tok, store.InsertLimits{Depth: 8, Live: 50})
				case do < 65:
					tok := s.record(x)
					tok.Digest, tok.Scopes, tok.Description = digest(), fmt.Sprint(r.IntN(9)), ""
					tok.Expires = tok.Expires.Add(time.Duration(r.IntN(600)-300) * time.Second)
					err = s.UpdateToken(ctx, tok, store.Minted(r.IntN(9)/8))
				case do < 85:
					tok := s.record(x)
					next := newToken()
					next.Refresh = store.Refresh{Digest: digest(), Grant: tok.Refresh.Grant, Expires: next.Expires.Add(time.Hour)}
					next.UserID, next.ApplicationID = tok.UserID, tok.ApplicationID
					_, err = s.Rotate(ctx, store.Rotation{Refresh: tok.Refresh.Digest, ApplicationID: tok.ApplicationID, Revision: tok.Revision, At: now, Token: next})
				case do < 92:
					sel := []store.Selection{
						{TokenID: x.id}, {TokenID: x.id}, {Family: s.familyID(x)}, {MintedBy: s.familyID(x)},
						{UserID: fmt.Sprint(r.IntN(2)), ApplicationID: 1 + r.Int64N(4)}, {ApplicationID: 1 + r.Int64N(4)}, {UserID: fmt.Sprint(r.IntN(2))},
					}[min(r.IntN(60), r.IntN(7))]
					_, err = s.RevokeTokens(ctx, sel, now)
				case do < 98:
					now = now.Add(time.Duration(r.IntN(120)) * time.Second)
				default:
					_, err = s.Purge(ctx, now.Add(-time.Minute*time.Duration(r.IntN(60))), 1+r.IntN(200))
				}
				_ = err // refusals are a part of it
				if op%200 == 199 {
					known += agreeOnCounts(t, s)
				}
				if op%300 == 299 {
					if agree(t, s); t.Failed() {
						t.Fatalf("after operation %d", op)
					}
				}
			}
			if known < 7_000 && !chosen {
				t.Errorf("%d counts are known: too few to test anything", known)
			}
			if _, err := s.Purge(ctx, now.Add(1000*time.Hour), 1_000_000); err != nil {
				t.Fatal(err)
			}
			agree(t, s)
			if n := s.endings.n + s.familyByID.held + len(s.cuts.byKey) + s.parties.byKey.held + s.accounts.byID.held; n != 0 {
				t.Errorf("%d tokens, %d families, %d cut-offs, %d parties, %d accounts are left", s.endings.n, s.familyByID.held, len(s.cuts.byKey), s.parties.byKey.held, s.accounts.byID.held)
			}
		})
	}
}
