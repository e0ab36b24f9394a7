package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/ostiary/auth/store"
)

// condition turns a selection into a condition on t. It is "" if nothing is
// selected.
func condition(sel store.Selection) (where string, args []any) {
	var parts []string
	and := func(part string, arg any) {
		parts = append(parts, part)
		args = append(args, arg)
	}
	if sel.TokenID != 0 {
		and("t.id = ?", sel.TokenID)
	}
	if sel.UserID != "" {
		and("t.user_id = ?", sel.UserID)
	}
	if sel.ApplicationID != 0 {
		and("t.application_id = ?", sel.ApplicationID)
	}
	if sel.Family != 0 {
		and("t.family = ?", sel.Family)
	}
	if sel.All && parts == nil {
		return "1 = 1", nil
	}
	return strings.Join(parts, " AND "), args
}

// RevokeTokens implements [store.Tokens].
func (s *Store) RevokeTokens(ctx context.Context, sel store.Selection, at time.Time) (n int, err error) {
	if where, _ := condition(sel); where == "" {
		return 0, ctx.Err()
	}
	err = s.write(ctx, "revoke tokens", func(tx *tx) error {
		n, err = tx.revoke(sel, at)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// revoke ends what sel names and everything it minted. The families are locked
// before it looks for tokens, so that no rotation carries one of them on, and
// each generation is revoked before it looks for the next: whoever inserts a
// child holds its parent meanwhile, so that the child either is there by then or
// finds its parent revoked.
func (t *tx) revoke(sel store.Selection, at time.Time) (int, error) {
	where, args := condition(sel)
	if where == "" {
		return 0, nil
	}
	if t.s.dialect != SQLite { // who writes there is alone
		if _, err := column[int64](t, lockFamilies+where+lockFamiliesEnd, args...); err != nil {
			return 0, err
		}
	}
	now := micros(at)
	revoked, err := t.exec(revokeTokens+where, append([]any{now, now, now}, args...)...)
	if err != nil {
		return 0, err
	}
	// Not only if something was revoked: a parent may have ended in the same
	// microsecond. It costs one look into an index.
	children, err := column[int64](t, childrenOf+where+childrenOfEnd, append([]any{now}, args...)...)
	for ; err == nil && len(children) > 0; children, err = t.generation(children, now) {
		n, err := t.each(revokeTokens+"t.id", children, now, now, now)
		if err != nil {
			return 0, err
		}
		revoked += n
	}
	return int(revoked), err
}

// generation returns the children of parents that were just revoked.
func (t *tx) generation(parents []int64, now int64) (children []int64, err error) {
	err = inBatches(parents, func(list string, args []any) error {
		ids, err := column[int64](t, childrenOf+"t.id"+list+childrenOfEnd, append([]any{now}, args...)...)
		children = append(children, ids...)
		return err
	})
	return children, err
}

// each runs a statement that ends in a column for all values of that column.
func (t *tx) each(query string, ids []int64, args ...any) (changed int64, err error) {
	err = inBatches(ids, func(list string, values []any) error {
		n, err := t.exec(query+list, append(args[:len(args):len(args)], values...)...)
		changed += n
		return err
	})
	return changed, err
}

// inBatches calls f with " IN (?, ?, …)" and the arguments for it.
func inBatches(ids []int64, f func(list string, args []any) error) error {
	const most = 500
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
