package sqlstore

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/ostiary/auth/store"
)

// limitTo makes a limit part of the text of a statement: PostgreSQL, which makes one
// plan for all values of a parameter, would expect a tenth of the table.
func limitTo(n int) string { return " LIMIT " + strconv.Itoa(n) }

// reach returns how many records are to be counted at most, 0 for none.
func reach(p store.Page) int {
	if p.CountTo < 0 {
		return 0
	}
	return min(cmp.Or(p.CountTo, store.MaxCount), math.MaxInt-1) + 1
}

// A found is a page of records, with what is known about the others.
type found[T any] struct {
	list  []T
	total int
	next  int // the least total that tells that more records follow, 0 if none do
}

// paged reads a page. Only where more records follow it counts them with count, which
// takes a limit.
func paged[T any](p store.Page, w walk[T], count func(limit int) (int, error)) (f found[T], err error) {
	offset := min(max(p.Offset, 0), math.MaxInt/2) // with the limit it must stay a number
	p.Limit = min(p.Limit, math.MaxInt/2-1)
	if w.key == nil && !w.few && p.Limit > 0 {
		return w.sorted(p, offset, count)
	}
	if p.Limit > 0 {
		if f.list, err = w.page(p.Limit+1, offset, max(p.CountTo, store.MaxCount)); err != nil {
			return found[T]{}, err
		}
		if len(f.list) <= p.Limit && (offset == 0 || len(f.list) > 0) {
			f.total = offset + len(f.list)
			return f, nil
		}
		if len(f.list) > p.Limit {
			f.list = f.list[:p.Limit]
			f.next = offset + p.Limit + 1
		}
	}
	if most := reach(p); most > f.next {
		if f.total, err = count(most); err != nil {
			return found[T]{}, err
		}
	}
	f.total = max(f.total, f.next)
	return f, nil
}

// sorted reads a page of a list that no index has in order. Then the database sorts all
// of it, so that it is counted before.
func (w walk[T]) sorted(p store.Page, offset int, count func(limit int) (int, error)) (f found[T], err error) {
	if f.total, err = count(store.MaxCount + 1); err != nil {
		return found[T]{}, err
	}
	if f.total > store.MaxCount {
		return found[T]{}, store.ErrOrder
	}
	if f.list, err = w.read(start{}, p.Limit, offset); err != nil {
		return found[T]{}, err
	}
	if n := len(f.list); n > 0 { // some may have come since the count
		f.total = max(f.total, offset+n)
	}
	return f, nil
}

// A listing is a list of one table.
type listing[T any] struct {
	what, count, query string
	where              filter
	now                filter // conditions that change with the time
	columns            []string
	read               func(scan func(...any) error) (T, error)
	key                func(T) []any // the values of columns, nil if no index has that order
	index              string        // in the middle of which MySQL has to begin
	few                bool          // see walk
	column             string        // that has only one value, "" for none
	value              any
}

// page reads one page of a list and counts the whole, as far as p asks for it.
func page[T any](ctx context.Context, s *Store, l listing[T], p store.Page) (all []T, total int, err error) {
	where := l.where.with(l.now)
	if checkText(where.args) != nil {
		return nil, 0, nil // nothing like that is stored
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	f, err := paged(p, walk[T]{
		lists: &s.lists,
		list:  func() store.Digest { return listDigest(l.query, l.where, l.columns, p.Descending) },
		key:   l.key,
		few:   l.few,
		read: func(from start, limit, offset int) ([]T, error) {
			descending := from.descending(p)
			r := rowRange{filter: where, column: l.column, value: l.value}.startingAt(s.dialect, from, l.columns, descending)
			query := l.query
			if from.key != nil {
				query += s.dialect.force(l.index)
			}
			query += r.filter.where() + orderBy(descending, l.columns...) + limitTo(limit) + " OFFSET ?"
			return list(ctx, s, l.what, query, append(slices.Clip(r.args), offset), l.read)
		},
	}, func(limit int) (int, error) {
		return s.count(ctx, l.what, listDigest(l.count, l.where, limit), l.count+where.where(), where.args, limit)
	})
	return f.list, f.total, err
}

// count returns how many rows a query has, up to a limit. Of a list that reached the limit
// when it was counted last, it first looks for the row at the limit: to skip rows takes a
// third less than to count them. The name of the list tells it from others. It has the
// limit, unless that is always the same, and does not change with the time.
func (s *Store) count(ctx context.Context, what string, name store.Digest, query string, args []any, limit int) (int, error) {
	now := time.Since(s.lists.since)
	long := s.lists.knownLong(&name)
	if long {
		last, err := s.number(ctx, what, countOf+query+" LIMIT 1 OFFSET "+strconv.Itoa(limit-1)+countOfEnd, args)
		if last > 0 || err != nil {
			return limit * last, err
		}
	}
	n, err := s.number(ctx, what, countOf+query+limitTo(limit)+countOfEnd, args)
	switch {
	case err != nil:
	case n == limit:
		s.lists.long.Put(&name, struct{}{}, now+countLive, now)
	case long: // no more: each count would read it twice
		s.lists.long.Put(&name, struct{}{}, now+1, now)
	}
	return n, err
}

// number returns the number that a query has as its only row.
func (s *Store) number(ctx context.Context, what, query string, args []any) (int, error) {
	found, err := list(ctx, s, what, query, args, func(scan func(...any) error) (n int, err error) {
		return n, scan(&n)
	})
	if err != nil {
		return 0, err
	}
	return found[0], nil
}
