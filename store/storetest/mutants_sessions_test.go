package storetest_test

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var sessionMutants = []mutant{
	{"shares data", "Sessions/records share no memory", func(r right) storetest.Store { return sharesData{r, map[store.Digest][]byte{}} }},
	{"forgets the session that is replaced", "Sessions/a login replaces the session it came with", func(r right) storetest.Store { return forgetsReplaced{r} }},
	{"a login needs its old session", "Sessions/a login replaces the session it came with", func(r right) storetest.Store { return needsOld{r} }},
	{"replaces before it inserts", "Sessions/a taken digest is ErrExists and changes nothing", func(r right) storetest.Store { return replacesFirst{r} }},
	{"saves over tombstones", "Sessions/SaveSession never revives a session", func(r right) storetest.Store { return savesDead{r} }},
	{"last save wins", "Sessions/a stale revision is ErrConflict and changes nothing", func(r right) storetest.Store { return lastSaveWins{r} }},
	{"reads, then saves", "Sessions/of 64 saves of one revision one succeeds", func(r right) storetest.Store { return readsThenSaves{r} }},
	{"touches tombstones", "Sessions/TouchSession never revives a session", func(r right) storetest.Store { return touchesDead{r, map[store.Digest]time.Time{}} }},
	{"a touch is a save", "Sessions/SaveSession replaces the data and nothing else", func(r right) storetest.Store { return touchSaves{r} }},
	{"lists secrets", "Sessions/ListSessions lists live sessions, newest first", func(r right) storetest.Store { return listsDigests{r} }},
	{"lists the expired", "Sessions/ListSessions lists live sessions, newest first", func(r right) storetest.Store { return listsExpired{r} }},
	{"forgets the browser", "SessionLists/where and by which browser", func(r right) storetest.Store { return forgetsAgents{r} }},
	{"forgets the address where it is not known", "SessionLists/where and by which browser", func(r right) storetest.Store { return forgetsAddresses{r, map[store.Digest]bool{}} }},
	{"moves tombstones", "SessionLists/a session that ended or expired stays where it was", func(r right) storetest.Store { return movesDead{r, map[store.Digest]netip.Addr{}} }},
	{"counts the page", "SessionLists/a list comes in pages", func(r right) storetest.Store { return countsPage{r} }},
	{"always begins at the beginning", "SessionLists/a list comes in pages", func(r right) storetest.Store { return noOffset{r} }},
	{"always the newest first", "SessionLists/a list comes in pages", func(r right) storetest.Store { return alwaysNewest{r} }},
	{"lists all epochs", "SessionLists/filters are combined with and", func(r right) storetest.Store { return allEpochs{r} }},
	{"lists by ID alone", "SessionLists/filters are combined with and", func(r right) storetest.Store { return anyOfID{r, map[int64]string{}} }},
	{"lists sessions without a login", "SessionLists/the sessions of all users by ID", func(r right) storetest.Store { return listsAnonymous{r, map[int64]store.Session{}} }},
	{"lists all for nothing", "SessionLists/filters are combined with and", func(r right) storetest.Store { return noFilterIsAll{r} }},
	{"All beats UserID", "SessionLists/the sessions of all users by ID", func(r right) storetest.Store { return allOfAUser{r} }},
	{"ignores Before", "SessionLists/the sessions of all users by ID", func(r right) storetest.Store { return listsTheYoung{r} }},
	{"ends others one by one", "SessionLists/no order of saves, touches and an end of others leaves one of them", func(r right) storetest.Store { return endsOneByOne{r} }},
	{"counts, then inserts", "SessionLimit/64 parallel logins leave exactly keep", func(r right) storetest.Store { return countsThenInserts{r} }},
	{"one more than keep", "SessionLimit/the oldest sessions make room", func(r right) storetest.Store { return oneMore{r} }},
	{"ends a step and no more", "SessionLimit/a limit that was lowered ends all that are too many", func(r right) storetest.Store { return endsAStep{r} }},
	{"the replaced session counts", "SessionLimit/the session that is replaced does not count", func(r right) storetest.Store { return replacedCounts{r} }},
	{"an exception is everything", "EndSessions/nothing set selects nothing", func(r right) storetest.Store { return exceptionIsAll{r} }},
	{"no exceptions", "EndSessions/selections are combined with and", func(r right) storetest.Store { return noExceptions{r} }},
	{"ends a session twice", "EndSessions/repeating it changes nothing and counts nothing", func(r right) storetest.Store { return endsTwice{r} }},
}

type sharesData struct {
	right
	given map[store.Digest][]byte
}

func (m sharesData) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	m.given[d] = data
	return m.Store.SaveSession(ctx, d, data, revision, at)
}

func (m sharesData) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	s, u, err := m.right.SessionByDigest(ctx, d)
	if data, ok := m.given[d]; ok {
		s.Data = data
	}
	return s, u, err
}

type forgetsReplaced struct{ right }

func (m forgetsReplaced) InsertSession(ctx context.Context, s store.Session, _ store.Digest, keep int) (store.Session, int, error) {
	return m.Store.InsertSession(ctx, s, store.Digest{}, keep)
}

