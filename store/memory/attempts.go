package memory

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/ostiary/auth/internal/window"
	"github.com/ostiary/auth/store"
)

// attempts counts by a hash of the key, so that text of clients is not kept.
//
// Memory is bounded. When all counters are in use, the spare ones make room. No
// other counter is dropped while it counts: that would let a flood wipe out the
// counter of a victim. When there are no spare ones, further keys share some
// counters. Then a key may be refused for attempts of others, but no key gets
// more than its limit.
//
// It has a lock of its own: a flood of guesses must not hold up anybody else.
type attempts struct {
	mu       sync.Mutex
	seed     maphash.Seed
	counters map[uint64]*counter
	ends     queue[counter]
	spares   queue[counter] // those counters that are spare
	most     int            // counters before keys share

	memories memories
}

// A counter counts the attempts against one key, or several.
type counter struct {
	window.Window
	hash         uint64
	spare        bool
	placeInQueue int32
}

const (
	maxCounters    = 1 << 19 // of about 150 bytes each
	sharedCounters = 1 << 16 // beyond those

	// keepEnded is the time for which a counter stays after its window has
	// ended, in microseconds, because the window may not have ended by another
	// clock.
	keepEnded = instant(2 * time.Hour / time.Microsecond)
)

func newAttempts() attempts {
	place := func(c *counter) *int32 { return &c.placeInQueue }
	return attempts{
		seed:     maphash.MakeSeed(),
		counters: make(map[uint64]*counter),
		ends:     queue[counter]{place: place},
		spares:   queue[counter]{place: place},
		most:     maxCounters,
		memories: newMemories(),
	}
}

// hash returns the hash of a key.
func (a *attempts) hash(key string) uint64 { return maphash.String(a.seed, key) }

// find returns the counter of a key, or nil with the hash of one to make.
func (a *attempts) find(hash uint64, now instant) (uint64, *counter) {
	if c := a.counters[hash]; c != nil {
		return hash, c
	}
	// A key goes on to share for as long as the window lasts in which it
	// began to: it must not find a counter of its own that is at 0.
	shared := hash % sharedCounters
	if c := a.counters[shared]; c != nil && c.End > int64(now) {
		return shared, c
	}
	if len(a.counters) >= a.most && !a.hasRoom(now) {
		return shared, a.counters[shared]
	}
	return hash, nil
}

// hasRoom reports whether there is a counter that makeRoom would drop.
func (a *attempts) hasRoom(now instant) bool {
	return a.spares.Len() > 0 || a.ends.first(now) != nil
}

// makeRoom drops a counter that has ended, or else a spare one.
func (a *attempts) makeRoom(now instant) {
	for _, q := range []*queue[counter]{&a.ends, &a.spares} {
		if c := q.first(now); c != nil {
			a.drop(c)
			return
		}
	}
	if a.spares.Len() > 0 {
		a.drop(a.spares.entries[0].record)
	}
}

func (a *attempts) drop(c *counter) {
	delete(a.counters, c.hash)
	a.queueOf(c).remove(c)
}

func (a *attempts) queueOf(c *counter) *queue[counter] {
	if c.spare {
		return &a.spares
	}
	return &a.ends
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
	for _, q := range []*queue[counter]{&a.ends, &a.spares} {
		for range 2 * len(charges) { // more than a charge can add
			if c := q.first(at - keepEnded); c != nil {
				a.drop(c)
			}
		}
	}
	verdict := store.Verdict{Allowed: true}
	entered := make([]visit, 0, 8)
	for _, charge := range charges {
		key := charge.Key
		if charge.Unless != "" && a.remembered(charge.Unless, at) {
			if key = charge.Instead; key == "" {
				continue
			}
		}
		w := a.enter(&entered, key, charge, at)
		wait := w.Enter(int64(at), charge.Limit.Window.Microseconds())
		if w.Used >= int64(charge.Limit.Max) {
			verdict.Allowed = false
			verdict.RetryAfter = max(verdict.RetryAfter, time.Duration(wait)*time.Microsecond)
		}
		w.Used++
		verdict.Behind = max(verdict.Behind, time.Duration(w.Start-int64(at))*time.Microsecond)
		verdict.Reserved = append(verdict.Reserved, store.Reservation{Key: key, Start: instant(w.Start).time()})
	}
	if !verdict.Allowed {
		verdict.Reserved = nil
	}
	for _, v := range entered {
		a.leave(v, at, verdict.Allowed)
	}
	return verdict, nil
}

// A visit is the state of a counter after an allowed charge.
type visit struct {
	window.Window
	hash  uint64
	spare bool
}

// enter returns the window of the key of a charge, among those that the charges
// before it have entered.
func (a *attempts) enter(entered *[]visit, key string, charge store.Charge, at instant) *window.Window {
	hash, c := a.find(a.hash(key), at)
	for i := range *entered {
		if v := &(*entered)[i]; v.hash == hash {
			return &v.Window
		}
	}
	v := visit{hash: hash, spare: charge.Spare}
	if c != nil {
		v.Window = c.Window
	}
	*entered = append(*entered, v)
	return &(*entered)[len(*entered)-1].Window
}

// leave stores the changes of a visit. For a refused charge these are only the
// values for a clock that is behind.
func (a *attempts) leave(v visit, at instant, allowed bool) {
	c := a.counters[v.hash]
	switch {
	case !allowed:
		if c != nil && c.Start == v.Start {
			c.Back, c.HasBack = v.Back, v.HasBack
		}
		return
	case c == nil:
		if len(a.counters) >= a.most {
			a.makeRoom(at)
		}
		c = &counter{hash: v.hash, spare: v.spare && v.hash >= sharedCounters}
		a.counters[v.hash] = c
		a.queueOf(c).add(c, 0)
	}
	c.Window = v.Window
	a.queueOf(c).move(c, instant(c.End))
}

// Settle implements [store.Attempts]. A counter that several keys share does
// not change, because one of them must not clear it for the others.
func (s *Store) Settle(ctx context.Context, settled store.Settlement) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range settled.Return {
		c := a.counters[a.hash(r.Key)]
		if c != nil && c.Start == int64(instantOf(r.Start)) && c.Used > 0 {
			c.Used--
		}
	}
	for _, key := range settled.Forget {
		if c := a.counters[a.hash(key)]; c != nil {
			a.drop(c)
		}
	}
	a.remember(settled.Remember)
	return nil
}

// PurgeAttempts implements [store.Attempts].
func (s *Store) PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	before := instantOf(endedBefore)
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.ends.purge(before, max, a.drop)
	n += a.spares.purge(before, max-n, a.drop)
	return n + a.memories.ends.purge(before, max-n, a.memories.drop), nil
}
