package memory

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"unique"

	"github.com/ostiary/auth/store"
)

// A token is an access token with its refresh token. Constant fields are in the
// token itself. Fields that a bearer check must see at one instant are in its
// state.
type token struct {
	id, application int64

	family  *family
	owner   *account
	epoch   int64
	created instant
	bounds  *bounds // nil for none
	subject

	state atomic.Pointer[tokenState]
	used  atomic.Int64 // the instant of the last use

	// Guarded by Store.mu.
	placeOfMember, placeOfMinted, placeOfSpent, placeInQueue int32
	lapsed                                                   bool // it is in the list lapsed of its root

	// first is the state of most tokens. It is part of the token, so that a
	// look-up reads one place in memory.
	first tokenState
}

// bounds is where a token is accepted. Most are accepted everywhere.
type bounds struct {
	audience  string
	addresses []netip.Prefix
}

// A tokenState is never changed: a change of the token has a new one.
type tokenState struct {
	digest      store.Digest
	scopes      unique.Handle[string] // many tokens have the same
	description string

	modified, expires, revoked instant

	revision int64
	refresh  *refresh // nil for none
}

type refresh struct {
	store.Refresh
	successor int64 // the token that it was spent for
}

type tokens struct {
	byDigest  *table[token]
	byID      map[int64]*token
	byRefresh map[store.Digest]*token
	byGrant   map[store.Digest][]*token // in the order of their refreshes
	byVia     shelves                   // those that are not marked as revoked
	every     sorted                    // by ID; the same
	expiring  sorted                    // by expiry; the personal ones among these
	families  map[int64]*family         // those with members, or whose children have some
	endings   queue[token]
	lastToken int64
}

func newTokens() tokens {
	return tokens{
		byDigest:  newTable[token](),
		byID:      make(map[int64]*token),
		byRefresh: make(map[store.Digest]*token),
		byGrant:   make(map[store.Digest][]*token),
		byVia:     make(shelves),
		every:     sorted{order: tokenOrder(store.OrderID)},
		expiring:  sorted{order: tokenOrder(store.OrderExpires)},
		families:  make(map[int64]*family),
		endings:   queue[token]{place: func(t *token) *int32 { return &t.placeInQueue }},
	}
}

// tokenByDigest returns the token whose access token has digest d, or nil.
func (ts *tokens) tokenByDigest(d store.Digest) *token {
	return ts.byDigest.find(hashOf(d), func(t *token) bool { return t.state.Load().digest == d })
}

// ended returns when a token with that state ended, 0 for not.
func (s *Store) ended(t *token, st *tokenState) instant {
	if st.revoked != 0 {
		return st.revoked
	}
	if at := t.subject.ends(&s.cuts); at != 0 {
		return at
	}
	if t.family.parent == nil {
		return 0
	}
	return t.family.endedAbove(&s.cuts, t.seq)
}

// free reports whether no token has one of the digests.
func (ts *tokens) free(r store.Token) bool {
	return ts.tokenByDigest(r.Digest) == nil && (r.Refresh.Digest == store.Digest{} || ts.byRefresh[r.Refresh.Digest] == nil)
}

// insert stores a new token, whose digests are free, in a family: nil for one
// of its own, below parent unless that is nil. seq is the number of the newest
// cut-off at the issue of the token's grant.
func (s *Store) insert(r store.Token, f, parent *family, seq int64) *token {
	s.lastToken++
	if f == nil {
		f = s.found(r, parent, seq)
	}
	t := &token{
		id:          s.lastToken,
		owner:       s.openAccount(r.UserID),
		application: r.ApplicationID,
		family:      f,
		epoch:       r.Epoch,
		created:     instantOf(r.Created),
		subject:     subject{seq: seq},

		placeOfSpent: -1,
	}
	t.hold(&s.cuts, r.UserID, f.via)
	if r.Audience != "" || len(r.Addresses) > 0 {
		t.bounds = &bounds{r.Audience, slices.Clone(r.Addresses)}
	}
	t.used.Store(int64(instantOf(r.LastUsed)))
	t.first = tokenState{
		digest:      r.Digest,
		scopes:      unique.Make(r.Scopes),
		description: r.Description,
		modified:    instantOf(r.Modified),
		expires:     instantOf(r.Expires),
		revoked:     instantOf(r.Revoked),
		revision:    1,
	}
	st := &t.first
	if r.Refresh.Digest != (store.Digest{}) {
		kept := refresh{Refresh: r.Refresh}
		kept.Expires, kept.GrantExpires, kept.Spent = micro(kept.Expires), micro(kept.GrantExpires), micro(kept.Spent)
		kept.GrantCreated = micro(kept.GrantCreated)
		st.refresh = &kept
		s.byRefresh[kept.Digest] = t
		if kept.Grant != (store.Digest{}) {
			s.byGrant[kept.Grant] = append(s.byGrant[kept.Grant], t)
		}
	}
	t.state.Store(st)
	s.byID[t.id] = t
	t.owner.issued++
	f.add(t)
	if st.spent() {
		f.spent = join(f.spent, t, placeOfSpent)
	}
	if st.revoked == 0 {
		f.live.Add(1)
		t.owner.tokens.add(t)
		s.every.add(t)
		if t.application == 0 {
			s.expiring.add(t)
		}
		s.byVia.add(f.via, t)
		if f.root != nil {
			f.root.below = join(f.root.below, t, placeOfMinted)
		}
	}
	s.endings.add(t, st.purgeable())
	s.byDigest.add(hashOf(st.digest), t)
	return t
}

