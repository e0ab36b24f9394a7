package memory

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
	"unique"

	"github.com/ostiary/auth/store"
)

// A token is an access token with its refresh token. What never changes stands
// in the token itself, what a bearer check must see all at once in its state.
type token struct {
	id, application, family int64

	owner   *account
	epoch   int64
	created instant
	bounds  *bounds // nil for none

	state atomic.Pointer[tokenState]
	used  atomic.Int64 // the instant of the last use

	// Guarded by Store.mu, like the places.
	parent int64

	placeOfOwner, placeOfApplication, placeOfParent, placeOfFamily int32
	placeInQueue                                                   int32

	// first is the state of most tokens. It stands here, and not somewhere
	// else in memory, for the sake of those who look for them.
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
	byDigest      *table[token]
	byID          map[int64]*token
	byRefresh     map[store.Digest]*token
	byApplication index[int64]
	byParent      index[int64]
	// byFamily has those whose family is not their own ID.
	byFamily  index[int64]
	endings   queue[token]
	lastToken int64
}

func placeOfOwner(t *token) *int32 { return &t.placeOfOwner }

func newTokens() tokens {
	return tokens{
		byDigest:      newTable[token](),
		byID:          make(map[int64]*token),
		byRefresh:     make(map[store.Digest]*token),
		byApplication: newIndex[int64](func(t *token) *int32 { return &t.placeOfApplication }),
		byParent:      newIndex[int64](func(t *token) *int32 { return &t.placeOfParent }),
		byFamily:      newIndex[int64](func(t *token) *int32 { return &t.placeOfFamily }),
		endings:       queue[token]{place: func(t *token) *int32 { return &t.placeInQueue }},
	}
}

// tokenByDigest returns the token whose access token has digest d, or nil.
func (ts *tokens) tokenByDigest(d store.Digest) *token {
	return ts.byDigest.find(hashOf(d), func(t *token) bool { return t.state.Load().digest == d })
}

// insert stores a new token, unless one of its digests is taken or the token
// that minted it has ended.
func (s *Store) insert(r store.Token) (*token, error) {
	hasRefresh := r.Refresh.Digest != store.Digest{}
	if s.tokenByDigest(r.Digest) != nil || hasRefresh && s.byRefresh[r.Refresh.Digest] != nil {
		return nil, store.ErrExists
	}
	if r.ParentID != 0 {
		parent := s.byID[r.ParentID]
		if parent == nil {
			return nil, store.ErrConflict
		}
		if st := parent.state.Load(); !live(st.revoked, st.expires, instantOf(r.Created)) {
			return nil, store.ErrConflict
		}
	}
	s.lastToken++
	t := &token{
		id:          s.lastToken,
		owner:       s.openAccount(r.UserID),
		application: r.ApplicationID,
		parent:      r.ParentID,
		family:      cmp.Or(r.Family, s.lastToken),
		epoch:       r.Epoch,
		created:     instantOf(r.Created),
	}
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
	if hasRefresh {
		kept := refresh{Refresh: r.Refresh}
		kept.Expires, kept.GrantExpires, kept.Spent = micro(kept.Expires), micro(kept.GrantExpires), micro(kept.Spent)
		st.refresh = &kept
		s.byRefresh[kept.Digest] = t
	}
	t.state.Store(st)
	s.byID[t.id] = t
	t.owner.tokens = join(t.owner.tokens, t, placeOfOwner)
	s.byApplication.add(t.application, t)
	s.byParent.add(t.parent, t)
	if t.family != t.id {
		s.byFamily.add(t.family, t)
	}
	s.endings.add(t, st.ends())
	s.byDigest.add(hashOf(st.digest), t) // last: from here on it is found
	return t, nil
}

// dropToken forgets a token.
func (s *Store) dropToken(t *token) {
	st := t.state.Load()
	s.byDigest.remove(hashOf(st.digest), t)
	delete(s.byID, t.id)
	if st.refresh != nil {
		delete(s.byRefresh, st.refresh.Digest)
	}
	t.owner.tokens = leave(t.owner.tokens, t, placeOfOwner)
	s.closeAccount(t.owner)
	s.byApplication.remove(t.application, t)
	s.byParent.remove(t.parent, t)
	if t.family != t.id {
		s.byFamily.remove(t.family, t)
	}
	s.endings.remove(t)
}

