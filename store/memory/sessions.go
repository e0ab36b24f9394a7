package memory

import (
	"cmp"
	"context"
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/store"
)

// A session is a login session. It has no pointers: see [slab]. What a check reads is
// written by atomic functions, and Store.mu guards the rest. A check of every request
// reads what stands first, up to owner, so that it touches few cache lines.
type session struct {
	digest
	id, epoch, revision, created, expires, ended atomic.Int64

	reason atomic.Uint32 // of tokens.texts
	owner  atomic.Uint32 // of accounts

	data    atomic.Uint32 // of sessions.data
	size    atomic.Uint32 // of data
	seen    atomic.Int64
	address [2]atomic.Uint64
	form    atomic.Uint32 // of address
	zone    atomic.Uint32 // of address; this and agent of tokens.texts
	agent   atomic.Uint32

	self         ref
	older, newer ref // of the same owner, if it has not ended
}

// The forms of addresses.
const (
	noAddress = iota
	address4
	address6
)

type sessions struct {
	sessionSlab     slab[session]
	data            blobs
	sessionByDigest *index
	sessionByID     ids
	logins          sorted[session] // by ID; those of users that have not ended
	sessionsEnd     sorted[session] // all, by when they end
	lastSession     int64
}

// setSessions makes the sessions of a new store, whose lists point into it.
func (s *Store) setSessions() {
	ss := &s.sessions
	ss.sessionByDigest, ss.sessionByID = newIndex(), newIDs()
	sorted := func(compare func(a, b *session) int) sorted[session] {
		return sorted[session]{ordering: &ordering[session]{
			get: ss.sessionSlab.locked, self: func(x *session) ref { return x.self }, compare: compare,
		}}
	}
	ss.logins = sorted(sessionsByID)
	ss.sessionsEnd = sorted(func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.ends(), b.ends()), sessionsByID(a, b))
	})
}

func sessionsByID(a, b *session) int { return cmp.Compare(a.id.Load(), b.id.Load()) }

func sessionsByCreated(a, b *session) int {
	return cmp.Or(cmp.Compare(a.created.Load(), b.created.Load()), sessionsByID(a, b))
}

// session returns the session with digest d, or nil.
func (ss *sessions) session(d store.Digest) *session {
	x, _ := ss.sessionAt(&d)
	return x
}

// sessionAt returns the session with digest d, or nil, and its place.
func (ss *sessions) sessionAt(d *store.Digest) (*session, ref) {
	for r := range ss.sessionByDigest.with(hash32(d)) {
		if x := ss.sessionSlab.at(r); x != nil && x.isDigest(d) {
			return x, r
		}
	}
	return nil, 0
}

// changeSession changes by f when a session ends, and keeps the list in order.
func (ss *sessions) changeSession(x *session, f func()) {
	ss.sessionsEnd.remove(x)
	f()
	ss.sessionsEnd.add(x)
}

// ends returns when the session ended or expired, whichever came first.
func (x *session) ends() instant {
	expires := instant(x.expires.Load())
	if ended := instant(x.ended.Load()); ended != 0 {
		return min(ended, expires)
	}
	return expires
}

// live reports whether the session is alive.
func (x *session) live(at instant) bool {
	return live(instant(x.ended.Load()), instant(x.expires.Load()), at)
}

// setData replaces the data of a session.
func (ss *sessions) setData(x *session, data []byte) {
	ss.data.drop(ref(x.data.Load()), int(x.size.Load()))
	x.data.Store(uint32(ss.data.put(data)))
	x.size.Store(uint32(len(data)))
}

// setAddress replaces the address of a session.
func (s *Store) setAddress(x *session, addr netip.Addr) {
	form := uint32(noAddress)
	switch {
	case addr.Is4():
		form = address4
	case addr.IsValid():
		form = address6
	}
	b := addr.As16()
	for i := range x.address {
		x.address[i].Store(binary.BigEndian.Uint64(b[8*i:]))
	}
	x.form.Store(form)
	x.zone.Store(uint32(s.texts.replace(ref(x.zone.Load()), addr.Zone())))
}

