package storetest

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/ostiary/auth/store"
)

var tokenChecks = []check{
	{
		name:    "every field is kept",
		promise: "InsertToken stores t and returns it with ID, Family and Revision set; text byte for byte, times in UTC to the microsecond",
		run:     tokenFields,
	},
	{
		name:    "ID and Family are the store's",
		promise: "Token.ID is assigned by the store; it sets Family to ID where it is 0",
		run:     tokenIDs,
	},
	{
		name:    "a taken digest is ErrExists",
		promise: "InsertToken returns ErrExists if a digest is taken",
		run:     tokenTaken,
	},
	{
		name:    "no refresh token is no digest",
		promise: "the zero value of Refresh means none",
		run:     tokenNoRefresh,
		needs:   oauthPart,
	},
	{
		name:    "a parent must live",
		promise: "InsertToken returns ErrConflict if t.ParentID names a family without a live token: one that is not revoked, has not expired at t.Created, and does not expire before t or t.Refresh.GrantExpires",
		run:     tokenParent,
	},
	{
		name:    "an absent token is ErrNotFound",
		promise: "a record that does not exist is ErrNotFound",
		run:     tokenAbsent,
		needs:   oauthPart,
	},
	{
		name:    "records share no memory",
		promise: "records go in and out by value and share no memory with the store",
		run:     tokenMemory,
		needs:   oauthPart,
	},
	{
		name:    "Touch: the newest wins",
		promise: "Touch notes last uses; the newest wins",
		run:     touchNewest,
	},
	{
		name:    "Touch ignores tokens that are revoked or gone",
		promise: "Touch ignores tokens that are revoked or gone, and never brings one back",
		run:     touchRevoked,
	},
	{
		name:    "of 64 inserts of one digest one succeeds",
		races:   true,
		promise: "InsertToken returns ErrExists if a digest is taken",
		run:     tokenInsertRace,
	},
}

// reads looks a token up in every way there is.
func (t *tester) reads(want store.Token) {
	t.Helper()
	got, err := t.st.TokenByID(t.Context(), want.ID)
	t.must(err)
	t.same("TokenByID", want, got)
	got, err = t.st.TokenByDigest(t.Context(), want.Digest)
	t.must(err)
	t.same("TokenByDigest", want, got)
	if want.Refresh.Digest != (store.Digest{}) && t.have&oauthPart != 0 {
		got, err = t.st.TokenByRefresh(t.Context(), want.Refresh.Digest)
		t.must(err)
		t.same("TokenByRefresh", want, got)
	}
	a, err := t.st.AccessByDigest(t.Context(), want.Digest)
	t.must(err)
	t.same("AccessByDigest", store.Access{
		TokenID: want.ID, Family: want.Family, UserID: want.UserID, ApplicationID: want.ApplicationID,
		ViaApplicationID: want.ViaApplicationID, Scopes: want.Scopes,
		Audience: want.Audience, Addresses: want.Addresses, Epoch: want.Epoch, Expires: want.Expires,
		Revoked: want.Revoked, LastUsed: want.LastUsed, User: a.User,
	}, a)
}

func tokenFields(t *tester) {
	app := t.application()
	times := oddTimes()
	prefixes := []netip.Prefix{
		netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("::ffff:192.0.2.0/120"), netip.MustParsePrefix("::1/128"),
	}
	texts := append(oddTexts(), strings.Repeat("long \U0001f511", 500))
	for i, s := range texts {
		time := func(n int) int { return (i + n) % len(times) }
		given := store.Token{
			Digest: t.digest(), ApplicationID: app.ID * int64(i%2),
			Scopes: s, Audience: s, Description: s, Addresses: prefixes[:i%(len(prefixes)+1)],
			Epoch:   []int64{0, 1, -1, math.MaxInt64, math.MinInt64}[i%5],
			Created: times[time(0)], Modified: times[time(1)], Expires: times[time(2)], LastUsed: times[time(3)],
		}
		if i < len(oddTexts()) {
			given.UserID = s
		}
		if i%3 != 0 {
			given.Refresh = store.Refresh{Digest: t.digest(), Scopes: s, Expires: times[time(4)], GrantExpires: times[time(5)]}
		}
		got := t.insert(given)
		want := stored(given, got)
		t.same("InsertToken", want, got)
		t.reads(want)
	}
}

