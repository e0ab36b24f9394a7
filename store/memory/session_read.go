package memory

import (
	"context"

	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// noUser is the user of a session or a token without one. It is never changed.
var noUser store.User

// ReadSession is [Store.SessionByDigest] for package auth alone. It writes its answer
// into r, which must be zero, and copies nothing that a request does not need. It returns
// the user, which must not be changed and is zero if there is none. A user of the host
// is put in room. ReadSession reads Data if known returns false for the ID and the
// Revision of the session, at the same instant as the rest. It may call known more than
// once. If it returns an error, such as [store.ErrNotFound], r says nothing.
func (s *Store) ReadSession(ctx context.Context, d *store.Digest, r *stores.SessionRow, room *store.User, known func(id, revision int64) bool) (_ *store.User, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	step, quiet := s.quiet()
	var of *store.User
	if quiet {
		of = s.sessionRow(d, r, known)
	}
	if !quiet || !s.undisturbed(step) {
		*r = stores.SessionRow{}
		s.mu.RLock()
		of = s.sessionRow(d, r, known)
		s.mu.RUnlock()
	}
	if of == nil {
		return nil, store.ErrNotFound
	}
	if s.users != nil {
		*room, err = s.hostUser(ctx, r.UserID)
		return room, err
	}
	return of, nil
}

// sessionRow reads a session into r, which must be zero. It returns its user, or a zero
// one if that is not the store's own, or nil without a session.
func (s *Store) sessionRow(d *store.Digest, r *stores.SessionRow, known func(id, revision int64) bool) *store.User {
	x, at := s.sessionAt(d)
	if x == nil {
		return nil
	}
	owner := s.accounts.get(ref(x.owner.Load()))
	if owner == nil { // a reader without a lock will look again
		return nil
	}
	// One by one: a literal would be built elsewhere and copied.
	r.ID, r.UserID, r.Epoch, r.Revision = x.id.Load(), owner.id, x.epoch.Load(), x.revision.Load()
	r.Created, r.Expires = instant(x.created.Load()).unix(), instant(x.expires.Load()).unix()
	r.Ended, r.Reason = x.ended.Load() != 0, store.EndReason(s.texts.of(ref(x.reason.Load())))
	r.Place = uint32(at)
	if r.Read = !known(r.ID, r.Revision); r.Read {
		r.Data = s.dataOf(x)
	}
	if u := owner.user.Load(); u != nil && s.users == nil {
		return &u.User // which is never changed
	}
	return &noUser
}

// SessionData returns the Data of the session with that ID, which [Store.ReadSession]
// has found at that place, and its Revision at the same instant. It is for package auth
// alone. The caller owns the data. They are nil, and the revision is 0, if the session
// was purged in the meantime.
func (s *Store) SessionData(place uint32, id int64) (data []byte, revision int64) {
	s.look(func() {
		data, revision = nil, 0
		if x := s.sessionSlab.at(ref(place)); x != nil && x.id.Load() == id {
			data, revision = s.dataOf(x), x.revision.Load()
		}
	})
	return data, revision
}

// SessionRevision is [Store.SessionData] without the data.
func (s *Store) SessionRevision(place uint32, id int64) (revision int64) {
	step, quiet := s.quiet()
	if quiet {
		revision = s.revisionOf(ref(place), id)
	}
	if !quiet || !s.undisturbed(step) {
		s.mu.RLock()
		revision = s.revisionOf(ref(place), id)
		s.mu.RUnlock()
	}
	return revision
}

// revisionOf returns the revision of a session at a place, or 0 if it is not there.
func (s *Store) revisionOf(at ref, id int64) int64 {
	if x := s.sessionSlab.at(at); x != nil && x.id.Load() == id {
		return x.revision.Load()
	}
	return 0
}