func (s *Store) addressOf(x *session) netip.Addr {
	form := x.form.Load()
	if form == noAddress {
		return netip.Addr{}
	}
	var b [16]byte
	for i := range x.address {
		binary.BigEndian.PutUint64(b[8*i:], x.address[i].Load())
	}
	addr := netip.AddrFrom16(b)
	if form == address4 {
		return addr.Unmap()
	}
	return addr.WithZone(s.texts.of(ref(x.zone.Load())))
}

// fillSession sets r to the session of an owner as the contract has it, but for Digest
// and Data.
func (s *Store) fillSession(x *session, owner *account, r *store.Session) {
	r.ID, r.UserID, r.Epoch, r.Revision = x.id.Load(), owner.id, x.epoch.Load(), x.revision.Load()
	r.Address, r.Agent = s.addressOf(x), s.texts.of(ref(x.agent.Load()))
	r.Reason = store.EndReason(s.texts.of(ref(x.reason.Load())))
	r.Created, r.Seen = instant(x.created.Load()).time(), instant(x.seen.Load()).time()
	r.Expires, r.Ended = instant(x.expires.Load()).time(), instant(x.ended.Load()).time()
}

// fillData sets the rest of r.
func (s *Store) fillData(x *session, r *store.Session) {
	r.Digest, r.Data = x.getDigest(), s.dataOf(x)
}

// dataOf returns a copy of the data of a session, nil for none.
func (s *Store) dataOf(x *session) []byte {
	n := x.size.Load()
	if n == 0 {
		return nil
	}
	return s.data.read(ref(x.data.Load()), int(n))
}

// SessionByDigest implements [store.Sessions].
func (s *Store) SessionByDigest(ctx context.Context, d store.Digest) (r store.Session, of store.User, err error) {
	if err := ctx.Err(); err != nil {
		return r, of, err
	}
	found := false
	s.look(func() {
		r, of = store.Session{}, store.User{}
		found = s.sessionAndUser(d, &r, &of)
	})
	switch {
	case !found:
		return r, of, store.ErrNotFound
	case s.users != nil:
		of, err = s.hostUser(ctx, r.UserID)
	}
	return r, of, err
}

// sessionAndUser reads a session, with its user if that is the store's own.
func (s *Store) sessionAndUser(d store.Digest, r *store.Session, of *store.User) bool {
	x := s.session(d)
	if x == nil {
		return false
	}
	owner := s.accounts.get(ref(x.owner.Load()))
	if owner == nil { // a reader without a lock will look again
		return false
	}
	s.fillSession(x, owner, r)
	s.fillData(x, r)
	if u := owner.user.Load(); u != nil && s.users == nil {
		*of = u.User
	}
	return true
}

// ownerOfSession returns the account of a session. Store.mu is held.
func (s *Store) ownerOfSession(x *session) *account { return s.accounts.get(ref(x.owner.Load())) }

