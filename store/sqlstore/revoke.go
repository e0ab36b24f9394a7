package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// markStep is how many tokens one step of a revocation marks.
const markStep = 200

// condition turns a selection into a condition on t. It is "" if nothing is
// selected.
func condition(sel store.Selection) (where string, args []any) {
	var f filter
	if sel.TokenID != 0 {
		f.and("t.id = ?", sel.TokenID)
	}
	if sel.UserID != "" {
		f.and("t.user_id = ?", sel.UserID)
	}
	if sel.ApplicationID != 0 {
		f.and(viaToken+" = ?", sel.ApplicationID)
	}
	if sel.Family != 0 {
		f.and("t.family = ?", sel.Family)
	}
	if sel.All && f.parts == nil {
		f.and("1 = 1")
	}
	return f.text(), f.args
}

// RevokeTokens implements [store.Tokens].
func (s *Store) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (n int, err error) {
	if where, _ := condition(sel); where == "" && sel.MintedBy == 0 {
		return 0, ctx.Err()
	}
	if key, bulk := keyOf(sel); bulk {
		return s.revokeBulk(ctx, key, at)
	}
	var marked []int64
	var families []int64
	err = s.write(ctx, "revoke tokens", func(tx *tx) error {
		marked, families, err = tx.revoke(sel, at)
		return err
	})
	if err != nil {
		return 0, err
	}
	return len(marked) + s.markBelow(ctx, families, micros(at)), nil
}

// revoke marks the tokens that a selection names which is not bulk, and returns
// them with their families. It names a family at most, or what one minted.
func (t *tx) revoke(sel store.Selection, at time.Time) (marked, families []int64, err error) {
	if sel.Family != 0 {
		// So that no rotation carries the family on meanwhile.
		if err := t.useSlot(familySlot(sel.Family)); err != nil {
			return nil, nil, err
		}
	}
	var found []pair
	if sel.MintedBy != 0 {
		found, err = t.mintedBy(sel)
	} else {
		where, args := condition(sel)
		found, err = rows(t, namedTokens+where+namedTokensEnd, append(args, maxNamed), func(scan func(...any) error) (p pair, err error) {
			return p, scan(&p.id, &p.family)
		})
	}
	if err != nil {
		return nil, nil, err
	}
	for _, p := range found {
		marked, families = append(marked, p.id), append(families, p.family)
	}
	n, err := t.markEnded(marked, micros(at))
	return marked[:n], families, err
}

// maxNamed is more than the live tokens of a family or a tree: there are as many
// as limits allow.
const maxNamed = 100_000

// markEnded notes in records that they ended. Those that had ended stay as they
// are and do not count.
func (t *tx) markEnded(ids []int64, at int64) (marked int64, err error) {
	at = notNever(at)
	return t.each(revokeTokens, ids, at, at, at, at, at)
}

// revokeFamily ends a family, 0 being none.
func (t *tx) revokeFamily(family int64, at time.Time) error {
	if family == 0 {
		return nil
	}
	_, _, err := t.revoke(store.Selection{Family: family}, at)
	return err
}

// markBelow marks what families minted that have ended: it is dead already. It
// returns how many tokens it marked. It goes on while it can; what it leaves,
// Purge does.
func (s *Store) markBelow(ctx context.Context, families []int64, at int64) (marked int) {
	for step := 0; len(families) > 0 && step < 4*store.MaxDepth; step++ {
		kids, err := s.minted(ctx, families)
		if err != nil || len(kids) == 0 {
			break
		}
		var ids, next []int64
		for _, kid := range kids {
			ids, next = append(ids, kid.id), append(next, kid.family)
		}
		var n int64
		err = s.write(ctx, "mark the descendants of revoked tokens", func(tx *tx) (err error) {
			n, err = tx.markEnded(ids, at)
			return err
		})
		if err != nil {
			break
		}
		if marked += int(n); len(kids) >= markStep {
			next = append(next, families...) // there may be more
		}
		families = next
	}
	return marked
}

// minted returns live children of those families that have ended, a step of them,
// with the children's families.
func (s *Store) minted(ctx context.Context, families []int64) (kids []pair, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = inBatches(families, func(in string, args []any) error {
		if len(kids) >= markStep {
			return nil
		}
		some, err := list(ctx, s, "list the descendants of revoked tokens", mintedOf+in+mintedOfEnd, append(args, markStep-len(kids)),
			func(scan func(...any) error) (p pair, err error) { return p, scan(&p.id, &p.family) })
		kids = append(kids, some...)
		return err
	})
	return kids, err
}

// each runs a statement that ends in a column for all values of that column.
func (t *tx) each(query string, ids []int64, args ...any) (changed int64, err error) {
	err = inBatches(ids, func(in string, values []any) error {
		n, err := t.exec(query+in, append(args[:len(args):len(args)], values...)...)
		changed += n
		return err
	})
	return changed, err
}

// inBatches calls f with " IN (?, ?, …)" and the arguments for it.
func inBatches(ids []int64, f func(in string, args []any) error) error {
	// From 200 on, MySQL looks up no value in the index to see how many rows it has
	// (eq_range_index_dive_limit). It then takes each family for one of average size,
	// and reads the whole table if most tokens have no parent.
	const most = 100
	for len(ids) > 0 {
		n := min(len(ids), most)
		args := make([]any, n)
		for i, id := range ids[:n] {
			args[i] = id
		}
		if err := f(inList(n), args); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func inList(n int) string { return " IN (?" + strings.Repeat(", ?", n-1) + ")" }
