package memory

import (
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, r store.Token, limits store.InsertLimits) (stored store.Token, err error) {
	err = s.write(ctx, func() error {
		if !s.free(r) {
			return store.ErrExists
		}
		if !s.serves(r.ApplicationID) {
			return store.ErrConflict
		}
		if !s.hasRoomForToken() {
			return errFull
		}
		r.Refresh.Number, r.Refresh.GrantCreated = 0, grantCreated(r)
		f := s.family(r.Family)
		var parent *family
		if f == nil && r.ParentID != 0 {
			var err error
			if parent, err = s.minter(r, limits); err != nil {
				return err
			}
		}
		if limits.Owned > 0 && r.UserID != "" && s.countedOwn(r.UserID, store.AnyToken) >= limits.Owned {
			return store.ErrLimit
		}
		stored = s.record(s.insert(r, f, parent, s.cuts.seq))
		return nil
	})
	return stored, err
}

// grantCreated is when a grant begins whose first token is r.
func grantCreated(r store.Token) time.Time {
	if r.Refresh.Digest == (store.Digest{}) {
		return time.Time{}
	}
	return r.Created
}

// serves reports whether tokens may be issued to an application, 0 being none.
func (s *Store) serves(applicationID int64) bool {
	if applicationID == 0 {
		return true
	}
	app := s.apps[applicationID]
	return app != nil && !app.Disabled
}

// minter returns the family that mints r.
func (s *Store) minter(r store.Token, limits store.InsertLimits) (*family, error) {
	f := s.family(r.ParentID)
	ends := max(instantOf(r.Expires), instantOf(r.Refresh.GrantExpires))
	if f == nil || !slices.ContainsFunc(s.members(f), func(t *token) bool {
		return s.ended(t) == 0 && instantOf(r.Created) < t.expires && ends <= t.expires &&
			(limits.ParentDigest == (store.Digest{}) || limits.ParentDigest == t.getDigest() && limits.ParentScopes == s.scopesOf(t))
	}) {
		return nil, store.ErrConflict
	}
	if s.depth(f) >= min(limits.Depth, store.MaxDepth) || s.liveBelow(s.top(f), instantOf(r.Created), limits.Live) >= limits.Live {
		return nil, store.ErrLimit
	}
	return f, nil
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, r store.Token, minted store.Minted) error {
	return s.write(ctx, func() error {
		t := s.tokenByID(r.ID)
		if t == nil {
			return store.ErrNotFound
		}
		old := t.getDigest()
		switch {
		case int64(t.revision) != r.Revision || s.ended(t) != 0:
			return store.ErrConflict
		case old != r.Digest && s.tokenByDigest(&r.Digest) != nil:
			return store.ErrExists
		case !s.texts.hasRoom(3):
			return errFull
		}
		if old != r.Digest {
			s.byDigest.remove(hash32(&old), t.self)
			t.setDigest(r.Digest)
			s.byDigest.add(hash32(&r.Digest), t.self)
		}
		t.scopes.Store(uint32(s.texts.replace(ref(t.scopes.Load()), r.Scopes)))
		t.description = s.texts.replace(t.description, r.Description)
		if kept := s.refreshOf(t); kept != nil {
			kept.scopes = s.texts.replace(kept.scopes, r.Refresh.Scopes)
		}
		t.revision++
		s.change(t, func() {
			t.setExpires(instantOf(r.Expires))
			t.modified = instantOf(r.Modified)
		})
		if f := s.kept(t); f != nil {
			s.unlapse(t, f) // it may live longer now
		}
		if minted == store.EndMinted {
			s.cutOff(cutKey{mintedBy: s.familyID(t)}, t.modified)
			s.markOnce()
		}
		return nil
	})
}

// Touch implements [store.Tokens].
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	return s.read(ctx, func() error { // no state changes
		for _, sighting := range seen {
			t := s.tokenByID(sighting.TokenID)
			if t == nil || s.ended(t) != 0 {
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
