package storetest

import (
	"errors"
	"time"

	"github.com/ostiary/auth/store"
)

var treeChecks = []check{
	{
		name:    "a token knows where it stands",
		promise: "ParentID is the Family of the token that minted this one, RootID the Family at the top of the tree; Depth counts the families above; ViaApplicationID is ApplicationID, or otherwise that of the token that minted this one",
		run:     treePlaces,
		needs:   oauthPart,
	},
	{
		name:    "trees are as deep as the limit",
		promise: "InsertToken returns ErrLimit if t would exceed the limits; the zero InsertLimits let nothing be minted",
		run:     treeDepth,
	},
	{
		name:    "a root has so many live descendants",
		promise: "InsertLimits.Live is how many descendants of the root may live at a time",
		run:     treeLive,
	},
	{
		name:    "a parent mints as it was read",
		promise: "with limits.ParentDigest the parent must have that digest and limits.ParentScopes",
		run:     treeParentAsRead,
	},
	{
		name:    "no order of a mint and a change of the parent leaves a child of what it was",
		races:   true,
		promise: "with limits.ParentDigest the parent must have that digest and limits.ParentScopes, in the same step",
		run:     treeParentRace,
	},
	{
		name:    "a user has so many tokens",
		promise: "InsertLimits.Owned is the most tokens of a user at a time, 0 for any number; it does not concern tokens without a user",
		run:     treeOwned,
		needs:   oauthPart,
	},
	{
		name:    "independent tokens live on",
		promise: "Independent tokens do not end with the tokens above them",
		run:     treeIndependent,
	},
	{
		name:    "MintedBy ends what a family minted",
		promise: "MintedBy names everything that a family minted, directly or through others, Independent or not; the family itself is not named",
		run:     treeMintedBy,
	},
	{
		name:    "an update ends what the token minted",
		promise: "with EndMinted UpdateToken ends, in the same step and at t.Modified, everything that Selection.MintedBy names for the token's family",
		run:     treeUpdate,
	},
	{
		name:    "no order of a mint and the end of what was minted leaves one alive",
		races:   true,
		promise: "when RevokeTokens returns nil, all of them must be dead",
		run:     treeMintRace,
	},
	{
		name:    "every read sees what a token above did",
		promise: "a store must report a token as revoked as soon as a family above it has no live token any more",
		run:     treeReads,
	},
}

func treePlaces(t *tester) {
	u, app := t.user(), t.application()
	root := t.insert(t.pair(u.ID, app.ID))
	want := root
	for depth := 1; depth <= 3; depth++ {
		given := t.mintedBy(want)
		given.RootID, given.Depth, given.ViaApplicationID = 77, 77, 77 // not the caller's to say
		got := t.insert(given)
		next := stored(given, got)
		next.RootID, next.Depth, next.ViaApplicationID = root.Family, depth, app.ID
		t.same("a descendant", next, got)
		t.reads(got)
		want = got
	}
	other := t.application()
	given := t.pair(u.ID, other.ID)
	given.ParentID, given.Expires = want.Family, want.Expires
	got := t.insert(given)
	t.same("the application of a token that has its own", other.ID, got.ViaApplicationID)
	t.reads(got)
	t.reads(t.rotate(t.rotation(got, at(us))))
	t.same("what has no application above", int64(0), t.child(t.insert(t.personal(u.ID))).ViaApplicationID)
}

