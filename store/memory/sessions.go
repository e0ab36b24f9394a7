package memory

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// SessionByDigest implements [store.Sessions].
func (s *Store) SessionByDigest(ctx context.Context, d store.Digest, users store.Users) (store.Session, store.User, error) {
	if err := ctx.Err(); err != nil {
		return store.Session{}, store.User{}, err
	}
	own := users == store.Users(s)
	var found store.Session
	var u *user
	s.mu.RLock()
	session := s.sessions[d]
	if session != nil {
		found = *session
		if own {
			u = s.users[session.UserID]
		}
	}
	s.mu.RUnlock()
	if session == nil {
		return store.Session{}, store.User{}, store.ErrNotFound
	}
	found.Data = bytes.Clone(found.Data)
	if u != nil {
		return found, u.User, nil
	}
	if own {
		return found, store.User{}, nil
	}
	foreign, err := foreignUser(ctx, users, found.UserID)
	return found, foreign, err
}

// putSession publishes a record in place of the one with its digest.
func (s *Store) putSession(session *store.Session) {
	s.sessions[session.Digest] = session
	if s.sessionsByUser[session.UserID] == nil {
		s.sessionsByUser[session.UserID] = make(map[store.Digest]*store.Session, 1)
	}
	s.sessionsByUser[session.UserID][session.Digest] = session
}

// InsertSession implements [store.Sessions].
func (s *Store) InsertSession(ctx context.Context, session store.Session, replaces store.Digest, keep int) (stored store.Session, evicted int, err error) {
	session.Data = bytes.Clone(session.Data)
	for _, at := range []*time.Time{&session.Created, &session.Seen, &session.Expires, &session.Ended} {
		*at = micro(*at)
	}
	err = s.write(ctx, func() error {
		if s.sessions[session.Digest] != nil {
			return store.ErrExists
		}
		if old := s.sessions[replaces]; old != nil {
			s.endOne(old, store.EndedRenewed, session.Created)
		}
		s.lastSession++
		session.ID, session.Revision = s.lastSession, 1
		record := session
		s.putSession(&record)
		if keep > 0 && session.UserID != "" {
			others := s.liveSessions(session.UserID, session.Created, session.ID)
			for _, extra := range others[min(keep-1, len(others)):] {
				s.endOne(extra, store.EndedLimit, session.Created)
				evicted++
			}
		}
		stored = session
		stored.Data = bytes.Clone(session.Data)
		return nil
	})
	return stored, evicted, err
}

// endOne ends a session, unless that has happened.
func (s *Store) endOne(session *store.Session, reason store.EndReason, at time.Time) bool {
	if !session.Ended.IsZero() {
		return false
	}
	next := *session
	next.Ended, next.Reason = at, reason
	s.putSession(&next)
	return true
}

// changeSession publishes a changed copy of a session that is live at the given
// instant, and returns ErrNotFound if there is none.
func (s *Store) changeSession(ctx context.Context, d store.Digest, at time.Time, change func(*store.Session) error) error {
	return s.write(ctx, func() error {
		old := s.sessions[d]
		if old == nil || !live(old.Ended, old.Expires, micro(at)) {
			return store.ErrNotFound
		}
		next := *old
		if err := change(&next); err != nil {
			return err
		}
		s.putSession(&next)
		return nil
	})
}

// SaveSession implements [store.Sessions].
func (s *Store) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	return s.changeSession(ctx, d, at, func(session *store.Session) error {
		if session.Revision != revision {
			return store.ErrConflict
		}
		session.Data = bytes.Clone(data)
		session.Revision++
		return nil
	})
}

// TouchSession implements [store.Sessions].
func (s *Store) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time) error {
	err := s.changeSession(ctx, d, at, func(session *store.Session) error {
		if expires := micro(expires); expires.After(session.Expires) {
			session.Expires, session.Seen = expires, micro(at)
		}
		return nil
	})
	if err == store.ErrNotFound {
		return nil
	}
	return err
}

// EndSessions implements [store.Sessions].
func (s *Store) EndSessions(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		n = s.end(sel, reason, micro(at))
		return nil
	})
	return n, err
}

func (s *Store) end(sel store.SessionSelection, reason store.EndReason, at time.Time) (n int) {
	var none store.Digest
	candidates := s.sessions
	switch {
	case sel.Digest != none:
		candidates = map[store.Digest]*store.Session{}
		if found := s.sessions[sel.Digest]; found != nil {
			candidates[sel.Digest] = found
		}
	case sel.UserID != "":
		candidates = s.sessionsByUser[sel.UserID]
	case sel.ID == 0 && !sel.All:
		return 0
	}
	for d, session := range candidates {
		if d != sel.Except && (sel.ID == 0 || session.ID == sel.ID) && (sel.UserID == "" || session.UserID == sel.UserID) &&
			s.endOne(session, reason, at) {
			n++
		}
	}
	return n
}

// ListSessions implements [store.Sessions].
func (s *Store) ListSessions(ctx context.Context, userID string, at time.Time) (list []store.Session, err error) {
	err = s.read(ctx, func() error {
		for _, session := range s.liveSessions(userID, micro(at), 0) {
			shown := *session
			shown.Digest, shown.Data = store.Digest{}, nil
			list = append(list, shown)
		}
		return nil
	})
	return list, err
}

// liveSessions returns the sessions of a user that are live, newest first,
// without the one that has the ID except.
func (s *Store) liveSessions(userID string, at time.Time, except int64) []*store.Session {
	var list []*store.Session
	for _, session := range s.sessionsByUser[userID] {
		if live(session.Ended, session.Expires, at) && session.ID != except {
			list = append(list, session)
		}
	}
	slices.SortFunc(list, func(a, b *store.Session) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(b.ID, a.ID))
	})
	return list
}

// PurgeSessions implements [store.Sessions].
func (s *Store) PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (n int, err error) {
	before := micro(endedBefore)
	err = s.write(ctx, func() error {
		for d, session := range s.sessions {
			ended := session.Expires
			if !session.Ended.IsZero() {
				ended = session.Ended
			}
			if n < max && ended.Before(before) {
				delete(s.sessions, d)
				delete(s.sessionsByUser[session.UserID], d)
				if len(s.sessionsByUser[session.UserID]) == 0 {
					delete(s.sessionsByUser, session.UserID)
				}
				n++
			}
		}
		return nil
	})
	return n, err
}
