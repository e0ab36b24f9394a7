package sqlstore

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary/auth/store"
)

// A fakeList is the numbers of a list that is read as a database would read it. It counts
// what was skipped.
type fakeList struct {
	all     []int64
	skipped int
}

func (f *fakeList) walk(l *lists, name string, p store.Page) walk[int64] {
	return walk[int64]{
		lists: l, list: func() store.Digest { return listDigest(name) },
		key: func(n int64) []any { return []any{n} },
		read: func(from start, limit, offset int) ([]int64, error) {
			all := slices.Clone(f.all)
			slices.SortFunc(all, func(a, b int64) int {
				if from.descending(p) {
					a, b = b, a
				}
				return cmp.Compare(a, b)
			})
			if from.key != nil {
				key := from.key[0].(int64)
				all = slices.DeleteFunc(all, func(n int64) bool {
					return n == key || (n < key) != from.descending(p)
				})
			}
			f.skipped += min(offset, len(all))
			all = all[min(offset, len(all)):]
			return all[:min(limit, len(all))], nil
		},
	}
}

func (f *fakeList) page(t *testing.T, l *lists, p store.Page) []int64 {
	t.Helper()
	f.skipped = 0
	found, err := paged(p, f.walk(l, "list", p), func(limit int) (int, error) { return min(limit, len(f.all)), nil })
	if err != nil {
		t.Fatal(err)
	}
	return found.list
}

// sequence returns the numbers from first to last, in steps.
func sequence(first, last, step int64) (all []int64) {
	for n := first; n <= last; n += step {
		all = append(all, n)
	}
	return all
}

// Far from the beginning, who goes on after a change sees what follows what was seen.
// Before MaxCount, a page is that of its offset.
func TestPagesOfChangedLists(t *testing.T) {
	const limit = 100
	for _, down := range []bool{false, true} {
		at := func(n int64) int64 { // the number at an offset of 20,000
			if down {
				return 2 * (19_999 - n)
			}
			return 2 * n
		}
		for _, tt := range []struct {
			name   string
			gone   []int64 // offsets
			offset int
			next   int // by which page to go on
			want   int64
			most   int // what may be skipped
		}{
			{"the next one", nil, 15_000, 1, 15_100, 0},
			{"the one before", nil, 15_000, -1, 14_900, limit},
			{"near", nil, 15_000, 3, 15_300, 3 * limit},
			{"records went before it", sequence(0, 999, 1), 15_000, 1, 15_100, 0},
			{"records went before it, backwards", sequence(0, 999, 1), 15_000, -1, 14_900, limit},
			{"its records went", sequence(15_000, 15_099, 1), 15_000, 1, 15_100, 0},
			{"its records went, backwards", sequence(15_000, 15_099, 1), 15_000, -1, 14_900, limit},
			{"from before MaxCount", sequence(0, 999, 1), 9_900, 1, 10_000, 0},
			{"to before MaxCount", sequence(0, 999, 1), 10_000, -1, 10_900, 9_900},
			{"before MaxCount", sequence(0, 999, 1), 9_000, 1, 10_100, 9_100},
			{"everything before went", sequence(0, 15_099, 1), 15_000, -1, -1, 20_000},
		} {
			l := newLists()
			f := &fakeList{all: sequence(0, 2*19_999, 2)}
			p := store.Page{Offset: tt.offset, Limit: limit, Descending: down, CountTo: -1}
			f.page(t, &l, p)
			gone := map[int64]bool{}
			for _, n := range tt.gone {
				gone[at(n)] = true
			}
			f.all = slices.DeleteFunc(f.all, func(n int64) bool { return gone[n] })
			p.Offset += tt.next * limit
			got := f.page(t, &l, p)
			if tt.want < 0 {
				if len(got) > 0 {
					t.Errorf("%s, descending %v: %d", tt.name, down, got[0])
				}
				continue
			}
			if len(got) != limit || got[0] != at(tt.want) || got[limit-1] != at(tt.want+limit-1) {
				t.Errorf("%s, descending %v: %d records from %d, want from %d", tt.name, down, len(got), got[:min(1, len(got))], at(tt.want))
			}
			if f.skipped > tt.most {
				t.Errorf("%s, descending %v: %d records were skipped", tt.name, down, f.skipped)
			}
		}
	}
}

// A page before CountTo is exact, and one in another order or of another list begins from
// what is known of that.
func TestPagesThatMustBeExact(t *testing.T) {
	l := newLists()
	f := &fakeList{all: sequence(0, 19_999, 1)}
	p := store.Page{Offset: 15_000, Limit: 10}
	f.page(t, &l, p)
	f.all = f.all[1:]
	p.Offset, p.CountTo = 15_010, 20_000
	if got := f.page(t, &l, p); len(got) == 0 || got[0] != 15_011 {
		t.Errorf("the page that must be exact is %d", got)
	}
	other, err := f.walk(&l, "other", p).page(11, 15_010, store.MaxCount)
	if err != nil || len(other) == 0 || other[0] != 15_011 {
		t.Errorf("the page of another list is %d, %v", other, err)
	}
}

