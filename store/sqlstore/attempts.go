package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/ostiary/auth/internal/window"
	"github.com/ostiary/auth/store"
)

// A counter is the record of one key.
type counter struct {
	window.Window
	before window.Window // as it is in the database
	stored bool
}

// attemptKey returns the stored form of a key, because keys have text of
// clients, of any length.
func attemptKey(key string) [32]byte { return sha256.Sum256([]byte(key)) }

// Charge implements [store.Attempts]. The database has room, so that Spare makes
// no difference.
func (s *Store) Charge(ctx context.Context, charges []store.Charge, now time.Time) (verdict store.Verdict, err error) {
	at := micros(now)
	err = s.write(ctx, "charge attempts", func(tx *tx) error {
		keys, err := tx.chargedKeys(charges, at)
		if err != nil {
			return err
		}
		verdict, err = tx.charge(charges, keys, at)
		return err
	})
	if err != nil {
		return store.Verdict{}, err
	}
	return verdict, nil
}

// chargedKeys returns the keys that the attempt is counted against, in the order
// of the charges, with "" for a charge that counts nothing.
func (t *tx) chargedKeys(charges []store.Charge, at int64) ([]string, error) {
	keys := make([]string, len(charges))
	remembered := make(map[string]bool)
	for i, c := range charges {
		keys[i] = c.Key
		if c.Unless == "" {
			continue
		}
		known, again := remembered[c.Unless]
		if !again {
			digest := attemptKey(c.Unless)
			var until int64
			err := t.get(rememberedKey, []any{digest[:], at}, &until)
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return nil, err
			}
			known = err == nil
			remembered[c.Unless] = known
		}
		if known {
			keys[i] = c.Instead
		}
	}
	return keys, nil
}

// lockKeys locks counters that may not exist yet, so that there is nothing of
// theirs to lock. In one order, so that two steps do not wait for each other.
func (t *tx) lockKeys(keys []string) error {
	var locks []int64
	for _, key := range keys {
		locks = append(locks, slotOf(keySlots, key))
	}
	slices.Sort(locks)
	for _, slot := range slices.Compact(locks) {
		if err := t.lockSlot(slot); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) charge(charges []store.Charge, keys []string, at int64) (store.Verdict, error) {
	if err := t.lockKeys(slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == "" })); err != nil {
		return store.Verdict{}, err
	}
	verdict := store.Verdict{Allowed: true}
	counters := make(map[string]*counter, len(charges))
	for i, c := range charges {
		key := keys[i]
		if key == "" && c.Unless != "" {
			continue
		}
		current := counters[key]
		if current == nil {
			var err error
			if current, err = t.counter(key); err != nil {
				return store.Verdict{}, err
			}
			counters[key] = current
		}
		wait := current.Enter(at, c.Limit.Window.Microseconds())
		if current.Used >= int64(c.Limit.Max) {
			verdict.Allowed = false
			verdict.RetryAfter = max(verdict.RetryAfter, time.Duration(wait)*time.Microsecond)
		}
		current.Used++
		verdict.Behind = max(verdict.Behind, time.Duration(current.Start-at)*time.Microsecond)
		verdict.Reserved = append(verdict.Reserved, store.Reservation{Key: key, Start: time.UnixMicro(current.Start).UTC()})
	}
	if !verdict.Allowed {
		verdict.Reserved = nil
	}
	for key, c := range counters {
		if err := t.keep(key, c, verdict.Allowed); err != nil {
			return store.Verdict{}, err
		}
	}
	return verdict, nil
}

// counter returns the counter of a key as it is stored.
func (t *tx) counter(key string) (*counter, error) {
	c := &counter{stored: true}
	digest := attemptKey(key)
	var back sql.Null[int64]
	err := t.get(lockAttempts, []any{digest[:]}, &c.Start, &c.End, &c.Used, &back)
	if errors.Is(err, sql.ErrNoRows) {
		return &counter{}, nil
	}
	if err != nil {
		return nil, err
	}
	c.Back, c.HasBack = back.V, back.Valid
	c.before = c.Window
	return c, nil
}

// keep stores the changes of a charge. For a refused charge these are only the
// values for a clock that is behind.
func (t *tx) keep(key string, c *counter, allowed bool) error {
	if !allowed {
		if !c.stored || c.Start != c.before.Start || c.HasBack == c.before.HasBack {
			return nil
		}
		c.Used = c.before.Used
	}
	query := insertAttempts
	if c.stored {
		query = updateAttempts
	}
	digest := attemptKey(key)
	_, err := t.exec(query, c.Start, c.End, c.Used, sql.Null[int64]{V: c.Back, Valid: c.HasBack}, digest[:])
	return err
}

// Settle implements [store.Attempts].
func (s *Store) Settle(ctx context.Context, settled store.Settlement) error {
	var keys []string
	for _, r := range settled.Return {
		keys = append(keys, r.Key)
	}
	keys = append(keys, settled.Forget...)
	r := settled.Remember
	remember := r.Key != "" && r.Most > 0
	if remember {
		keys = append(keys, r.Group)
	}
	if len(keys) == 0 {
		return ctx.Err()
	}
	return s.write(ctx, "settle attempts", func(tx *tx) error {
		if err := tx.lockKeys(keys); err != nil {
			return err
		}
		for _, r := range settled.Return {
			key := attemptKey(r.Key)
			if _, err := tx.exec(returnAttempt, key[:], micros(r.Start)); err != nil {
				return err
			}
		}
		for _, key := range settled.Forget {
			key := attemptKey(key)
			if _, err := tx.exec(forgetAttempts, key[:]); err != nil {
				return err
			}
		}
		if remember {
			if err := tx.useSlot(slotOf(keySlots, r.Group)); err != nil {
				return err
			}
			return tx.remember(r)
		}
		return nil
	})
}

// remember remembers a key. The lock of its group is held.
func (t *tx) remember(r store.Memory) error {
	key, group, until := attemptKey(r.Key), attemptKey(r.Group), micros(r.Until)
	var stored int64
	switch err := t.get(memoryOf, []any{key[:]}, &stored); {
	case err == nil:
		if stored >= until {
			return nil
		}
		_, err = t.exec(prolongMemory, until, key[:])
		return err
	case !errors.Is(err, sql.ErrNoRows):
		return err
	}
	if _, err := t.exec(insertMemory, until, key[:], group[:]); err != nil {
		return err
	}
	beyond, err := column[[]byte](t, memoriesBeyond, group[:], r.Most)
	if err != nil {
		return err
	}
	for _, key := range beyond {
		if _, err := t.exec(forgetMemory, key); err != nil {
			return err
		}
	}
	return nil
}

// Remembers implements [store.Attempts].
func (s *Store) Remembers(ctx context.Context, key string, at time.Time) (bool, error) {
	digest := attemptKey(key)
	var until int64
	err := s.get(ctx, "look up a remembered key", rememberedKey, []any{digest[:], micros(at)}, &until)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil && key != "", err
}

// PurgeAttempts implements [store.Attempts].
func (s *Store) PurgeAttempts(ctx context.Context, endedBefore time.Time, max int) (removed int, err error) {
	before := micros(endedBefore)
	err = s.write(ctx, "purge attempts", func(tx *tx) error {
		if removed, err = purge[[]byte](tx, deleteAttempts, before, endedAttempts, before, max); err != nil {
			return err
		}
		n, err := purge[[]byte](tx, deleteMemory, before, endedMemories, before, max-removed)
		removed += n
		return err
	})
	if err != nil {
		return 0, err
	}
	return removed, nil
}
