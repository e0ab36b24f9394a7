package sqlstore

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// purgeStep is how many records one step of a purge looks at: few enough to hold
// up nobody for more than some milliseconds.
const purgeStep = 100

// Purge implements [store.Tokens]. Each step is a transaction of its own.
func (s *Store) Purge(ctx context.Context, endedBefore time.Time, max int) (removed int, err error) {
	before := micros(endedBefore)
	var errs []error
	for _, kind := range []func(*tx, int) (removed int, more bool, err error){
		func(tx *tx, _ int) (int, bool, error) { return tx.markCutoffs(before) },
		func(tx *tx, most int) (int, bool, error) {
			n, err := purge[[]byte](tx, deleteCode, before, endedCodes, before, most)
			return n, n == most, err
		},
		func(tx *tx, most int) (int, bool, error) {
			n, err := purge[[]byte](tx, deleteDevice, before, endedDevices, before, most)
			return n, n == most, err
		},
		func(tx *tx, most int) (int, bool, error) { return tx.purgeTokens(before, most) },
	} {
		n, err := s.purgeKind(ctx, max-removed, kind)
		removed += n
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// purgeKind runs the steps for one kind of record until nothing is left, until
// most are removed, or until its time is over: then the next call goes on.
func (s *Store) purgeKind(ctx context.Context, most int, step func(*tx, int) (int, bool, error)) (removed int, err error) {
	begun := time.Now()
	for more := true; more; {
		n := 0
		err := s.write(ctx, "purge", func(tx *tx) (err error) {
			n, more, err = step(tx, min(most-removed, purgeStep))
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += n
		more = more && removed < most && time.Since(begun) < s.timeout/2
	}
	return removed, nil
}

// A purgeable is a token that may be over.
type purgeable struct {
	id, family                                     int64
	expires, revoked, refreshExpires, spent, grant time.Time
	refresh                                        bool
	at                                             int64 // when it was thought to be over
}

// over returns when a token may be removed, as far as it alone can tell: when it
// has ended with its refresh token, or with its grant if that was spent.
func (p purgeable) over() int64 {
	if !p.spent.IsZero() {
		return grantOver(p.grant)
	}
	return tokenOver(p.expires, p.revoked, p.refresh, p.refreshExpires)
}

func grantOver(grant time.Time) int64 {
	if grant.IsZero() {
		return math.MaxInt64
	}
	return micros(grant)
}

func tokenOver(expires, revoked time.Time, refresh bool, refreshExpires time.Time) int64 {
	over := micros(expires)
	if refresh {
		over = max(over, micros(refreshExpires))
	}
	if !revoked.IsZero() {
		over = min(over, micros(revoked))
	}
	return over
}

// purgeTokens removes tokens, most at most, in one step. It reports whether there
// may be more.
func (t *tx) purgeTokens(before int64, most int) (removed int, more bool, err error) {
	if most < 1 {
		return 0, false, nil
	}
	found, err := rows(t, tokensToPurge, []any{before, most}, func(scan func(...any) error) (p purgeable, err error) {
		return p, scan(&p.id, &p.family, when(&p.expires), when(&p.revoked), &p.refresh, when(&p.refreshExpires),
			when(&p.spent), when(&p.grant), &p.at)
	})
	if err != nil {
		return 0, false, err
	}
	more = len(found) == most
	var gone []int64
	var last []purgeable // tokens with which their family may end
	for _, p := range found {
		switch over := p.over(); {
		case over >= before: // an older version stored it
			err = t.postpone(p, over)
		case !p.spent.IsZero():
			gone = append(gone, p.id)
		default:
			last = append(last, p)
		}
		if err != nil {
			return 0, false, err
		}
	}
	goesOn, err := t.goOn(last)
	if err != nil {
		return 0, false, err
	}
	last, waits, err := t.endMinted(last, goesOn, before)
	if err != nil {
		return 0, false, err
	}
	spent, keep, err := t.endFamilies(last, goesOn, most-len(gone))
	if err != nil {
		return 0, false, err
	}
	for _, id := range spent {
		if !slices.Contains(gone, id) {
			gone = append(gone, id)
		}
	}
	for _, p := range last {
		if keep[p.family] || len(gone) == most {
			more = true
		} else {
			gone = append(gone, p.id)
		}
	}
	n, err := t.each(deleteTokens, gone, before)
	return int(n), more || waits, err
}

func (t *tx) postpone(p purgeable, until int64) error {
	_, err := t.exec(postponeToken, until, p.id, p.at)
	return err
}

// goOn returns the families that have other tokens than these which live.
func (t *tx) goOn(last []purgeable) (map[int64]bool, error) {
	own := make(map[int64]bool)
	var families []int64
	for _, p := range last {
		own[p.id] = true
		if p.family != p.id || p.refresh {
			families = append(families, p.family)
		}
	}
	living, err := t.pairs(liveOfFamilies, families, "")
	goesOn := make(map[int64]bool)
	for _, other := range living {
		if !own[other.id] {
			goesOn[other.family] = true
		}
	}
	return goesOn, err
}

// endFamilies returns refresh tokens that were spent in families that end with
// last, most at most, and the families that may have more of them.
func (t *tx) endFamilies(last []purgeable, goesOn map[int64]bool, most int) (spent []int64, keep map[int64]bool, err error) {
	keep = make(map[int64]bool)
	for _, p := range last {
		if p.refresh && !goesOn[p.family] {
			keep[p.family] = true
		}
	}
	if most < 1 || len(keep) == 0 {
		return nil, keep, nil
	}
	list, err := t.pairs(spentOfFamilies, slices.Collect(maps.Keys(keep)), " LIMIT "+strconv.Itoa(most))
	for _, p := range list {
		spent = append(spent, p.id)
	}
	if len(list) < most {
		clear(keep)
	}
	return spent, keep, err
}

// endMinted marks what the tokens minted that are about to go, as it has ended
// with them, and returns those that may go now: one whose children are not gone
// yet waits for them, so that each of these finds those above it. It reports
// whether some wait that could go before the given instant.
func (t *tx) endMinted(last []purgeable, goesOn map[int64]bool, before int64) (free []purgeable, wait bool, err error) {
	by := make(map[int64]purgeable)
	var families []int64
	for _, p := range last {
		if !goesOn[p.family] {
			by[p.family] = p
			families = append(families, p.family)
		}
	}
	kids, err := t.pairs(childrenOf, families, " LIMIT "+strconv.Itoa(purgeStep))
	if err != nil {
		return nil, false, err
	}
	for _, kid := range kids {
		if _, err := t.markEnded([]int64{kid.id}, by[kid.family].over()); err != nil {
			return nil, false, err
		}
		wait = true
	}
	until := make(map[int64]int64)
	err = inBatches(families, func(in string, args []any) error {
		list, err := rows(t, lastChildren+in+lastChildrenEnd, args, func(scan func(...any) error) (v [2]int64, err error) {
			return v, scan(&v[0], &v[1])
		})
		for _, v := range list {
			until[v[0]] = v[1]
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for _, p := range last {
		end, has := until[p.family]
		if !has {
			free = append(free, p)
			continue
		}
		if end++; end <= p.at {
			end = p.at + 1
		}
		if err := t.postpone(p, end); err != nil {
			return nil, false, err
		}
		wait = wait || end < before
	}
	return free, wait, nil
}

// A pair is a token and its family, or its parent.
type pair struct{ id, family int64 }

// pairs runs a query that ends in a column for all values of that column.
func (t *tx) pairs(query string, ids []int64, end string) (all []pair, err error) {
	err = inBatches(ids, func(in string, args []any) error {
		list, err := rows(t, query+in+end, args, func(scan func(...any) error) (p pair, err error) {
			return p, scan(&p.id, &p.family)
		})
		all = append(all, list...)
		return err
	})
	return all, err
}

// purge removes the records that find returns, unless they have changed since.
func purge[K any](t *tx, remove string, before int64, find string, args ...any) (removed int, err error) {
	if most := args[len(args)-1].(int); most < 1 {
		return 0, nil
	}
	keys, err := column[K](t, find, args...)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		n, err := t.exec(remove, key, before)
		if err != nil {
			return 0, err
		}
		removed += int(n)
	}
	return removed, nil
}
