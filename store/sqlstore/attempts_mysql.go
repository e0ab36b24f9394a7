package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"

	"github.com/ostiary/auth/store"
)

// chargeSeen is Charge for MySQL, without a transaction: it reads, and changes the
// counters by one statement if all of them are still as it read them. Done is false
// if nothing was done, because a counter is missing or has changed, or a refusal has
// something to store. Those who lock are in the way of the statement, and it of them.
func (s *Store) chargeSeen(ctx context.Context, charges []store.Charge, at int64) (verdict store.Verdict, done bool, err error) {
	var all, unless []string
	for _, c := range charges {
		all = append(all, c.Key)
		if c.Instead != "" {
			all = append(all, c.Instead)
		}
		if c.Unless != "" {
			unless = append(unless, c.Unless)
		}
	}
	if !distinct(all) || len(all) > mostKeys || len(unless) > mostKeys {
		return store.Verdict{}, false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	seen, remembered, err := s.seenCounters(ctx, all, unless, at)
	if err != nil {
		return store.Verdict{}, false, err
	}
	keys := make([]string, len(charges))
	counters := make(map[[32]byte]*counter, len(charges))
	for i, c := range charges {
		keys[i] = c.Key
		if c.Unless != "" && remembered[attemptKey(c.Unless)] {
			keys[i] = c.Instead
		}
		if keys[i] == "" {
			continue
		}
		digest := attemptKey(keys[i])
		if seen[digest] == nil {
			return store.Verdict{}, false, nil
		}
		counters[digest] = seen[digest]
	}
	verdict = judge(charges, keys, counters, at)
	maps.DeleteFunc(counters, func(_ [32]byte, c *counter) bool { return c.Window == c.before })
	if len(counters) == 0 {
		return verdict, true, nil
	}
	if !verdict.Allowed {
		return store.Verdict{}, false, nil
	}
	changed, err := s.change(ctx, "charge attempts", false, swapCounters(len(counters)), swapArgs(counters)...)
	if err != nil || changed == 0 {
		return store.Verdict{}, false, err
	}
	return verdict, true, nil
}

// seenCounters returns the stored counters of keys, and which of others are
// remembered. It locks nothing.
func (s *Store) seenCounters(ctx context.Context, keys, unless []string, at int64) (seen map[[32]byte]*counter, remembered map[[32]byte]bool, err error) {
	args := make([]any, 2*mostKeys, 2*mostKeys+1) // nil is no key
	for i, key := range keys {
		args[i] = keyArg(key)
	}
	for i, key := range unless {
		args[mostKeys+i] = keyArg(key)
	}
	seen, remembered = make(map[[32]byte]*counter), make(map[[32]byte]bool)
	_, err = list(ctx, s, "look up attempts", countersSeen, append(args, at), func(scan func(...any) error) (none struct{}, err error) {
		var memory bool
		var digest store.Digest
		var back sql.Null[int64]
		c := &counter{stored: true}
		err = scan(&memory, (*digestVar)(&digest), &c.Start, &c.End, &c.Used, &back)
		c.Back, c.HasBack = back.V, back.Valid
		c.before = c.Window
		if memory {
			remembered[digest] = true
		} else {
			seen[digest] = c
		}
		return none, err
	})
	return seen, remembered, err
}

// joined returns the beginning of an UPDATE of n counters, each under its own name,
// the conditions for them, and the assignments. They have the same column names.
func joined(n int, condition, set string) (tables, conditions, sets string) {
	var from, where, to []string
	for i := range n {
		name := "t" + string(rune('0'+i)) + "."
		from = append(from, "auth_throttle "+strings.TrimSuffix(name, "."))
		where = append(where, strings.ReplaceAll(condition, "t.", name))
		to = append(to, strings.ReplaceAll(set, "t.", name))
	}
	return strings.Join(from, " JOIN "), strings.Join(where, " AND "), strings.Join(to, ", ")
}

// swapCounters changes n counters if all of them are as they were.
func swapCounters(n int) string {
	tables, conditions, sets := joined(n, asSeen, toWindow)
	return "\n\tUPDATE " + tables + " SET " + sets + "\n\tWHERE " + conditions
}

func swapArgs(all map[[32]byte]*counter) []any {
	var sets, conditions []any
	for _, digest := range slices.SortedFunc(maps.Keys(all), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		c := all[digest]
		sets = append(sets, c.Start, c.End, c.Used, sql.Null[int64]{V: c.Back, Valid: c.HasBack})
		conditions = append(conditions, digest[:], c.before.Start, c.before.End, c.before.Used, sql.Null[int64]{V: c.before.Back, Valid: c.before.HasBack})
	}
	return append(sets, conditions...)
}

// settleCounters settles n counters, and prolongs a memory, if all of them are
// there.
func settleCounters(n int) string {
	tables, conditions, sets := joined(n, "t.key_digest = ?", settleOne)
	if n > 0 {
		tables, conditions, sets = " JOIN "+tables, " AND "+conditions, ", "+sets
	}
	return prolongJoined + tables + prolongSet + sets + prolongWhere + conditions
}

// settleJoined is Settle for MySQL, as one statement. Done is false if nothing was
// done, because a key is not remembered yet, a counter is gone, or there was nothing
// to change.
func (s *Store) settleJoined(ctx context.Context, settled store.Settlement) (done bool, err error) {
	sets, conditions := []any{micros(settled.Remember.Until)}, []any{keyArg(settled.Remember.Key)}
	settle := func(key string, start any) {
		sets = append(sets, start, start, start, start)
		conditions = append(conditions, keyArg(key))
	}
	for _, r := range settled.Return {
		settle(r.Key, micros(r.Start))
	}
	for _, key := range settled.Forget {
		settle(key, nil)
	}
	n, err := s.change(ctx, "settle attempts", false, settleCounters(len(conditions)-1), append(sets, conditions...)...)
	return n > 0, err
}
