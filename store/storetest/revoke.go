package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/ostiary/auth/store"
)

var revokeChecks = []check{
	{
		name:    "selections are combined with and",
		promise: "a Selection names tokens; the fields that are set are combined with \"and\"",
		run:     revokeSelections,
		needs:   oauthPart,
	},
	{
		name:    "nothing set selects nothing",
		promise: "nothing set selects nothing, and only All selects everything",
		alone:   true,
		run:     revokeAll,
	},
	{
		name:    "children end with their parent, however deep",
		promise: "RevokeTokens revokes the tokens that s names and, through ParentID, everything they minted",
		run:     revokeChildren,
	},
	{
		name:    "an expired parent still takes its children along",
		promise: "a child ends when its parent is revoked",
		run:     revokeExpired,
	},
	{
		name:    "repeating it changes nothing and counts nothing",
		promise: "those revoked before stay as they were and do not count, so repeating it is harmless",
		run:     revokeTwice,
	},
	{
		name:    "the refresh token ends too",
		promise: "RevokeTokens revokes the tokens that s names and their refresh tokens",
		run:     revokeRefresh,
		needs:   oauthPart,
	},
	{
		name:    "each token is counted once by parallel calls",
		races:   true,
		promise: "RevokeTokens returns how many tokens it ended",
		run:     revokeCountRace,
	},
	{
		name:    "no order of a revocation and an insert leaves a live child",
		races:   true,
		promise: "of a concurrent revocation of the parent and an insert of a child, no order leaves a live child",
		run:     revokeChildRace,
	},
	{
		name:    "no order of a revocation and a rotation leaves a live successor",
		races:   true,
		promise: "RevokeTokens is one step, Rotate is one step",
		run:     revokeRotateRace,
		needs:   oauthPart,
	},
	{
		name:    "what a purged family minted",
		promise: "a token is revoked as soon as a family above it has no live token; Independent tokens live on; MintedBy names everything that a family minted",
		alone:   true,
		run:     revokePurged,
	},
}

func revokeSelections(t *tester) {
	u, v, a, b := t.user(), t.user(), t.application(), t.application()
	for _, tt := range []struct {
		name string
		sel  func(tok store.Token) store.Selection
		want int // of the five tokens below, how many, from the first
	}{
		{"token", func(tok store.Token) store.Selection { return store.Selection{TokenID: tok.ID} }, 1},
		{"family", func(tok store.Token) store.Selection { return store.Selection{Family: tok.Family} }, 2},
		{"user and application", func(tok store.Token) store.Selection {
			return store.Selection{UserID: u.ID, ApplicationID: a.ID}
		}, 3},
		{"user, application and family", func(tok store.Token) store.Selection {
			return store.Selection{UserID: u.ID, ApplicationID: a.ID, Family: tok.Family}
		}, 2},
		{"user", func(store.Token) store.Selection { return store.Selection{UserID: u.ID} }, 4},
		{"all fields", func(tok store.Token) store.Selection {
			return store.Selection{TokenID: tok.ID, UserID: u.ID, ApplicationID: a.ID, Family: tok.Family}
		}, 1},
		{"all fields, All too", func(tok store.Token) store.Selection {
			return store.Selection{TokenID: tok.ID, UserID: u.ID, ApplicationID: a.ID, Family: tok.Family, All: true}
		}, 1},
		{"token of another user", func(tok store.Token) store.Selection {
			return store.Selection{TokenID: tok.ID, UserID: v.ID}
		}, 0},
		{"token of another application", func(tok store.Token) store.Selection {
			return store.Selection{TokenID: tok.ID, ApplicationID: b.ID}
		}, 0},
		{"token of another family", func(tok store.Token) store.Selection {
			return store.Selection{TokenID: tok.ID, Family: tok.Family + 1e6}
		}, 0},
		{"user in another case", func(store.Token) store.Selection { return store.Selection{UserID: u.ID + " "} }, 0},
		{"a token that never was", func(tok store.Token) store.Selection {
			return store.Selection{TokenID: tok.ID + 1e6}
		}, 0},
		{"negative", func(tok store.Token) store.Selection { return store.Selection{TokenID: -1} }, 0},
	} {
		first := t.insert(t.pair(u.ID, a.ID))
		sibling := t.pair(u.ID, a.ID)
		sibling.Family = first.Family
		toks := []store.Token{
			first, t.insert(sibling), t.insert(t.pair(u.ID, a.ID)), t.insert(t.pair(u.ID, b.ID)), t.insert(t.pair(v.ID, a.ID)),
		}
		n, err := t.st.RevokeTokens(t.Context(), tt.sel(first), at(5*us+1))
		t.must(err)
		t.same(tt.name+": how many", tt.want, n)
		t.revoked(tt.name, at(5*us), toks[:tt.want]...)
		t.live(tt.name, toks[tt.want:]...)
		_, err = t.st.RevokeTokens(t.Context(), store.Selection{UserID: u.ID}, at(us))
		t.must(err)
	}
}

