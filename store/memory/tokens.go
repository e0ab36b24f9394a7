package memory

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// tokens are the access tokens, in slabs, with what finds them. Each token takes some
// 170 bytes with all of it, and 300 with a refresh token. The two tokens of a grant that
// was refreshed take 360 each, with their family.
type tokens struct {
	slab      slab[token]
	refreshes slab[refresh]
	spendings slab[spending]
	parties   shared[partyKey, standing]
	bounds    shared[string, bounds]
	texts     texts
	families

	byDigest  *index
	byRefresh *index
	byGrant   *index
	byID      ids
	byVia     shelves       // those that are not marked as revoked
	every     sorted[token] // by ID; the same
	expiring  sorted[token] // by expiry; the personal ones among these
	endings   sorted[token] // all, by when they may be forgotten
	orders    *tokenOrders
	lastToken int64
}

// setTokens makes the tokens of a new store, whose lists point into it.
func (s *Store) setTokens() {
	ts := &s.tokens
	ts.parties, ts.bounds = newShared[partyKey, standing](), newShared[string, bounds]()
	ts.texts = texts{newShared[string, struct{}]()}
	ts.byDigest, ts.byRefresh, ts.byGrant = newIndex(), newIndex(), newIndex()
	ts.byID = newIDs()
	ts.byVia, ts.families = make(shelves), newFamilies()
	ts.orders = new(tokenOrders)
	for by := range ts.orders {
		ts.orders[by] = ts.ordering(tokenOrder(store.OrderBy(by)))
	}
	ts.every, ts.expiring = ts.sorted(store.OrderID), ts.sorted(store.OrderExpires)
	byID := tokenOrder(store.OrderID)
	ts.endings.ordering = new(ts.ordering(func(a, b *token) int {
		return cmp.Or(cmp.Compare(ts.purgeable(a), ts.purgeable(b)), byID(a, b))
	}))
}

func (ts *tokens) ordering(compare func(a, b *token) int) ordering[token] {
	return ordering[token]{get: ts.slab.locked, self: func(t *token) ref { return t.self }, compare: compare}
}

func (ts *tokens) sorted(by store.OrderBy) sorted[token] {
	return sorted[token]{ordering: &ts.orders[by]}
}

// ended returns when a token ended, 0 for not.
func (s *Store) ended(t *token) instant {
	if at := t.mark(); at != 0 {
		return at
	}
	p := s.partyOf(t)
	if p == nil { // a reader without a lock will look again
		return 0
	}
	return s.cutAt(t.seq.Load(), p, s.kept(t))
}

// cutAt returns when a cut-off ended a token of that number, party and family, which
// is nil if it is not kept. 0 is for not.
func (s *Store) cutAt(seq int64, p *party, f *family) instant {
	if at := p.value.ends(&s.cuts, seq); at != 0 {
		return at
	}
	if f != nil {
		return s.endedAbove(f, seq)
	}
	return 0
}

// free reports whether no token has one of the digests.
func (ts *tokens) free(r store.Token) bool {
	return ts.tokenByDigest(&r.Digest) == nil && (r.Refresh.Digest == store.Digest{} || ts.tokenByRefresh(r.Refresh.Digest) == nil)
}

// hasRoomForToken reports whether there is room for all that insert takes.
func (s *Store) hasRoomForToken() bool {
	return s.slab.hasRoom(1) && s.refreshes.hasRoom(1) && s.spendings.hasRoom(2) && s.texts.hasRoom(3) &&
		s.tokens.bounds.hasRoom(1) && s.parties.hasRoom(1) && s.familySlab.hasRoom(2) && s.offsprings.hasRoom(1) && s.accounts.hasRoom(1)
}

