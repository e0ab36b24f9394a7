package memory

import "container/heap"

// A queue has the records that will be purged, the one that ends first in front.
// Each record knows its place in it.
type queue[T any] struct {
	entries []entry[T]
	place   func(*T) *int32
}

type entry[T any] struct {
	ends   instant
	record *T
}

// add puts in a record.
func (q *queue[T]) add(record *T, ends instant) { heap.Push(q, entry[T]{ends, record}) }

// move says that a record ends at another time.
func (q *queue[T]) move(record *T, ends instant) {
	at := int(*q.place(record))
	if q.entries[at].ends != ends {
		q.entries[at].ends = ends
		heap.Fix(q, at)
	}
}

// remove takes out a record.
func (q *queue[T]) remove(record *T) { heap.Remove(q, int(*q.place(record))) }

// first returns the record that ends first if that is before the given instant,
// or nil.
func (q *queue[T]) first(before instant) *T {
	if len(q.entries) == 0 || q.entries[0].ends >= before {
		return nil
	}
	return q.entries[0].record
}

// purge gives drop, which must remove it, each record that ended before that
// instant, up to most of them, and returns how many.
func (q *queue[T]) purge(before instant, most int, drop func(*T)) (n int) {
	for ; n < most; n++ {
		record := q.first(before)
		if record == nil {
			break
		}
		drop(record)
	}
	return n
}

// Len implements [heap.Interface].
func (q *queue[T]) Len() int { return len(q.entries) }

// Less implements [heap.Interface].
func (q *queue[T]) Less(i, j int) bool { return q.entries[i].ends < q.entries[j].ends }

// Swap implements [heap.Interface].
func (q *queue[T]) Swap(i, j int) {
	q.entries[i], q.entries[j] = q.entries[j], q.entries[i]
	*q.place(q.entries[i].record), *q.place(q.entries[j].record) = int32(i), int32(j)
}

// Push implements [heap.Interface].
func (q *queue[T]) Push(x any) {
	e := x.(entry[T])
	*q.place(e.record) = int32(len(q.entries))
	q.entries = append(q.entries, e)
}

// Pop implements [heap.Interface].
func (q *queue[T]) Pop() any {
	end := len(q.entries) - 1
	e := q.entries[end]
	q.entries[end] = entry[T]{}
	q.entries = q.entries[:end]
	return e
}
