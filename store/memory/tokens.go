package memory

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// token is a token with the one that its rotation issued, 0 if none.
type token struct {
	store.Token
	successor int64
}

type tokens struct {
	byID      map[int64]*token
	byDigest  map[store.Digest]*token
	byRefresh map[store.Digest]*token
	byUser    index[string]
	byApp     index[int64]
	byParent  index[int64]
	byFamily  index[int64]
	lastToken int64
}

func newTokens() tokens {
	return tokens{
		byID:      make(map[int64]*token),
		byDigest:  make(map[store.Digest]*token),
		byRefresh: make(map[store.Digest]*token),
		byUser:    make(index[string]),
		byApp:     make(index[int64]),
		byParent:  make(index[int64]),
		byFamily:  make(index[int64]),
	}
}

// put publishes a record in place of the one with its ID, if there is one.
func (ts *tokens) put(t *token) {
	if old := ts.byID[t.ID]; old != nil {
		ts.drop(old)
	}
	ts.byID[t.ID] = t
	ts.byDigest[t.Digest] = t
	if t.Refresh.Digest != (store.Digest{}) {
		ts.byRefresh[t.Refresh.Digest] = t
	}
	ts.byUser.add(t.UserID, t.ID)
	ts.byApp.add(t.ApplicationID, t.ID)
	ts.byParent.add(t.ParentID, t.ID)
	ts.byFamily.add(t.Family, t.ID)
}

func (ts *tokens) drop(t *token) {
	delete(ts.byID, t.ID)
	delete(ts.byDigest, t.Digest)
	delete(ts.byRefresh, t.Refresh.Digest)
	ts.byUser.remove(t.UserID, t.ID)
	ts.byApp.remove(t.ApplicationID, t.ID)
	ts.byParent.remove(t.ParentID, t.ID)
	ts.byFamily.remove(t.Family, t.ID)
}

// insert stores a new token and returns its record.
func (ts *tokens) insert(t store.Token) (*token, error) {
	if ts.byDigest[t.Digest] != nil || t.Refresh.Digest != (store.Digest{}) && ts.byRefresh[t.Refresh.Digest] != nil {
		return nil, store.ErrExists
	}
	ts.lastToken++
	t.ID, t.Revision = ts.lastToken, 1
	t.Family = cmp.Or(t.Family, t.ID)
	record := &token{Token: kept(t)}
	ts.put(record)
	return record, nil
}

// kept is what the store keeps of t: its own memory, times to the microsecond.
func kept(t store.Token) store.Token {
	t = copied(t)
	for _, at := range []*time.Time{&t.Created, &t.Modified, &t.Expires, &t.LastUsed, &t.Revoked,
		&t.Refresh.Expires, &t.Refresh.GrantExpires, &t.Refresh.Spent} {
		*at = micro(*at)
	}
	return t
}

func copied(t store.Token) store.Token {
	t.Addresses = slices.Clone(t.Addresses)
	return t
}

// AccessByDigest implements [store.Tokens].
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Access, error) {
	if err := ctx.Err(); err != nil {
		return store.Access{}, err
	}
	own := users == store.Users(s)
	var u *user
	s.mu.RLock()
	t := s.byDigest[d]
	if t != nil && own {
		u = s.users[t.UserID]
	}
	s.mu.RUnlock()
	if t == nil {
		return store.Access{}, store.ErrNotFound
	}
	a := store.Access{
		TokenID:       t.ID,
		UserID:        t.UserID,
		ApplicationID: t.ApplicationID,
		Scopes:        t.Scopes,
		Audience:      t.Audience,
		Addresses:     slices.Clone(t.Addresses),
		Epoch:         t.Epoch,
		Expires:       t.Expires,
		Revoked:       t.Revoked,
		LastUsed:      t.LastUsed,
	}
	if u != nil {
		a.User = u.User
	} else if !own {
		var err error
		a.User, err = foreignUser(ctx, users, t.UserID)
		return a, err
	}
	return a, nil
}

