package memory

import (
	"cmp"
	"iter"
	"math"
	"slices"

	"github.com/ostiary/auth/store"
)

// A source is a list in which records of a page are.
type source[T any] struct {
	records iter.Seq[T]
	ordered bool         // as the page is
	few     bool         // sorted however many there are, which are few
	without func(T) bool // those that are in another source, too; nil for none
}

// A lister makes a page of what it takes from sources, and counts. It looks at no more
// records of a source in order than it needs.
type lister[T any] struct {
	need  int // how many records of each source can be on the page or follow it
	count int // how many are counted before it stops
	p     store.Page
	order func(a, b T) int
	found []T
	full  bool // need records are known, the last of which is last
	last  T
	total int
	known int // how many records there are, or -1
	err   error
}

func newLister[T any](p store.Page, order func(a, b T) int) *lister[T] {
	l := &lister[T]{p: p, order: order, known: -1}
	if p.Offset = max(p.Offset, 0); p.Limit > 0 {
		l.need = min(p.Offset, math.MaxInt/4) + min(p.Limit, math.MaxInt/4-1) + 1
	}
	if p.CountTo >= 0 {
		l.count = min(cmp.Or(p.CountTo, store.MaxCount), math.MaxInt-1) + 1
	}
	if p.Descending {
		l.order = func(a, b T) int { return order(b, a) }
	}
	return l
}

// knows says how many records there are, so that none is counted. The total is no
// more than counting would say.
func (l *lister[T]) knows(n int) { l.known, l.count = min(n, max(l.need, l.count)), 0 }

// take takes the records of a source for which listed returns true, as far as they
// are needed. It sorts at most [store.MaxCount].
func (l *lister[T]) take(from source[T], listed func(T) bool) {
	seen := 0
	for x := range from.records {
		if from.ordered && seen >= l.need && max(l.total, seen) >= l.count {
			break
		}
		if !listed(x) {
			continue
		}
		seen++
		if from.without != nil && from.without(x) {
			continue
		}
		l.total++
		if !from.ordered && !from.few && l.need > 0 && l.total > store.MaxCount {
			l.err = store.ErrOrder
			return
		}
		if seen <= l.need || !from.ordered {
			l.keep(x)
		}
	}
	l.total = max(l.total, seen)
	if l.known >= 0 {
		l.total = l.known
	}
}

// keep keeps a record unless it comes after all that can be on the page.
func (l *lister[T]) keep(x T) {
	if l.need == 0 || l.full && l.order(l.last, x) < 0 {
		return
	}
	if l.found = append(l.found, x); len(l.found) >= 2*l.need {
		slices.SortFunc(l.found, l.order)
		l.found = l.found[:l.need]
		l.last, l.full = l.found[l.need-1], true
	}
}

// page returns the records of the page.
func (l *lister[T]) page() []T {
	slices.SortFunc(l.found, l.order)
	from := min(max(l.p.Offset, 0), len(l.found))
	return l.found[from : from+min(max(l.p.Limit, 0), len(l.found)-from)]
}

// shown returns the records of a page as the contract has them, nil for none.
func shown[T, R any](page []T, of func(T) R) []R {
	if len(page) == 0 {
		return nil
	}
	list := make([]R, len(page))
	for i, x := range page {
		list[i] = of(x)
	}
	return list
}
