package storetest

import (
	"github.com/ostiary/auth/store"
)

func rotateTree(t *tester) {
	u, app, other := t.user(), t.application(), t.application()
	for _, independent := range []bool{false, true} {
		top := t.insert(t.personal(u.ID))
		given := t.pair(u.ID, app.ID)
		given.ParentID, given.Independent = top.Family, independent
		first := t.insert(given)
		r := t.rotation(first, at(us))
		r.Token.ParentID, r.Token.Independent, r.Token.Family = t.insert(t.personal(u.ID)).Family, !independent, top.Family
		r.Token.RootID, r.Token.Depth, r.Token.ViaApplicationID = first.Family, 7, other.ID
		second := t.rotate(r)
		want := r.Token
		want.ID, want.Revision = second.ID, second.Revision
		want.Family, want.ParentID, want.Independent = first.Family, top.Family, independent
		want.RootID, want.Depth, want.ViaApplicationID = top.Family, 1, app.ID
		want.Refresh.Number, want.Refresh.GrantCreated = 1, first.Created
		t.same("the successor", want, second)
		t.reads(second)

		// The token above ends it, unless it is independent.
		_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: top.ID}, at(2*us))
		t.must(err)
		_, err = t.st.Rotate(t.Context(), t.rotation(second, at(3*us)))
		if independent {
			t.refused("a rotation after the end of the token above", nil, err)
		} else {
			t.refused("a rotation after the end of the token above", store.ErrNotFound, err)
		}
	}
}

func rotateNumber(t *tester) {
	u, app := t.user(), t.application()
	given := t.pair(u.ID, app.ID)
	given.Created = at(5 * us)
	given.Refresh.Number, given.Refresh.GrantCreated = 77, at(day) // not the caller's to say
	tok := t.insert(given)
	code := t.code(u.ID, app.ID)
	r := t.redemption(code, at(us))
	r.Token.Created = at(5 * us)
	for _, tok := range []store.Token{tok, t.redeem(r)} {
		for n := range 4 {
			if tok.Refresh.Number != int64(n) || !tok.Refresh.GrantCreated.Equal(at(5*us)) {
				t.Errorf("refresh %d: got number %d and a grant of %v, want one of %v", n, tok.Refresh.Number, tok.Refresh.GrantCreated, at(5*us))
			}
			t.reads(tok)
			r := t.rotation(tok, at(6*us))
			r.Token.Refresh.Number, r.Token.Refresh.GrantCreated = 77, at(day)
			tok = t.rotate(r)
		}
	}
	t.same("a token without a refresh token", store.Refresh{}, t.insert(t.personal(u.ID)).Refresh)
}

func rotateStale(t *tester) {
	u, app := t.user(), t.application()
	read := t.insert(t.pair(u.ID, app.ID))
	narrowed := read
	narrowed.Scopes, narrowed.Refresh.Scopes = "read", "read"
	t.must(t.st.UpdateToken(t.Context(), narrowed, store.KeepMinted))
	narrowed.Revision++
	for _, revision := range []int64{0, read.Revision, narrowed.Revision + 1} {
		r := t.rotation(narrowed, at(us))
		r.Revision = revision
		_, err := t.st.Rotate(t.Context(), r)
		t.refused("a stale revision", store.ErrConflict, err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.refused("the successor", store.ErrNotFound, err)
		t.same("the token", narrowed, t.token(read.ID))
	}
	next := t.rotate(t.rotation(narrowed, at(us)))
	r := t.rotation(narrowed, at(2*us))
	r.Revision = read.Revision
	_, err := t.st.Rotate(t.Context(), r)
	t.refused("a replay with a stale revision", store.ErrUsed, err)
	t.revoked("the family after it", at(2*us), next)
}
