package memory

import (
	"context"
	"slices"
	"time"
	"unique"

	"github.com/ostiary/auth/store"
)

// InsertToken implements [store.Tokens].
func (s *Store) InsertToken(ctx context.Context, r store.Token, limits store.MintLimits) (stored store.Token, err error) {
	err = s.write(ctx, func() error {
		if !s.free(r) {
			return store.ErrExists
		}
		if !s.serves(r.ApplicationID) {
			return store.ErrConflict
		}
		r.Refresh.Number, r.Refresh.GrantCreated = 0, grantCreated(r)
		f := s.families[r.Family]
		var parent *family
		if f == nil && r.ParentID != 0 {
			var err error
			if parent, err = s.minter(r, limits); err != nil {
				return err
			}
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
func (s *Store) minter(r store.Token, limits store.MintLimits) (*family, error) {
	f := s.families[r.ParentID]
	if f == nil || !slices.ContainsFunc(f.members, func(t *token) bool {
		st := t.state.Load()
		return s.ended(t, st) == 0 && instantOf(r.Created) < st.expires && instantOf(r.Expires) <= st.expires
	}) {
		return nil, store.ErrConflict
	}
	root := f.root
	if root == nil {
		root = f
	}
	if f.depth >= min(limits.Depth, store.MaxDepth) || root.liveBelow(instantOf(r.Created), limits.Live) >= limits.Live {
		return nil, store.ErrLimit
	}
	return f, nil
}

// UpdateToken implements [store.Tokens].
func (s *Store) UpdateToken(ctx context.Context, r store.Token, minted store.Minted) error {
	return s.write(ctx, func() error {
		t := s.byID[r.ID]
		if t == nil {
			return store.ErrNotFound
		}
		next := *t.state.Load()
		old := next.digest
		switch {
		case next.revision != r.Revision || s.ended(t, &next) != 0:
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
		if old != r.Digest {
			// While both digests lead to the token, its state says which holds.
			s.byDigest.add(hashOf(r.Digest), t)
		}
		s.change(t, next)
		if t.lapsed { // it may live longer now
			t.family.root.leaveTree(t)
			t.lapsed = false
			t.family.root.below = join(t.family.root.below, t, placeOfMinted)
		}
		if old != r.Digest {
			s.byDigest.remove(hashOf(old), t)
		}
		if minted == store.EndMinted {
			s.cutOff(cutKey{mintedBy: t.family.id}, next.modified)
			s.markOnce()
		}
		return nil
	})
}

// Touch implements [store.Tokens].
func (s *Store) Touch(ctx context.Context, seen []store.Sighting) error {
	return s.read(ctx, func() error { // no state changes
		for _, sighting := range seen {
			t := s.byID[sighting.TokenID]
			if t == nil || s.ended(t, t.state.Load()) != 0 {
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