// insert stores a new token, whose digests are free, in a family: nil for one
// of its own, below parent unless that is nil. seq is the number of the newest
// cut-off at the issue of the token's grant.
func (s *Store) insert(r store.Token, f, parent *family, seq int64) *token {
	s.lastToken++
	for parent != nil && s.keptByID(s.lastToken) != nil {
		s.lastToken++ // somebody chose that family before, which has a place in no tree
	}
	if f == nil && parent == nil && r.Family == 0 {
		f = s.keptByID(s.lastToken)
	}
	key := partyKey{owner: s.openAccount(r.UserID), application: r.ApplicationID, via: r.ApplicationID}
	switch {
	case key.via != 0:
	case f != nil:
		key.via = s.viaOf(f)
	case parent != nil:
		key.via = s.viaOf(parent)
	}
	held := s.holdParty(key)
	if f == nil && (parent != nil || r.Family != 0 && r.Family != s.lastToken) {
		f = s.found(r, parent, held, seq)
	}

	p, revoked := s.parties.get(held), instantOf(r.Revoked)
	if revoked == 0 { // what has ended is marked, or a marking will find it
		revoked = s.cutAt(seq, p, f)
	}
	if revoked == 0 && f != nil {
		s.beforeRevival(f)
	}

	self, t := s.slab.take()
	t.self = self
	t.setDigest(r.Digest)
	atomic.StoreInt64(&t.id, s.lastToken)
	t.epoch.Store(r.Epoch)
	t.seq.Store(seq)
	t.setExpires(instantOf(r.Expires))
	t.revoked.Store(int64(revoked))
	t.used.Store(int64(instantOf(r.LastUsed)))
	t.scopes.Store(uint32(s.texts.hold(r.Scopes)))
	t.bounds.Store(uint32(s.holdBounds(r)))
	t.party.Store(uint32(held))
	t.family.Store(0)
	t.created, t.modified = instantOf(r.Created), instantOf(r.Modified)
	t.description, t.refresh, t.revision = s.texts.hold(r.Description), 0, 1
	if r.Refresh.Digest != (store.Digest{}) {
		s.addRefresh(t, r.Refresh)
	}

	s.byID.add(s.lastToken, self)
	key.owner.issued++
	if f != nil {
		if ref(f.party.Load()) != held || f.seq.Load() != seq {
			s.setMixed(f)
		}
		s.join(t, f)
		if t.mark() == 0 && f.parent.Load() != 0 {
			s.minted(s.top(f)).below.add(self)
		}
	}
	if t.mark() == 0 {
		personal := key.application == 0
		if p.value.live++; personal {
			s.expiring.add(t)
		}
		key.owner.tokens.add(t, personal)
		s.every.add(t)
		s.addVia(key.via, t, personal)
	}
	s.endings.add(t)
	s.byDigest.add(hash32(&r.Digest), self)
	return t
}

// viaOf returns the application through which the right of a family came, 0 for none.
func (ts *tokens) viaOf(f *family) int64 { return ts.parties.get(ref(f.party.Load())).key.via }

// holdParty returns a party, which must be given back.
func (s *Store) holdParty(key partyKey) ref {
	return s.parties.hold(key, func() (partyKey, standing) { return key, standing{reach: s.cuts.reach(key.owner.id, key.via)} })
}

func (s *Store) releaseParty(r ref) {
	if gone := s.parties.release(r); gone != nil {
		gone.value.release(&s.cuts)
	}
}

// dropToken forgets a token.
func (s *Store) dropToken(t *token) {
	if t.mark() == 0 {
		s.unlive(t, t.expires)
		s.markBelow(t, t.expires)
	}
	s.endings.remove(t)
	s.byDigest.remove(hash32(new(t.getDigest())), t.self)
	s.byID.remove(t.id)
	s.dropRefresh(t)
	if f := s.kept(t); f != nil {
		s.dropMember(f, t)
		s.forget(f)
	}
	owner := s.ownerOf(t)
	owner.issued--
	s.releaseParty(ref(t.party.Load()))
	s.closeAccount(owner)
	s.texts.release(ref(t.scopes.Load()))
	s.texts.release(t.description)
	if r := ref(t.bounds.Load()); r != 0 {
		s.bounds.release(r)
	}
	s.slab.drop(t.self)
}

// unlive takes a token out of the live ones of its family, and off the lists.
func (s *Store) unlive(t *token, at instant) {
	p := s.partyOf(t)
	personal := p.key.application == 0
	if p.value.live--; personal {
		s.expiring.remove(t)
	}
	p.key.owner.tokens.remove(t, personal)
	s.every.remove(t)
	s.byVia.remove(p.key.via, t, personal)
	f := s.kept(t)
	if f == nil {
		return
	}
	if m := s.minted(f); m != nil && f.live.Load() == 1 {
		m.ended.Store(int64(at)) // first: a reader that sees none live needs it
	}
	f.live.Add(-1)
	s.leaveTree(t, f)
}

// change changes a token by f, and keeps the lists in order. f may mark it, change
// what lists are ordered by, and spend its refresh token.
func (s *Store) change(t *token, f func()) {
	p := s.partyOf(t)
	listed, spent := t.mark() == 0, s.spendingOf(t) != nil
	s.endings.remove(t)
	if listed {
		p.key.owner.tokens.takeOut(t)
		s.byVia.takeOut(p.key.via, t)
		if p.key.application == 0 {
			s.expiring.remove(t)
		}
	}
	f()
	s.endings.add(t)
	if c := s.crowds[ref(t.family.Load())]; c != nil && !spent && s.spendingOf(t) != nil {
		c.spent.add(t.self)
	}
	switch {
	case listed && t.mark() != 0:
		s.unlive(t, t.mark())
	case listed:
		p.key.owner.tokens.putBack(t)
		s.byVia.putBack(p.key.via, t)
		if p.key.application == 0 {
			s.expiring.add(t)
		}
	}
}

