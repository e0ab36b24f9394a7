// Package memory keeps the records of package store in memory, for tests and
// for services that may lose their data when they stop.
package memory

import (
	"cmp"
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/stores"
	"github.com/ostiary/auth/store"
)

// A Store implements all stores of package store, so that a bearer check and a
// session check read the user in the same step. The Purge methods must be
// called from time to time, or it grows without bound. It has room for 2³² - 64
// tokens, and for as many sessions, accounts and different texts. Beyond that, what
// would store another one returns an error that is none of the sentinels, and stores
// nothing. A Store is safe for concurrent use.
//
// Checks of access tokens, sessions and passwords take no lock unless something
// changes meanwhile; everything that changes something takes the one there is.
// What such a check reads is atomic. The parts of one record count together only if
// no change began meanwhile; otherwise the check takes the lock and reads again.
type Store struct {
	// mu guards everything but attempts and activities, which have locks of their own.
	mu sync.RWMutex
	// What follows is what readers without the lock read: the lock, which other
	// readers write, is on another cache line.
	_ [64]byte
	// steps counts the beginnings and ends of changes: it is odd during one. A
	// reader that takes no lock looks again, with the lock, if it has changed
	// meanwhile. So it never sees half of a change.
	steps    atomic.Uint64
	textSeed maphash.Seed // of the indexes of texts

	users store.Users // the host's, nil where the store has them itself

	accounts accounts
	tokens
	cuts
	grants
	consents

	apps               map[int64]*store.Application
	clients            map[string]*store.Application // by client identifier
	appNames           map[appName]int64
	appsByID           ranked[store.Application]
	appsByOrganization ranked[store.Application]
	lastApp            int64

	sessions
	attempts   attempts
	activities activities
}

var (
	_ store.Accounts = (*Store)(nil)
	_ store.OAuth    = (*Store)(nil)
	_ store.Sessions = (*Store)(nil)
	_ store.Attempts = (*Store)(nil)

	_ store.Activities = (*Store)(nil)
)

// NewWithUsers returns an empty store for a host that keeps its users elsewhere:
// AccessByDigest and SessionByDigest return the user that users has. The
// methods of [store.Accounts] go on to work on the store's own users, which
// nothing else looks at then. It panics if users is nil.
func NewWithUsers(users store.Users) *Store {
	if options.IsNil(users) {
		panic("memory: nil store.Users")
	}
	s := New()
	s.users = users
	return s
}

// New returns an empty store with users of its own, of which there are none yet.
func New() *Store {
	s := &Store{
		textSeed: maphash.MakeSeed(),
		cuts:     newCuts(),
		consents: newConsents(),
		grants:   newGrants(),
		apps:     make(map[int64]*store.Application),
		clients:  make(map[string]*store.Application),
		appNames: make(map[appName]int64),

		appsByID:           ranked[store.Application]{order: appOrder(store.OrderID)},
		appsByOrganization: ranked[store.Application]{order: appOrder(store.OrderOrganization)},

		attempts: newAttempts(),

		activities: newActivities(),
	}
	s.setTokens()
	s.setAccounts()
	s.setSessions()
	return s
}

// read runs f under the read lock, unless ctx has ended.
func (s *Store) read(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return f()
}

// write runs f under the write lock, unless ctx has ended.
func (s *Store) write(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps.Add(1)
	defer s.steps.Add(1)
	return f()
}

// quiet returns the number of the step that was done last, and whether none is
// under way.
func (s *Store) quiet() (step uint64, quiet bool) {
	step = s.steps.Load()
	return step, step%2 == 0
}

// undisturbed reports whether no step has begun since: all that a reader has
// seen existed at one instant.
func (s *Store) undisturbed(step uint64) bool { return s.steps.Load() == step }

// look calls f, which reads without a lock, and once more with it if a change was under
// way: then f may have seen anything.
func (s *Store) look(f func()) {
	if step, quiet := s.quiet(); quiet {
		if f(); s.undisturbed(step) {
			return
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	f()
}

// An instant is a time as the store keeps it: in microseconds since the zero
// time, which is the 0 that means never.
type instant int64

// unixEpoch is 1 January 1970.
const unixEpoch instant = -stores.Never

func instantOf(t time.Time) instant {
	return instant(stores.Micros(t)) + unixEpoch
}

// end returns the instant as that of an end. The zero time, too, is one, and what has
// ended must not count as what never does.
func (i instant) end() instant { return cmp.Or(i, 1) }

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMicro(i.unix()).UTC()
}

// unix returns the microseconds since 1970, as [time.Time.UnixMicro] does.
func (i instant) unix() int64 { return int64(i - unixEpoch) }

// micro returns a time as the store keeps it.
func micro(t time.Time) time.Time { return instantOf(t).time() }

// live reports whether something that expires and may have ended is alive.
func live(ended, expires, at instant) bool { return ended == 0 && at < expires }

// join puts item into list and notes its place there, so that leave needs no
// search.
func join[T any](list []*T, item *T, place func(*T) *int32) []*T {
	*place(item) = int32(len(list))
	return append(list, item)
}

// leave takes item out of list. The last one takes its place.
func leave[T any](list []*T, item *T, place func(*T) *int32) []*T {
	end := len(list) - 1
	last, at := list[end], *place(item)
	list[at], *place(last) = last, at
	list[end] = nil
	return list[:end]
}
