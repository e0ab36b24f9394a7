// Package cached keeps the answers of [store.Tokens.AccessByDigest] in memory for a
// short time, in front of a store whose database is far away.
//
//	st, err := cached.New(sqlStore, nil)
//	tokens, err := auth.NewTokens(st, st, nil)
//
// A cached access token costs no query. All else goes to the store behind.
//
// # How old an answer can be
//
// A change through a Store takes effect there at once: when the method returns, no
// later call of AccessByDigest returns what was before. That holds for revocations,
// rotations, changes of users and passwords, and changes of applications. A deletion of a
// user with very many sessions or consents disables the user before, see [store.Accounts].
// Until the method returns, that takes effect only after Options.MaxAge.
//
// A change by another process takes effect after Options.MaxAge at most, so a token
// that it revoked passes for that time. With Options.Bus the processes tell each other
// about changes, and a change takes effect as soon as the message arrives. The bound
// of MaxAge holds in any case: it needs no message, and no message can extend it. When
// messages may have been lost, everything is forgotten.
//
// A host that changes its own table of users calls [Store.ForgetUser] afterwards.
// Otherwise the change takes effect after MaxAge.
//
// # What is kept
//
// Access tokens that are live and have an active user, or act for their application
// alone. Unknown tokens are never kept: a flood of them costs no memory and hides
// no token. The memory is bounded by Options.MaxEntries. A cached answer does not
// survive the expiry of its token, because callers check Expires themselves.
package cached

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ostiary/auth/internal/options"
	"github.com/ostiary/auth/internal/recent"
	"github.com/ostiary/auth/store"
)

// Backing is the store behind a [Store]. The stores of packages sqlstore and memory
// implement it.
type Backing interface {
	store.Accounts
	store.OAuth
	store.Sessions
	store.Attempts
}

// Options are the options of [New].
type Options struct {
	// MaxAge is the longest time for which an answer is believed, and so the time
	// for which a token can pass that another process revoked. Zero means two
	// seconds. The maximum is a minute, the minimum a millisecond.
	MaxAge time.Duration

	// MaxEntries is the number of access tokens that are kept, rounded up to a
	// multiple of eight. Zero means 65,536, which takes up to 40 MB. The maximum is
	// 4,194,304.
	MaxEntries int

	// Bus carries the changes to other processes and back. Nil means none.
	Bus Bus

	// Logger gets the failures of the bus. Nil means [slog.Default].
	Logger *slog.Logger
}

const (
	maxMaxAge     = time.Minute
	maxMaxEntries = 1 << 22
)

// A Store is a [Backing] with the answers of AccessByDigest in memory. It is safe for
// concurrent use.
type Store struct {
	behind
	maxAge  time.Duration
	bus     Bus
	log     *slog.Logger
	name    string // of this process on the bus
	started time.Time

	answers *recent.Table[*answer]
	changes changes
	flights recent.Flights[*answer]
}

// behind is Backing under a name that is not exported: the store behind cannot be
// changed past the cache.
type behind interface{ Backing }

// New returns a store in front of st. It starts nothing; with a bus the host runs
// [Store.Run]. New returns an error for options that are out of range.
func New(st Backing, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.MaxAge = cmp.Or(o.MaxAge, 2*time.Second)
	o.MaxEntries = cmp.Or(o.MaxEntries, 65_536)
	switch {
	case options.IsNil(st):
		return nil, errors.New("cached: the store is nil")
	case o.MaxAge < time.Millisecond || o.MaxAge > maxMaxAge:
		return nil, fmt.Errorf("cached: Options.MaxAge %v is not between a millisecond and %v", o.MaxAge, maxMaxAge)
	case o.MaxEntries < 0 || o.MaxEntries > maxMaxEntries:
		return nil, fmt.Errorf("cached: Options.MaxEntries %d is not between 0 and %d", o.MaxEntries, maxMaxEntries)
	case o.Bus != nil && options.IsNil(o.Bus):
		return nil, errors.New("cached: Options.Bus is a nil pointer")
	}
	return &Store{
		behind:  st,
		maxAge:  o.MaxAge,
		bus:     o.Bus,
		log:     options.Logger(o.Logger),
		name:    newName(),
		started: time.Now(),
		answers: recent.New[*answer](o.MaxEntries),
	}, nil
}

// An answer is what the store said about a live access token. It never changes.
type answer struct {
	access store.Access
	asked  uint64        // the number of changes before the store was asked
	until  time.Duration // since Store.started; it is believed strictly before
}

// worth reports whether an access token may be kept: it is live as far as its record
// tells.
func worth(a *store.Access) bool {
	return a.Revoked.IsZero() && (a.UserID == "" || a.User.Active && a.User.ID == a.UserID)
}

// holds reports whether no change concerns an answer since the store was asked.
func (s *Store) holds(a *answer) bool {
	return s.changes.none(a.asked, ofToken(a.access.TokenID), ofFamily(a.access.Family), ofUser(a.access.UserID))
}

// copied returns an access that shares no memory with the cache.
func (a *answer) copied() store.Access {
	c := a.access
	c.Addresses = slices.Clone(c.Addresses)
	return c
}

// AccessByDigest implements [store.Tokens]. The answer may be as old as the package
// documentation says. Concurrent calls for one token make one query.
func (s *Store) AccessByDigest(ctx context.Context, d store.Digest) (store.Access, error) {
	if a, ok := s.answers.Get(&d, time.Since(s.started)); ok && s.holds(a) {
		return a.copied(), nil
	}
	f, leads := s.flights.Join(d)
	if !leads {
		select {
		case <-f.Done:
			// What the other call found may have changed before this one began, in
			// another process also if that call took long. What it did not find may be
			// there by now.
			if f.Value != nil && time.Since(s.started) < f.Value.until && s.holds(f.Value) {
				return f.Value.copied(), nil
			}
			return s.behind.AccessByDigest(ctx, d)
		case <-ctx.Done():
			return store.Access{}, ctx.Err()
		}
	}
	defer s.flights.Leave(d, f)
	asked, until := s.changes.count(), time.Since(s.started)+s.maxAge
	a, err := s.behind.AccessByDigest(ctx, d)
	if err != nil || !worth(&a) {
		return a, err
	}
	kept := &answer{a, asked, until}
	kept.access.Addresses = slices.Clone(a.Addresses)
	f.Value = kept
	s.answers.Put(&d, kept, until, time.Since(s.started))
	return a, nil
}

// ForgetUser forgets all answers about a user. A host calls it after a change in its
// own table of users: the user was disabled, or the password, the rights or the Epoch
// have changed.
func (s *Store) ForgetUser(ctx context.Context, id string) { s.changed(ctx, ofUser(id)) }

// Forget forgets all answers. A host calls it after a change in the database that did
// not go through a Store.
func (s *Store) Forget(ctx context.Context) { s.changed(ctx, everything) }