type needsOld struct{ right }

func (m needsOld) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if replaces != (store.Digest{}) {
		if _, _, err := m.SessionByDigest(ctx, replaces); err != nil {
			return s, 0, err
		}
	}
	return m.Store.InsertSession(ctx, s, replaces, keep)
}

type replacesFirst struct{ right }

func (m replacesFirst) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if _, err := m.EndSessions(ctx, store.SessionSelection{Digest: replaces}, store.EndedRenewed, s.Created); err != nil {
		return s, 0, err
	}
	return m.Store.InsertSession(ctx, s, replaces, keep)
}

type savesDead struct{ right }

func (m savesDead) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	err := m.Store.SaveSession(ctx, d, data, revision, at)
	if s, _, serr := m.SessionByDigest(ctx, d); serr == nil && !s.Ended.IsZero() && errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

type lastSaveWins struct{ right }

func (m lastSaveWins) SaveSession(ctx context.Context, d store.Digest, data []byte, _ int64, at time.Time) error {
	s, _, err := m.SessionByDigest(ctx, d)
	if err != nil {
		return err
	}
	return m.Store.SaveSession(ctx, d, data, s.Revision, at)
}

type readsThenSaves struct{ right }

func (m readsThenSaves) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	s, _, err := m.SessionByDigest(ctx, d)
	if err != nil {
		return err
	}
	if s.Revision != revision {
		return store.ErrConflict
	}
	gap()
	return lastSaveWins(m).SaveSession(ctx, d, data, revision, at)
}

type touchesDead struct {
	right
	expires map[store.Digest]time.Time
}

func (m touchesDead) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	m.expires[d] = expires
	return m.Store.TouchSession(ctx, d, expires, at, from)
}

func (m touchesDead) SessionByDigest(ctx context.Context, d store.Digest) (store.Session, store.User, error) {
	s, u, err := m.right.SessionByDigest(ctx, d)
	if expires, ok := m.expires[d]; ok {
		s.Expires = expires
	}
	return s, u, err
}

type touchSaves struct{ right }

func (m touchSaves) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	if s, _, err := m.SessionByDigest(ctx, d); err == nil {
		_ = m.SaveSession(ctx, d, s.Data, s.Revision, at)
	}
	return m.Store.TouchSession(ctx, d, expires, at, from)
}

type listsDigests struct{ right }

func (m listsDigests) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	list, total, err = m.Store.ListSessions(ctx, f, at, p)
	for i := range list {
		list[i].Digest = store.DigestOf("secret")
	}
	return list, total, err
}

type listsExpired struct{ right }

func (m listsExpired) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	return m.Store.ListSessions(ctx, f, at.Add(-time.Microsecond), p)
}

type countsThenInserts struct{ right }

func (m countsThenInserts) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	list, _, err := m.ListSessions(ctx, store.SessionFilter{UserID: s.UserID}, s.Created, store.Page{Limit: 1000, Descending: true})
	if err != nil {
		return s, 0, err
	}
	gap()
	evicted := 0
	for i := max(keep-1, 0); i < len(list); i++ {
		n, err := m.EndSessions(ctx, store.SessionSelection{ID: list[i].ID}, store.EndedLimit, s.Created)
		if err != nil {
			return s, evicted, err
		}
		evicted += n
	}
	stored, _, err := m.Store.InsertSession(ctx, s, replaces, 0)
	return stored, evicted, err
}

type oneMore struct{ right }

func (m oneMore) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if keep > 0 {
		keep++
	}
	return m.Store.InsertSession(ctx, s, replaces, keep)
}

type endsAStep struct{ right }

func (m endsAStep) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if keep > 0 {
		_, n, err := m.ListSessions(ctx, store.SessionFilter{UserID: s.UserID}, s.Created, store.Page{})
		if err != nil {
			return s, 0, err
		}
		keep = max(keep, n+1-500)
	}
	return m.Store.InsertSession(ctx, s, replaces, keep)
}

type replacedCounts struct{ right }

func (m replacedCounts) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	stored, n, err := m.Store.InsertSession(ctx, s, store.Digest{}, keep)
	if err == nil {
		_, err = m.EndSessions(ctx, store.SessionSelection{Digest: replaces}, store.EndedRenewed, s.Created)
	}
	return stored, n, err
}

type exceptionIsAll struct{ right }

func (m exceptionIsAll) EndSessions(ctx context.Context, s store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	if s == (store.SessionSelection{Except: s.Except}) && s.Except != (store.Digest{}) {
		s.All = true
	}
	return m.Store.EndSessions(ctx, s, reason, at)
}

type noExceptions struct{ right }

func (m noExceptions) EndSessions(ctx context.Context, s store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	s.Except = store.Digest{}
	return m.Store.EndSessions(ctx, s, reason, at)
}

type endsTwice struct{ right }

func (m endsTwice) EndSessions(ctx context.Context, s store.SessionSelection, reason store.EndReason, at time.Time) (int, error) {
	n, err := m.Store.EndSessions(ctx, s, reason, at)
	return max(n, 1), err
}
