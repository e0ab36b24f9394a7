package sqlstore

import (
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// An order is the expressions on t by which tokens are ordered.
type order struct {
	dialect    Dialect
	columns    []string
	descending bool
	ofUser     string // the index that has the tokens of a user in order
	byID       bool
	of         func(tokenRecord) time.Time // the first column if it is a time that an index has, or nil
}

func (s *Store) tokenOrder(p store.Page) order {
	o := order{dialect: s.dialect, descending: p.Descending, ofUser: indexListed}
	switch p.Order {
	case store.OrderCreated:
		o.columns, o.ofUser = []string{"t.created_at"}, indexCreated
		o.of = func(r tokenRecord) time.Time { return r.Created }
	case store.OrderModified:
		o.columns, o.ofUser = []string{"t.modified_at"}, indexModified
		o.of = func(r tokenRecord) time.Time { return r.Modified }
	case store.OrderExpires:
		o.columns, o.ofUser = []string{"t.expires_at"}, indexExpiring
		o.of = func(r tokenRecord) time.Time { return r.Expires }
	case store.OrderLastUsed:
		// Databases disagree where NULL goes.
		o.columns = []string{"CASE WHEN t.last_used_at IS NULL THEN 0 ELSE 1 END", "t.last_used_at"}
	}
	o.byID = o.columns == nil
	o.columns = append(o.columns, "t.id")
	return o
}

// key returns a function for the values of the columns, nil if no index has all of the
// ranges in order.
func (o order) key(ranges []rowRange) func(tokenRecord) []any {
	others := func(r rowRange) bool { return r.index != indexListed }
	switch {
	case o.byID:
		return func(r tokenRecord) []any { return []any{r.ID} }
	case o.of == nil || slices.ContainsFunc(ranges, others):
		return nil
	}
	return func(r tokenRecord) []any { return []any{micros(o.of(r)), r.ID} }
}

// by returns the clause that orders tokens.
func (o order) by() string { return orderBy(o.descending, o.columns...) }

// live returns the rest of a query for tokens of a range, in order.
func (o order) live(r rowRange) string {
	index := r.index
	if index == indexListed {
		index = o.ofUser
	}
	return o.dialect.tokensBy(index) + whereLive + r.where() + o.dialect.orderLive(r.column, o.descending, o.columns...)
}

// ids returns a query for the IDs of a page.
func (o order) ids(ranges []rowRange, from start, limit, offset int) (query string, args []any) {
	ranges = slices.Clone(ranges)
	for i, r := range ranges {
		ranges[i] = r.startingAt(o.dialect, from, o.columns, o.descending)
	}
	if len(ranges) == 1 {
		r := ranges[0]
		return tokenIDs + o.live(r) + limitTo(limit) + " OFFSET ?", append(slices.Clip(r.args), offset)
	}
	keys := make([]string, len(o.columns))
	columns := ""
	for i, column := range o.columns {
		keys[i] = "u.k" + strconv.Itoa(i)
		columns += ", " + column + " AS k" + strconv.Itoa(i)
	}
	query, args = union(ranges, func(r rowRange) string {
		return tokenIDs + columns + o.live(r) + limitTo(offset+limit)
	})
	return mergedIDs + query + mergedIDsEnd + orderBy(o.descending, keys...) + limitTo(limit) + " OFFSET ?", append(args, offset)
}