func revokeAll(t *tester) {
	u, app := t.user(), t.application()
	toks := []store.Token{t.insert(t.personal(u.ID)), t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair("", app.ID))}
	toks = append(toks, t.child(toks[0]))
	n, err := t.st.RevokeTokens(t.Context(), store.Selection{}, at(us))
	t.must(err)
	t.same("nothing: how many", 0, n)
	t.live("nothing", toks...)
	n, err = t.st.RevokeTokens(t.Context(), store.Selection{All: true}, at(us))
	t.must(err)
	t.same("All: how many", len(toks), n)
	t.revoked("All", at(us), toks...)
}

func revokeChildren(t *tester) {
	u, v := t.user(), t.user()
	root, bystander := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	all := []store.Token{root}
	for depth, tip := 0, root; depth < store.MaxDepth; depth++ {
		wide := t.personal(v.ID) // minted for somebody else
		wide.ParentID = tip.Family
		all = append(all, t.insert(wide))
		tip = t.child(tip)
		all = append(all, tip)
	}
	kid := t.child(bystander)
	n, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: all[4].ID}, at(us))
	t.must(err)
	t.same("from the middle: how many", len(all)-4, n)
	t.live("from the middle: those above", all[0], all[1], all[2], all[3])
	n, err = t.st.RevokeTokens(t.Context(), store.Selection{UserID: u.ID, Family: root.Family}, at(2*us))
	t.must(err)
	t.same("from the root: how many", 4, n)
	t.revoked("from the root", at(2*us), all[:4]...)
	t.revoked("below the middle", at(us), all[4:]...)
	t.live("another token and its child", bystander, kid)
}

func revokeExpired(t *tester) {
	u := t.user()
	parent := t.personal(u.ID)
	parent.Expires = at(hour)
	parent = t.insert(parent)
	kid := t.child(parent)
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: parent.ID}, at(2*hour))
	t.must(err)
	t.revoked("the child of an expired parent", at(2*hour), kid)
}

func revokeTwice(t *tester) {
	u := t.user()
	parent := t.insert(t.personal(u.ID))
	kid := t.child(parent)
	for i, want := range []int{2, 0, 0} {
		n, err := t.st.RevokeTokens(t.Context(), store.Selection{UserID: u.ID}, at(us*time.Duration(i+1)))
		t.must(err)
		t.same(fmt.Sprintf("call %d: how many", i), want, n)
	}
	t.revoked("the first time", at(us), parent, kid)
}

