package memory

import (
	"context"
	"sync"
	"time"

	"github.com/ostiary/auth/store"
)

// attempts has a lock of its own: a flood of guesses must not hold up those who
// have a token.
type attempts struct {
	mu       *sync.Mutex
	counters map[string]counter
	// sweepAt is the number of counters at which those whose window has ended
	// are dropped, so that a flood of names takes bounded memory.
	sweepAt int
}

type counter struct {
	n     int
	start time.Time
	end   time.Time
}

const minSweep = 1024

func newAttempts() attempts {
	return attempts{mu: new(sync.Mutex), counters: make(map[string]counter), sweepAt: minSweep}
}

// Charge implements [store.Attempts].
func (s *Store) Charge(ctx context.Context, charges []store.Charge, now time.Time) (store.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return store.Verdict{}, err
	}
	now = micro(now)
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	verdict := store.Verdict{Allowed: true}
	charged := make(map[string]counter, len(charges))
	for _, c := range charges {
		current, again := charged[c.Key]
		if !again {
			current = a.current(c, now)
		}
		if current.n >= c.Limit.Max {
			verdict.Allowed = false
			verdict.RetryAfter = max(verdict.RetryAfter, current.end.Sub(now))
		}
		current.n++
		charged[c.Key] = current
	}
	if !verdict.Allowed {
		return verdict, nil
	}
	for key, c := range charged {
		a.counters[key] = c
	}
	if len(a.counters) >= a.sweepAt {
		a.purge(now, len(a.counters))
		a.sweepAt = max(minSweep, 2*len(a.counters))
	}
	return verdict, nil
}

// current returns the counter that a charge goes to. A clock that was set back
// starts the window again rather than make it longer.
func (a *attempts) current(c store.Charge, now time.Time) counter {
	current, ok := a.counters[c.Key]
	if !ok || !now.Before(current.end) {
		return counter{start: now, end: now.Add(c.Limit.Window)}
	}
	if now.Before(current.start) {
		current.start, current.end = now, now.Add(c.Limit.Window)
	}
	return current
}

func (a *attempts) purge(endedBefore time.Time, most int) (n int) {
	for key, c := range a.counters {
		if n < most && c.end.Before(endedBefore) {
			delete(a.counters, key)
			n++
		}
	}
	return n
}

// Forgive implements [store.Attempts].
func (s *Store) Forgive(ctx context.Context, keys []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	for _, key := range keys {
		delete(s.attempts.counters, key)
	}
	return nil
}

// PurgeAttempts implements [store.Attempts].
func (s *Store) PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s.attempts.mu.Lock()
	defer s.attempts.mu.Unlock()
	return s.attempts.purge(micro(endedBefore), max), nil
}
