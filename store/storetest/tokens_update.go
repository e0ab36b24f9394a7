package storetest

import (
	"net/netip"
	"strconv"

	"github.com/ostiary/auth/store"
)

var updateTokenChecks = []check{
	{
		name:    "six fields are replaced and all else stays",
		promise: "UpdateToken replaces Digest, Scopes, Description, Expires and Modified of the token t.ID and, where it has a refresh token, Refresh.Scopes; all else stays",
		run:     updateToken,
	},
	{
		name:    "a stale revision is ErrConflict and changes nothing",
		promise: "UpdateToken returns ErrConflict, and changes nothing, unless t.Revision is the current one",
		run:     updateTokenStale,
	},
	{
		name:    "a revoked token is ErrConflict and stays as it is",
		promise: "UpdateToken returns ErrConflict, and changes nothing, unless the token is not revoked",
		run:     updateTokenRevoked,
	},
	{
		name:    "a taken digest is ErrExists and changes nothing",
		promise: "UpdateToken returns ErrExists if the digest is taken",
		run:     updateTokenTaken,
	},
	{
		name:    "of 64 updates of one revision one succeeds",
		races:   true,
		promise: "UpdateToken returns ErrConflict unless t.Revision is the current one",
		run:     updateTokenRace,
	},
}

func updateToken(t *tester) {
	u, other, app := t.user(), t.user(), t.application()
	given := t.pair(u.ID, app.ID)
	given.Addresses, given.Audience = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "https://api.example"
	tok := t.insert(given)
	bystander := t.insert(t.pair(u.ID, app.ID))
	alone := t.insert(t.personal(u.ID))
	alone.Refresh.Scopes = "x" // there is no refresh token that could have it
	t.must(t.st.UpdateToken(t.Context(), alone, store.KeepMinted))
	alone.Refresh.Scopes = ""
	alone.Revision++
	t.reads(alone)
	old := tok.Digest
	times := oddTimes()
	for i, s := range oddTexts() {
		given := store.Token{
			ID: tok.ID, Revision: tok.Revision,
			Digest: t.digest(), Scopes: s, Description: s + "!", Expires: times[i%len(times)], Modified: times[(i+1)%len(times)],
			// None of these is the caller's to change.
			UserID: other.ID, ApplicationID: app.ID + 1, ParentID: bystander.ID, Family: bystander.ID,
			Audience: "x", Addresses: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, Epoch: 99,
			Created: at(day), LastUsed: at(day), Revoked: at(day),
			Refresh: store.Refresh{Digest: t.digest(), Scopes: s + "?", Expires: at(day), GrantExpires: at(day), Spent: at(day), Nonce: t.digest()},
		}
		t.must(t.st.UpdateToken(t.Context(), given, store.KeepMinted))
		tok.Digest, tok.Scopes, tok.Description = given.Digest, given.Scopes, given.Description
		tok.Expires, tok.Modified = kept(given.Expires), kept(given.Modified)
		tok.Refresh.Scopes = given.Refresh.Scopes
		tok.Revision++
		t.reads(tok)
	}
	_, err := t.st.TokenByDigest(t.Context(), old)
	t.refused("the digest it had", store.ErrNotFound, err)
	_, err = t.st.AccessByDigest(t.Context(), old)
	t.refused("the digest it had", store.ErrNotFound, err)
	fresh := t.personal(u.ID)
	fresh.Digest = old
	t.reads(t.insert(fresh))
	t.reads(bystander)
}

func updateTokenStale(t *tester) {
	u := t.user()
	tok := t.insert(t.personal(u.ID))
	next := tok
	next.Description = "second"
	t.must(t.st.UpdateToken(t.Context(), next, store.KeepMinted))
	want := t.token(tok.ID)
	for _, rev := range []int64{tok.Revision, want.Revision + 1, 0, -1} {
		stale := store.Token{ID: tok.ID, Revision: rev, Digest: t.digest(), Description: "stale"}
		t.refused("revision "+strconv.FormatInt(rev-want.Revision, 10), store.ErrConflict, t.st.UpdateToken(t.Context(), stale, store.KeepMinted))
	}
	t.reads(want)
}

func updateTokenRevoked(t *tester) {
	u := t.user()
	tok := t.insert(t.personal(u.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: tok.ID}, at(us))
	t.must(err)
	dead := t.token(tok.ID)
	for _, rev := range []int64{tok.Revision, dead.Revision} {
		given := tok
		given.Revision, given.Digest, given.Expires = rev, t.digest(), at(1000*day)
		t.refused("a revoked token", store.ErrConflict, t.st.UpdateToken(t.Context(), given, store.KeepMinted))
	}
	t.reads(dead)
}

func updateTokenTaken(t *tester) {
	u := t.user()
	tok, other := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	given := tok
	given.Digest, given.Description = other.Digest, "thief"
	t.refused("another token's digest", store.ErrExists, t.st.UpdateToken(t.Context(), given, store.KeepMinted))
	t.reads(tok)
	t.reads(other)
	given = tok
	given.Description = "own digest"
	if err := t.st.UpdateToken(t.Context(), given, store.KeepMinted); err != nil {
		t.Errorf("its own digest: %v", err)
	}
}

func updateTokenRace(t *tester) {
	u := t.user()
	tok := t.insert(t.personal(u.ID))
	t.rounds(func() {
		winner := t.oneWinner("UpdateToken", store.ErrConflict, race(contenders, func(i int) error {
			given := tok
			given.Description = strconv.Itoa(i)
			return t.st.UpdateToken(t.Context(), given, store.KeepMinted)
		}))
		tok = t.token(tok.ID)
		t.same("the winner's description", strconv.Itoa(winner), tok.Description)
	})
}