// change publishes a new state of a token.
func (ts *tokens) change(t *token, next tokenState) {
	t.state.Store(&next)
	ts.endings.move(t, next.ends())
	// The token may end earlier now than those thought who wait for its end.
	if parent := ts.byID[t.parent]; parent != nil {
		ts.endings.move(parent, parent.state.Load().ends())
	}
	if next.spent() {
		return
	}
	for _, other := range ts.familyOf(t.family) {
		if st := other.state.Load(); st.spent() {
			ts.endings.move(other, st.ends())
		}
	}
}

// familyOf returns the tokens of a family.
func (ts *tokens) familyOf(family int64) []*token {
	members := ts.byFamily.lists[family]
	if first := ts.byID[family]; first != nil && first.family == family {
		return append(slices.Clone(members), first)
	}
	return members
}

// spent reports whether the refresh token was used.
func (st *tokenState) spent() bool { return st.refresh != nil && !st.refresh.Spent.IsZero() }

// ends returns when the token and its refresh token both have ended.
func (st *tokenState) ends() instant {
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
func (t *token) record() store.Token {
	st := t.state.Load()
	r := store.Token{
		ID:            t.id,
		Digest:        st.digest,
		UserID:        t.owner.id,
		ApplicationID: t.application,
		ParentID:      t.parent,
		Family:        t.family,
		Scopes:        st.scopes.Value(),
		Epoch:         t.epoch,
		Description:   st.description,
		Created:       t.created.time(),
		Modified:      st.modified.time(),
		Expires:       st.expires.time(),
		LastUsed:      instant(t.used.Load()).time(),
		Revoked:       st.revoked.time(),
		Revision:      st.revision,
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
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Access, error) {
	if err := ctx.Err(); err != nil {
		return store.Access{}, err
	}
	own := users == store.Users(s)
	var t *token
	var st *tokenState
	var u *user
	for {
		if t = s.tokenByDigest(d); t == nil {
			return store.Access{}, store.ErrNotFound
		}
		st = t.state.Load()
		if own {
			u = t.owner.user.Load()
		}
		if own && u == nil && st.revoked == 0 && t.owner.id != "" {
			// Either nobody has such a user, or DeleteUser is half done.
			s.mu.RLock()
			st, u = t.state.Load(), t.owner.user.Load()
			s.mu.RUnlock()
		}
		// Token and user belong together only if neither has changed since.
		if st.digest == d && t.state.Load() == st {
			break
		}
	}
	a := store.Access{
		TokenID:       t.id,
		UserID:        t.owner.id,
		ApplicationID: t.application,
		Scopes:        st.scopes.Value(),
		Epoch:         t.epoch,
		Expires:       st.expires.time(),
		Revoked:       st.revoked.time(),
		LastUsed:      instant(t.used.Load()).time(),
	}
	if t.bounds != nil {
		a.Audience, a.Addresses = t.bounds.audience, slices.Clone(t.bounds.addresses)
	}
	if u != nil {
		a.User = u.User
	}
	if own {
		return a, nil
	}
	var err error
	a.User, err = foreignUser(ctx, users, a.UserID)
	return a, err
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

func (s *Store) token(ctx context.Context, find func() *token) (r store.Token, err error) {
	err = s.read(ctx, func() error {
		t := find()
		if t == nil {
			return store.ErrNotFound
		}
		r = t.record()
		return nil
	})
	return r, err
}

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, r store.Token) (stored store.Token, err error) {
	err = s.write(ctx, func() error {
		t, err := s.insert(r)
		if err == nil {
			stored = t.record()
		}
		return err
	})
	return stored, err
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, r store.Token) error {
	return s.write(ctx, func() error {
		t := s.byID[r.ID]
		if t == nil {
			return store.ErrNotFound
		}
		next := *t.state.Load()
		old := next.digest
		switch {
		case next.revision != r.Revision || next.revoked != 0:
			return store.ErrConflict
		case old != r.Digest && s.tokenByDigest(r.Digest) != nil:
			return store.ErrExists
		}
		next.digest, next.scopes, next.description = r.Digest, unique.Make(r.Scopes), r.Description
		next.expires, next.modified = instantOf(r.Expires), instantOf(r.Modified)
		if next.refresh != nil {
			kept := *next.refresh
			kept.Scopes = r.Refresh.Scopes
			next.refresh = &kept
		}
		next.revision++
		if old == r.Digest {
			s.change(t, next)
			return nil
		}
		// While both digests lead to the token, its state says which one holds.
		s.byDigest.add(hashOf(r.Digest), t)
		s.change(t, next)
		s.byDigest.remove(hashOf(old), t)
		return nil
	})
}

// RevokeTokens implements [store.Tokens].
func (s *Store) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		n = s.revoke(sel, instantOf(at))
		return nil
	})
	return n, err
}

