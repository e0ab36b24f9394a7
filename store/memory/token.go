package memory

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ostiary/auth/store"
)

// A token is an access token. It has no pointers: see [slab]. What a bearer check
// reads is written by atomic functions, and Store.mu guards the rest. Lists compare id
// and expires so often that these are read without, under the lock.
type token struct {
	digest
	id      int64
	expires instant
	epoch   atomic.Int64
	seq     atomic.Int64 // of the newest cut-off when its grant was issued
	revoked atomic.Int64
	used    atomic.Int64  // the instant of the last use; a use changes it under the read lock
	scopes  atomic.Uint32 // of tokens.texts
	bounds  atomic.Uint32 // of tokens.bounds; 0 for none
	party   atomic.Uint32 // of tokens.parties
	family  atomic.Uint32 // of tokens.familySlab; 0 for one that is not kept

	created, modified instant
	description       ref    // of tokens.texts
	refresh           ref    // of tokens.refreshes; 0 for none
	revision          uint32 // 2³² changes of one token come round to the first
	self              ref
}

// bounds is where a token is accepted. Most are accepted everywhere.
type bounds struct {
	audience  string
	addresses []netip.Prefix
}

// A partyKey says for whom a token acts: a user, an application, and the application
// through which the right came, 0 for none.
type partyKey struct {
	owner            *account
	application, via int64
}

// A party has the cuts of the user and of the application through which the right came.
type party = item[partyKey, standing]

// A standing is that of a party. Its pointers never change.
type standing struct {
	reach
	live int // its tokens that are not marked as revoked; guarded by Store.mu
}

// A refresh is the refresh token of a token.
type refresh struct {
	digest, grant                       store.Digest
	expires, grantExpires, grantCreated instant
	number                              int64
	scopes                              ref // of tokens.texts
	spent                               ref // of tokens.spendings; 0 while it can be used
}

// A spending is the use of a refresh token.
type spending struct {
	at        instant
	nonce     [32]byte
	successor int64   // the token that it was spent for
	ends      instant // when its family ended; never if it has not
}

func (t *token) setExpires(at instant) { atomic.StoreInt64((*int64)(&t.expires), int64(at)) }

// mark is when the token was marked as revoked, 0 for not.
func (t *token) mark() instant { return instant(t.revoked.Load()) }

// position returns a token that is nowhere, to look for a place in a list.
func position(id int64, expires instant) *token {
	return &token{id: id, expires: expires}
}

// at returns a token, or nil if its chunk is gone.
func (ts *tokens) at(r ref) *token { return ts.slab.at(r) }

// tokenByDigest returns the token whose access token has digest d, or nil.
func (ts *tokens) tokenByDigest(d *store.Digest) *token {
	for r := range ts.byDigest.with(hash32(d)) {
		if t := ts.at(r); t != nil && t.isDigest(d) {
			return t
		}
	}
	return nil
}

func (ts *tokens) tokenByID(id int64) *token { return ts.at(ts.byID.find(id)) }

func (ts *tokens) tokenByRefresh(d store.Digest) *token {
	return ts.at(ts.byRefresh.find(hash32(&d), func(r ref) bool { return ts.refreshOf(ts.at(r)).digest == d }))
}

// ofGrant returns the tokens of a grant, in the order of their refreshes.
func (ts *tokens) ofGrant(grant store.Digest) (list []*token) {
	ts.byGrant.find(hash32(&grant), func(r ref) bool {
		if t := ts.at(r); ts.refreshOf(t).grant == grant {
			list = append(list, t)
		}
		return false
	})
	slices.SortFunc(list, tokenOrder(store.OrderID))
	return list
}

// partyOf returns the party of a token. It is nil only for a reader without a lock,
// while a token goes.
func (ts *tokens) partyOf(t *token) *party { return ts.parties.get(ref(t.party.Load())) }

// ownerOf returns the account of a token. Store.mu is held.
func (ts *tokens) ownerOf(t *token) *account { return ts.partyOf(t).key.owner }

// applicationOf returns the application of a token, 0 for none. Store.mu is held.
func (ts *tokens) applicationOf(t *token) int64 { return ts.partyOf(t).key.application }

// scopesOf returns the scopes of a token.
func (ts *tokens) scopesOf(t *token) string { return ts.texts.of(ref(t.scopes.Load())) }