func revokeRefresh(t *tester) {
	u, app := t.user(), t.application()
	tok := t.insert(t.pair(u.ID, app.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(us))
	t.must(err)
	before := t.token(tok.ID)
	r := t.rotation(tok, at(2*us))
	_, err = t.st.Rotate(t.Context(), r)
	t.refused("Rotate", store.ErrNotFound, err)
	t.same("the token", before, t.token(tok.ID))
	_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
	t.refused("the successor", store.ErrNotFound, err)
	got, err := t.st.TokenByRefresh(t.Context(), tok.Refresh.Digest)
	t.must(err)
	t.same("TokenByRefresh, whatever its state", before, got)
}

func revokeCountRace(t *tester) {
	t.rounds(func() {
		u := t.user()
		parent := t.insert(t.personal(u.ID))
		t.child(t.child(parent))
		t.insert(t.personal(u.ID))
		sum := 0
		for _, n := range race(16, func(i int) int {
			s := store.Selection{UserID: u.ID}
			if i%2 == 0 {
				s = store.Selection{TokenID: parent.ID}
			}
			n, err := t.st.RevokeTokens(t.Context(), s, at(us))
			if err != nil {
				t.Errorf("RevokeTokens: %v", err)
			}
			return n
		}) {
			sum += n
		}
		t.same("the sum of all counts", 4, sum)
	})
}

func revokeChildRace(t *tester) {
	u := t.user()
	k := 0
	t.rounds(func() {
		k++
		grand := t.insert(t.personal(u.ID))
		parent := t.child(grand)
		toks := make([]store.Token, contenders)
		for i, err := range race(contenders, func(i int) (err error) {
			if i == k*7%contenders {
				_, err = t.st.RevokeTokens(t.Context(), store.Selection{TokenID: grand.ID}, at(us))
				return err
			}
			tok := t.personal(u.ID)
			tok.ParentID = parent.Family
			toks[i], err = t.st.InsertToken(t.Context(), tok, limits)
			if errors.Is(err, store.ErrConflict) {
				return nil
			}
			return err
		}) {
			t.must(err)
			if toks[i].ID != 0 {
				t.dead("a child that was stored", toks[i])
			}
		}
	})
}

func revokeRotateRace(t *tester) {
	u, app := t.user(), t.application()
	k := 0
	t.rounds(func() {
		k++
		parent := t.insert(t.pair(u.ID, app.ID))
		given := t.pair(u.ID, app.ID)
		given.ParentID = parent.Family
		tok := t.insert(given)
		r := t.rotation(tok, at(us))
		errs := race(2, func(i int) error {
			if i == 0 {
				s := store.Selection{TokenID: parent.ID}
				if k%2 == 0 {
					s = store.Selection{Family: tok.Family}
				}
				_, err := t.st.RevokeTokens(t.Context(), s, at(2*us))
				return err
			}
			_, err := t.st.Rotate(t.Context(), r)
			return err
		})
		t.must(errs[0])
		switch next, err := t.st.TokenByDigest(t.Context(), r.Token.Digest); {
		case errs[1] == nil:
			t.must(err)
			t.dead("the successor", next)
		case !errors.Is(errs[1], store.ErrNotFound):
			t.Errorf("Rotate: got error %v, want %v", errs[1], store.ErrNotFound)
		}
	})
}

func revokePurged(t *tester) {
	u := t.user()
	top := t.insert(t.personal(u.ID))
	parent := t.child(top)
	kid := t.child(parent)
	given := t.mintedBy(parent)
	given.Independent = true
	free := t.insert(given)
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: parent.ID}, at(us))
	t.must(err)
	_, err = t.st.Purge(t.Context(), at(hour), 100)
	t.must(err)
	_, err = t.st.TokenByID(t.Context(), kid.ID)
	t.refused("after it ended", store.ErrNotFound, err)
	if got, err := t.st.TokenByID(t.Context(), parent.ID); err == nil {
		t.same("what stays for those it minted", at(us), got.Revoked)
	}
	t.reads(top)
	t.reads(free)
	n, err := t.st.RevokeTokens(t.Context(), store.Selection{MintedBy: parent.Family}, at(2*us))
	t.must(err)
	t.same("what a family minted that is gone: how many", 1, n)
	t.revoked("what a family minted that is gone", at(2*us), free)
	t.live("the token above", top)
}
