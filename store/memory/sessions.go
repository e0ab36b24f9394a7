package memory

import (
	"bytes"
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store"
)

// A session is a login session. Constant fields are in the session itself.
// Fields that a check must see at one instant are in its state.
type session struct {
	id      int64
	digest  store.Digest
	owner   *account
	epoch   int64
	created instant
	agent   string

	state atomic.Pointer[sessionState]

	placeOfOwner, placeInQueue int32 // guarded by Store.mu
}

// A sessionState is never changed: a change of the session has a new one.
type sessionState struct {
	data    []byte
	address netip.Addr

	seen, expires, ended instant

	reason   store.EndReason
	revision int64
}

type sessions struct {
	sessionByDigest *table[session]
	sessionByID     map[int64]*session
	sessionsInOrder ranked[session] // by ID
	sessionsEnd     queue[session]
	lastSession     int64
}

func newSessions() sessions {
	return sessions{
		sessionByDigest: newTable[session](),
		sessionByID:     make(map[int64]*session),
		sessionsInOrder: ranked[session]{order: func(a, b *session) int { return cmp.Compare(a.id, b.id) }},
		sessionsEnd:     queue[session]{place: func(x *session) *int32 { return &x.placeInQueue }},
	}
}

func placeOfSession(x *session) *int32 { return &x.placeOfOwner }

// session returns the session with digest d, or nil.
func (ss *sessions) session(d store.Digest) *session {
	return ss.sessionByDigest.find(hashOf(d), func(x *session) bool { return x.digest == d })
}

// changeSession publishes a new state of a session.
func (ss *sessions) changeSession(x *session, next sessionState) {
	x.state.Store(&next)
	ss.sessionsEnd.move(x, next.ends())
}

// ends returns when the session ended or expired, whichever came first.
func (st *sessionState) ends() instant {
	if st.ended != 0 {
		return min(st.ended, st.expires)
	}
	return st.expires
}

// record returns the session with that state as the contract has it.
func (x *session) record(st *sessionState) (r store.Session) {
	x.fill(&r, st)
	return r
}

// fill sets r to the session with that state. It is record without copies of a large
// record.
func (x *session) fill(r *store.Session, st *sessionState) {
	r.ID, r.Digest, r.UserID, r.Epoch, r.Agent = x.id, x.digest, x.owner.id, x.epoch, x.agent
	if st.data != nil {
		r.Data = make([]byte, len(st.data)) // cheaper than bytes.Clone
		copy(r.Data, st.data)
	}
	r.Address, r.Reason, r.Revision = st.address, st.reason, st.revision
	r.Created, r.Seen, r.Expires, r.Ended = x.created.time(), st.seen.time(), st.expires.time(), st.ended.time()
}

// SessionByDigest implements [store.Sessions].
func (s *Store) SessionByDigest(ctx context.Context, d store.Digest) (r store.Session, of store.User, err error) {
	if err := ctx.Err(); err != nil {
		return r, of, err
	}
	x, st, u := s.sessionAndUser(d)
	if x == nil {
		return r, of, store.ErrNotFound
	}
	x.fill(&r, st)
	switch {
	case s.users != nil:
		of, err = s.hostUser(ctx, r.UserID)
	case u != nil:
		of = u.User
	}
	return r, of, err
}