// familyID returns the ID of a token's family, which is that of the token where it has
// no family else.
func (ts *tokens) familyID(t *token) int64 {
	if f := ts.kept(t); f != nil {
		return f.id.Load()
	}
	return t.id
}

// boundsOf returns where a token is accepted.
func (ts *tokens) boundsOf(t *token) (audience string, addresses []netip.Prefix) {
	if x := ts.bounds.get(ref(t.bounds.Load())); x != nil {
		return x.value.audience, slices.Clone(x.value.addresses)
	}
	return "", nil
}

// holdBounds returns the bounds of a new token.
func (ts *tokens) holdBounds(r store.Token) ref {
	if r.Audience == "" && len(r.Addresses) == 0 {
		return 0
	}
	var key strings.Builder
	key.WriteString(r.Audience)
	for _, prefix := range r.Addresses {
		key.WriteString("\n" + prefix.String())
	}
	return ts.bounds.hold(key.String(), func() (string, bounds) {
		return key.String(), bounds{strings.Clone(r.Audience), slices.Clone(r.Addresses)}
	})
}

// refreshOf returns the refresh token of a token, or nil.
func (ts *tokens) refreshOf(t *token) *refresh {
	if t.refresh == 0 {
		return nil
	}
	return ts.refreshes.locked(t.refresh)
}

// spendingOf returns the use of the refresh token, or nil.
func (ts *tokens) spendingOf(t *token) *spending {
	if r := ts.refreshOf(t); r != nil && r.spent != 0 {
		return ts.spendings.locked(r.spent)
	}
	return nil
}

// addRefresh stores the refresh token of a token.
func (ts *tokens) addRefresh(t *token, r store.Refresh) {
	var kept *refresh
	t.refresh, kept = ts.refreshes.take()
	*kept = refresh{
		digest: r.Digest, grant: r.Grant, expires: instantOf(r.Expires), grantExpires: instantOf(r.GrantExpires),
		grantCreated: instantOf(r.GrantCreated), number: r.Number, scopes: ts.texts.hold(r.Scopes),
	}
	if !r.Spent.IsZero() {
		ts.spend(t, spending{at: instantOf(r.Spent), nonce: r.Nonce})
	}
	ts.byRefresh.add(hash32(&r.Digest), t.self)
	if r.Grant != (store.Digest{}) {
		ts.byGrant.add(hash32(&r.Grant), t.self)
	}
}

// spend notes the use of a refresh token.
func (ts *tokens) spend(t *token, how spending) {
	r, kept := ts.spendings.take()
	*kept, ts.refreshOf(t).spent = how, r
	kept.ends = never
}

// dropRefresh forgets the refresh token of a token, if it has one.
func (ts *tokens) dropRefresh(t *token) {
	r := ts.refreshOf(t)
	if r == nil {
		return
	}
	ts.byRefresh.remove(hash32(&r.digest), t.self)
	if r.grant != (store.Digest{}) {
		ts.byGrant.remove(hash32(&r.grant), t.self)
	}
	if r.spent != 0 {
		ts.spendings.drop(r.spent)
	}
	ts.texts.release(r.scopes)
	ts.refreshes.drop(t.refresh)
}

// refreshRecord returns the refresh token as the contract has it.
func (ts *tokens) refreshRecord(t *token) (record store.Refresh) {
	r := ts.refreshOf(t)
	if r == nil {
		return record
	}
	record = store.Refresh{
		Digest: r.digest, Scopes: ts.texts.of(r.scopes), Expires: r.expires.time(), GrantExpires: r.grantExpires.time(),
		Grant: r.grant, Number: r.number, GrantCreated: r.grantCreated.time(),
	}
	if how := ts.spendingOf(t); how != nil {
		record.Spent, record.Nonce = how.at.time(), how.nonce
	}
	return record
}

// never is the end of a grant that has none.
const never = instant(1<<63 - 1)

// purgeable returns when a token may be forgotten: when it has ended with its refresh
// token, or with its grant if that was spent. The end of a family brings the latter
// forward.
func (ts *tokens) purgeable(t *token) instant {
	r := ts.refreshOf(t)
	if r != nil && r.spent != 0 {
		grant := r.grantExpires
		if grant == 0 {
			grant = never
		}
		return min(grant, ts.spendingOf(t).ends)
	}
	ends := t.expires
	if r != nil {
		ends = max(ends, r.expires)
	}
	if at := t.mark(); at != 0 {
		ends = min(ends, at)
	}
	return ends
}