func tokenIDs(t *tester) {
	u := t.user()
	first := t.insert(t.personal(u.ID))
	if first.ID <= 0 {
		t.Errorf("got ID %d, want a positive number", first.ID)
	}
	given := t.personal(u.ID)
	given.ID, given.Revision = first.ID, first.Revision+5
	second := t.insert(given)
	if second.ID == first.ID {
		t.Errorf("got the ID %d that the caller asked for, want one of the store's", second.ID)
	}
	if second.Revision != first.Revision {
		t.Errorf("got revision %d for a new token and %d for another", second.Revision, first.Revision)
	}
	t.same("Family where it was 0", second.ID, second.Family)
	given = t.personal(u.ID)
	given.Family = first.ID
	t.same("Family where it was set", first.ID, t.insert(given).Family)
	t.same("the token that was there", first, t.token(first.ID))
}

func tokenTaken(t *tester) {
	u, app := t.user(), t.application()
	tok, dead := t.insert(t.pair(u.ID, app.ID)), t.insert(t.pair(u.ID, app.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	for _, tt := range []struct {
		name            string
		access, refresh store.Digest
	}{
		{"of an access token", tok.Digest, t.digest()},
		{"of a refresh token", t.digest(), tok.Refresh.Digest},
		{"of a revoked access token", dead.Digest, t.digest()},
		{"of a revoked refresh token", t.digest(), dead.Refresh.Digest},
	} {
		given := t.pair(u.ID, app.ID)
		given.Digest, given.Refresh.Digest = tt.access, tt.refresh
		_, err := t.st.InsertToken(t.Context(), given, limits)
		t.refused("digest "+tt.name, store.ErrExists, err)
		if given.Digest != tok.Digest && given.Digest != dead.Digest {
			_, err = t.st.TokenByDigest(t.Context(), given.Digest)
			t.refused("the token that was refused", store.ErrNotFound, err)
		}
	}
	t.reads(tok)
}

func tokenNoRefresh(t *tester) {
	u := t.user()
	t.insert(t.personal(u.ID))
	tok := t.insert(t.personal(u.ID)) // a second one without a refresh token
	_, err := t.st.TokenByRefresh(t.Context(), store.Digest{})
	t.refused("TokenByRefresh of the zero digest", store.ErrNotFound, err)
	r := store.Rotation{At: at(us), Token: t.personal(u.ID)}
	_, err = t.st.Rotate(t.Context(), r)
	t.refused("Rotate of the zero digest", store.ErrNotFound, err)
	t.same("the token", tok, t.token(tok.ID))
}

func tokenParent(t *tester) {
	u := t.user()
	parent, dead := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	grandkid := t.child(t.child(dead))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	for _, tt := range []struct {
		name    string
		parent  int64
		created func(*store.Token)
		want    error
	}{
		{"does not exist", parent.ID + 1e6, func(*store.Token) {}, store.ErrConflict},
		{"is negative", -1, func(*store.Token) {}, store.ErrConflict},
		{"is revoked", dead.ID, func(*store.Token) {}, store.ErrConflict},
		{"was revoked with its parent", grandkid.ID, func(*store.Token) {}, store.ErrConflict},
		{"expires at that instant", parent.ID, func(c *store.Token) { c.Created = parent.Expires }, store.ErrConflict},
		{"has expired", parent.ID, func(c *store.Token) { c.Created = parent.Expires.Add(day) }, store.ErrConflict},
		{"expires first", parent.ID, func(c *store.Token) { c.Expires = parent.Expires.Add(us) }, store.ErrConflict},
		{"expires before the grant", parent.ID, func(c *store.Token) { c.Refresh.GrantExpires = parent.Expires.Add(us) }, store.ErrConflict},
		{"expires with the grant", parent.ID, func(c *store.Token) { c.Refresh.GrantExpires = parent.Expires }, nil},
		{"expires a microsecond later", parent.ID, func(c *store.Token) { c.Created = parent.Expires.Add(-us) }, nil},
		{"expires a nanosecond later", parent.ID, func(c *store.Token) { c.Created = parent.Expires.Add(-1) }, nil},
	} {
		given := t.personal(u.ID)
		given.ParentID = tt.parent
		if tt.created(&given); !given.Refresh.GrantExpires.IsZero() {
			given.Refresh.Digest, given.Refresh.Expires = t.digest(), parent.Expires
		}
		stored, err := t.st.InsertToken(t.Context(), given, limits)
		t.refused("the parent "+tt.name, tt.want, err)
		if err == nil {
			t.same("ParentID", tt.parent, stored.ParentID)
			continue
		}
		_, err = t.st.TokenByDigest(t.Context(), given.Digest)
		t.refused("the child that was refused", store.ErrNotFound, err)
	}
}

func tokenAbsent(t *tester) {
	u, app := t.user(), t.application()
	tok := t.insert(t.pair(u.ID, app.ID))
	for _, id := range []int64{0, -1, tok.ID + 1e6, math.MaxInt64} {
		_, err := t.st.TokenByID(t.Context(), id)
		t.refused("TokenByID", store.ErrNotFound, err)
		given := tok
		given.ID = id
		t.refused("UpdateToken", store.ErrNotFound, t.st.UpdateToken(t.Context(), given, store.KeepMinted))
	}
	for _, d := range []store.Digest{{}, t.digest(), tok.Refresh.Digest} {
		_, err := t.st.TokenByDigest(t.Context(), d)
		t.refused("TokenByDigest", store.ErrNotFound, err)
		_, err = t.st.AccessByDigest(t.Context(), d)
		t.refused("AccessByDigest", store.ErrNotFound, err)
	}
	for _, d := range []store.Digest{{}, t.digest(), tok.Digest} {
		_, err := t.st.TokenByRefresh(t.Context(), d)
		t.refused("TokenByRefresh", store.ErrNotFound, err)
	}
	t.same("the token", tok, t.token(tok.ID))
}

func tokenMemory(t *tester) {
	u, app := t.user(), t.application()
	good, bad := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("0.0.0.0/0")
	// spoil writes to memory that should be nobody's but the caller's.
	spoil := func(list []netip.Prefix) {
		for i := range list {
			list[i] = bad
		}
		if cap(list) > len(list) {
			list[:len(list)+1][len(list)] = bad
		}
	}
	given := t.pair(u.ID, app.ID)
	given.Addresses = append(make([]netip.Prefix, 0, 4), good, good)
	want := []netip.Prefix{good, good}
	tok := t.insert(given)
	spoil(given.Addresses)
	t.same("after what was given to InsertToken changed", want, t.token(tok.ID).Addresses)
	spoil(tok.Addresses)
	t.same("after what InsertToken returned changed", want, t.token(tok.ID).Addresses)
	for _, tt := range []struct {
		name string
		read func() ([]netip.Prefix, error)
	}{
		{"TokenByID", func() ([]netip.Prefix, error) {
			got, err := t.st.TokenByID(t.Context(), tok.ID)
			return got.Addresses, err
		}},
		{"TokenByDigest", func() ([]netip.Prefix, error) {
			got, err := t.st.TokenByDigest(t.Context(), tok.Digest)
			return got.Addresses, err
		}},
		{"TokenByRefresh", func() ([]netip.Prefix, error) {
			got, err := t.st.TokenByRefresh(t.Context(), tok.Refresh.Digest)
			return got.Addresses, err
		}},
		{"AccessByDigest", func() ([]netip.Prefix, error) {
			got, err := t.st.AccessByDigest(t.Context(), tok.Digest)
			return got.Addresses, err
		}},
		{"ListTokens", func() ([]netip.Prefix, error) {
			got, _, err := t.st.ListTokens(t.Context(), store.TokenFilter{UserID: u.ID}, store.Page{Limit: 1})
			return got[0].Addresses, err
		}},
	} {
		got, err := tt.read()
		t.must(err)
		t.same(tt.name, want, got)
		spoil(got)
		got, err = tt.read()
		t.must(err)
		t.same("after what "+tt.name+" returned changed", want, got)
	}

	r := t.rotation(tok, at(us))
	r.Token.Addresses, r.Grace = []netip.Prefix{good, good}, hour
	out, err := t.st.Rotate(t.Context(), r)
	t.must(err)
	spoil(r.Token.Addresses)
	spoil(out.Token.Addresses)
	t.same("after what Rotate was given and returned changed", want, t.token(out.Token.ID).Addresses)
	out, err = t.st.Rotate(t.Context(), r)
	t.must(err)
	spoil(out.Token.Addresses)
	t.same("after what a replayed Rotate returned changed", want, t.token(out.Token.ID).Addresses)

	red := t.redemption(t.code(u.ID, app.ID), at(us))
	red.Token.Addresses = []netip.Prefix{good, good}
	tok = t.redeem(red)
	spoil(red.Token.Addresses)
	spoil(tok.Addresses)
	t.same("after what Redeem was given and returned changed", want, t.token(tok.ID).Addresses)
}

func touchNewest(t *tester) {
	u := t.user()
	tok, other := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	t.must(t.st.Touch(t.Context(), nil))
	for _, tt := range []struct {
		name string
		seen []store.Sighting
		want store.Token
	}{
		{"the first", []store.Sighting{{TokenID: tok.ID, At: at(5*us + 1)}}, tok},
		{"an older one", []store.Sighting{{TokenID: tok.ID, At: at(4 * us)}}, tok},
		{"the same", []store.Sighting{{TokenID: tok.ID, At: at(5 * us)}}, tok},
	} {
		t.must(t.st.Touch(t.Context(), tt.seen))
		tok.LastUsed = at(5 * us)
		t.same("the token after "+tt.name, tok, t.token(tok.ID))
	}
	t.same("another token", other, t.token(other.ID))
	seen := []store.Sighting{
		{TokenID: tok.ID, At: at(7 * us)},
		{TokenID: other.ID, At: at(3 * us)},
		{TokenID: tok.ID, At: at(9 * us)},
		{TokenID: tok.ID, At: at(8 * us)},
	}
	t.must(t.st.Touch(t.Context(), seen))
	tok.LastUsed, other.LastUsed = at(9*us), at(3*us)
	t.same("the token after several", tok, t.token(tok.ID))
	t.same("another token after several", other, t.token(other.ID))
	tok.Description = "changed"
	if err := t.st.UpdateToken(t.Context(), tok, store.KeepMinted); err != nil {
		t.Errorf("UpdateToken of a token that was used since it was read: %v", err)
	}
	if got := t.token(tok.ID); !got.LastUsed.Equal(at(9 * us)) {
		t.Errorf("UpdateToken set LastUsed to %v", got.LastUsed)
	}
}

func touchRevoked(t *tester) {
	u := t.user()
	dead, tok := t.insert(t.personal(u.ID)), t.insert(t.personal(u.ID))
	_, err := t.st.RevokeTokens(t.Context(), store.Selection{TokenID: dead.ID}, at(us))
	t.must(err)
	dead = t.token(dead.ID)
	t.must(t.st.Touch(t.Context(), []store.Sighting{
		{TokenID: dead.ID, At: at(5 * us)}, {TokenID: tok.ID + 1e6, At: at(5 * us)}, {TokenID: tok.ID, At: at(5 * us)},
	}))
	t.same("a revoked token", dead, t.token(dead.ID))
	_, err = t.st.TokenByID(t.Context(), tok.ID+1e6)
	t.refused("a token that never was", store.ErrNotFound, err)
	tok.LastUsed = at(5 * us)
	t.same("a live token in the same call", tok, t.token(tok.ID))
}

func tokenInsertRace(t *tester) {
	u := t.user()
	t.rounds(func() {
		d := t.digest()
		toks := make([]store.Token, contenders)
		winner := t.oneWinner("InsertToken", store.ErrExists, race(contenders, func(i int) (err error) {
			tok := t.personal(u.ID)
			tok.Digest, tok.Description = d, strconv.Itoa(i)
			toks[i], err = t.st.InsertToken(t.Context(), tok, limits)
			return err
		}))
		got, err := t.st.TokenByDigest(t.Context(), d)
		t.must(err)
		t.same("the winner", toks[winner], got)
	})
}