// InsertSession implements [store.Sessions].
func (s *Store) InsertSession(ctx context.Context, r store.Session, replaces store.Digest, keep int) (stored store.Session, evicted int, err error) {
	err = s.write(ctx, func() error {
		switch {
		case s.session(r.Digest) != nil:
			return store.ErrExists
		case !s.sessionSlab.hasRoom(1) || !s.data.hasRoom(len(r.Data)) || !s.texts.hasRoom(3+2) || !s.accounts.hasRoom(1):
			return errFull // 3 of r, 2 of those that end
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
		x := s.insertSession(r)
		s.fillSession(x, s.ownerOfSession(x), &stored)
		s.fillData(x, &stored)
		return nil
	})
	return stored, evicted, err
}

func (s *Store) insertSession(r store.Session) *session {
	s.lastSession++
	owner := s.openAccount(r.UserID)
	owner.logins++
	self, x := s.sessionSlab.take()
	x.self = self
	x.setDigest(r.Digest)
	x.id.Store(s.lastSession)
	x.epoch.Store(r.Epoch)
	x.revision.Store(1)
	x.created.Store(int64(instantOf(r.Created)))
	x.seen.Store(int64(instantOf(r.Seen)))
	x.expires.Store(int64(instantOf(r.Expires)))
	x.ended.Store(int64(instantOf(r.Ended)))
	x.owner.Store(uint32(owner.self))
	x.agent.Store(uint32(s.texts.hold(r.Agent)))
	x.reason.Store(uint32(s.texts.hold(string(r.Reason))))
	x.zone.Store(0)
	s.setAddress(x, r.Address)
	x.data.Store(0)
	x.size.Store(0)
	s.setData(x, r.Data)
	x.older, x.newer = 0, 0
	if x.ended.Load() == 0 {
		s.joinOwner(x, owner)
	}
	s.sessionByID.add(s.lastSession, self)
	s.sessionsEnd.add(x)
	s.sessionByDigest.add(hash32(&r.Digest), self)
	return x
}

// joinOwner puts a session on the lists of those that have not ended.
func (s *Store) joinOwner(x *session, owner *account) {
	if x.older = owner.newest; x.older != 0 {
		s.sessionSlab.locked(x.older).newer = x.self
	}
	owner.newest = x.self
	if owner.id != "" {
		s.logins.add(x)
	}
}

// leaveOwner takes a session off the lists of those that have not ended.
func (s *Store) leaveOwner(x *session) {
	owner := s.ownerOfSession(x)
	if x.newer != 0 {
		s.sessionSlab.locked(x.newer).older = x.older
	} else {
		owner.newest = x.older
	}
	if x.older != 0 {
		s.sessionSlab.locked(x.older).newer = x.newer
	}
	s.logins.remove(x)
}

// dropSession forgets a session.
func (s *Store) dropSession(x *session) {
	if x.ended.Load() == 0 {
		s.leaveOwner(x)
	}
	s.sessionByDigest.remove(hash32(new(x.getDigest())), x.self)
	s.sessionByID.remove(x.id.Load())
	s.sessionsEnd.remove(x)
	s.data.drop(ref(x.data.Load()), int(x.size.Load()))
	for _, text := range []*atomic.Uint32{&x.zone, &x.agent, &x.reason} {
		s.texts.release(ref(text.Load()))
	}
	owner := s.ownerOfSession(x)
	owner.logins--
	s.closeAccount(owner)
	x.id.Store(0) // its data is gone, see SessionData
	s.sessionSlab.drop(x.self)
}

// endOne ends a session, unless that has happened.
func (s *Store) endOne(x *session, reason store.EndReason, at instant) bool {
	if x.ended.Load() != 0 {
		return false
	}
	s.leaveOwner(x)
	s.changeSession(x, func() { x.ended.Store(int64(at.end())) })
	if s.texts.hasRoom(1) { // it ends, with or without a reason
		x.reason.Store(uint32(s.texts.replace(ref(x.reason.Load()), string(reason))))
	}
	return true
}

// SaveSession implements [store.Sessions].
func (s *Store) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	return s.write(ctx, func() error {
		x := s.session(d)
		if x == nil {
			return store.ErrNotFound
		}
		switch {
		case !x.live(instantOf(at)):
			return store.ErrNotFound
		case x.revision.Load() != revision:
			return store.ErrConflict
		case !s.data.hasRoom(len(data)):
			return errFull
		}
		s.setData(x, data)
		x.revision.Add(1)
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
		to := instantOf(expires)
		if !x.live(instantOf(at)) || to <= instant(x.expires.Load()) {
			return nil
		}
		if from.IsValid() && s.texts.hasRoom(1) {
			s.setAddress(x, from)
		}
		x.seen.Store(int64(instantOf(at)))
		s.changeSession(x, func() { x.expires.Store(int64(to)) })
		return nil
	})
}