// found returns a new family for a token that is about to be stored.
func (s *Store) found(r store.Token, parent *family, seq int64) *family {
	f := &family{id: r.Family, parent: parent, via: r.ApplicationID, subject: subject{seq: seq}}
	if f.id == 0 {
		f.id = s.lastToken
	}
	if parent != nil {
		f.independent, f.depth = r.Independent, parent.depth+1
		if f.root = parent.root; f.root == nil {
			f.root = parent
		}
		if f.via == 0 {
			f.via = parent.via
		}
		parent.addChild(f)
	}
	f.hold(&s.cuts, r.UserID, f.via)
	s.families[f.id] = f
	return f
}

// dropToken forgets a token.
func (s *Store) dropToken(t *token) {
	st := t.state.Load()
	if st.revoked == 0 {
		s.unlive(t, st.expires)
	}
	s.byDigest.remove(hashOf(st.digest), t)
	delete(s.byID, t.id)
	if st.refresh != nil {
		delete(s.byRefresh, st.refresh.Digest)
		s.leaveGrant(t, st.refresh.Grant)
	}
	t.owner.issued--
	s.closeAccount(t.owner)
	t.subject.release(&s.cuts)
	s.endings.remove(t)
	t.family.unspent(t)
	t.family.drop(t)
	s.forget(t.family)
}

// leaveGrant takes a token off the list of its grant.
func (s *Store) leaveGrant(t *token, grant store.Digest) {
	list := slices.DeleteFunc(s.byGrant[grant], func(other *token) bool { return other == t })
	if s.byGrant[grant] = list; len(list) == 0 {
		delete(s.byGrant, grant)
	}
}

// forget drops a family without tokens and descendants.
func (s *Store) forget(f *family) {
	for ; f != nil && len(f.members) == 0 && len(f.children) == 0; f = f.parent {
		delete(s.families, f.id)
		f.subject.release(&s.cuts)
		if f.parent != nil {
			f.parent.dropChild(f)
		}
	}
}

// unlive takes a token out of the live ones of its family, and off the lists.
func (s *Store) unlive(t *token, at instant) {
	t.owner.tokens.remove(t)
	s.every.remove(t)
	if t.application == 0 {
		s.expiring.remove(t)
	}
	s.byVia.remove(t.family.via, t)
	if f := t.family; f.live.Load() == 1 {
		f.ended.Store(int64(at)) // first: a reader that sees none live needs it
	}
	t.family.live.Add(-1)
	if root := t.family.root; root != nil {
		root.leaveTree(t)
	}
}

// change publishes a new state of a token.
func (s *Store) change(t *token, next tokenState) {
	listed := t.state.Load().revoked == 0
	if listed && next.revoked != 0 {
		s.unlive(t, next.revoked)
		listed = false
	}
	moves := listed && t.application == 0 && t.state.Load().expires != next.expires
	if listed {
		t.owner.tokens.takeOut(t)
		s.byVia.takeOut(t.family.via, t)
	}
	if moves {
		s.expiring.remove(t)
	}
	if !t.state.Load().spent() && next.spent() {
		t.family.spent = join(t.family.spent, t, placeOfSpent)
	}
	t.state.Store(&next)
	if listed {
		t.owner.tokens.putBack(t)
		s.byVia.putBack(t.family.via, t)
	}
	if moves {
		s.expiring.add(t)
	}
	s.endings.move(t, next.purgeable())
}