// foreignUser asks the host for a user; a missing one is a zero one.
func foreignUser(ctx context.Context, users store.Users, id string) (store.User, error) {
	if id == "" {
		return store.User{}, nil
	}
	u, err := users.UserByID(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return store.User{}, nil
	}
	return u, err
}

// TokenByDigest implements [store.Tokens].
func (s *Store) TokenByDigest(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.byDigest[d] })
}

// TokenByID implements [store.Tokens].
func (s *Store) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	return s.token(ctx, func() *token { return s.byID[id] })
}

// TokenByRefresh implements [store.Grants].
func (s *Store) TokenByRefresh(ctx context.Context, d store.Digest) (store.Token, error) {
	return s.token(ctx, func() *token { return s.byRefresh[d] })
}

func (s *Store) token(ctx context.Context, find func() *token) (t store.Token, err error) {
	err = s.read(ctx, func() error {
		record := find()
		if record == nil {
			return store.ErrNotFound
		}
		t = copied(record.Token)
		return nil
	})
	return t, err
}

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, t store.Token) (stored store.Token, err error) {
	err = s.write(ctx, func() error {
		if t.ParentID != 0 {
			parent := s.byID[t.ParentID]
			if parent == nil || !live(parent.Revoked, parent.Expires, micro(t.Created)) {
				return store.ErrConflict
			}
		}
		record, err := s.insert(t)
		if err == nil {
			stored = copied(record.Token)
		}
		return err
	})
	return stored, err
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, t store.Token) error {
	return s.write(ctx, func() error {
		old := s.byID[t.ID]
		switch {
		case old == nil:
			return store.ErrNotFound
		case old.Revision != t.Revision || !old.Revoked.IsZero():
			return store.ErrConflict
		case old.Digest != t.Digest && s.byDigest[t.Digest] != nil:
			return store.ErrExists
		}
		next := *old
		next.Digest, next.Scopes, next.Description = t.Digest, t.Scopes, t.Description
		next.Expires, next.Modified = micro(t.Expires), micro(t.Modified)
		next.Revision++
		s.put(&next)
		return nil
	})
}

// RevokeTokens implements [store.Tokens].
func (s *Store) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		n = s.revoke(sel, micro(at))
		return nil
	})
	return n, err
}

// revoke ends what sel names and everything it minted.
func (ts *tokens) revoke(sel store.Selection, at time.Time) (n int) {
	for _, id := range ts.selected(sel) {
		n += ts.revokeOne(id, at)
	}
	return n
}

func (ts *tokens) revokeOne(id int64, at time.Time) (n int) {
	if t := ts.byID[id]; t != nil && t.Revoked.IsZero() {
		next := *t
		next.Revoked = at
		ts.put(&next)
		n++
	}
	for child := range maps.Clone(ts.byParent[id]) {
		n += ts.revokeOne(child, at)
	}
	return n
}

// selected returns the tokens that sel names, by the narrowest index.
func (ts *tokens) selected(sel store.Selection) []int64 {
	var candidates []int64
	switch {
	case sel.TokenID != 0:
		candidates = []int64{sel.TokenID}
	case sel.Family != 0:
		candidates = slices.Collect(maps.Keys(ts.byFamily[sel.Family]))
	case sel.UserID != "":
		candidates = slices.Collect(maps.Keys(ts.byUser[sel.UserID]))
	case sel.ApplicationID != 0:
		candidates = slices.Collect(maps.Keys(ts.byApp[sel.ApplicationID]))
	case sel.All:
		candidates = slices.Collect(maps.Keys(ts.byID))
	}
	return slices.DeleteFunc(candidates, func(id int64) bool {
		t := ts.byID[id]
		return t == nil ||
			sel.Family != 0 && t.Family != sel.Family ||
			sel.UserID != "" && t.UserID != sel.UserID ||
			sel.ApplicationID != 0 && t.ApplicationID != sel.ApplicationID
	})
}

