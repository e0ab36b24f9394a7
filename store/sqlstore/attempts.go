package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// A counter is what is stored about one key.
type counter struct {
	start, end time.Time
	used       int64
	before     int64 // used, without the charges under way
	stored     bool
	moved      bool // back in time, which counts even if the charges do not
}

// attemptKey is what stands for a key: keys hold what somebody typed, of any
// length.
func attemptKey(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// Charge implements [store.Attempts].
func (s *Store) Charge(ctx context.Context, charges []store.Charge, now time.Time) (verdict store.Verdict, err error) {
	now = stored(now)
	err = s.write(ctx, "charge attempts", func(tx *tx) error {
		verdict, err = tx.charge(charges, now)
		return err
	})
	if err != nil {
		return store.Verdict{}, err
	}
	return verdict, nil
}

func (t *tx) charge(charges []store.Charge, now time.Time) (store.Verdict, error) {
	// The counters may not exist yet, so that there is nothing of theirs to
	// lock. In one order, so that two charges do not wait for each other.
	locks := make([]int64, len(charges))
	for i, c := range charges {
		locks[i] = slotOf("key", c.Key)
	}
	slices.Sort(locks)
	for _, slot := range slices.Compact(locks) {
		if err := t.lockSlot(slot); err != nil {
			return store.Verdict{}, err
		}
	}
	verdict := store.Verdict{Allowed: true}
	counters := make(map[[32]byte]counter, len(charges))
	for _, c := range charges {
		key := attemptKey(c.Key)
		current, again := counters[key]
		if !again {
			var err error
			if current, err = t.counter(key, c.Limit, now); err != nil {
				return store.Verdict{}, err
			}
		}
		if current.used >= int64(c.Limit.Max) {
			verdict.Allowed = false
			verdict.RetryAfter = max(verdict.RetryAfter, current.end.Sub(now))
		}
		current.used++
		counters[key] = current
	}
	for key, c := range counters {
		if !verdict.Allowed {
			if !c.moved {
				continue
			}
			c.used = c.before
		}
		query := insertAttempts
		if c.stored {
			query = updateAttempts
		}
		if _, err := t.exec(query, micros(c.start), micros(c.end), c.used, key[:]); err != nil {
			return store.Verdict{}, err
		}
	}
	return verdict, nil
}

// counter returns the counter as a charge at now finds it.
func (t *tx) counter(key [32]byte, limit store.Limit, now time.Time) (counter, error) {
	c := counter{stored: true}
	err := t.get(lockAttempts, []any{key[:]}, when(&c.start), when(&c.end), &c.used)
	if errors.Is(err, sql.ErrNoRows) {
		return counter{start: now, end: now.Add(limit.Window)}, nil
	}
	if err != nil {
		return counter{}, err
	}
	switch {
	case !now.Before(c.end):
		c.start, c.end, c.used = now, now.Add(limit.Window), 0
	case now.Before(c.start):
		c.start, c.end, c.moved = now, now.Add(c.end.Sub(c.start)), true
	}
	c.before = c.used
	return c, nil
}

// Forgive implements [store.Attempts].
func (s *Store) Forgive(ctx context.Context, keys []string) error {
	if len(keys) == 1 {
		key := attemptKey(keys[0])
		_, err := s.change(ctx, "forgive attempts", true, forgiveAttempts, key[:])
		return err
	}
	return s.write(ctx, "forgive attempts", func(tx *tx) error {
		for _, k := range keys {
			key := attemptKey(k)
			if _, err := tx.exec(forgiveAttempts, key[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// PurgeAttempts implements [store.Attempts].
func (s *Store) PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (removed int, err error) {
	before := micros(endedBefore)
	err = s.write(ctx, "purge attempts", func(tx *tx) error {
		removed, err = purge[[]byte](tx, deleteAttempts, before, endedAttempts, before, max)
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
