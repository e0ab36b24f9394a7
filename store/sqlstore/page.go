package sqlstore

import (
	"cmp"
	"context"
	"math"
	"strconv"

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

// paged reads a page with read, which takes a limit and an offset. Only where more
// records follow it counts them with count, which takes a limit.
func paged[T any](p store.Page, read func(limit, offset int) ([]T, error), count func(limit int) (int, error)) (f found[T], err error) {
	offset := min(max(p.Offset, 0), math.MaxInt/2) // with the limit it must stay a number
	p.Limit = min(p.Limit, math.MaxInt/2-1)
	if p.Limit > 0 {
		if f.list, err = read(p.Limit+1, offset); err != nil {
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

// page reads one page of a list and counts the whole, as far as p asks for it.
func page[T any](ctx context.Context, s *Store, what, count, query, where, order string, args []any, p store.Page, read func(scan func(...any) error) (T, error)) (all []T, total int, err error) {
	if checkText(args) != nil {
		return nil, 0, nil // nothing like that is stored
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	f, err := paged(p, func(limit, offset int) ([]T, error) {
		return list(ctx, s, what, query+where+order+limitTo(limit)+" OFFSET ?", append(args, offset), read)
	}, func(limit int) (int, error) {
		return s.count(ctx, what, count+where+limitTo(limit), args)
	})
	return f.list, f.total, err
}

// count returns how many rows a query has.
func (s *Store) count(ctx context.Context, what, query string, args []any) (int, error) {
	return s.number(ctx, what, countOf+query+countOfEnd, args)
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
