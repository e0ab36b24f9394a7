package memory

import (
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// EndSessions implements [store.Sessions].
func (s *Store) EndSessions(ctx context.Context, sel store.SessionSelection, reason store.EndReason, at time.Time) (n int, err error) {
	err = s.write(ctx, func() error {
		n = s.end(sel, reason, instantOf(at))
		return nil
	})
	return n, err
}

func (s *Store) end(sel store.SessionSelection, reason store.EndReason, at instant) (n int) {
	var none store.Digest
	var list []*session
	switch {
	case sel.Digest != none:
		list = append(list, s.session(sel.Digest))
	case sel.ID != 0:
		list = append(list, s.sessionSlab.at(s.sessionByID.find(sel.ID)))
	case sel.UserID != "":
		list = s.sessionsOf(sel.UserID)
	case sel.All:
		list = append(slices.Collect(s.logins.all(false)), s.sessionsOf("")...)
	}
	for _, x := range list {
		if x != nil && (sel.ID == 0 || x.id.Load() == sel.ID) && (sel.UserID == "" || s.ownerOfSession(x).id == sel.UserID) &&
			(sel.Except == none || !x.isDigest(&sel.Except)) && s.endOne(x, reason, at) {
			n++
		}
	}
	return n
}

// sessionsOf returns the sessions of a user that have not ended, or those without a
// login.
func (s *Store) sessionsOf(userID string) (list []*session) {
	if a := s.account(userID); a != nil {
		for r := a.newest; r != 0; {
			x := s.sessionSlab.locked(r)
			list = append(list, x)
			r = x.older
		}
	}
	return list
}

// liveSessions returns the sessions of a user that are live, newest first.
func (s *Store) liveSessions(userID string, at instant) []*session {
	list := slices.DeleteFunc(s.sessionsOf(userID), func(x *session) bool { return !x.live(at) })
	slices.SortFunc(list, func(a, b *session) int { return sessionsByCreated(b, a) })
	return list
}

// ListSessions implements [store.Sessions].
func (s *Store) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	order := sessionsByID
	if f.UserID != "" {
		order = sessionsByCreated
	}
	err = s.read(ctx, func() error {
		l := newLister(p, order)
		l.take(s.sessionsFor(f, p), func(x *session) bool {
			id := s.ownerOfSession(x).id
			return id != "" && (f.UserID == "" || id == f.UserID) && x.live(instantOf(at)) &&
				(f.Epoch == nil || x.epoch.Load() == *f.Epoch) && (f.Before.IsZero() || x.created.Load() < int64(instantOf(f.Before)))
		})
		list = shown(l.page(), func(x *session) (r store.Session) {
			s.fillSession(x, s.ownerOfSession(x), &r)
			return r
		})
		total = l.total
		return nil
	})
	return list, total, err
}

// sessionsFor returns the shortest list in which all sessions are that f can name.
func (s *Store) sessionsFor(f store.SessionFilter, p store.Page) source[*session] {
	var list []*session
	switch {
	case f.UserID == "" && !f.All:
	case f.ID != 0:
		if x := s.sessionSlab.at(s.sessionByID.find(f.ID)); x != nil {
			list = append(list, x)
		}
	case f.UserID != "":
		list = s.sessionsOf(f.UserID)
	default:
		return source[*session]{records: s.logins.all(p.Descending), ordered: true}
	}
	return source[*session]{records: slices.Values(list), few: true}
}

// PurgeSessions implements [store.Sessions].
func (s *Store) PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (n int, err error) {
	err = s.write(ctx, func() error {
		for ; n < max; n++ {
			x := s.sessionsEnd.first()
			if x == nil || x.ends() >= instantOf(endedBefore) {
				break
			}
			s.dropSession(x)
		}
		return nil
	})
	return n, err
}
