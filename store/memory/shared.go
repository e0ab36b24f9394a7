package memory

import (
	"hash/maphash"
	"strings"
)

// A shared has values that records share, each once, with its key: texts, bounds,
// parties. A value goes with the last record that holds it.
type shared[K comparable, T any] struct {
	handles[item[K, T]]
	byKey   *index
	keySeed maphash.Seed
}

// An item never changes but for the number of its holders, and what the type of its value
// says may change.
type item[K comparable, T any] struct {
	key   K
	value T
	hash  uint32
	refs  int32 // guarded by Store.mu
}

func newShared[K comparable, T any]() shared[K, T] {
	return shared[K, T]{byKey: newIndex(), keySeed: maphash.MakeSeed()}
}

// find returns the item with that key, or 0. Store.mu is held.
func (s *shared[K, T]) find(key K) (r ref, hash uint32) {
	hash = uint32(maphash.Comparable(s.keySeed, key))
	return s.byKey.find(hash, func(r ref) bool { return s.get(r).key == key }), hash
}

// hold returns the item with that key. Unless it is there, create returns the key and
// the value that are kept.
func (s *shared[K, T]) hold(key K, create func() (K, T)) ref {
	r, hash := s.find(key)
	if r == 0 {
		x := &item[K, T]{hash: hash}
		x.key, x.value = create()
		r = s.put(x)
		s.byKey.add(hash, r)
	}
	s.get(r).refs++
	return r
}

// release gives an item back. It returns the item if that is gone, or nil.
func (s *shared[K, T]) release(r ref) *item[K, T] {
	x := s.get(r)
	if x.refs--; x.refs > 0 {
		return nil
	}
	s.byKey.remove(x.hash, r)
	s.drop(r)
	return x
}

// A texts has texts that many tokens have: scopes, above all. 0 is the empty one.
type texts struct{ shared[string, struct{}] }

func (ts *texts) hold(value string) ref {
	if value == "" {
		return 0
	}
	// A clone, because the text may be a small part of what a client sent.
	return ts.shared.hold(value, func() (string, struct{}) { return strings.Clone(value), struct{}{} })
}

func (ts *texts) release(r ref) {
	if r != 0 {
		ts.shared.release(r)
	}
}

// replace releases a text and holds another one.
func (ts *texts) replace(old ref, value string) ref {
	r := ts.hold(value)
	ts.release(old)
	return r
}

func (ts *texts) of(r ref) string {
	if x := ts.get(r); x != nil {
		return x.key
	}
	return ""
}
