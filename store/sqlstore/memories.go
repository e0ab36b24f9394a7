package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// remember remembers a key.
func (t *tx) remember(r store.Memory) error {
	key, group, until := attemptKey(r.Key), attemptKey(r.Group), micros(r.Until)
	if known, err := t.prolong(key, until); known || err != nil {
		return err
	}
	// Of two keys of a group neither would see the other.
	if err := t.useSlot(slotOf(keySlots, r.Group)); err != nil {
		return err
	}
	if known, err := t.prolong(key, until); known || err != nil {
		return err
	}
	if _, err := t.exec(insertMemory, until, key[:], group[:]); err != nil {
		return err
	}
	// In PostgreSQL a key may have been prolonged without the group's lock, after
	// the statement put them in order.
	type memory struct {
		key   []byte
		until int64
	}
	all, err := rows(t, memoriesOf, []any{group[:]}, func(scan func(...any) error) (m memory, err error) {
		return m, scan(&m.key, &m.until)
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b memory) int { return cmp.Compare(b.until, a.until) })
	for _, m := range all[min(r.Most, len(all)):] {
		if _, err := t.exec(forgetMemory, m.key); err != nil {
			return err
		}
	}
	return nil
}

// prolong has a key remembered until an instant, if it is remembered at all.
func (t *tx) prolong(key [32]byte, until int64) (known bool, err error) {
	var stored int64
	switch err := t.get(memoryOf, []any{key[:]}, &stored); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil || stored >= until:
		return true, err
	}
	_, err = t.exec(prolongMemory, until, key[:])
	return true, err
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