func treeDepth(t *tester) {
	u := t.user()
	root := t.insert(t.personal(u.ID))
	refuse := func(what string, parent store.Token, limits store.InsertLimits) {
		t.Helper()
		given := t.mintedBy(parent)
		_, err := t.st.InsertToken(t.Context(), given, limits)
		t.refused(what, store.ErrLimit, err)
		t.refused(what+": it is a conflict as well", store.ErrConflict, err)
		_, err = t.st.TokenByDigest(t.Context(), given.Digest)
		t.refused(what+": the token", store.ErrNotFound, err)
	}
	refuse("no limits", root, store.InsertLimits{})
	refuse("no depth", root, store.InsertLimits{Live: 10})
	refuse("none at a time", root, store.InsertLimits{Depth: 10})
	refuse("fewer than none at a time", root, store.InsertLimits{Depth: 10, Live: -1})
	refuse("a negative depth", root, store.InsertLimits{Depth: -1, Live: 10})
	tip := root
	for depth := range store.MaxDepth {
		refuse("deeper than the limit", tip, store.InsertLimits{Depth: depth, Live: 100})
		tip = t.child(tip)
		t.same("depth", depth+1, tip.Depth)
	}
	refuse("deeper than the store reads", tip, store.InsertLimits{Depth: 1000, Live: 100})
	n, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: root.ID}, at(us))
	t.must(err)
	t.same("how many end with the root", store.MaxDepth+1, n)
	t.dead("the deepest", tip)
}

func treeLive(t *tester) {
	u := t.user()
	root, bystander := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	three := store.InsertLimits{Depth: store.MaxDepth, Live: 3}
	mint := func(parent store.Token, created time.Duration) (store.Token, error) {
		given := t.mintedBy(parent)
		given.Created, given.Expires = at(created), at(created+hour)
		return t.st.InsertToken(t.Context(), given, three)
	}
	a, err := mint(root, 0)
	t.must(err)
	b, err := mint(a, 0)
	t.must(err)
	given := t.mintedBy(b)
	given.Independent, given.Expires = true, at(hour)
	c, err := t.st.InsertToken(t.Context(), given, three)
	t.must(err)
	for _, parent := range []store.Token{root, a, b, c} {
		_, err = mint(parent, 0)
		t.refused("a fourth", store.ErrLimit, err)
	}
	_, err = mint(bystander, 0)
	t.must(err) // of another tree
	_, err = t.st.RevokeTokens(t.Context(), store.Selection{TokenID: b.ID}, at(us))
	t.must(err)
	_, err = mint(root, us)
	t.must(err) // one was revoked
	_, err = mint(root, us)
	t.refused("a fourth again", store.ErrLimit, err)
	for range 3 {
		_, err = mint(root, hour+us)
		t.must(err) // all have expired
	}
	_, err = mint(root, hour+us)
	t.refused("a fourth later", store.ErrLimit, err)
}

func treeParentAsRead(t *tester) {
	u, other := t.user(), t.insert(t.personal(t.user().ID))
	parent := t.insert(t.personal(u.ID))
	mint := func(what string, want error, digest store.Digest, scopes string) {
		t.Helper()
		now := limits
		now.ParentDigest, now.ParentScopes = digest, scopes
		given := t.mintedBy(parent)
		_, err := t.st.InsertToken(t.Context(), given, now)
		t.refused(what, want, err)
		if errors.Is(err, store.ErrLimit) {
			t.Errorf("%s: it is no limit", what)
		}
		_, err = t.st.TokenByDigest(t.Context(), given.Digest)
		t.refused(what+": the token", map[bool]error{true: store.ErrNotFound}[want != nil], err)
	}
	for _, depth := range []string{"of a root", "of a child"} {
		mint("as it is, "+depth, nil, parent.Digest, parent.Scopes)
		mint("not known, "+depth, nil, store.Digest{}, "nothing")
		mint("other scopes, "+depth, store.ErrConflict, parent.Digest, "read")
		mint("no scopes, "+depth, store.ErrConflict, parent.Digest, "")
		mint("the digest of another, "+depth, store.ErrConflict, other.Digest, parent.Scopes)
		old := parent
		parent.Digest, parent.Scopes = t.digest(), "read"
		t.must(t.st.UpdateToken(t.Context(), parent, store.KeepMinted))
		mint("as it was, "+depth, store.ErrConflict, old.Digest, old.Scopes)
		mint("with the scopes that it had, "+depth, store.ErrConflict, parent.Digest, old.Scopes)
		mint("as it is now, "+depth, nil, parent.Digest, parent.Scopes)
		parent = t.child(t.token(parent.ID))
	}
}

