package storetest_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
	"github.com/ostiary/auth/store/storetest"
)

var clockMutants = []mutant{
	{"parents live until they were revoked", "Clock/a revoked token stays revoked", func(r right) storetest.Store { return parentsLiveOn{r} }},
	{"saves what will have ended", "Clock/an ended session stays ended", func(r right) storetest.Store { return savesBefore{r} }},
	{"lists what has begun", "Clock/what begins in the future is live", func(r right) storetest.Store { return listsBegun{r} }},
	{"lets in, then counts", "Clock/the limit keeps the session it lets in", func(r right) storetest.Store { return letsInThenCounts{r} }},
	{"codes are good until they were spent", "Clock/a spent code stays spent", func(r right) storetest.Store { return goodUntilSpent{r} }},
	{"what was not spent yet has grace", "Clock/no grace is no replay", func(r right) storetest.Store { return graceBefore{r, time.Hour * 1000} }},
	{"grace without a beginning", "Clock/the grace period begins as long before as it ends after", func(r right) storetest.Store { return graceBefore{r, 0} }},
	{"the latest poll counts", "Clock/a device that polled in the future is told to slow down once", func(r right) storetest.Store { return &latestPoll{right: r} }},
	{"the last note wins", "Clock/the last use never goes back", func(r right) storetest.Store { return &lastNote{right: r} }},
	{"windows wait for the clock", "Clock/a clock far behind waits one window", func(r right) storetest.Store { return &windowsWait{right: r} }},
	{"windows move back", "Clock/clocks apart allow no more than windows have passed", func(r right) storetest.Store { return &movesBack{right: r, of: map[string]*window{}} }},
	{"windows that begin later are not there", "Clock/the start of a window never decreases", func(r right) storetest.Store { return &perClock{r} }},
	{"cleans up by the clock of whoever comes", "Clock/a clock ahead touches no other key", func(r right) storetest.Store { return cleansUp{r} }},
	{"devices are payable until they were spent", "Clock/a spent device stays spent", func(r right) storetest.Store { return payableUntilSpent{r} }},
	{"late is dead", "Clock/what has expired is refused and left alone", func(r right) storetest.Store { return lateIsDead{r} }},
	{"late is not too late", "Clock/what has expired is refused and left alone", func(r right) storetest.Store { return touchesLate{r} }},
	{"a touch brings back", "Clock/what was purged stays away", func(r right) storetest.Store { return &touchBringsBack{right: r} }},
	{"the oldest stay", "Clock/the limit keeps the session it lets in", func(r right) storetest.Store { return oldestStay{r} }},
	{"half an hour of mercy", "Clock/random steps, and jumps of an hour", func(r right) storetest.Store { return halfAnHour{r} }},
}

type parentsLiveOn struct{ right }

func (m parentsLiveOn) InsertToken(ctx context.Context, t store.Token, limits store.InsertLimits) (store.Token, error) {
	out, err := m.Store.InsertToken(ctx, t, limits)
	if p, err2 := m.TokenByID(ctx, t.ParentID); errors.Is(err, store.ErrConflict) && err2 == nil && t.Created.Before(p.Revoked) {
		t.ParentID = 0
		return m.Store.InsertToken(ctx, t, limits)
	}
	return out, err
}

type savesBefore struct{ right }

func (m savesBefore) SaveSession(ctx context.Context, d store.Digest, data []byte, revision int64, at time.Time) error {
	if s, _, err := m.SessionByDigest(ctx, d); err == nil && at.Before(s.Ended) {
		return nil
	}
	return m.Store.SaveSession(ctx, d, data, revision, at)
}

type listsBegun struct{ right }

func (m listsBegun) ListSessions(ctx context.Context, f store.SessionFilter, at time.Time, p store.Page) (list []store.Session, total int, err error) {
	all, total, err := m.Store.ListSessions(ctx, f, at, p)
	for _, s := range all {
		if !at.Before(s.Created) {
			list = append(list, s)
		}
	}
	return list, total, err
}

type letsInThenCounts struct{ right }

func (m letsInThenCounts) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	s, n, err := m.Store.InsertSession(ctx, s, replaces, 0)
	if err != nil || keep == 0 {
		return s, n, err
	}
	list, _, err := m.ListSessions(ctx, store.SessionFilter{UserID: s.UserID}, s.Created, store.Page{Limit: 1000, Descending: true})
	for _, old := range list[min(keep, len(list)):] {
		m.EndSessions(ctx, store.SessionSelection{ID: old.ID}, store.EndedLimit, s.Created)
		n++
	}
	return s, n, err
}

type goodUntilSpent struct{ right }

func (m goodUntilSpent) Redeem(ctx context.Context, r store.Redemption) (store.Token, error) {
	if c, err := m.CodeByDigest(ctx, r.Code); err == nil && r.At.Before(c.Spent) {
		return store.Token{}, store.ErrNotFound
	}
	return m.Store.Redeem(ctx, r)
}

type payableUntilSpent struct{ right }

func (m payableUntilSpent) RedeemDevice(ctx context.Context, r store.Redemption) (store.Token, error) {
	if d, err := m.PollDevice(ctx, r.Code, r.ApplicationID, 0, r.At); err == nil && r.At.Before(d.Spent) {
		return store.Token{}, store.ErrNotFound
	}
	return m.Store.RedeemDevice(ctx, r)
}

// lateIsDead revokes what it finds expired.
type lateIsDead struct{ right }

