package recent

import (
	"testing"
	"time"

	"github.com/ostiary/auth/store"
)

// A new value takes the place of an older one of its digest, or of the one that ends
// first.
func TestTable(t *testing.T) {
	table := New[int](1) // one set
	if got := table.Places(); got != ways {
		t.Errorf("%d places", got)
	}
	put := func(i int, until, now time.Duration) { table.Put(&store.Digest{byte(i), 1}, i, until, now) }
	has := func(i int, now time.Duration) bool {
		v, ok := table.Get(&store.Digest{byte(i), 1}, now)
		return ok && v == i
	}
	for i := range ways {
		put(i, time.Duration(10+i), 0)
	}
	put(3, 100, 0)
	put(8, 50, 0)
	if has(0, 0) || !has(1, 0) || !has(3, 99) || has(3, 100) || !has(8, 49) || has(8, 50) {
		t.Error("another value than the one that ends first was replaced, or a value counts after its end")
	}
	if put(10, 5, 5); has(10, 0) {
		t.Error("a value that has ended is kept")
	}
	if has(11, 0) {
		t.Error("there is a value that nobody put there")
	}
	if _, ok := New[int](ways).Get(&store.Digest{}, 0); ok {
		t.Error("an empty place has a value")
	}
}