// Touch implements [store.Tokens].
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	return s.write(ctx, func() error {
		for _, sighting := range seen {
			at := micro(sighting.At)
			t := s.byID[sighting.TokenID]
			if t == nil || !t.Revoked.IsZero() || !at.After(t.LastUsed) {
				continue
			}
			next := *t
			next.LastUsed = at
			s.put(&next)
		}
		return nil
	})
}

// ListTokens implements [store.Tokens].
func (s *Store) ListTokens(ctx context.Context, f store.TokenFilter, p store.Page) (list []store.Token, total int, err error) {
	err = s.read(ctx, func() error {
		for _, t := range s.byID {
			if s.listed(t, f) {
				list = append(list, t.Token)
			}
		}
		return nil
	})
	total = len(list)
	list = page(list, p, tokenOrder(p.Order), func(a, b store.Token) int { return cmp.Compare(a.ID, b.ID) })
	for i := range list {
		list[i] = copied(list[i])
	}
	return list, total, err
}

func (s *Store) listed(t *token, f store.TokenFilter) bool {
	visible := f.All || f.UserID != "" && t.UserID == f.UserID
	if app := s.apps[t.ApplicationID]; !visible && app != nil {
		visible = slices.Contains(f.Organizations, app.OrganizationID)
	}
	return visible && t.Revoked.IsZero() &&
		(f.Kind != store.PersonalToken || t.ApplicationID == 0) &&
		(f.Kind != store.ApplicationToken || t.ApplicationID != 0) &&
		(f.ID == 0 || t.ID == f.ID) &&
		(f.OwnerID == "" || t.UserID == f.OwnerID) &&
		(f.ApplicationID == 0 || t.ApplicationID == f.ApplicationID) &&
		(f.Scopes == "" || t.Scopes == f.Scopes) &&
		(f.Description == nil || t.Description == *f.Description) &&
		strings.Contains(t.Description, f.Search)
}

func tokenOrder(by store.OrderBy) func(a, b store.Token) int {
	return func(a, b store.Token) int {
		switch by {
		case store.OrderCreated:
			return a.Created.Compare(b.Created)
		case store.OrderModified:
			return a.Modified.Compare(b.Modified)
		case store.OrderExpires:
			return a.Expires.Compare(b.Expires)
		case store.OrderLastUsed:
			return a.LastUsed.Compare(b.LastUsed)
		}
		return 0
	}
}

// Purge implements [store.Tokens].
func (s *Store) Purge(ctx context.Context, endedBefore time.Time, max int) (n int, err error) {
	before := micro(endedBefore)
	err = s.write(ctx, func() error {
		for _, t := range s.byID {
			if n < max && s.purgeable(t, before) {
				s.drop(t)
				n++
			}
		}
		for d, c := range s.codes {
			if n < max && c.Expires.Before(before) {
				delete(s.codes, d)
				n++
			}
		}
		for _, d := range s.devices {
			if n < max && d.Expires.Before(before) {
				s.dropDevice(d)
				n++
			}
		}
		return nil
	})
	return n, err
}

// purgeable reports whether t ended before that instant, and with it, if its
// refresh token was spent, all of its family: a replay must be recognised.
func (ts *tokens) purgeable(t *token, before time.Time) bool {
	if !t.endedBefore(before) {
		return false
	}
	if t.Refresh.Spent.IsZero() {
		return true
	}
	for id := range ts.byFamily[t.Family] {
		if !ts.byID[id].endedBefore(before) {
			return false
		}
	}
	return true
}

func (t *token) endedBefore(before time.Time) bool {
	if !t.Revoked.IsZero() {
		return t.Revoked.Before(before)
	}
	return t.Expires.Before(before) && (t.Refresh.Digest == store.Digest{} || t.Refresh.Expires.Before(before))
}
