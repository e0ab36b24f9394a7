package memory

import (
	"iter"
	"slices"
)

// A sorted is a list of tokens in order, in parts, so that a change moves few of
// them. What order looks at must not change while a token is in it.
type sorted struct {
	parts [][]ref // none is empty
	of    *slab[token]
	order func(a, b *token) int
	n     int
}

// partSize is how many tokens a part has at most.
const partSize = 256

// find returns where a token is, or would be.
func (l *sorted) find(t *token) (part, at int, found bool) {
	if n := len(l.parts); n > 0 {
		if last := l.parts[n-1]; l.order(l.of.locked(last[len(last)-1]), t) < 0 {
			return n, 0, false // as most are
		}
	}
	part, _ = slices.BinarySearchFunc(l.parts, t, func(p []ref, t *token) int { return l.order(l.of.locked(p[len(p)-1]), t) })
	if part == len(l.parts) {
		return part, 0, false
	}
	at, found = slices.BinarySearchFunc(l.parts[part], t, func(r ref, t *token) int { return l.order(l.of.locked(r), t) })
	return part, at, found
}

// first returns the first token, or nil.
func (l *sorted) first() *token {
	if l.n == 0 {
		return nil
	}
	return l.of.locked(l.parts[0][0])
}

func (l *sorted) add(t *token) {
	l.n++
	part, at, _ := l.find(t)
	if part == len(l.parts) { // behind all others
		if part == 0 || len(l.parts[part-1]) >= partSize {
			l.parts = append(l.parts, []ref{t.self})
			return
		}
		part--
		at = len(l.parts[part])
	}
	p := slices.Insert(l.parts[part], at, t.self)
	if l.parts[part] = p; len(p) > partSize {
		half := len(p) / 2
		l.parts[part] = slices.Clone(p[:half])
		l.parts = slices.Insert(l.parts, part+1, slices.Clone(p[half:]))
	}
}

func (l *sorted) remove(t *token) {
	part, at, found := l.find(t)
	if !found {
		return
	}
	l.n--
	l.parts[part] = slices.Delete(l.parts[part], at, at+1)
	if len(l.parts[part]) == 0 {
		l.parts = slices.Delete(l.parts, part, part+1)
	}
}

// all yields the tokens in order, or the other way round.
func (l *sorted) all(descending bool) iter.Seq[*token] {
	return func(yield func(*token) bool) {
		for i := range l.parts {
			if descending {
				i = len(l.parts) - 1 - i
			}
			part := l.parts[i]
			for k := range part {
				if descending {
					k = len(part) - 1 - k
				}
				if !yield(l.of.locked(part[k])) {
					return
				}
			}
		}
	}
}

// from yields the tokens from the place on where a token is, or would be.
func (l *sorted) from(t *token) iter.Seq[*token] {
	return func(yield func(*token) bool) {
		first, at, _ := l.find(t)
		for _, part := range l.parts[first:] {
			for _, r := range part[at:] {
				if !yield(l.of.locked(r)) {
					return
				}
			}
			at = 0
		}
	}
}
