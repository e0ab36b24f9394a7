package sqlstore

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostiary/auth/internal/recent"
	"github.com/ostiary/auth/store"
)

// Databases have no index by rank: what stands before a page is read, unless it is known
// where in the order the page begins. The store remembers the edges of pages that it has
// read, so that a list that is walked through costs the same on each page. Up to the
// greater of [store.MaxCount] and CountTo totals are exact, and a page is found by its
// offset. Beyond it nobody can tell the offset of a record anyway. There an edge is used
// although records before it may have come or gone, on this node or another: by its
// offset, a walk would repeat or leave out as many as that. By the edge it does neither,
// unless another walk of the same list has replaced the edge.
const (
	mostLists = 1024        // of which something is remembered
	mostEdges = 8           // of one list
	edgesLive = time.Minute // a page may be shifted by what was added or removed meanwhile
	countLive = time.Hour   // it decides only what is tried first
)

// An edge is a record that stood at an offset of a list: the values of the columns of its
// order. It shows nobody anything, for it is a bound in statements that have all the
// conditions of the list.
type edge struct {
	offset int
	key    []any
	until  time.Duration
}

// lists are what the store remembers of lists.
type lists struct {
	since time.Time
	edges *recent.Table[[]edge] // whose values are never changed
	long  *recent.Table[struct{}]
}

func newLists() lists {
	return lists{time.Now(), recent.New[[]edge](mostLists), recent.New[struct{}](mostLists)}
}

// listDigest returns the name of a list by all that tells it from others.
func listDigest(of ...any) store.Digest { return sha256.Sum256(fmt.Appendf(nil, "%#v", of)) }

// nearest returns the edge that is the nearest to an offset, if it is nearer than the
// beginning of the list.
func (l *lists) nearest(list *store.Digest, offset int) (e edge, known bool) {
	now := time.Since(l.since)
	all, _ := l.edges.Get(list, now)
	away := offset
	for _, x := range all {
		if d := max(x.offset-offset, offset-x.offset); d < away && now < x.until {
			e, known, away = x, true, d
		}
	}
	return e, known
}

// remember remembers edges, instead of the oldest ones.
func (l *lists) remember(list *store.Digest, edges ...edge) {
	now := time.Since(l.since)
	for i := range edges {
		edges[i].until = now + edgesLive
	}
	all, _ := l.edges.Get(list, now)
	for _, x := range all {
		again := slices.ContainsFunc(edges, func(e edge) bool { return e.offset == x.offset })
		if !again && now < x.until && len(edges) < mostEdges {
			edges = append(edges, x)
		}
	}
	l.edges.Put(list, edges, now+edgesLive, now)
}

// knownLong reports whether a list reached its limit when it was counted last.
func (l *lists) knownLong(list *store.Digest) bool {
	_, long := l.long.Get(list, time.Since(l.since))
	return long
}

// A start is where a list begins to be read: behind a key, and backwards from before it.
// The zero start is the beginning.
type start struct {
	key  []any
	back bool
}

// descending reports whether the greatest come first.
func (s start) descending(p store.Page) bool { return p.Descending != s.back }

// A walk reads the pages of a list.
type walk[T any] struct {
	lists *lists
	list  func() store.Digest
	key   func(T) []any // nil if no index has the order
	few   bool          // sorted however many there are, which are few
	read  func(from start, limit, offset int) ([]T, error)
}

// page reads a page. Before exact, it is the one of that offset.
func (w walk[T]) page(limit, offset, exact int) (page []T, err error) {
	if w.key == nil || offset+limit <= store.MaxCount {
		return w.read(start{}, limit, offset)
	}
	list := w.list()
	from, skip := start{}, offset
	if before := offset - 1; offset >= exact {
		if e, known := w.lists.nearest(&list, before); known {
			from, skip, err = w.from(e, before)
		}
	}
	if err == nil {
		page, err = w.read(from, limit, skip)
	}
	if shown := min(len(page), limit-1); err == nil && shown > 0 {
		w.lists.remember(&list, edge{offset: offset + shown - 1, key: w.key(page[shown-1])}, edge{offset: offset, key: w.key(page[0])})
	}
	return page, err
}

// from returns where to begin for what follows the record at an offset, and how many
// records to skip. It looks for that record if the edge comes after it.
func (w walk[T]) from(e edge, before int) (from start, skip int, err error) {
	if e.offset <= before {
		return start{key: e.key}, before - e.offset, nil
	}
	found, err := w.read(start{key: e.key, back: true}, 1, e.offset-before-1)
	if len(found) == 0 || err != nil { // there are fewer by now
		return start{}, before + 1, err
	}
	return start{key: w.key(found[0])}, 0, nil
}

// behind is the condition that a row comes behind a key in an order.
func (d Dialect) behind(columns []string, descending bool, key []any) (f filter) {
	than := " > "
	if descending {
		than = " < "
	}
	switch n := len(columns); {
	case n == 1:
		f.and(columns[0]+than+"?", key...)
	case d == MySQL: // which finds the way into an index by this alone
		rest := d.behind(columns[1:], descending, key[1:])
		f.and("("+columns[0]+than+"? OR "+columns[0]+" = ? AND "+rest.text()+")", slices.Concat(key[:1], key[:1], rest.args)...)
	default:
		last := "?"
		if d == SQLite { // or it takes no index: a rowid has no collation, and one that is named fits any column
			last = "? COLLATE BINARY"
		}
		f.and("("+strings.Join(columns, ", ")+")"+than+"("+strings.Repeat("?, ", n-1)+last+")", key...)
	}
	return f
}

// startingAt returns the range as it is from a start on.
func (r rowRange) startingAt(d Dialect, from start, columns []string, descending bool) rowRange {
	if from.key == nil {
		return r
	}
	var more filter
	if d == Postgres && r.value != nil {
		// It goes into the middle of an index only by equal values before. See filter.only.
		more.and(r.column+" = ?", r.value)
	}
	key := from.key
	if r.value != nil && columns[0] == r.column { // all have the same
		columns, key = columns[1:], key[1:]
	}
	more.add(d.behind(columns, descending, key))
	r.filter = r.filter.with(more)
	return r
}
