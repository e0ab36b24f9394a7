// Package memory keeps everything in memory, for tests and for services that may
// forget what they knew when they stop.
package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// A Store is all stores of package store in one, so that a bearer check and a
// session check read the user along. It grows with what is put into it: call the
// Purge methods now and then.
//
// Users, tokens and sessions are never changed in place: a change publishes a new
// record. So their readers hold the lock for one look-up and no longer.
type Store struct {
	mu sync.RWMutex

	users       map[string]*user
	usersByName map[string]*user
	lastUser    int64

	tokens
	codes   map[store.Digest]*store.Code
	devices map[store.Digest]*store.Device
	// devicesByUser finds a device by its user code.
	devicesByUser map[store.Digest]*store.Device

	apps     map[int64]*store.Application
	appsByID map[string]*store.Application // by client identifier
	lastApp  int64

	sessions       map[store.Digest]*store.Session
	sessionsByUser map[string]map[store.Digest]*store.Session
	lastSession    int64

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
		users:          make(map[string]*user),
		usersByName:    make(map[string]*user),
		tokens:         newTokens(),
		codes:          make(map[store.Digest]*store.Code),
		devices:        make(map[store.Digest]*store.Device),
		devicesByUser:  make(map[store.Digest]*store.Device),
		apps:           make(map[int64]*store.Application),
		appsByID:       make(map[string]*store.Application),
		sessions:       make(map[store.Digest]*store.Session),
		sessionsByUser: make(map[string]map[store.Digest]*store.Session),
		attempts:       newAttempts(),
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

// micro is what a database keeps of a time.
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// live reports whether something that expires and may have ended is alive.
func live(ended, expires, at time.Time) bool { return ended.IsZero() && at.Before(expires) }

// page cuts a part out of a list that is sorted ascending by order, then by id.
func page[T any](list []T, p store.Page, order func(a, b T) int, id func(a, b T) int) []T {
	slices.SortFunc(list, func(a, b T) int {
		c := cmp.Or(order(a, b), id(a, b))
		if p.Descending {
			return -c
		}
		return c
	})
	from := min(max(p.Offset, 0), len(list))
	n := min(max(p.Limit, 0), len(list)-from)
	return list[from : from+n : from+n]
}

// index maps a key to the IDs of the tokens that have it.
type index[K comparable] map[K]map[int64]struct{}

func (x index[K]) add(k K, id int64) {
	if x[k] == nil {
		x[k] = make(map[int64]struct{}, 1)
	}
	x[k][id] = struct{}{}
}

func (x index[K]) remove(k K, id int64) {
	delete(x[k], id)
	if len(x[k]) == 0 {
		delete(x, k)
	}
}
