package memory

import (
	"iter"
	"slices"
)

// A sorted is a list of records in order, in parts, so that a change moves few of
// them. What its order looks at must not change while a record is in it.
type sorted[T any] struct {
	parts [][]ref // none is empty
	n     int
	*ordering[T]
}

// An ordering is what lists of one order have in common.
type ordering[T any] struct {
	get     func(ref) *T
	self    func(*T) ref
	compare func(a, b *T) int // 0 for the same record alone
}

// partSize is how many records a part has at most.
const partSize = 256

// find returns where a record is, or would be.
func (l *sorted[T]) find(x *T) (part, at int, found bool) {
	if n := len(l.parts); n > 0 {
		if last := l.parts[n-1]; l.compare(l.get(last[len(last)-1]), x) < 0 {
			return n, 0, false // as most are
		}
	}
	part, _ = slices.BinarySearchFunc(l.parts, x, func(p []ref, x *T) int { return l.compare(l.get(p[len(p)-1]), x) })
	if part == len(l.parts) {
		return part, 0, false
	}
	at, found = slices.BinarySearchFunc(l.parts[part], x, func(r ref, x *T) int { return l.compare(l.get(r), x) })
	return part, at, found
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
	part, at, _ := l.find(x)
	if part == len(l.parts) { // behind all others
		if part == 0 || len(l.parts[part-1]) >= partSize {
			l.parts = append(l.parts, []ref{l.self(x)})
			return
		}
		part--
		at = len(l.parts[part])
	}
	p := slices.Insert(l.parts[part], at, l.self(x))
	if l.parts[part] = p; len(p) > partSize {
		half := len(p) / 2
		l.parts[part] = slices.Clone(p[:half])
		l.parts = slices.Insert(l.parts, part+1, slices.Clone(p[half:]))
	}
}

func (l *sorted[T]) remove(x *T) {
	part, at, found := l.find(x)
	if !found {
		return
	}
	l.n--
	l.parts[part] = slices.Delete(l.parts[part], at, at+1)
	if len(l.parts[part]) == 0 {
		l.parts = slices.Delete(l.parts, part, part+1)
	}
}

// all yields the records in order, or the other way round.
func (l *sorted[T]) all(descending bool) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range l.parts {
			if descending {
				i = len(l.parts) - 1 - i
			}
			part := l.parts[i]
			for k := range part {
				if descending {
					k = len(part) - 1 - k
				}
				if !yield(l.get(part[k])) {
					return
				}
			}
		}
	}
}

// from yields the records from the place on where a record is, or would be.
func (l *sorted[T]) from(x *T) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		first, at, _ := l.find(x)
		for _, part := range l.parts[first:] {
			for _, r := range part[at:] {
				if !yield(l.get(r)) {
					return
				}
			}
			at = 0
		}
	}
}
