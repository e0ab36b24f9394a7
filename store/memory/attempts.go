package memory

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// attempts counts by hash of the key, so that what a client sends is not kept.
//
// Memory is bounded. Nothing that still counts is ever dropped to make room:
// that would let a flood of names wipe out the counter of a victim. When all
// counters are in use, further keys share some. Then a key may be refused for
// what others did, but none is allowed more than its limit.
//
// It has a lock of its own: a flood of guesses must not hold up anybody else.
type attempts struct {
	mu       sync.Mutex
	seed     maphash.Seed
	counters map[uint64]*counter
	ends     queue[counter]
	most     int // counters before keys share
}

// A counter counts the attempts in one window.
type counter struct {
	hash         uint64
	n            int
	start, end   instant
	placeInQueue int32
}

const (
	maxCounters    = 1 << 19 // of about 100 bytes each
	sharedCounters = 1 << 16 // beyond those
)

func newAttempts() attempts {
	return attempts{
		seed:     maphash.MakeSeed(),
		counters: make(map[uint64]*counter),
		ends:     queue[counter]{place: func(c *counter) *int32 { return &c.placeInQueue }},
		most:     maxCounters,
	}
}

// counter returns the counter of a key at that time, or nil with the hash of one
// to make.
func (a *attempts) counter(key string, now instant) (hash uint64, c *counter) {
	hash = maphash.String(a.seed, key)
	if c = a.current(hash, now); c != nil {
		return hash, c
	}
	// A key goes on to share for as long as the window lasts in which it
	// began to: it must not find a counter of its own that is at 0.
	shared := hash % sharedCounters
	if c = a.current(shared, now); c != nil || len(a.counters) >= a.most {
		return shared, c
	}
	return hash, nil
}

// current returns the counter with that hash if its window has not ended. If it
// begins in the future, it begins now.
func (a *attempts) current(hash uint64, now instant) *counter {
	c := a.counters[hash]
	if c == nil || c.end <= now {
		return nil
	}
	if now < c.start {
		c.end -= c.start - now
		c.start = now
		a.ends.move(c, c.end)
	}
	return c
}

// Charge implements [store.Attempts].
func (s *Store) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return store.Verdict{}, err
	}
	at := instantOf(now)
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	for range 2 * len(charges) { // more than a charge can add
		if c := a.ends.first(at); c != nil {
			a.drop(c)
		}
	}
	verdict := store.Verdict{Allowed: true}
	counted := make([]uint64, 0, 8)
	for _, charge := range charges {
		hash, c := a.counter(charge.Key, at)
		n, end := 0, at+instant(charge.Limit.Window.Microseconds())
		if c != nil {
			n, end = c.n, c.end
		}
		for _, other := range counted {
			if other == hash {
				n++
			}
		}
		if n >= charge.Limit.Max {
			verdict.Allowed = false
			verdict.RetryAfter = max(verdict.RetryAfter, time.Duration(end-at)*time.Microsecond)
		}
		counted = append(counted, hash)
	}
	if !verdict.Allowed {
		return verdict, nil
	}
	for i, hash := range counted {
		a.count(hash, at, charges[i].Limit.Window)
	}
	return verdict, nil
}

// count adds one to a counter, which begins a window if it is in none.
func (a *attempts) count(hash uint64, now instant, window time.Duration) {
	c := a.counters[hash]
	if c == nil {
		c = &counter{hash: hash}
		a.counters[hash] = c
		a.ends.add(c, 0)
	}
	if c.end <= now {
		c.n, c.start, c.end = 0, now, now+instant(window.Microseconds())
		a.ends.move(c, c.end)
	}
	c.n++
}

func (a *attempts) drop(c *counter) {
	delete(a.counters, c.hash)
	a.ends.remove(c)
}

// Forgive implements [store.Attempts]. A counter that several keys share keeps
// what it has: it is not for one of them to forgive.
func (s *Store) Forgive(ctx context.Context, keys []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range keys {
		if c := a.counters[maphash.String(a.seed, key)]; c != nil {
			a.drop(c)
		}
	}
	return nil
}

// PurgeAttempts implements [store.Attempts].
func (s *Store) PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ends.purge(instantOf(endedBefore), max, a.drop), nil
}