func (m lateIsDead) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	out, err := m.Store.Rotate(ctx, r)
	if t, err2 := m.TokenByRefresh(ctx, r.Refresh); errors.Is(err, store.ErrNotFound) && err2 == nil && !r.At.Before(t.Refresh.Expires) {
		m.RevokeTokens(ctx, store.Selection{TokenID: t.ID}, r.At)
	}
	return out, err
}

// touchesLate takes a touch for one just in time.
type touchesLate struct{ right }

func (m touchesLate) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	if s, _, err := m.SessionByDigest(ctx, d); err == nil && !at.Before(s.Expires) {
		at = s.Expires.Add(-time.Microsecond)
	}
	return m.Store.TouchSession(ctx, d, expires, at, from)
}

type touchBringsBack struct {
	right
	sessions sync.Map
}

func (m *touchBringsBack) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	m.sessions.Store(s.Digest, s)
	return m.Store.InsertSession(ctx, s, replaces, keep)
}

func (m *touchBringsBack) TouchSession(ctx context.Context, d store.Digest, expires, at time.Time, from netip.Addr) error {
	if _, _, err := m.SessionByDigest(ctx, d); errors.Is(err, store.ErrNotFound) {
		if s, ok := m.sessions.Load(d); ok {
			m.Store.InsertSession(ctx, s.(store.Session), store.Digest{}, 0)
		}
	}
	return m.Store.TouchSession(ctx, d, expires, at, from)
}

// oldestStay ends the newest of the others.
type oldestStay struct{ right }

func (m oldestStay) InsertSession(ctx context.Context, s store.Session, replaces store.Digest, keep int) (store.Session, int, error) {
	if list, _, err := m.ListSessions(ctx, store.SessionFilter{UserID: s.UserID}, s.Created, store.Page{Limit: 1000, Descending: true}); err == nil && keep > 1 && len(list) >= keep {
		m.EndSessions(ctx, store.SessionSelection{ID: list[0].ID}, store.EndedLimit, s.Created)
		s, _, err := m.Store.InsertSession(ctx, s, replaces, keep)
		return s, 1, err
	}
	return m.Store.InsertSession(ctx, s, replaces, keep)
}

// graceBefore takes a replay from before the token was spent for one at that
// instant, with another grace period unless that is 0.
type graceBefore struct {
	right
	grace time.Duration
}

func (m graceBefore) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	if t, err := m.TokenByRefresh(ctx, r.Refresh); err == nil && r.At.Before(t.Refresh.Spent) {
		r.At = t.Refresh.Spent
		if m.grace > 0 {
			r.Grace = m.grace
		}
	}
	return m.Store.Rotate(ctx, r)
}

// latest never goes back.
type latest struct {
	mu sync.Mutex
	at time.Time
}

func (l *latest) of(at time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.After(l.at) {
		l.at = at
	}
	return l.at
}

type latestPoll struct {
	right
	latest
}

func (m *latestPoll) PollDevice(ctx context.Context, d store.Digest, id int64, slower time.Duration, at time.Time) (store.Device, error) {
	return m.Store.PollDevice(ctx, d, id, slower, m.of(at))
}

type lastNote struct {
	right
	at sync.Map
}

func (m *lastNote) Touch(ctx context.Context, seen []store.Sighting) error {
	for _, s := range seen {
		m.at.Store(s.TokenID, s.At)
	}
	return nil
}

func (m *lastNote) TokenByID(ctx context.Context, id int64) (store.Token, error) {
	t, err := m.Store.TokenByID(ctx, id)
	if at, ok := m.at.Load(id); ok {
		t.LastUsed = at.(time.Time)
	}
	return t, err
}

type windowsWait struct {
	right
	latest
}

func (m *windowsWait) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	return m.Store.Charge(ctx, charges, m.of(now))
}

// movesBack has windows that start now if they start in the future.
type movesBack struct {
	right
	mu sync.Mutex
	of map[string]*window
}

type window struct {
	start, end time.Time
	used       int
}

func (m *movesBack) Charge(_ context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := store.Verdict{Allowed: true}
	for _, c := range charges {
		w := m.of[c.Key]
		switch {
		case w == nil || !now.Before(w.end):
			w = &window{now, now.Add(c.Limit.Window), 0}
			m.of[c.Key] = w
		case now.Before(w.start):
			w.start, w.end = now, now.Add(w.end.Sub(w.start))
		}
		if w.used++; w.used > c.Limit.Max {
			w.used--
			v = store.Verdict{RetryAfter: w.end.Sub(now)}
		}
	}
	return v, nil
}

// perClock gives each minute of the clock counters of its own.
type perClock struct{ right }

func (m perClock) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	mine := slices.Clone(charges)
	for i := range mine {
		mine[i].Key += now.Truncate(time.Minute).String()
	}
	return m.Store.Charge(ctx, mine, now)
}

type cleansUp struct{ right }

func (m cleansUp) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	if _, err := m.Store.PurgeAttempts(ctx, now, 1000); err != nil {
		return store.Verdict{}, err
	}
	return m.Store.Charge(ctx, charges, now)
}

type halfAnHour struct{ right }

func (m halfAnHour) Rotate(ctx context.Context, r store.Rotation) (store.RotateOutcome, error) {
	r.At = r.At.Add(-30 * time.Minute)
	return m.Store.Rotate(ctx, r)
}