// Edges are forgotten after a minute, and there are few of them.
func TestEdgesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists()
		list := listDigest("list")
		for i := range 100 {
			l.remember(&list, edge{offset: 10_000 + i, key: []any{int64(i)}}, edge{offset: 20_000 + i, key: []any{int64(i)}})
			time.Sleep(time.Second)
		}
		all, _ := l.edges.Get(&list, time.Since(l.since))
		if len(all) != mostEdges {
			t.Errorf("%d edges", len(all))
		}
		if e, known := l.nearest(&list, 10_090); !known || e.offset != 10_096 {
			t.Errorf("the nearest edge is at %d, known: %v", e.offset, known)
		}
		if e, known := l.nearest(&list, 4_000); known {
			t.Errorf("the beginning is nearer than %d", e.offset)
		}
		time.Sleep(edgesLive - 2*time.Second)
		if e, known := l.nearest(&list, 10_090); !known || e.offset != 10_099 {
			t.Errorf("the nearest edge that lives is at %d, known: %v", e.offset, known)
		}
		time.Sleep(2 * time.Second)
		if e, known := l.nearest(&list, 10_090); known {
			t.Errorf("the edge at %d is known after a minute", e.offset)
		}
		for i := range 10 * mostLists {
			other := listDigest(i)
			l.remember(&other, edge{offset: 10_000, key: []any{int64(i)}})
		}
		kept := 0
		for i := range 10 * mostLists {
			other := listDigest(i)
			if _, known := l.nearest(&other, 10_000); known {
				kept++
			}
		}
		if kept == 0 || kept > mostLists {
			t.Errorf("something is remembered of %d lists", kept)
		}
	})
}

// Lists that differ in anything but cut-offs have names that differ.
func TestNamesOfListsDiffer(t *testing.T) {
	text := func(s string) *string { return &s }
	names := map[store.Digest]string{}
	see := func(d store.Digest, what string) {
		if other, known := names[d]; known {
			t.Errorf("%s has the name of %s", what, other)
		}
		names[d] = what
	}
	s := &Store{dialect: Postgres}
	for _, f := range []store.TokenFilter{
		{All: true}, {UserID: "1"}, {UserID: "11"}, {UserID: "1", Organizations: []int64{1}}, {UserID: "1", Organizations: []int64{11}},
		{UserID: "1", Organizations: []int64{1, 1}}, {Organizations: []int64{1}}, {All: true, OwnerID: "1"}, {UserID: "2", OwnerID: "1", Organizations: []int64{1}},
		{All: true, ApplicationID: 1}, {All: true, ID: 1}, {All: true, Kind: store.PersonalToken}, {All: true, Kind: store.ApplicationToken},
		{All: true, Scopes: "read"}, {All: true, Description: text("")}, {All: true, Description: text("read")}, {All: true, Search: "read"},
		{All: true, Description: text("a"), Search: "b"}, {All: true, Description: text("ab")}, {All: true, Search: "\", \"a"}, {All: true, Search: "read "},
		{All: true, Search: "Read"},
	} {
		for _, more := range [][]any{{store.OrderID, false}, {store.OrderID, true}, {store.OrderCreated, false}, {501}, {10_001}} {
			see(s.tokenList(f, more...), fmt.Sprintf("%+v %v", f, more))
		}
	}
	for _, args := range [][]any{{int64(1)}, {"1"}, {"1", "1"}, {"1, 1"}, {true}, {"true"}, {[]byte("1")}, {nil}, {}} {
		see(listDigest("query", filter{[]string{"x = ?"}, args}, []string{"s.id"}, false), fmt.Sprintf("%#v", args))
	}
}

// Any number may walk through the same lists at the same time.
func TestWalksAtTheSameTime(t *testing.T) {
	l := newLists()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			f := &fakeList{all: sequence(0, 10_999, 1)}
			p := store.Page{Limit: 50, Descending: i%2 == 1}
			for offset := 9_900; offset < 11_000; offset += 50 {
				p.Offset = offset
				name := []string{"up", "down"}[i%2]
				got, err := f.walk(&l, name, p).page(51, offset, store.MaxCount)
				want := int64(offset)
				if p.Descending {
					want = int64(10_999 - offset)
				}
				if err != nil || len(got) == 0 || got[0] != want {
					t.Errorf("page at %d is %d, and must begin with %d: %v", offset, got, want, err)
				}
			}
		})
	}
	all.Wait()
}