// revoke ends what sel names and everything it minted.
func (s *Store) revoke(sel store.Selection, at instant) (n int) {
	for todo := s.selected(sel); len(todo) > 0; {
		t := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], s.byParent.lists[t.id]...)
		if next := *t.state.Load(); next.revoked == 0 {
			next.revoked = at
			s.change(t, next)
			n++
		}
	}
	return n
}

// selected returns the tokens that sel names, by the narrowest index.
func (s *Store) selected(sel store.Selection) (list []*token) {
	switch {
	case sel.TokenID != 0:
		if t := s.byID[sel.TokenID]; t != nil {
			list = []*token{t}
		}
	case sel.Family != 0:
		list = slices.Clone(s.familyOf(sel.Family))
	case sel.UserID != "":
		if a := s.account(sel.UserID); a != nil {
			list = slices.Clone(a.tokens)
		}
	case sel.ApplicationID != 0:
		list = slices.Clone(s.byApplication.lists[sel.ApplicationID])
	case sel.All:
		for t := range s.byDigest.all() {
			list = append(list, t)
		}
	}
	return slices.DeleteFunc(list, func(t *token) bool {
		return sel.Family != 0 && t.family != sel.Family ||
			sel.UserID != "" && t.owner.id != sel.UserID ||
			sel.ApplicationID != 0 && t.application != sel.ApplicationID
	})
}

// Touch implements [store.Tokens].
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	return s.read(ctx, func() error { // no state changes
		for _, sighting := range seen {
			t := s.byID[sighting.TokenID]
			if t == nil || t.state.Load().revoked != 0 {
				continue
			}
			at := int64(instantOf(sighting.At))
			for {
				used := t.used.Load()
				if at <= used || t.used.CompareAndSwap(used, at) {
					break
				}
			}
		}
		return nil
	})
}

// Purge implements [store.Tokens].
func (s *Store) Purge(ctx context.Context, endedBefore time.Time, max int) (n int, err error) {
	before := instantOf(endedBefore)
	err = s.write(ctx, func() error {
		n = s.purgeTokens(before, max)
		n += s.codesEnd.purge(before, max-n, s.dropCode)
		n += s.devicesEnd.purge(before, max-n, s.dropDevice)
		return nil
	})
	return n, err
}

func (s *Store) purgeTokens(before instant, most int) (n int) {
	for n < most {
		t := s.endings.first(before)
		if t == nil {
			break
		}
		if ends := s.familyEnds(t); ends >= before {
			s.endings.move(t, ends)
			continue
		}
		s.dropToken(t)
		n++
	}
	return n
}

// familyEnds returns when a token can be forgotten: one whose refresh token was
// spent stays until its family has ended, so that a replay is recognised, and a
// parent until its children have, so that they can be reached from further up.
func (ts *tokens) familyEnds(t *token) instant {
	st := t.state.Load()
	ends := st.ends()
	if st.spent() {
		for _, other := range ts.familyOf(t.family) {
			ends = max(ends, other.state.Load().ends())
		}
	}
	for _, child := range ts.byParent.lists[t.id] {
		ends = max(ends, child.state.Load().ends())
	}
	return ends
}
