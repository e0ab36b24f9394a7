package storetest_test

import (
	"context"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
)

type forgetsAgents struct{ right }

func (m forgetsAgents) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	agent := s.Agent
	s.Agent = ""
	stored, n, err := m.Store.InsertSession(ctx, s, replaces, keep)
	stored.Agent = agent
	return stored, n, err
}

type forgetsAddresses struct {
	right
	gone map[store.Digest]bool
}

func (m forgetsAddresses) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	m.gone[d] = !from.IsValid()
	return m.Store.TouchSession(ctx, d, expires, at, from)
}

func (m forgetsAddresses) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	s, u, err := m.right.SessionByDigest(ctx, d)
	if m.gone[d] {
		s.Address = netip.Addr{}
	}
	return s, u, err
}

type movesDead struct {
	right
	seen map[store.Digest]netip.Addr
}

func (m movesDead) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	m.seen[d] = from
	return m.Store.TouchSession(ctx, d, expires, at, from)
}

func (m movesDead) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	s, u, err := m.right.SessionByDigest(ctx, d)
	if addr, ok := m.seen[d]; ok {
		s.Address = addr
	}
	return s, u, err
}

type countsPage struct{ right }

func (m countsPage) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	list, _, err = m.Store.ListSessions(ctx, f, at, p)
	return list, len(list), err
}

type noOffset struct{ right }

func (m noOffset) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	p.Offset = 0
	return m.Store.ListSessions(ctx, f, at, p)
}

type alwaysNewest struct{ right }

func (m alwaysNewest) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	p.Descending = true
	return m.Store.ListSessions(ctx, f, at, p)
}

type allEpochs struct{ right }

func (m allEpochs) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	f.Epoch = nil
	return m.Store.ListSessions(ctx, f, at, p)
}

// anyOfID lists a session for whoever knows its ID.
type anyOfID struct {
	right
	owners map[int64]string
}

func (m anyOfID) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	stored, n, err := m.Store.InsertSession(ctx, s, replaces, keep)
	m.owners[stored.ID] = stored.UserID
	return stored, n, err
}

func (m anyOfID) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	if f.ID != 0 {
		f.UserID = m.owners[f.ID]
	}
	return m.Store.ListSessions(ctx, f, at, p)
}

// listsAnonymous counts a session without a login among those of all users.
type listsAnonymous struct {
	right
	anonymous map[int64]store.Session
}

func (m listsAnonymous) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	stored, n, err := m.Store.InsertSession(ctx, s, replaces, keep)
	if s.UserID == "" {
		m.anonymous[stored.ID] = stored
	}
	return stored, n, err
}

func (m listsAnonymous) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	if s, ok := m.anonymous[f.ID]; ok && f.All {
		return []store.Session{s}, 1, nil
	}
	return m.Store.ListSessions(ctx, f, at, p)
}

// noFilterIsAll lists the sessions of all users for a filter that was forgotten.
type noFilterIsAll struct{ right }

func (m noFilterIsAll) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	f.All = f.All || f.UserID == ""
	return m.Store.ListSessions(ctx, f, at, p)
}

type allOfAUser struct{ right }

func (m allOfAUser) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	if f.All {
		f.UserID = ""
	}
	return m.Store.ListSessions(ctx, f, at, p)
}

type listsTheYoung struct{ right }

func (m listsTheYoung) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	f.Before = time.Time{}
	return m.Store.ListSessions(ctx, f, at, p)
}

// endsOneByOne looks for the sessions first and leaves out those that another
// call is just ending.
type endsOneByOne struct{ right }

func (m endsOneByOne) EndSessions(ctx context.Context, s store.SessionSelection, reason store.EndReason, at time.Time) (n int, err error) {
	if s.Except == (store.Digest{}) {
		return m.Store.EndSessions(ctx, s, reason, at)
	}
	list, _, err := m.ListSessions(ctx, store.SessionFilter{UserID: s.UserID}, at, store.Page{Limit: 1})
	for _, x := range list {
		gap()
		s.ID = x.ID
		n, err = m.Store.EndSessions(ctx, s, reason, at)
	}
	return n, err
}