func treeParentRace(t *tester) {
	u := t.user()
	k := 0
	t.rounds(func() {
		k++
		parent := t.insert(t.personal(u.ID))
		then := limits
		then.ParentDigest, then.ParentScopes = parent.Digest, parent.Scopes
		kids := make([]store.Token, 16)
		for _, err := range race(len(kids), func(i int) (err error) {
			if i == k*7%len(kids) {
				narrow := parent
				narrow.Scopes, narrow.Modified = "read", at(us)
				return t.st.UpdateToken(t.Context(), narrow, store.EndMinted)
			}
			kids[i], err = t.st.InsertToken(t.Context(), t.mintedBy(parent), then)
			if errors.Is(err, store.ErrConflict) {
				return nil // too late
			}
			return err
		}) {
			t.must(err)
		}
		t.live("the parent", parent)
		for _, kid := range kids {
			if kid.ID != 0 {
				t.dead("what it minted with more scopes", kid)
			}
		}
	})
}

func treeOwned(t *tester) {
	u, other, app := t.user(), t.user(), t.application()
	two := limits
	two.Owned = 2
	insert := func(what string, want error, given store.Token) store.Token {
		t.Helper()
		tok, err := t.st.InsertToken(t.Context(), given, two)
		t.refused(what, want, err)
		return tok
	}
	first := insert("the first", nil, t.personal(u.ID))
	insert("the second", nil, t.pair(u.ID, app.ID))
	insert("the third", store.ErrLimit, t.personal(u.ID))
	insert("the third, of an application", store.ErrLimit, t.pair(u.ID, app.ID))
	insert("the third, minted", store.ErrLimit, t.mintedBy(first))
	insert("of another user", nil, t.personal(other.ID))
	for range 3 {
		alone := t.personal("")
		alone.ApplicationID = app.ID
		insert("of nobody", nil, alone)
	}
	t.insert(t.personal(u.ID)) // without the limit
	insert("above the limit", store.ErrLimit, t.personal(u.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: first.ID}, at(us))
	t.must(err)
	insert("one ended, but two are left", store.ErrLimit, t.personal(u.ID))
	two.Owned = 3
	insert("below a higher limit", nil, t.personal(u.ID))
	insert("above that", store.ErrLimit, t.personal(u.ID))
}

func treeIndependent(t *tester) {
	u := t.user()
	root := t.insert(t.personal(u.ID))
	given := t.mintedBy(root)
	given.Independent = true
	free := t.insert(given)
	kid := t.child(free)
	bound := t.child(root)
	given = t.mintedBy(bound)
	given.Independent = true
	deep := t.insert(given)
	n, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: root.ID}, at(us))
	t.must(err)
	t.same("how many end", 2, n)
	t.dead("what is bound", root, bound)
	t.live("what is not", free, kid, deep)
	for _, tok := range []store.Token{free, kid, deep} {
		t.reads(tok)
	}
	t.reads(t.child(deep))
	_, err = t.st.RevokeTokens(t.Context(), store.Selection{TokenID: free.ID}, at(2*us))
	t.must(err)
	t.dead("an independent one with its child", free, kid)
	t.live("another", deep)
}

// tree stores a root with descendants of every kind.
func (t *tester) tree(u store.User) (root, middle store.Token, below, beside []store.Token) {
	t.Helper()
	root = t.insert(t.personal(u.ID))
	middle = t.child(root)
	free := t.mintedBy(middle)
	free.Independent = true
	below = []store.Token{t.child(middle), t.insert(free)}
	below = append(below, t.child(below[0]), t.child(below[1]))
	beside = []store.Token{t.child(root), t.insert(t.personal(u.ID))}
	return root, middle, below, beside
}

