package sqlstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/window"
	"github.com/ostiary/auth/store"
)

// mostKeys is how many keys the statements take that are prepared.
const mostKeys = 4

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
	done := false
	switch s.dialect {
	case Postgres:
		verdict, done, err = s.chargeAtOnce(ctx, charges, at)
	case MySQL:
		verdict, done, err = s.chargeSeen(ctx, charges, at)
	}
	if done || err != nil {
		return verdict, err
	}
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

// chargeAtOnce is Charge as one statement. Done is false if nothing was done,
// because the statement is not for such charges, a clock is behind, another caller
// was in the way, or a counter is missing: those are made under the locks of their
// slots, as the versions before this one do it.
func (s *Store) chargeAtOnce(ctx context.Context, charges []store.Charge, at int64) (verdict store.Verdict, done bool, err error) {
	args := make([]any, 0, 6*mostKeys)
	var keys []string
	for _, c := range charges {
		args = append(args, keyArg(c.Key), keyArg(c.Instead), keyArg(c.Unless), int64(c.Limit.Max), c.Limit.Window.Microseconds(), at)
		keys = append(keys, c.Key)
		if c.Instead != "" {
			keys = append(keys, c.Instead)
		}
	}
	if !distinct(keys) || len(charges) > mostKeys {
		return store.Verdict{}, false, nil
	}
	type judged struct {
		place                   int
		known                   bool
		start, end              int64
		stored, within, allowed bool
	}
	found, lost, err := atOnce(ctx, s, "charge attempts", chargeAtOnce, args[:cap(args)], func(scan func(...any) error) (j judged, err error) {
		return j, scan(&j.place, &j.known, &j.start, &j.end, &j.stored, &j.within, &j.allowed)
	})
	if lost || err != nil {
		return store.Verdict{}, false, err
	}
	verdict.Allowed = true
	for _, j := range found {
		if !j.stored || j.start > at {
			return store.Verdict{}, false, nil
		}
		key := charges[j.place].Key
		if j.known {
			key = charges[j.place].Instead
		}
		if !j.within {
			verdict.RetryAfter = max(verdict.RetryAfter, time.Duration(j.end-at)*time.Microsecond)
		}
		verdict.Allowed = j.allowed
		verdict.Reserved = append(verdict.Reserved, store.Reservation{Key: key, Start: time.UnixMicro(j.start).UTC()})
	}
	if !verdict.Allowed {
		verdict.Reserved = nil
	}
	return verdict, true, nil
}

// keyArg returns the stored form of a key, nil for none.
func keyArg(key string) any {
	if key == "" {
		return nil
	}
	digest := attemptKey(key)
	return digest[:]
}

