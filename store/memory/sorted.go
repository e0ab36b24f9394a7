package memory

import (
	"cmp"
	"iter"
	"slices"
)

// parts are a list in order, in parts, so that a change moves few of its entries.
// Places in it are told by a function that compares an entry with what is looked for.
type parts[E any] [][]E // none is empty

// partSize is how many entries a part has at most.
const partSize = 256

// find returns where something is, or would be.
func (l parts[E]) find(compare func(E) int) (part, at int, found bool) {
	if n := len(l); n > 0 {
		if last := l[n-1]; compare(last[len(last)-1]) < 0 {
			return n, 0, false // as most are
		}
	}
	part, _ = slices.BinarySearchFunc(l, 0, func(p []E, _ int) int { return compare(p[len(p)-1]) })
	if part == len(l) {
		return part, 0, false
	}
	at, found = slices.BinarySearchFunc(l[part], 0, func(e E, _ int) int { return compare(e) })
	return part, at, found
}

func (l *parts[E]) add(e E, compare func(E) int) {
	part, at, _ := l.find(compare)
	if part == len(*l) { // behind all others
		if part == 0 || len((*l)[part-1]) >= partSize {
			*l = append(*l, []E{e})
			return
		}
		part--
		at = len((*l)[part])
	}
	p := slices.Insert((*l)[part], at, e)
	if (*l)[part] = p; len(p) > partSize {
		half := len(p) / 2
		(*l)[part] = slices.Clone(p[:half])
		*l = slices.Insert(*l, part+1, slices.Clone(p[half:]))
	}
}

// remove reports whether there was such an entry.
func (l *parts[E]) remove(compare func(E) int) bool {
	part, at, found := l.find(compare)
	if !found {
		return false
	}
	(*l)[part] = slices.Delete((*l)[part], at, at+1)
	if len((*l)[part]) == 0 {
		*l = slices.Delete(*l, part, part+1)
	}
	return true
}

// each yields the entries in order, or the other way round. Unlike an iterator it
// costs no memory.
func (l parts[E]) each(descending bool, yield func(E) bool) {
	for i := range l {
		if descending {
			i = len(l) - 1 - i
		}
		part := l[i]
		for k := range part {
			if descending {
				k = len(part) - 1 - k
			}
			if !yield(part[k]) {
				return
			}
		}
	}
}

// eachFrom yields the entries from the place on where something is, or would be.
func (l parts[E]) eachFrom(compare func(E) int, yield func(E) bool) {
	first, at, _ := l.find(compare)
	for _, part := range l[first:] {
		for _, e := range part[at:] {
			if !yield(e) {
				return
			}
		}
		at = 0
	}
}

// refs are a set of records.
type refs struct {
	parts parts[ref]
	n     int
}

// order compares another ref with this one.
func (r ref) order(other ref) int { return cmp.Compare(other, r) }

func (l *refs) add(r ref) {
	l.n++
	l.parts.add(r, r.order)
}

// remove reports whether the record was there.
func (l *refs) remove(r ref) bool {
	there := l.parts.remove(r.order)
	if there {
		l.n--
	}
	return there
}

func (l *refs) each(yield func(ref) bool) { l.parts.each(false, yield) }

// A sorted is a list of records of a slab in order. What its order looks at must not
// change while a record is in it.
type sorted[T any] struct {
	parts parts[ref]
	n     int
	*ordering[T]
}

// An ordering is what lists of one order have in common.
type ordering[T any] struct {
	get     func(ref) *T
	self    func(*T) ref
	compare func(a, b *T) int // 0 for the same record alone
}

// to compares the records of the list with one.
func (l *sorted[T]) to(x *T) func(ref) int {
	return func(r ref) int { return l.compare(l.get(r), x) }
}

// first returns the first record, or nil.
func (l *sorted[T]) first() *T {
	if l.n == 0 {
		return nil
	}
	return l.get(l.parts[0][0])
}

func (l *sorted[T]) add(x *T) {
	l.n++
	l.parts.add(l.self(x), l.to(x))
}

func (l *sorted[T]) remove(x *T) {
	if l.parts.remove(l.to(x)) {
		l.n--
	}
}

// all yields the records in order, or the other way round.
func (l *sorted[T]) all(descending bool) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		l.parts.each(descending, func(r ref) bool { return yield(l.get(r)) })
	}
}

// from yields the records from the place on where one is, or would be.
func (l *sorted[T]) from(x *T) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		l.parts.eachFrom(l.to(x), func(r ref) bool { return yield(l.get(r)) })
	}
}

// A ranked is a list of other records in order. They are never changed while they are
// in it.
type ranked[T any] struct {
	parts parts[*T]
	order func(a, b *T) int
	n     int
}

func (l *ranked[T]) to(x *T) func(*T) int {
	return func(e *T) int { return l.order(e, x) }
}

func (l *ranked[T]) add(x *T) {
	l.n++
	l.parts.add(x, l.to(x))
}

func (l *ranked[T]) remove(x *T) {
	if l.parts.remove(l.to(x)) {
		l.n--
	}
}

// all yields the records in order, or the other way round.
func (l *ranked[T]) all(descending bool) iter.Seq[*T] {
	return func(yield func(*T) bool) { l.parts.each(descending, yield) }
}

// from yields the records from the place on where one is, or would be.
func (l *ranked[T]) from(x *T) iter.Seq[*T] {
	return func(yield func(*T) bool) { l.parts.eachFrom(l.to(x), yield) }
}

// first returns the first record of a list that has some.
func (l *ranked[T]) first() *T { return l.parts[0][0] }
