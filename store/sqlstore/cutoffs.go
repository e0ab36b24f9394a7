package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/ostiary/auth/store"
)

// A bulk revocation changes no token. It stores a cut-off, which every read
// looks up: tokens from before it are dead. The records are marked afterwards,
// in steps that can be resumed. A cut-off stays for an hour after that, and
// then the marking is repeated: a concurrent insert has the number of the
// newest cut-off that it read, and is dead by a later one.

// A cutKey is the subject of a cut-off: a user, an application, both, or the
// descendants of a family. The zero cutKey concerns all tokens.
type cutKey struct {
	userID        string
	applicationID int64
	family        int64
}

func (k cutKey) args() []any { return []any{k.userID, k.applicationID, k.family} }

// keyOf returns the cut-off that stands for a selection. Others name few tokens.
func keyOf(sel store.Selection) (key cutKey, bulk bool) {
	if sel.TokenID != 0 || sel.Family != 0 {
		return cutKey{}, false
	}
	key = cutKey{sel.UserID, sel.ApplicationID, sel.MintedBy}
	if key.family != 0 {
		return key, key == cutKey{family: key.family}
	}
	return key, key != cutKey{} || sel.All
}

// The stages of a cut-off. Its records are found by one index or by two, twice.
const (
	markFirst = iota
	markSecond
	markWait // for concurrent transactions
	markFirstAgain
	markSecondAgain
)

// settleTime is the time for which a cut-off stays for concurrent transactions.
const settleTime = time.Hour

// A cutoff is a row of auth_cutoffs.
type cutoff struct {
	cutKey
	seq, at, root  int64
	stage, afterID int64
}

func (c *cutoff) dest() []any {
	return []any{&c.userID, &c.applicationID, &c.family, &c.seq, &c.at, &c.root, &c.stage, &c.afterID}
}

// cutOff ends everything that a key concerns. root is that of its family.
func (t *tx) cutOff(key cutKey, root int64, at time.Time) error {
	if _, err := t.exec(nextCutoff); err != nil {
		return err
	}
	if _, err := t.exec(deleteCutoff, key.args()...); err != nil {
		return err
	}
	_, err := t.exec(insertCutoff, append(key.args(), ending(at), root)...)
	return err
}

// revokeBulk ends everything that a key concerns, and marks some of it.
func (s *Store) revokeBulk(ctx context.Context, key cutKey, at time.Time) (int, error) {
	if checkText(key.args()) != nil {
		return 0, nil // nothing like that is stored
	}
	err := s.write(ctx, "revoke tokens", func(tx *tx) error {
		root := int64(0)
		if key.family != 0 {
			var err error
			if root, err = tx.rootOf(key.family); err != nil {
				return err
			}
		}
		return tx.cutOff(key, root, at)
	})
	if err != nil {
		return 0, err
	}
	return s.markNow(ctx, key), nil
}

// rootOf returns the top of the tree that a family is in: itself, if it was minted
// by nobody. A family that has minted something has a record.
func (t *tx) rootOf(family int64) (int64, error) {
	found, err := column[int64](t, rootOfFamily, family)
	if err != nil || len(found) == 0 || found[0] == 0 {
		return family, err
	}
	return found[0], nil
}

// markNow does one step of marking and returns the number of marked tokens.
// Purge does the rest.
func (s *Store) markNow(ctx context.Context, key cutKey) int {
	var c cutoff
	var marked []pair
	err := s.write(ctx, "mark revoked tokens", func(tx *tx) error {
		c, marked = cutoff{}, nil
		err := tx.get(cutoffByKey, key.args(), c.dest()...)
		for more := true; err == nil && more && c.stage < markWait && len(marked) < markStep; {
			var some []pair
			some, more, err = tx.mark(&c, c.at, markStep-len(marked))
			marked = append(marked, some...)
		}
		return err
	})
	if err != nil {
		return 0
	}
	var families []int64
	for _, p := range marked {
		families = append(families, p.family)
	}
	return len(marked) + s.markBelow(ctx, families, c.at)
}

// markCutoffs does a step of the remaining marking, for a purge before an
// instant. It removes no token.
func (t *tx) markCutoffs(before int64) (none int, more bool, err error) {
	found, err := rows(t, cutoffsToMark, []any{max(before, 1)}, func(scan func(...any) error) (c cutoff, err error) {
		return c, scan(c.dest()...)
	})
	if err != nil || len(found) == 0 {
		return 0, false, err
	}
	_, _, err = t.mark(&found[0], before, markStep)
	return 0, true, err
}

// A cutRow is a token that a cut-off may concern.
type cutRow struct {
	pair
	seq, via, parent int64
	independent      bool
	ancestors        string
	revoked          time.Time
}