func treeMintedBy(t *tester) {
	u, v := t.user(), t.user()
	for _, sel := range []struct {
		name string
		of   func(middle store.Token) store.Selection
		ends bool
	}{
		{"MintedBy", func(middle store.Token) store.Selection { return store.Selection{MintedBy: middle.Family} }, true},
		{"and the user", func(middle store.Token) store.Selection {
			return store.Selection{MintedBy: middle.Family, UserID: u.ID}
		}, true},
		{"and another user", func(middle store.Token) store.Selection {
			return store.Selection{MintedBy: middle.Family, UserID: v.ID}
		}, false},
		{"and its own family", func(middle store.Token) store.Selection {
			return store.Selection{MintedBy: middle.Family, Family: middle.Family}
		}, false},
	} {
		root, middle, below, beside := t.tree(u)
		n, err := t.st.RevokeTokens(t.Context(), sel.of(middle), at(us))
		t.must(err)
		t.live(sel.name+": the tokens above and beside", root, middle, beside[0], beside[1])
		if !sel.ends {
			t.same(sel.name+": how many end", 0, n)
			t.live(sel.name+": below", below...)
			continue
		}
		t.same(sel.name+": how many end", len(below), n)
		t.revoked(sel.name+": below", at(us), below...)
		late := t.child(middle)
		t.live(sel.name+": what is minted afterwards", late)
		t.reads(late)
	}
}

func treeUpdate(t *tester) {
	u := t.user()
	root, middle, below, beside := t.tree(u)
	next := middle
	next.Scopes, next.Modified = "read", at(5*us)
	t.must(t.st.UpdateToken(t.Context(), next, store.KeepMinted))
	t.live("after an update that keeps them", below...)
	t.refused("a stale revision", store.ErrConflict, t.st.UpdateToken(t.Context(), next, store.EndMinted))
	t.live("after an update that was refused", below...)
	next.Revision++
	next.Digest = t.digest()
	t.must(t.st.UpdateToken(t.Context(), next, store.EndMinted))
	next.Revision++
	t.reads(next)
	t.revoked("below", at(5*us), below...)
	t.live("above and beside", root, beside[0], beside[1])
}

func treeMintRace(t *tester) {
	u := t.user()
	k := 0
	t.rounds(func() {
		k++
		root := t.insert(t.personal(u.ID))
		given := t.mintedBy(root)
		given.Independent = true
		parent := t.insert(given)
		kids := make([]store.Token, 16)
		for _, err := range race(len(kids), func(i int) (err error) {
			if i == k*7%len(kids) {
				_, err = t.st.RevokeTokens(t.Context(), store.Selection{MintedBy: root.Family}, at(us))
				return err
			}
			given := t.mintedBy(parent)
			given.Independent = i%2 == 0
			kids[i], err = t.st.InsertToken(t.Context(), given, limits)
			if errors.Is(err, store.ErrConflict) {
				return nil // too late
			}
			return err
		}) {
			t.must(err)
		}
		t.dead("what the family minted", parent)
		for _, kid := range kids {
			if kid.ID != 0 {
				t.dead("what that minted", kid)
			}
		}
	})
}

func treeReads(t *tester) {
	u, app := t.user(), t.application()
	root := t.insert(t.personal(u.ID))
	given := t.pair(u.ID, app.ID)
	given.ParentID, given.Expires = t.child(root).Family, root.Expires
	kid := t.insert(given)
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: root.ID}, at(us))
	t.must(err)
	t.dead("the grandchild", kid)
	dead := t.token(kid.ID)
	t.reads(dead)
	dead.Description = "changed"
	t.refused("UpdateToken", store.ErrConflict, t.st.UpdateToken(t.Context(), dead, store.KeepMinted))
	t.must(t.st.Touch(t.Context(), []store.Sighting{{TokenID: kid.ID, At: at(2 * us)}}))
	t.same("LastUsed", time.Time{}, t.token(kid.ID).LastUsed)
	_, total, err := t.st.ListTokens(t.Context(), store.TokenFilter{UserID: u.ID}, store.Page{Limit: 10})
	t.must(err)
	t.same("how many are listed", 0, total)
	_, err = t.st.InsertToken(t.Context(), t.mintedBy(kid), limits)
	t.refused("a child", store.ErrConflict, err)
	if t.have&oauthPart != 0 {
		_, err = t.st.Rotate(t.Context(), t.rotation(kid, at(2*us)))
		t.refused("Rotate", store.ErrNotFound, err)
	}
}
