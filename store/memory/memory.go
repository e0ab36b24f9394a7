// Package memory keeps everything in memory, for tests and for services that may
// forget what they knew when they stop.
package memory

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// A Store is all stores of package store in one, so that a bearer check and a
// session check read the user along. It grows with what is put into it: call the
// Purge methods now and then.
//
// Checks of access tokens, sessions and passwords take no lock; everything that
// changes something takes the one there is. What such a check reads is never
// changed in place: a change publishes a new state of the record, in one step.
type Store struct {
	// mu guards everything but what the tables promise and attempts.
	mu   sync.RWMutex
	seed maphash.Seed // of the tables that are found by text

	accounts *table[account] // by ID
	names    *table[account] // those with a user, by name
	lastUser int64

	tokens
	grants

	apps     map[int64]*store.Application
	clients  map[string]*store.Application // by client identifier
	appNames map[appName]int64
	lastApp  int64

	sessions
	attempts attempts
}

var (
	_ store.Accounts = (*Store)(nil)
	_ store.OAuth    = (*Store)(nil)
	_ store.Sessions = (*Store)(nil)
	_ store.Attempts = (*Store)(nil)
)

// New returns an empty store. It has no users.
func New() *Store {
	return &Store{
		seed:     maphash.MakeSeed(),
		accounts: newTable[account](),
		names:    newTable[account](),
		tokens:   newTokens(),
		grants:   newGrants(),
		apps:     make(map[int64]*store.Application),
		clients:  make(map[string]*store.Application),
		appNames: make(map[appName]int64),
		sessions: newSessions(),
		attempts: newAttempts(),
	}
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
	return f()
}

// An instant is a time as the store keeps it: in microseconds since the zero
// time, which is the 0 that means never.
type instant int64

// unixEpoch is 1 January 1970.
const unixEpoch instant = 62_135_596_800_000_000

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixMicro()) + unixEpoch
}

func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(i - unixEpoch)).UTC()
}

// micro is what the store keeps of a time.
func micro(t time.Time) time.Time { return instantOf(t).time() }

// live reports whether something that expires and may have ended is alive.
func live(ended, expires, at instant) bool { return ended == 0 && at < expires }

// page cuts a part out of a list that is to be in order.
func page[T any](list []T, p store.Page, order func(a, b T) int) []T {
	slices.SortFunc(list, func(a, b T) int {
		if p.Descending {
			a, b = b, a
		}
		return order(a, b)
	})
	from := min(max(p.Offset, 0), len(list))
	n := min(max(p.Limit, 0), len(list)-from)
	return list[from : from+n]
}

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

// index finds the tokens with a key. Those with the zero key are not in it.
type index[K cmp.Ordered] struct {
	lists map[K][]*token
	place func(*token) *int32
}

func newIndex[K cmp.Ordered](place func(*token) *int32) index[K] {
	return index[K]{make(map[K][]*token), place}
}

func (x index[K]) add(k K, t *token) {
	if k != *new(K) {
		x.lists[k] = join(x.lists[k], t, x.place)
	}
}

func (x index[K]) remove(k K, t *token) {
	if k == *new(K) {
		return
	}
	if x.lists[k] = leave(x.lists[k], t, x.place); len(x.lists[k]) == 0 {
		delete(x.lists, k)
	}
}