// sessionAndUser returns a session, its state and its user as they were at one
// instant.
func (s *Store) sessionAndUser(d store.Digest) (x *session, st *sessionState, u *user) {
	look := func() {
		if x = s.session(d); x != nil {
			st, u = x.state.Load(), x.owner.user.Load()
		}
	}
	if step, quiet := s.quiet(); quiet {
		if look(); s.undisturbed(step) {
			return x, st, u
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	look()
	return x, st, u
}

// InsertSession implements [store.Sessions].
func (s *Store) InsertSession(ctx context.Context, r store.Session, replaces store.Digest, keep int) (stored store.Session, evicted int, err error) {
	err = s.write(ctx, func() error {
		if s.session(r.Digest) != nil {
			return store.ErrExists
		}
		created := instantOf(r.Created)
		if old := s.session(replaces); old != nil && replaces != (store.Digest{}) {
			s.endOne(old, store.EndedRenewed, created)
		}
		if keep > 0 && r.UserID != "" {
			others := s.liveSessions(r.UserID, created)
			for _, extra := range others[min(keep-1, len(others)):] {
				s.endOne(extra, store.EndedLimit, created)
				evicted++
			}
		}
		s.lastSession++
		x := &session{
			id:      s.lastSession,
			digest:  r.Digest,
			owner:   s.openAccount(r.UserID),
			epoch:   r.Epoch,
			created: created,
			agent:   strings.Clone(r.Agent),
		}
		st := &sessionState{
			data:     bytes.Clone(r.Data),
			address:  r.Address,
			seen:     instantOf(r.Seen),
			expires:  instantOf(r.Expires),
			ended:    instantOf(r.Ended),
			reason:   r.Reason,
			revision: 1,
		}
		x.state.Store(st)
		s.sessionByID[x.id] = x
		s.sessionsInOrder.add(x)
		x.owner.sessions = join(x.owner.sessions, x, placeOfSession)
		s.sessionsEnd.add(x, st.ends())
		s.sessionByDigest.add(hashOf(x.digest), x) // last: from here on it is found
		stored = x.record(st)
		return nil
	})
	return stored, evicted, err
}

// dropSession forgets a session.
func (s *Store) dropSession(x *session) {
	s.sessionByDigest.remove(hashOf(x.digest), x)
	delete(s.sessionByID, x.id)
	s.sessionsInOrder.remove(x)
	x.owner.sessions = leave(x.owner.sessions, x, placeOfSession)
	s.closeAccount(x.owner)
	s.sessionsEnd.remove(x)
}

// endOne ends a session, unless that has happened.
func (s *Store) endOne(x *session, reason store.EndReason, at instant) bool {
	next := *x.state.Load()
	if next.ended != 0 {
		return false
	}
	next.ended, next.reason = at, reason
	s.changeSession(x, next)
	return true
}

// SaveSession implements [store.Sessions].
func (s *Store) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	return s.write(ctx, func() error {
		x := s.session(d)
		if x == nil {
			return store.ErrNotFound
		}
		next := *x.state.Load()
		switch {
		case !live(next.ended, next.expires, instantOf(at)):
			return store.ErrNotFound
		case next.revision != revision:
			return store.ErrConflict
		}
		next.data = bytes.Clone(data)
		next.revision++
		s.changeSession(x, next)
		return nil
	})
}

// TouchSession implements [store.Sessions].
func (s *Store) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	return s.write(ctx, func() error {
		x := s.session(d)
		if x == nil {
			return nil // purged, so it has ended
		}
		next := *x.state.Load()
		if to := instantOf(expires); live(next.ended, next.expires, instantOf(at)) && to > next.expires {
			next.expires, next.seen = to, instantOf(at)
			if from.IsValid() {
				next.address = from
			}
			s.changeSession(x, next)
		}
		return nil
	})
}

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
		list = append(list, s.sessionByID[sel.ID])
	case sel.UserID != "":
		if a := s.account(sel.UserID); a != nil {
			list = a.sessions
		}
	case sel.All:
		list = slices.Collect(s.sessionByDigest.all())
	}
	for _, x := range list {
		if x != nil && (sel.ID == 0 || x.id == sel.ID) && (sel.UserID == "" || x.owner.id == sel.UserID) &&
			(sel.Except == none || x.digest != sel.Except) && s.endOne(x, reason, at) {
			n++
		}
	}
	return n
}

// ListSessions implements [store.Sessions].
func (s *Store) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	order := sessionOrder
	if f.UserID == "" {
		order = s.sessionsInOrder.order
	}
	l := newLister(p, order)
	now, before := instantOf(at), instantOf(f.Before)
	err = s.read(ctx, func() error {
		l.take(s.sessionsFor(f, p), func(x *session) bool {
			st := x.state.Load()
			return live(st.ended, st.expires, now) && x.owner.id != "" && (f.ID == 0 || x.id == f.ID) &&
				(f.Epoch == nil || x.epoch == *f.Epoch) && (before == 0 || x.created < before)
		})
		for _, x := range l.page() {
			shown := *x.state.Load()
			shown.data = nil
			r := x.record(&shown)
			r.Digest = store.Digest{}
			list = append(list, r)
		}
		return nil
	})
	return list, l.total, err
}

// sessionsFor returns the shortest list in which all sessions are that f can name.
func (s *Store) sessionsFor(f store.SessionFilter, p store.Page) source[*session] {
	switch a := s.account(f.UserID); {
	case f.UserID != "" && a != nil:
		return source[*session]{records: slices.Values(a.sessions)}
	case f.UserID == "" && f.All:
		return source[*session]{records: s.sessionsInOrder.all(p.Descending), ordered: true}
	}
	return source[*session]{records: func(func(*session) bool) {}}
}

// sessionOrder is the order of the sessions of a user.
func sessionOrder(a, b *session) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.id, b.id))
}

// liveSessions returns the sessions of a user that are live, newest first.
func (s *Store) liveSessions(userID string, at instant) (list []*session) {
	a := s.account(userID)
	if a == nil {
		return nil
	}
	for _, x := range a.sessions {
		if st := x.state.Load(); live(st.ended, st.expires, at) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(a, b *session) int { return sessionOrder(b, a) })
	return list
}

// PurgeSessions implements [store.Sessions].
func (s *Store) PurgeSessions(ctx context.Context, endedBefore time.Time, max int) (n int, err error) {
	err = s.write(ctx, func() error {
		n = s.sessionsEnd.purge(instantOf(endedBefore), max, s.dropSession)
		return nil
	})
	return n, err
}