// spent reports whether the refresh token was used.
func (st *tokenState) spent() bool { return st.refresh != nil && !st.refresh.Spent.IsZero() }

// never is the end of a grant that has none.
const never = instant(1<<63 - 1)

// purgeable returns when a token may be forgotten, as far as it alone can tell:
// when it has ended with its refresh token, or with its grant if that was spent.
// The end of a family brings the latter forward.
func (st *tokenState) purgeable() instant {
	if st.spent() {
		if st.refresh.GrantExpires.IsZero() {
			return never
		}
		return instantOf(st.refresh.GrantExpires)
	}
	ends := st.expires
	if st.refresh != nil {
		ends = max(ends, instantOf(st.refresh.Expires))
	}
	if st.revoked != 0 {
		ends = min(ends, st.revoked)
	}
	return ends
}

// record returns the token as the contract has it. Store.mu is held.
func (s *Store) record(t *token) store.Token {
	st, f := t.state.Load(), t.family
	r := store.Token{
		ID:               t.id,
		Digest:           st.digest,
		UserID:           t.owner.id,
		ApplicationID:    t.application,
		Family:           f.id,
		ParentID:         f.parentID(),
		Independent:      f.independent,
		RootID:           f.rootID(),
		Depth:            f.depth,
		ViaApplicationID: f.via,
		Scopes:           st.scopes.Value(),
		Epoch:            t.epoch,
		Description:      st.description,
		Created:          t.created.time(),
		Modified:         st.modified.time(),
		Expires:          st.expires.time(),
		LastUsed:         instant(t.used.Load()).time(),
		Revoked:          s.ended(t, st).time(),
		Revision:         st.revision,
	}
	if t.bounds != nil {
		r.Audience, r.Addresses = t.bounds.audience, slices.Clone(t.bounds.addresses)
	}
	if st.refresh != nil {
		r.Refresh = st.refresh.Refresh
	}
	return r
}

// AccessByDigest implements [store.Tokens].
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest) (a store.Access, err error) {
	if err := ctx.Err(); err != nil {
		return store.Access{}, err
	}
	step, quiet := s.quiet()
	found := quiet && s.access(d, &a)
	if !quiet || !s.undisturbed(step) {
		a = store.Access{}
		s.mu.RLock()
		found = s.access(d, &a)
		s.mu.RUnlock()
	}
	switch {
	case !found:
		return a, store.ErrNotFound
	case s.users != nil:
		a.User, err = s.hostUser(ctx, a.UserID)
	}
	return a, err
}

// access reads a token into a, which must be zero, with its user if that is the
// store's own.
func (s *Store) access(d store.Digest, a *store.Access) bool {
	t := s.tokenByDigest(d)
	if t == nil {
		return false
	}
	st := t.state.Load()
	// One by one: a literal would be built elsewhere and copied.
	a.TokenID = t.id
	a.Family = t.family.id
	a.UserID = t.owner.id
	a.ApplicationID = t.application
	a.ViaApplicationID = t.family.via
	a.Scopes = st.scopes.Value()
	a.Epoch = t.epoch
	a.Expires = st.expires.time()
	a.Revoked = s.ended(t, st).time()
	a.LastUsed = instant(t.used.Load()).time()
	if t.bounds != nil {
		a.Audience, a.Addresses = t.bounds.audience, slices.Clone(t.bounds.addresses)
	}
	if s.users == nil {
		if u := t.owner.user.Load(); u != nil {
			a.User = u.User
		}
	}
	return true
}

// TokenByDigest implements [store.Tokens].
func (s *Store) TokenByDigest(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.tokenByDigest(d) })
}

// TokenByID implements [store.Tokens].
func (s *Store) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	return s.token(ctx, func() *token { return s.byID[id] })
}

// TokenByRefresh implements [store.Grants].
func (s *Store) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.byRefresh[d] })
}

// TokenByGrant implements [store.Grants].
func (s *Store) TokenByGrant(ctx context.Context, grant store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.newest(grant) })
}

// newest returns the newest token of a grant, or nil.
func (ts *tokens) newest(grant store.Digest) *token {
	if list := ts.byGrant[grant]; len(list) > 0 {
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
