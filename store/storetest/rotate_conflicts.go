package storetest

import (
	"github.com/ostiary/auth/store"
)

func rotateParent(t *tester) {
	u, app := t.user(), t.application()
	ended, dead := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	for _, tt := range []struct {
		name   string
		parent int64
	}{
		{"a parent that does not exist", ended.ID + 1e6},
		{"a parent that is revoked", dead.ID},
		{"a parent that has expired", ended.ID},
	} {
		first := t.insert(t.pair(u.ID, app.ID))
		stale := func(refresh store.Token) store.Rotation {
			r := t.rotation(refresh, ended.Expires)
			r.Token.ParentID, r.Token.Created = tt.parent, ended.Expires
			return r
		}
		r := stale(first)
		_, err := t.st.Rotate(t.Context(), r)
		t.refused(tt.name, store.ErrConflict, err)
		_, err = t.st.TokenByDigest(t.Context(), r.Token.Digest)
		t.refused(tt.name+": the successor", store.ErrNotFound, err)
		t.same(tt.name+": the token", first, t.token(first.ID))

		second := t.rotate(t.rotation(first, at(us)))
		_, err = t.st.Rotate(t.Context(), stale(first))
		t.refused(tt.name+": a replay", store.ErrUsed, err)
		t.revoked(tt.name+": the family after a replay", ended.Expires, second)
	}
}

func rotateStale(t *tester) {
	u, app := t.user(), t.application()
	read := t.insert(t.pair(u.ID, app.ID))
	narrowed := read
	narrowed.Scopes, narrowed.Refresh.Scopes = "read", "read"
	t.must(t.st.UpdateToken(t.Context(), narrowed))
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