// record returns the token as the contract has it. Store.mu is held.
func (s *Store) record(t *token) store.Token {
	p := s.partyOf(t)
	r := store.Token{
		ID:               t.id,
		Digest:           t.getDigest(),
		UserID:           p.key.owner.id,
		ApplicationID:    p.key.application,
		Family:           s.familyID(t),
		ViaApplicationID: p.key.via,
		Scopes:           s.scopesOf(t),
		Epoch:            t.epoch.Load(),
		Description:      s.texts.of(t.description),
		Created:          t.created.time(),
		Modified:         t.modified.time(),
		Expires:          t.expires.time(),
		LastUsed:         instant(t.used.Load()).time(),
		Revoked:          s.ended(t).time(),
		Refresh:          s.refreshRecord(t),
		Revision:         int64(t.revision),
	}
	if f := s.kept(t); f != nil {
		if parent := s.parentOf(f); parent != nil {
			r.ParentID, r.RootID, r.Depth = parent.id.Load(), s.top(f).id.Load(), s.depth(f)
		}
		r.Independent = f.is(independent)
	}
	r.Audience, r.Addresses = s.boundsOf(t)
	return r
}

// AccessByDigest implements [store.Tokens].
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest) (a store.Access, err error) {
	var r stores.AccessRow
	u, err := s.ReadAccess(ctx, &d, &r, &a.User)
	if err != nil {
		return store.Access{}, err
	}
	return store.Access{
		TokenID: r.TokenID, Family: r.Family, UserID: r.UserID, ApplicationID: r.ApplicationID, ViaApplicationID: r.ViaApplicationID,
		Scopes: r.Scopes, Audience: r.Audience, Addresses: r.Addresses, Epoch: r.Epoch,
		Expires: time.UnixMicro(r.Expires).UTC(), Revoked: time.UnixMicro(r.Revoked).UTC(), LastUsed: time.UnixMicro(r.LastUsed).UTC(),
		User: *u,
	}, nil
}

// ReadAccess is [Store.AccessByDigest] for package auth alone. It writes its answer into
// a, which must be zero, and returns the user, which must not be changed. A user of the
// host is put in room. If ReadAccess returns an error, a says nothing.
func (s *Store) ReadAccess(ctx context.Context, d *store.Digest, a *stores.AccessRow, room *store.User) (*store.User, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	step, quiet := s.quiet()
	var of *store.User
	if quiet {
		of = s.access(d, a)
	}
	if !quiet || !s.undisturbed(step) {
		*a = stores.AccessRow{}
		s.mu.RLock()
		of = s.access(d, a)
		s.mu.RUnlock()
	}
	if of == nil {
		return nil, store.ErrNotFound
	}
	if s.users != nil {
		var err error
		*room, err = s.hostUser(ctx, a.UserID)
		return room, err
	}
	return of, nil
}

// access reads a token into a, which must be zero. It returns the user, or a zero one if
// that is not the store's own, or nil without a token.
func (s *Store) access(d *store.Digest, a *stores.AccessRow) *store.User {
	t := s.tokenByDigest(d)
	if t == nil {
		return nil
	}
	p, f, id := s.partyOf(t), s.kept(t), atomic.LoadInt64(&t.id)
	if p == nil {
		return nil
	}
	// One by one: a literal would be built elsewhere and copied.
	a.TokenID, a.Family = id, id
	a.UserID = p.key.owner.id
	a.ApplicationID = p.key.application
	a.ViaApplicationID = p.key.via
	a.Scopes = s.scopesOf(t)
	a.Epoch = t.epoch.Load()
	a.Expires = instant(atomic.LoadInt64((*int64)(&t.expires))).unix()
	ended := t.mark()
	if ended == 0 {
		ended = s.cutAt(t.seq.Load(), p, f)
	}
	a.Revoked = ended.unix()
	a.LastUsed = instant(t.used.Load()).unix()
	if f != nil {
		a.Family = f.id.Load()
	}
	if t.bounds.Load() != 0 {
		a.Audience, a.Addresses = s.boundsOf(t)
	}
	if u := p.key.owner.user.Load(); u != nil && s.users == nil {
		return &u.User // which is never changed
	}
	return &noUser
}

// TokenByDigest implements [store.Tokens].
func (s *Store) TokenByDigest(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.tokenByDigest(&d) })
}

// TokenByID implements [store.Tokens].
func (s *Store) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	return s.token(ctx, func() *token { return s.tokenByID(id) })
}

// TokenByRefresh implements [store.Grants].
func (s *Store) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.tokenByRefresh(d) })
}

// TokenByGrant implements [store.Grants].
func (s *Store) TokenByGrant(ctx context.Context, grant store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.newest(grant) })
}

// newest returns the newest token of a grant, or nil.
func (ts *tokens) newest(grant store.Digest) *token {
	if list := ts.ofGrant(grant); len(list) > 0 {
		return list[len(list)-1]
	}
	return nil
}

func (s *Store) token(ctx context.Context, find func() *token) (r store.Token, err error) {
	err = s.read(ctx, func() error {
		t := find()
		if t == nil {
			return store.ErrNotFound
		}
		r = s.record(t)
		return nil
	})
	return r, err
}