// distinct reports whether no key is empty and none is there twice.
func distinct(keys []string) bool {
	for i, key := range keys {
		if key == "" || slices.Contains(keys[:i], key) {
			return false
		}
	}
	return true
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

func (t *tx) charge(charges []store.Charge, keys []string, at int64) (store.Verdict, error) {
	var counted []string
	for i, c := range charges {
		if keys[i] != "" || c.Unless == "" {
			counted = append(counted, keys[i])
		}
	}
	counters, err := t.counters(counted, "")
	if err != nil {
		return store.Verdict{}, err
	}
	verdict := judge(charges, keys, counters, at)
	return verdict, t.keep(counters)
}

// judge counts the attempt in the counters, unless one of them refuses it.
func judge(charges []store.Charge, keys []string, counters map[[32]byte]*counter, at int64) store.Verdict {
	verdict := store.Verdict{Allowed: true}
	for i, c := range charges {
		key := keys[i]
		if key == "" && c.Unless != "" {
			continue
		}
		current := counters[attemptKey(key)]
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
		for _, c := range counters {
			c.refuse()
		}
	}
	return verdict
}

// refuse takes back what a refused charge changed. Only the values for a clock
// that is behind stay.
func (c *counter) refuse() {
	if c.Start != c.before.Start || c.HasBack == c.before.HasBack {
		c.Window = c.before
	}
	c.Used = c.before.Used
}

// counters returns the counters of keys by their stored form, and locks them until
// the end of the transaction. It also locks the group of a memory, unless that is
// "".
func (t *tx) counters(keys []string, group string) (map[[32]byte]*counter, error) {
	all := make(map[[32]byte]*counter, len(keys))
	for _, key := range keys {
		all[attemptKey(key)] = &counter{}
	}
	if err := t.lockKeys(all, group); err != nil || len(all) == 0 {
		return all, err
	}
	var args []any
	for digest := range all {
		args = append(args, digest[:])
	}
	args = padded(args)
	_, err := rows(t, countersQuery(t.s.dialect, len(args)), args, func(scan func(...any) error) (none struct{}, err error) {
		var digest store.Digest
		var back sql.Null[int64]
		w := window.Window{}
		err = scan((*digestVar)(&digest), &w.Start, &w.End, &w.Used, &back)
		w.Back, w.HasBack = back.V, back.Valid
		all[digest] = &counter{w, w, true}
		return none, err
	})
	return all, err
}

// padded repeats the last argument until there are as many as prepared statements
// take.
func padded(args []any) []any {
	for len(args) < mostKeys {
		args = append(args, args[len(args)-1])
	}
	return args
}

// lockKeys locks counters that may not exist yet, so that there is nothing of
// theirs to lock, by their slots: in one order, so that two steps do not wait for
// each other. A writer of SQLite has locked everything already.
func (t *tx) lockKeys(all map[[32]byte]*counter, group string) error {
	var slots []any
	for digest := range all {
		slots = append(slots, keySlots+int64(digest[0]))
	}
	if group != "" {
		slots = append(slots, slotOf(keySlots, group))
	}
	if slots == nil || t.s.dialect == SQLite {
		return nil
	}
	slots = padded(slots)
	_, err := column[int64](t, lockSlotsQuery(len(slots)), slots...)
	return err
}

// keep stores the counters that have changed.
func (t *tx) keep(all map[[32]byte]*counter) error {
	changed := maps.Clone(all)
	maps.DeleteFunc(changed, func(_ [32]byte, c *counter) bool { return c.Window == c.before })
	if t.s.dialect == MySQL {
		// Two nodes of a Galera cluster do not see each other's slots. What one of
		// them has just made the other must not replace.
		fresh := maps.Clone(changed)
		maps.DeleteFunc(fresh, func(_ [32]byte, c *counter) bool { return c.stored })
		maps.DeleteFunc(changed, func(_ [32]byte, c *counter) bool { return !c.stored })
		if err := t.insertCounters(fresh, orError); err != nil {
			if t.s.dialect.faultOf(err) == taken {
				return errBeaten
			}
			return err
		}
	}
	return t.insertCounters(changed, replaceBy(t.s.dialect))
}

// insertCounters stores counters. Otherwise is what to do with those that exist.
func (t *tx) insertCounters(all map[[32]byte]*counter, otherwise string) error {
	if len(all) == 0 {
		return nil
	}
	var args []any
	for _, digest := range slices.SortedFunc(maps.Keys(all), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		c := all[digest]
		args = append(args, digest[:], c.Start, c.End, c.Used, sql.Null[int64]{V: c.Back, Valid: c.HasBack})
	}
	_, err := t.exec(insertCountersQuery(len(all), otherwise), args...)
	return err
}

// countersQuery returns the query for n counters, which it locks.
func countersQuery(d Dialect, n int) string {
	if d == MySQL {
		return countersMySQL + inList(n) + lockInOrder
	}
	return counters + inList(n) + lockInOrder
}

func lockSlotsQuery(n int) string { return lockSlots + inList(n) + lockSlotsInOrder }

func insertCountersQuery(n int, otherwise string) string {
	return insertCounters + "(?, ?, ?, ?, ?)" + strings.Repeat(", (?, ?, ?, ?, ?)", n-1) + otherwise
}

func replaceBy(d Dialect) string {
	if d == MySQL {
		return orReplaceMySQL
	}
	return orReplace
}

// Settle implements [store.Attempts].
func (s *Store) Settle(ctx context.Context, settled store.Settlement) error {
	var keys []string
	for _, r := range settled.Return {
		keys = append(keys, r.Key)
	}
	keys = append(keys, settled.Forget...)
	r := settled.Remember
	remember, group := r.Key != "" && r.Most > 0, ""
	if remember {
		group = r.Group
	}
	if len(keys) == 0 && !remember {
		return ctx.Err()
	}
	if remember && distinct(keys) && len(keys) <= mostKeys {
		done, err := false, error(nil)
		switch s.dialect {
		case Postgres:
			done, err = s.settleAtOnce(ctx, settled)
		case MySQL:
			done, err = s.settleJoined(ctx, settled)
		}
		if done || err != nil {
			return err
		}
	}
	return s.write(ctx, "settle attempts", func(tx *tx) error {
		counters, err := tx.counters(keys, group)
		if err != nil {
			return err
		}
		for _, r := range settled.Return {
			if c := counters[attemptKey(r.Key)]; c.Start == micros(r.Start) && c.Used > 0 {
				c.Used--
			}
		}
		for _, key := range settled.Forget {
			// The record stays, so that the next attempt finds something to lock.
			if c := counters[attemptKey(key)]; c.stored {
				c.Window = window.Window{Start: c.Start, End: c.Start}
			}
		}
		if err := tx.keep(counters); err != nil || !remember {
			return err
		}
		return tx.remember(r)
	})
}

// settleAtOnce is Settle as one statement. Done is false if nothing was done,
// because a key is not remembered yet, a counter is gone, or another caller was in
// the way.
func (s *Store) settleAtOnce(ctx context.Context, settled store.Settlement) (done bool, err error) {
	args := make([]any, 0, 2*mostKeys+3)
	for _, r := range settled.Return {
		args = append(args, keyArg(r.Key), micros(r.Start))
	}
	for _, key := range settled.Forget {
		args = append(args, keyArg(key), nil)
	}
	n := len(args) / 2
	args = append(args[:2*mostKeys], keyArg(settled.Remember.Key), n, micros(settled.Remember.Until))
	found, _, err := atOnce(ctx, s, "settle attempts", settleAtOnce, args, func(scan func(...any) error) (setting string, err error) {
		return setting, scan(&setting)
	})
	return len(found) > 0, err
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
