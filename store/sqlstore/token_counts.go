package sqlstore

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary/auth/store"
)

// mostNamed is how many tokens those may have whom cut-offs name, for surelyReach.
const mostNamed = 256

// countTokens counts the tokens of ranges up to a limit, without what a cut-off ended.
func (s *Store) countTokens(ctx context.Context, list store.Digest, ranges []rowRange, uncut sparing, limit int) (int, error) {
	if s.dialect == SQLite && s.lists.knownLong(&list) {
		if surely, err := s.surelyReach(ctx, ranges, uncut, limit); surely || err != nil {
			return limit, err
		}
	}
	ranges = disjoint(with(ranges, uncut.filter))
	arm := s.countArm(len(ranges), limit)
	if s.dialect == MySQL && len(ranges) > 1 { // it would write down what a union has
		query, args := sum(ranges, func(r rowRange) string { return countOf + arm(r) + countOfEnd })
		n, err := s.number(ctx, "count tokens", query, args)
		return min(n, limit), err
	}
	query, args := union(ranges, arm)
	return s.count(ctx, "count tokens", list, query, args, limit)
}

// disjoint returns ranges as they are counted: each without what it leaves out, and those
// that leave something out last.
func disjoint(ranges []rowRange) []rowRange {
	ranges = slices.Clone(ranges)
	slices.SortStableFunc(ranges, func(a, b rowRange) int { return len(a.apart.parts) - len(b.apart.parts) })
	for i := range ranges {
		r := &ranges[i]
		r.overlaps = false
		r.args = slices.Concat(r.args, r.apart.args)
	}
	return ranges
}

// countArm returns what makes a query of each of so many disjoint ranges. No range has to
// be read beyond the limit: what a range leaves out is in the others, and with the rest of so
// many it makes the limit. Where the limit of the whole stops the reading, an arm has none.
func (s *Store) countArm(ranges, limit int) func(rowRange) string {
	return func(r rowRange) string {
		switch {
		case r.apart.parts != nil:
			return idsByOwner + s.live(tokenOwners, r, limit) + idsByOwnerEnd + r.apart.text()
		case s.dialect == SQLite || ranges == 1:
			return s.live(tokenIDs, r, 0) // it ends with the whole, in SQLite faster than by itself
		}
		return s.live(tokenIDs, r, limit)
	}
}

// surelyReach reports that at least limit tokens of ranges were ended by no cut-off. False
// says nothing. To look at an entry of an index takes SQLite two to four times as long as to
// skip it. So it looks at none: it skips as many more as those have whom cut-offs name, and
// does not look for the end of a range, but at the entry where it arrives.
func (s *Store) surelyReach(ctx context.Context, ranges []rowRange, uncut sparing, limit int) (bool, error) {
	if uncut.anyone {
		return false, nil
	}
	named, namedArgs := uncut.named()
	query, args, within := openEnded(ranges)
	switch {
	case query != "":
	case named == "":
		return false, nil // a count does the same
	default:
		ranges = disjoint(ranges)
		query, args = union(ranges, s.countArm(len(ranges), limit+mostNamed))
	}
	skip := " OFFSET " + strconv.Itoa(limit-1)
	if named == "" {
		query += " LIMIT 1" + skip
	} else {
		n := "(" + countOf + named + countOfEnd + ")"
		query += " LIMIT " + n + " <= " + strconv.Itoa(mostNamed) + skip + " + " + n
	}
	n, err := s.number(ctx, "count tokens", countOf+query+countOfEnd+within.where(), slices.Concat(args, namedArgs, namedArgs, within.args))
	return n > 0, err
}

// openEnded returns a query for a range and what follows it in an index, in order, with
// the condition that an entry is of the range. It is "" for several ranges, and for one
// that is not all that an index has of a value.
func openEnded(ranges []rowRange) (query string, args []any, within filter) {
	r := ranges[0]
	switch {
	case len(ranges) > 1:
	case r.index == indexEvery && r.parts == nil:
		// Another index has all of them, too. This one begins with revoked_at, of which
		// SQLite would look for the end.
		return openTokens("t.user_id", indexListed), []any{""}, within
	case r.index != "" && r.column != "" && len(r.parts) == 1:
		within.and("n.value = ?", r.args...)
		return openTokens(r.column, r.index), r.args, within
	}
	return "", nil, within
}

// openTokens returns a query for tokens from a value of a column on.
func openTokens(column, index string) string {
	return "\n\tSELECT " + column + " AS value" + tokensIndexed + index + whereLive + " AND " + column + " >= ?" + orderBy(false, column)
}

// named returns a query with a row for each token of those whom cut-offs name, up to
// mostNamed and one more, "" if they name nobody. Among those that came through an
// application there may be revoked ones.
func (f sparing) named() (query string, args []any) {
	var parts []string
	of := func(values []any, index, where string) {
		if values != nil {
			parts = append(parts, cutNames+"(?)"+strings.Repeat(", (?)", len(values)-1)+cutNamesEnd+index+where+" = c.column1")
			args = append(args, values...)
		}
	}
	of(f.users, indexListed, whereLive+" AND t.user_id")
	of(f.applications, indexIssued, whereLive+" AND t.application_id")
	of(f.applications, indexVia, " WHERE t.via_id <> 0 AND t.via_id")
	if parts == nil {
		return "", nil
	}
	return strings.Join(parts, "\n\tUNION ALL") + limitTo(mostNamed+1), args
}