// mark looks at most records that a cut-off may have ended, marks those that it
// has, and moves it on. It returns the marked ones, and whether the cut-off has
// begun with another index.
func (t *tx) mark(c *cutoff, before int64, most int) (marked []pair, more bool, err error) {
	if c.stage == markWait {
		c.stage, c.afterID = markFirstAgain, 0
	}
	where, arg := c.scan()
	in := filter{[]string{where}, []any{arg}}
	query := cutRows + t.s.dialect.tokensBy("") + "\n\tWHERE " + where + " AND t.id > ?" + orderBy(false, "t.id") + " LIMIT ?"
	if index, column := c.liveIndex(); index != "" {
		if column != "" {
			in = filter{}
			in.only(t.s.dialect, column, arg)
		}
		query = cutRows + t.s.dialect.tokensBy(index) + whereLive + " AND " + in.text() + " AND t.id > ?" +
			t.s.dialect.orderLive(column, false, "t.id") + " LIMIT ?"
	}
	found, err := rows(t, query, append(in.args, c.afterID, most), func(scan func(...any) error) (r cutRow, err error) {
		return r, scan(&r.id, &r.family, &r.seq, &r.via, &r.parent, &r.independent, &r.ancestors, when(&r.revoked))
	})
	if err != nil {
		return nil, false, err
	}
	var ids []int64
	for _, r := range found {
		if c.afterID = r.id; r.revoked.IsZero() && c.concerns(r) {
			marked, ids = append(marked, r.pair), append(ids, r.id)
		}
	}
	if n, err := t.markEnded(ids, c.at); err != nil {
		return nil, false, err
	} else if int(n) < len(marked) {
		marked = marked[:n] // another call was quicker
	}
	done := len(found) < most
	if done {
		left, err := t.sweepConsents(c)
		if err != nil {
			return nil, false, err
		}
		done = !left
	}
	if done {
		c.afterID = 0
		c.stage++
		if !c.hasSecond() && (c.stage == markSecond || c.stage == markSecondAgain) {
			c.stage++
		}
	}
	key := append(c.args(), c.seq)
	if c.stage > markSecondAgain {
		_, err = t.exec(dropCutoff, key...)
		return marked, false, err
	}
	waits := int64(0) // for nothing: the next step can be done at once
	if c.stage == markWait {
		waits = before + settleTime.Microseconds()
	}
	_, err = t.exec(moveCutoff, append([]any{c.stage, c.afterID, waits}, key...)...)
	return marked, done, err
}

// scan returns the condition by whose index the records of a cut-off are found.
func (c *cutoff) scan() (where string, arg any) {
	second := c.stage == markSecond || c.stage == markSecondAgain
	switch {
	case c.family != 0 && second:
		return "t.parent_id <> 0 AND t.parent_id = ?", c.family
	case c.family != 0:
		return "t.root_id <> 0 AND t.root_id = ?", c.root
	case c.userID != "":
		return "t.user_id = ?", c.userID
	case c.applicationID != 0 && second:
		return "t.via_id <> 0 AND t.via_id = ?", c.applicationID
	case c.applicationID != 0:
		return "t.application_id = ?", c.applicationID
	}
	return "t.id > ?", 0
}

// liveIndex returns the index by which scan finds, if it has live tokens alone, and
// the column with which it begins, "" if that is none of scan.
func (c *cutoff) liveIndex() (index, column string) {
	switch {
	case c.family != 0 || c.hasSecond() && (c.stage == markSecond || c.stage == markSecondAgain):
		return "", ""
	case c.userID != "":
		return indexListed, "t.user_id"
	case c.applicationID != 0:
		return indexIssued, "t.application_id"
	}
	return indexEvery, ""
}

// hasSecond reports whether the records are found by two indexes.
func (c *cutoff) hasSecond() bool { return c.userID == "" && (c.applicationID != 0 || c.family != 0) }

// concerns reports whether the cut-off ended a token that scan found.
func (c *cutoff) concerns(r cutRow) bool {
	return r.seq < c.seq &&
		(c.applicationID == 0 || r.via == c.applicationID) &&
		(c.family == 0 || slices.Contains(lineageOf(r.ancestors, r.parent, r.independent).above, c.family))
}

// sweepConsents removes consents to an application that is gone, a step of them,
// and reports whether there may be more.
func (t *tx) sweepConsents(c *cutoff) (more bool, err error) {
	if c.applicationID == 0 || c.userID != "" || c.stage != markSecond && c.stage != markSecondAgain {
		return false, nil
	}
	digests, err := column[[]byte](t, consentsOfGone, c.applicationID, markStep)
	if err != nil || len(digests) == 0 {
		return false, err
	}
	args := []any{c.applicationID}
	for _, d := range digests {
		args = append(args, d)
	}
	_, err = t.exec(deleteConsentsOf+inList(len(digests)), args...)
	return len(digests) == markStep, err
}

// mintedBy returns the live tokens that a selection names among those which a
// family minted.
func (t *tx) mintedBy(sel store.Selection) (found []pair, err error) {
	root, err := t.rootOf(sel.MintedBy)
	if err != nil {
		return nil, err
	}
	where, args := condition(sel)
	if where != "" {
		where = " AND " + where
	}
	for _, by := range []cutoff{{root: root}, {stage: markSecond}} {
		by.family = sel.MintedBy
		scan, arg := by.scan()
		list, err := rows(t, treeRows+scan+where, append([]any{arg}, args...), func(scan func(...any) error) (r tokenRecord, err error) {
			return r, scan(&r.ID, &r.Family, &r.ParentID, &r.Independent, &r.ancestors)
		})
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			p := pair{r.ID, r.Family}
			if slices.Contains(r.lineage().above, sel.MintedBy) && !slices.Contains(found, p) {
				found = append(found, p)
			}
		}
	}
	return found, nil
}
